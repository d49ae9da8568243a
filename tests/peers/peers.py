"""Two (or more) p2pMTA peers on one desk, for tests, the demo and bug reports.

A Net is a private DHT of a few peers in a temporary folder; a Peer is one
daemon with ports, keys and state of its own, made by `p2pmta-ctl init` as a
user would. Everything happens on loopback. Nothing here sleeps for a guessed
time: until() polls a condition up to a deadline.

BUILD_DIR says where the programs are, SLOW multiplies the deadlines (sanitizers).
"""
import contextlib
import imaplib
import json
import os
import random
import re
import shutil
import signal
import smtplib
import socket
import sqlite3
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("BUILD_DIR", os.path.join(TOP, "build"))
SLOW = float(os.environ.get("SLOW", "1"))
SANITIZER = re.compile(rb"(AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|Assertion)")
COMPLAINT = re.compile(rb"^\S+Z (err|warn) ")

imaplib.Commands.setdefault("UNSELECT", ("SELECTED",))


class Timeout(AssertionError):
    pass


def until(condition, what, seconds=30.0):
    """The first true value of condition(); Timeout after so many seconds."""
    deadline = time.monotonic() + seconds * SLOW
    pause = 0.005
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Timeout("waited %d s for: %s" % (seconds * SLOW, what))
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def program(name):
    for folder in ("", "src/app/daemon", "src/app/ctl"):
        path = os.path.join(BUILD, folder, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    raise SystemExit("%s is not built in %s (set BUILD_DIR)" % (name, BUILD))


class Ports:
    """
    Free loopback ports, held until release() so that nobody else takes them. Below those that the kernel gives to
    connections: one of them might have a daemon's port while that starts again.
    """

    def __init__(self):
        self.held = []

    def take(self, kind=socket.SOCK_STREAM):
        while True:
            s = socket.socket(socket.AF_INET, kind)
            try:
                s.bind(("127.0.0.1", random.randrange(10000, 32000)))
            except OSError:
                s.close()
                continue
            self.held.append(s)
            return s.getsockname()[1]

    def release(self):
        for s in self.held:
            s.close()
        self.held = []


class CtlError(Exception):
    def __init__(self, status, text):
        super().__init__("p2pmta-ctl: exit %d: %s" % (status, text.strip()))
        self.status = status
        self.text = text


class Peer:
    """One daemon. Life: init(), start(), ..., close()."""

    host = "127.0.0.1"              # where others reach it, and what it binds for them
    prefix = ()                     # of the daemon's command line (hosts.py)

    def __init__(self, net, address):
        self.net = net
        self.address = address
        self.user = address
        self.name = address.split("@")[0]
        self.dir = os.path.join(net.dir, self.name)
        self.log_path = os.path.join(net.dir, self.name + ".log")
        self.process = None
        self.expected_exit = True
        self.complaints = None      # a pattern of errors and warnings that a test provokes
        self.ports = Ports()
        self.smtp_port = self.ports.take()
        self.imap_port = self.ports.take()
        self.http_port = self.ports.take()
        self.dht_port = self.ports.take(socket.SOCK_DGRAM)
        self.url = "http://%s:%d" % (self.host, self.http_port)

    @contextlib.contextmanager
    def inside(self):
        """What is connected in here comes from the peer's own host."""
        yield

    # Making one

    def init(self, bootstrap=(), url=None, **conf):
        """conf: section_key=value, as set_conf() takes it."""
        if url:
            self.url = url
        command = [program("p2pmta-ctl"), "--json", "init", self.address, "--dir", self.dir,
                   "--smtp", str(self.smtp_port), "--imap", str(self.imap_port),
                   "--outbox", "%s:%d" % (self.host, self.http_port), "--dht", str(self.dht_port),
                   "--network", str(self.net.network), "--url", self.url]
        for node in bootstrap:
            command += ["--bootstrap", node]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              env=self.environment({}))
        if done.returncode != 0:
            raise CtlError(done.returncode, done.stderr)
        said = json.loads(done.stdout)
        self.fingerprint = said["fingerprint"]
        self.config = said["config"]
        self.password = said["password"]
        self.set_conf("dht", "discovery", "false")
        for name, value in conf.items():
            section, key = name.split("_", 1)
            self.set_conf(section, key, value)
        with open(self.config) as f:
            found = re.search(r'^\s*state\s*=\s*"([^"]*)"', f.read(), re.M)
        self.state = found.group(1)
        return self

    def set_conf(self, section, key, value):
        """Set one key of one section in p2pmta.conf, whatever stood there."""
        with open(self.config) as f:
            text = f.read()
        start = re.search(r"^[ \t]*%s[ \t]*\{" % section, text, re.M)
        if not start:
            text += "\n%s { %s = %s }\n" % (section, key, value)
        else:
            end = self._closing(text, start.end())
            body = text[start.end():end]
            body = re.sub(r'(?m)^([^#\n]*?)\b%s\s*=\s*(\{[^}]*\}|"[^"]*"|[^\s}]+)' % key, r"\1", body)
            text = text[:start.end()] + body.rstrip() + "\n\t%s = %s\n" % (key, value) + text[end:]
        with open(self.config, "w") as f:
            f.write(text)

    @staticmethod
    def _closing(text, at):
        depth, quoted, comment = 1, False, False
        while True:
            c = text[at]
            if comment:
                comment = c != "\n"
            elif c == '"':
                quoted = not quoted
            elif quoted:
                pass
            elif c == "#":
                comment = True
            elif c == "{":
                depth += 1
            elif c == "}":
                depth -= 1
                if depth == 0:
                    return at
            at += 1

    def dht_node(self):
        return "%s:%d" % (self.host, self.dht_port)

    def set_group(self, name, master, members, sync="60s"):
        """A group section in p2pmta.conf; the master's names the members."""
        with open(self.config, "a") as f:
            f.write('\ngroup %s {\n\tmaster = "%s"\n\tkey = "%s"\n\tmembers = {%s}\n\tsync = "%s"\n}\n' % (
                name, master.address, master.fingerprint, ", ".join('"%s"' % m.address for m in members), sync))

    def environment(self, extra):
        env = {k: v for k, v in os.environ.items() if not k.startswith("P2PMTA_")}
        env.update({k: str(v) for k, v in extra.items()})
        return env

    # Its life

    def start(self, wait=True, dht=False, **env):
        """env: P2PMTA_DIE_AFTER, P2PMTA_CLOCK_OFFSET, ... dht: wait until it has met another node."""
        assert not self.is_running(), "%s runs already" % self.name
        self.ports.release()
        self.expected_exit = False
        with open(self.log_path, "ab") as log:
            log.write(b"--- start %s\n" % " ".join("%s=%s" % i for i in env.items()).encode())
            log.flush()
            # A session of its own: Ctrl-C is for whoever runs the peers.
            self.process = subprocess.Popen([*self.prefix, program("p2pmta"), "-c", self.config], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=self.environment(env), start_new_session=True)
        if wait:
            until(self.answers, self.name + " answers", 20)
        if dht:
            self.wait_dht()
        return self

    def answers(self):
        if not self.is_running():
            raise AssertionError("%s ended at its start with status %s" % (self.name, self.process.returncode))
        try:
            self.status()
            return True
        except CtlError as e:
            if e.status != 3:
                raise
            return False

    def wait_dht(self):
        until(lambda: self.status()["dht"]["ready"], self.name + " is in the DHT", 40)

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def wait_exit(self, seconds=30):
        until(lambda: not self.is_running(), self.name + " ends", seconds)
        self.expected_exit = True
        return self.process.returncode

    def stop(self, seconds=5):
        """Orderly: SIGTERM, and it must be gone within 5 s with status 0."""
        if not self.is_running():
            return
        self.expected_exit = True
        self.process.send_signal(signal.SIGTERM)
        until(lambda: not self.is_running(), self.name + " stops on SIGTERM", seconds)
        if self.process.returncode != 0:
            raise AssertionError("%s stopped with status %d" % (self.name, self.process.returncode))

    def kill(self):
        self.expected_exit = True
        self.process.kill()
        self.process.wait()

    def restart(self, **env):
        self.stop()
        return self.start(**env)

    def close(self):
        """Whatever it takes; returns what was wrong with it, or None."""
        wrong = None
        if self.process is not None and not self.is_running() and not self.expected_exit:
            wrong = "%s ended by itself with status %s" % (self.name, self.process.returncode)
        if self.is_running():
            try:
                self.stop()
            except AssertionError as e:
                wrong = str(e)
                if self.is_running():
                    self.kill()
        self.ports.release()
        for folder, _, _ in os.walk(self.dir):
            if os.path.exists(os.path.join(folder, "pubring.gpg")) or \
                    os.path.exists(os.path.join(folder, "private-keys-v1.d")):
                subprocess.run(["gpgconf", "--homedir", folder, "--kill", "all"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for line in self.log().splitlines():
            if SANITIZER.search(line) or (COMPLAINT.search(line) and not (
                    self.complaints and self.complaints.search(line))):
                wrong = wrong or "%s logged: %s" % (self.name, line.decode(errors="replace")[:200])
        return wrong

    def orphans(self):
        """What lies in state.db of a stopped daemon that nothing needs any more, or None."""
        path = os.path.join(getattr(self, "state", ""), "state.db")
        if not os.path.exists(path):
            return None
        with contextlib.closing(sqlite3.connect(path)) as db:
            with contextlib.suppress(sqlite3.DatabaseError):    # what a test made of it
                left = db.execute("SELECT id FROM posting WHERE id NOT IN "
                                  "(SELECT posting FROM rcpt WHERE state IN (3, 4))").fetchall()  # offered, notified
                if left:
                    return "%s: octets of notifications that are over: %s" % (self.name, left)
        return None

    def log(self):
        try:
            with open(self.log_path, "rb") as f:
                return f.read()
        except FileNotFoundError:
            return b""

    # Asking it

    def ctl(self, *arguments):
        """The JSON answer of a command; CtlError otherwise."""
        done = subprocess.run([program("p2pmta-ctl"), "-c", self.config, "--json", *map(str, arguments)],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, env=self.environment({}),
                              timeout=60 * SLOW)
        if done.returncode != 0:
            raise CtlError(done.returncode, done.stderr)
        return json.loads(done.stdout) if done.stdout.strip() else None

    def status(self):
        return self.ctl("status")

    def queue(self):
        return self.ctl("queue")

    def states(self, subject=None):
        """{recipient: state} over the queue."""
        return {r["address"]: r["state"] for m in self.queue() if subject in (None, m["subject"])
                for r in m["recipients"]}

    def outbox_files(self):
        """Every file below outbox/, heads and temporary ones too."""
        return sorted(os.path.join(d, f) for d, _, names in os.walk(os.path.join(self.state, "outbox"))
                      for f in names)

    def sealed(self):
        """{hash: octets} of all that is sealed, files and rows: state.db is read past the daemon."""
        found = {}
        for path in self.outbox_files():
            if not re.search(r"/[0-9a-f]{64}$", path):
                continue
            try:
                with open(path, "rb") as f:
                    found[os.path.basename(path)] = f.read()
            except FileNotFoundError:
                continue
        with contextlib.closing(sqlite3.connect("file:%s?mode=ro" % os.path.join(self.state, "state.db"), uri=True)) as db:
            found.update((h.hex(), octets) for h, octets in db.execute("SELECT hash, octets FROM sealed"))
        return found

    def replica_files(self):
        """Every file below replicas/."""
        return sorted(os.path.join(d, f) for d, _, names in os.walk(os.path.join(self.state, "replicas"))
                      for f in names)

    def wait_empty(self, seconds=40):
        """Nothing is under way: no queue, nothing in outbox or spool."""
        def empty():
            s = self.status()
            return s["outbox"]["messages"] == 0 and not self.queue() and not self.sealed()
        try:
            until(empty, "", seconds)
        except Timeout:
            raise Timeout("%s: outbox does not empty: %s, %s, %s" % (
                self.name, self.status(), self.queue()[:3], sorted(self.sealed())[:3])) from None

    def open_files(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))

    def resident_kib(self):
        with open("/proc/%d/status" % self.process.pid) as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))

    # Its two doors

    def smtp(self):
        with self.inside():
            s = smtplib.SMTP("127.0.0.1", self.smtp_port, timeout=60 * SLOW)
        s.login(self.user, self.password)
        return s

    def send(self, to, message):
        """Submit the octets; to: a Peer, an address, or a list of them."""
        to = to if isinstance(to, (list, tuple)) else [to]
        with self.smtp() as s:
            refused = s.sendmail(self.address, [getattr(t, "address", t) for t in to], message,
                                 mail_options=["BODY=8BITMIME"])
        assert not refused, refused

    @contextlib.contextmanager
    def imap(self, mailbox="INBOX", readonly=False):
        with self.inside():
            c = imaplib.IMAP4("127.0.0.1", self.imap_port, timeout=150 * SLOW)
        try:
            c.login(self.user, self.password)
            if mailbox:
                typ, data = c.select(mailbox, readonly)
                assert typ == "OK", data
            yield c
        finally:
            with contextlib.suppress(OSError, imaplib.IMAP4.error):
                c.logout()

    def count(self, mailbox="INBOX"):
        with self.imap(mailbox, readonly=True) as c:
            return int(c.untagged_responses.get("EXISTS", [b"0"])[-1])

    def uids(self, mailbox="INBOX", criteria="ALL"):
        with self.imap(mailbox, readonly=True) as c:
            typ, data = c.uid("SEARCH", criteria)
            assert typ == "OK", data
            return [int(u) for u in data[0].split()]

    def wait_mail(self, n=1, mailbox="INBOX", seconds=40):
        """UIDs, once the mailbox shows at least n messages; fails when it shows more."""
        uids = until(lambda: (lambda u: u if len(u) >= n else None)(self.uids(mailbox)),
                     "%s sees %d in %s" % (self.name, n, mailbox), seconds)
        assert len(uids) == n, "%s has %d messages, not %d" % (self.name, len(uids), n)
        return uids

    def body(self, uid, mailbox="INBOX", item="BODY.PEEK[]"):
        """The octets of one message, pulled when need be; ImapNo when the server says NO."""
        with self.imap(mailbox, readonly=True) as c:
            return fetch_body(c, uid, item)

    def wait_body(self, uid, mailbox="INBOX", seconds=40):
        """Ask again while the answer is NO [UNAVAILABLE], as a patient user would."""
        def ask():
            try:
                return self.body(uid, mailbox)
            except ImapNo as e:
                if "[UNAVAILABLE]" not in str(e):
                    raise
                return None
        return until(ask, "%s opens %d" % (self.name, uid), seconds)

    def flags(self, uid, mailbox="INBOX"):
        with self.imap(mailbox, readonly=True) as c:
            typ, data = c.uid("FETCH", str(uid), "(FLAGS)")
            assert typ == "OK" and data[0], data
            return set(re.search(rb"FLAGS \(([^)]*)\)", data[0]).group(1).decode().split())

    def delete(self, uid, mailbox="INBOX"):
        with self.imap(mailbox) as c:
            typ, data = c.uid("STORE", str(uid), "+FLAGS.SILENT", r"(\Deleted)")
            assert typ == "OK", data
            typ, data = c.expunge()
            if typ != "OK":
                raise ImapNo(data[0].decode())


class ImapNo(Exception):
    pass


def fetch_body(c, uid, item="BODY.PEEK[]"):
    typ, data = c.uid("FETCH", str(uid), "(%s)" % item)
    if typ != "OK":
        raise ImapNo(data[0].decode())
    for part in data:
        if isinstance(part, tuple):
            return part[1]
        if part and b'""' in part:
            return b""
    raise AssertionError("no body in %r" % (data,))


def summary(c, uid):
    """ENVELOPE, BODYSTRUCTURE, RFC822.SIZE and the header, as the server prints them."""
    out = {}
    for item in ("ENVELOPE", "BODYSTRUCTURE", "BODY", "RFC822.SIZE", "INTERNALDATE", "BODY.PEEK[HEADER]"):
        typ, data = c.uid("FETCH", str(uid), "(%s)" % item)
        assert typ == "OK" and data and data[0], (item, typ, data)
        flat = b"".join(b"\r\n".join(p) if isinstance(p, tuple) else p for p in data if p)
        out[item] = re.sub(rb"^\d+ ", b"", flat)
    return out


class Net:
    """A private DHT network of peers, each bootstrapped to the first (and the first to the second). A name may be an address."""

    def __init__(self, *names, group="home", folder=None):
        self.dir = folder or tempfile.mkdtemp(prefix="p2p.", dir=os.environ.get("PEERS_DIR", "/tmp"))
        self.network = random.randrange(1 << 10, 1 << 31)
        self.peers = [self.peer(n.split("@")[0], n if "@" in n else "%s@%s" % (n, group)) for n in names]
        for p in self.peers:
            setattr(self, p.name, p)

    def peer(self, name, address):
        return Peer(self, address)

    def init(self, **conf):
        first = self.peers[0]
        for p in self.peers:
            others = [first] if p is not first else self.peers[1:2]
            p.init([q.dht_node() for q in others], **conf)
        return self

    def start(self):
        for p in self.peers:
            p.start(wait=False)
        for p in self.peers:
            until(p.answers, p.name + " answers", 20)
        if len(self.peers) > 1:
            for p in self.peers:
                p.wait_dht()
        return self

    def close(self):
        """Stop all; returns the list of what was wrong."""
        wrong = [w for w in [p.close() for p in self.peers] if w]
        return wrong

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def logs(self, lines=60):
        out = []
        for p in self.peers:
            out.append("--- %s: last %d lines of its log" % (p.name, lines))
            out += p.log().decode(errors="replace").splitlines()[-lines:]
        return "\n".join(out)
