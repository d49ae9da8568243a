"""Peers on hosts of their own: behind NAT, far away, on a broken network."""
import os
import sys
import unittest

from hosts import Hosts, needed
from peers import until
from scene import letter

MISSING = needed()


class OnHosts(unittest.TestCase):
    """Each peer in a network namespace; self.net is made by make()."""

    def make(self, *names, nat=(), **conf):
        self.net = Hosts(*names, nat=nat)
        self.addCleanup(self._end)
        for p in self.net.peers:
            setattr(self, p.name, p)
        self.net.init(**conf)
        return self.net

    def _end(self):
        result = self._outcome.result
        failed = any(t is self for t, _ in result.failures + result.errors)
        wrong = self.net.close()
        if failed or wrong:
            sys.stderr.write(self.net.logs() + "\n")
        if not os.environ.get("KEEP"):
            self.net.remove()
        if wrong:
            self.fail("; ".join(wrong))


@unittest.skipIf(MISSING, MISSING)
class Between(OnHosts):
    def test_far_and_lossy(self):
        """100 ms each way and 2 % loss: a mail takes longer, no more."""
        net = self.make("alice", "bob")
        for p in net.peers:
            p.far(50, 2)
        net.start()
        m = letter(self.alice, self.bob, "over the sea", "hello\r\n" * 5000)
        self.alice.send(self.bob, m)
        uid = self.bob.wait_mail(1, seconds=60)[0]
        self.assertEqual(self.bob.wait_body(uid), m)
        self.alice.wait_empty(60)

    def test_receiver_behind_nat(self):
        """Nobody can reach bob; he can reach alice, and that is enough."""
        net = self.make("alice", "carol", "bob", nat=("bob",))
        net.start()
        m = letter(self.alice, self.bob, "to a hidden one")
        self.alice.send(self.bob, m)
        uid = self.bob.wait_mail(1, seconds=60)[0]
        self.assertEqual(self.bob.wait_body(uid), m)
        self.alice.wait_empty(60)

    def test_partition_heals(self):
        """Sent while the network is split; arrives when it is whole again."""
        net = self.make("alice", "bob", "carol")
        net.start()
        m = letter(self.alice, self.bob, "across")
        net.split(self.bob)
        self.alice.send(self.bob, m)
        until(lambda: self.alice.states().get(self.bob.address) in ("sealed", "resolved", "offered", "notified"), "alice has tried")
        self.assertEqual(self.bob.uids(), [])
        net.split()
        uid = self.bob.wait_mail(1, seconds=120)[0]
        self.assertEqual(self.bob.wait_body(uid), m)
        self.alice.wait_empty(60)
