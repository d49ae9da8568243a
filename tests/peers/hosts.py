"""Peers on hosts of their own: each in a network namespace, on one switch, some behind a NAT.

	with Hosts("alice", "bob", "carol", nat=("carol",)) as net: net.init(); net.start()

Every host has an address in 198.51.100.0/24 (RFC 5737); one behind a NAT has a router there and a
private address that nobody else can reach. Cables can be pulled, slowed down, made long
and lossy; the switch can be split in two. Needs root, ip and nft; NEEDED says what is missing.
"""
import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
import sys

from peers import HERE, Net, Peer
from relay import no_offload

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise OSError("%s: %s" % (" ".join(command), done.stderr.strip() or done.returncode))
    return done.stdout


def needed():
    """What is missing for hosts, or None."""
    if os.geteuid() != 0:
        return "hosts of their own need root"
    for tool in ("ip", "nft", "tc"):
        if not shutil.which(tool):
            return "%s is not installed" % tool
    try:
        name = "p2p-try-%d" % os.getpid()
        run("ip", "netns", "add", name)
        run("ip", "netns", "del", name)
    except OSError as e:
        return str(e)
    return None


def enter(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        if libc.setns(fd, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns %s" % path)
    finally:
        os.close(fd)


@contextlib.contextmanager
def inside(namespace):
    """This thread is in there meanwhile; a socket stays where it was made."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    enter("/run/netns/" + namespace)
    try:
        yield
    finally:
        libc.setns(home, CLONE_NEWNET)
        os.close(home)


class HostPeer(Peer):
    def __init__(self, net, address, number, behind_nat):
        self.number = number
        self.outside = "198.51.100.%d" % (10 + number)     # of the host, or of its router
        self.behind_nat = behind_nat
        self.host = "192.168.77.2" if behind_nat else self.outside
        self.namespace = "%s-%d" % (net.name, number)
        self.prefix = ("ip", "netns", "exec", self.namespace)
        self.port = "%sp%d" % (net.name, number)        # on the switch
        self.gateway = self.namespace + ("r" if behind_nat else "")
        self.uplink = "wan" if behind_nat else "eth0"
        self.relay = None
        super().__init__(net, address)

    def inside(self):
        return inside(self.namespace)

    def within(self, *command):
        return run("ip", "netns", "exec", self.namespace, *command)

    # Its cable

    def build(self):
        """Namespace, cable, and a router when it is behind a NAT."""
        run("ip", "netns", "add", self.namespace)
        self.within("ip", "link", "set", "lo", "up")
        gateway, port = self.gateway, self.uplink
        if self.behind_nat:
            run("ip", "netns", "add", gateway)
            run("ip", "link", "add", "lan", "netns", gateway, "type", "veth", "peer", "name", "eth0", "netns", self.namespace)
            run("ip", "-n", gateway, "addr", "add", "192.168.77.1/24", "dev", "lan")
            run("ip", "-n", gateway, "link", "set", "lan", "up")
            self.within("ip", "addr", "add", "192.168.77.2/24", "dev", "eth0")
            self.within("ip", "link", "set", "eth0", "up")
            self.within("ip", "route", "add", "default", "via", "192.168.77.1")
        run("ip", "link", "add", self.port, "netns", self.net.switch, "type", "veth", "peer", "name", port, "netns", gateway)
        run("ip", "-n", gateway, "addr", "add", self.outside + "/24", "dev", port)
        run("ip", "-n", gateway, "link", "set", port, "up")
        run("ip", "-n", self.net.switch, "link", "set", self.port, "master", "br0", "up")
        if self.behind_nat:
            with inside(gateway):
                with open("/proc/sys/net/ipv4/ip_forward", "w") as f:
                    f.write("1")
            for words in ("table ip nat", "table ip door", "chain ip nat out { type nat hook postrouting priority 100 ; }",
                          "chain ip door forward { type filter hook forward priority 0 ; }",
                          "chain ip door input { type filter hook input priority 0 ; }",
                          "rule ip nat out oifname wan masquerade", "rule ip door forward iifname wan ct state new drop",
                          "rule ip door input iifname wan ct state new drop"):
                run("ip", "netns", "exec", gateway, "nft", "add " + words)

    def unplug(self):
        run("ip", "-n", self.net.switch, "link", "set", self.port, "down")

    def plug(self):
        run("ip", "-n", self.net.switch, "link", "set", self.port, "up")

    def side(self, number):
        """Which half of a switch that is split in two."""
        run("ip", "-n", self.net.switch, "link", "set", self.relay.tap if self.relay else self.port, "master", "br%d" % number)

    def slow(self, rate):
        """What it sends goes out at this rate ("10mbit")."""
        run("ip", "netns", "exec", self.gateway, "tc", "qdisc", "replace", "dev", self.uplink, "root", "tbf",
            "rate", rate, "burst", "64kb", "latency", "200ms")

    def far(self, delay_ms, loss_percent=0):
        """Every packet takes so long each way, and some never arrive."""
        try:
            for namespace, port in ((self.net.switch, self.port), (self.gateway, self.uplink)):
                run("ip", "netns", "exec", namespace, "tc", "qdisc", "replace", "dev", port, "root", "netem",
                    "delay", "%dms" % delay_ms, "loss", "%g%%" % loss_percent)
        except OSError as e:
            if "unknown" not in str(e):
                raise
            # A kernel without netem: a program of ours in the middle of the cable.
            with inside(self.gateway):
                no_offload(self.uplink)
            with inside(self.net.switch):
                no_offload(self.port)
            self.relay = Relay(self.net.switch, self.port, delay_ms, loss_percent)

    # Asking it

    def connect(self, host, port, seconds=10):
        """A TCP connection made from this host."""
        with self.inside():
            return socket.create_connection((host, port), timeout=seconds)

    def octets(self):
        """What its cable carried so far: (received, sent) by the host."""
        text = run("ip", "netns", "exec", self.net.switch, "cat", "/sys/class/net/%s/statistics/rx_bytes" % self.port,
                   "/sys/class/net/%s/statistics/tx_bytes" % self.port)
        sent, received = map(int, text.split())
        return received, sent

    def close(self):
        wrong = super().close()
        if self.relay:
            self.relay.close()
        for namespace in (self.namespace, self.namespace + "r"):
            if os.path.exists("/run/netns/" + namespace):
                run("ip", "netns", "del", namespace)
        return wrong


class Relay:
    """Stands between a port and the switch and lets frames through later."""

    def __init__(self, switch, port, delay_ms, loss_percent):
        self.tap = port + "t"
        run("ip", "-n", switch, "link", "set", port, "nomaster", "promisc", "on")
        self.process = subprocess.Popen(["ip", "netns", "exec", switch, sys.executable, "-B", os.path.join(HERE, "relay.py"),
                                         port, self.tap, str(delay_ms), str(loss_percent)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"ready\n", "the relay does not start"
        run("ip", "-n", switch, "link", "set", self.tap, "master", "br0", "up")

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Hosts(Net):
    """A Net whose peers are hosts. nat: names of those behind a NAT."""

    count = 0

    def __init__(self, *names, group="home", folder=None, nat=()):
        Hosts.count += 1
        self.name = "p2p%d%s" % (os.getpid() % 100000, chr(96 + Hosts.count % 26))
        self.switch = self.name + "-sw"
        self.nat = nat
        super().__init__(*names, group=group, folder=folder)
        try:
            run("ip", "netns", "add", self.switch)
            for bridge in ("br0", "br1"):
                run("ip", "-n", self.switch, "link", "add", bridge, "type", "bridge")
                run("ip", "-n", self.switch, "link", "set", bridge, "up")
            for p in self.peers:
                p.build()
        except BaseException:
            self.close()
            raise

    def peer(self, name, address):
        self.n_hosts = getattr(self, "n_hosts", 0) + 1
        return HostPeer(self, address, self.n_hosts, name in self.nat)

    def init(self, **conf):
        """One behind a NAT has no URL: nobody could use it."""
        reachable = [p for p in self.peers if not p.behind_nat]
        for p in self.peers:
            others = [q for q in reachable if q is not p][:2]
            p.init([q.dht_node() for q in others], url=None, **conf)
            if p.behind_nat:
                p.set_conf("outbox", "url", "{}")
        return self

    def split(self, *peers):
        """These are on a switch of their own; without any: all on one again."""
        for p in self.peers:
            p.side(1 if p in peers else 0)

    def close(self):
        wrong = super().close()
        if os.path.exists("/run/netns/" + self.switch):
            run("ip", "netns", "del", self.switch)
        return wrong
