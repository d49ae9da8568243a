"""A disk that takes its time: nobody is told before it is there, and nobody else waits for it."""
import contextlib
import os
import select
import time
import unittest

from peers import program, until
from scene import Scene, letter

SYNC_MS = 200


class Slow(Scene):
    """A loop that waited for one sync has said so in its log, and the test fails at its end."""
    running = False

    def setUp(self):
        super().setUp()
        if os.environ.get("SANITIZER"):
            self.skipTest("a sanitizer wants to be the first library")
        self.syncs = os.path.join(self.net.dir, "syncs")
        for p in self.net.peers:
            p.start(wait=False, LD_PRELOAD=program("tests/peers/slow-disk.so"), SLOW_DISK_MS=SYNC_MS,
                    **({"SLOW_DISK_COUNT": self.syncs} if p is self.alice else {}))
        for p in self.net.peers:
            until(p.answers, p.name + " answers", 40)
            p.wait_dht()

    def submit_at_once(self, connections, each, size):
        """So many on each connection, each with its last octet at the same time as those of the others."""
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(self.alice.smtp()) for _ in range(connections)]
            for k in range(each):
                for i, s in enumerate(clients):
                    s.mail(self.alice.address)
                    s.rcpt(self.bob.address)
                    self.assertEqual(s.docmd("DATA")[0], 354)
                    s.send(letter(self.alice, self.bob, "%d at once, %d" % (i, k), b"x" * size + b"\r\n"))
                for s in clients:
                    s.send(b".\r\n")
                for s in clients:
                    self.assertEqual(s.getreply()[0], 250)

    def test_there_and_back(self):
        """Small and large, read, flagged, filed and thrown away."""
        for i, size in enumerate((10, 5000, 200000)):
            self.alice.send(self.bob, letter(self.alice, self.bob, "number %d" % i, b"x" * size + b"\r\n"))
        with self.alice.imap("Sent") as c:
            m = letter(self.alice, self.bob, "kept", "filed by the client\r\n")
            self.alice.send(self.bob, m)
            self.assertEqual(c.append("Sent", "\\Seen", None, m)[0], "OK")
        for uid in self.bob.wait_mail(4, seconds=90):
            self.bob.wait_body(uid, seconds=90)
        with self.bob.imap() as c:
            self.assertEqual(c.store("1:2", "+FLAGS", "\\Flagged")[0], "OK")
            self.assertEqual(c.create("Kept")[0], "OK")
            self.assertEqual(c.copy("1:3", "Kept")[0], "OK")
            self.assertEqual(c.store("4", "+FLAGS", "\\Deleted")[0], "OK")
            self.assertEqual(c.expunge()[0], "OK")
        self.alice.wait_empty(90)

    def test_many(self):
        """So much that state.db is copied from its WAL meanwhile."""
        self.submit_at_once(20, 5, 20000)
        self.bob.wait_mail(100, seconds=120)

    def test_others_are_served_meanwhile(self):
        """One is being stored; the other asks for something that needs no disk, all the time."""
        def longest(s, other):
            s.mail(self.alice.address)
            s.rcpt(self.bob.address)
            self.assertEqual(s.docmd("DATA")[0], 354)
            s.send(letter(self.alice, self.bob, "a while") + b".\r\n")
            began, took = time.monotonic(), []
            while not select.select([s.sock], [], [], 0.02)[0]:
                begin = time.monotonic()
                other.noop()
                took.append(time.monotonic() - begin)
            self.assertEqual(s.getreply()[0], 250)
            self.assertGreater(time.monotonic() - began, SYNC_MS / 1000)
            return max(took)

        with self.alice.smtp() as s, self.alice.smtp() as other:
            self.assertLess(min(longest(s, other) for _ in range(5)), SYNC_MS / 1000 / 2)

    def test_nobody_is_told_before(self):
        """Neither who submits nor who stores a flag; and what is answered is there after a kill."""
        def timed(what):
            begin = time.monotonic()
            what()
            return time.monotonic() - begin

        self.assertGreater(timed(lambda: self.alice.send(self.bob, letter(self.alice, self.bob, "first"))), SYNC_MS / 1000)
        [uid] = self.bob.wait_mail(1, seconds=90)
        with self.bob.imap() as c:
            until(lambda: timed(c.noop) < SYNC_MS / 1000, "nothing is being stored")
            self.assertGreater(timed(lambda: c.uid("STORE", str(uid), "+FLAGS", "\\Flagged")), SYNC_MS / 1000)
        self.bob.kill()
        self.bob.start()
        self.assertIn("\\Flagged", self.bob.flags(uid))

    def test_many_share_a_sync(self):
        before = os.path.getsize(self.syncs)
        self.submit_at_once(20, 1, 10)
        self.assertLess(os.path.getsize(self.syncs) - before, 10)


if __name__ == "__main__":
    unittest.main()
