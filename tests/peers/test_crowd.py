"""Many connections, and many wrong passwords, at one peer: its user is served all the same."""
import socket
import time

from imap_wire import Wire
from peers import SLOW
from scene import Scene, letter


class Crowd(Scene):
    names = ("alice",)

    def test_failed_logins_count_at_both_doors(self):
        """Guessing over IMAP makes SMTP look late, and the other way round."""
        for _ in range(40):
            c = Wire(self.alice.imap_port)
            c.send("LOGIN %s wrong" % self.alice.user)
            c.socket.shutdown(socket.SHUT_WR)
            c.close()
        begin = time.monotonic()
        with self.alice.smtp() as s:
            self.assertGreater(time.monotonic() - begin, 0.9)
            self.assertEqual(s.noop()[0], 250)
        begin = time.monotonic()
        Wire(self.alice.imap_port).login(self.alice.user, self.alice.password).close()
        self.assertGreater(time.monotonic() - begin, 0.9)

    def test_300_idle_connections(self):
        """Half of them idle after login, half never log in."""
        idle = [Wire(self.alice.imap_port) for _ in range(300)]
        for c in idle[::2]:
            c.login(self.alice.user, self.alice.password, "INBOX")
            c.send("IDLE")
            self.assertEqual(c.response().kind, b"+")
        begin = time.monotonic()
        user = Wire(self.alice.imap_port).login(self.alice.user, self.alice.password, "INBOX")
        self.alice.send(self.alice, letter(self.alice, self.alice, "to myself"))
        self.alice.wait_mail(1)
        self.assertIn(b"EXISTS", [r.kind for r in user.ok("NOOP")])
        self.assertEqual(self.alice.ctl("status")["address"], self.alice.address)
        self.assertLess(time.monotonic() - begin, 10 * SLOW)
        for c in idle[::2]:     # each hears of it
            while c.response().kind != b"EXISTS":
                pass
        user.close()
        for c in idle:
            c.close()
