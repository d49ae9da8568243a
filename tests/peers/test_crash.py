"""For every courier step and both sides: the daemon stops right after that step,
is started again, and still exactly one copy arrives and nothing is left behind."""
import contextlib
import smtplib
import unittest

from peers import CtlError, ImapNo, Timeout, until
from scene import Scene, letter

DAY = 24 * 3600


class Crash(Scene):
    running = False

    def begin(self, dying, step, **env):
        """Both run; `dying` will stop after the step."""
        for p in self.net.peers:
            p.start(wait=False, **(dict(env, P2PMTA_DIE_AFTER=step) if p is dying else env))
        for p in self.net.peers:
            until(p.answers, p.name + " answers", 20)
            p.wait_dht()

    def send(self, subject="one copy"):
        """Like a client that does not try again when its connection dies before the 250."""
        m = letter(self.alice, self.bob, subject, "only once\r\n")
        with contextlib.suppress(smtplib.SMTPServerDisconnected, ConnectionError):
            self.alice.send(self.bob, m)
        return m

    def revive(self, peer, **env):
        """It dies as ordered, and starts again without orders."""
        peer.wait_exit(60)
        peer.start(**env)

    def try_open(self):
        """bob opens his letter when it is there; True when the body came."""
        try:
            uids = self.bob.uids()
            if not uids:
                return False
            self.bob.body(uids[0])
            return True
        except (ImapNo, OSError, CtlError, self.bob_gone):
            return False

    import imaplib
    bob_gone = imaplib.IMAP4.error

    def drive(self, dying):
        """Open the letter as soon as possible, until the daemon has died of its step."""
        def step():
            if not dying.is_running():
                return True
            self.try_open()
            return not dying.is_running()
        until(step, "%s stops after its step" % dying.name, 60)

    def one_copy(self, m):
        uids = self.bob.wait_mail(1, seconds=60)
        self.assertEqual(self.bob.wait_body(uids[0], seconds=60), m)
        self.alice.wait_empty(60)
        self.assertEqual(len(self.bob.uids()), 1)
        self.assertNotIn("$Remote", self.bob.flags(uids[0]))

    def plain_way(self, dying, step):
        self.begin(dying, step)
        m = self.send()
        self.drive(dying)
        self.revive(dying)
        self.one_copy(m)

    # The sender

    def test_sender_accepted(self):
        self.plain_way(self.alice, "accepted")

    def test_sender_sealed(self):
        self.plain_way(self.alice, "sealed")

    def test_sender_resolved(self):
        self.plain_way(self.alice, "resolved")

    def test_sender_offered(self):
        self.plain_way(self.alice, "offered")

    def test_sender_notified(self):
        self.plain_way(self.alice, "notified")

    def test_sender_delivered(self):
        self.plain_way(self.alice, "delivered")

    def test_sender_done(self):
        self.plain_way(self.alice, "done")

    def test_sender_declined(self):
        self.begin(self.alice, "declined")
        self.send()
        [uid] = self.bob.wait_mail(1)
        self.bob.delete(uid)
        self.revive(self.alice)
        self.alice.wait_empty(60)
        self.assertEqual(self.bob.uids(), [])

    def test_sender_cancelled(self):
        self.begin(self.alice, "cancelled")
        self.send()
        self.bob.wait_mail(1)
        with contextlib.suppress(CtlError):
            self.alice.ctl("cancel", self.alice.queue()[0]["id"])
        self.revive(self.alice)
        until(lambda: not self.bob.uids(), "bob's entry goes", 60)
        self.alice.wait_empty(60)

    def test_sender_failed(self):
        self.alice.set_conf("queue", "lifetime", '"1d"')
        self.alice.start()
        self.alice.send("nobody@nowhere", letter(self.alice, "nobody@nowhere", "into the void"))
        until(lambda: self.alice.states()["nobody@nowhere"] in ("accepted", "sealed"), "waiting for a key")
        self.alice.restart(P2PMTA_CLOCK_OFFSET=3 * DAY, P2PMTA_DIE_AFTER="failed", wait=False)
        self.revive(self.alice, P2PMTA_CLOCK_OFFSET=3 * DAY)
        self.one_dsn()

    def test_sender_expired(self):
        self.alice.set_conf("outbox", "validity", '"1d"')
        self.begin(None, "")
        self.send()
        self.bob.wait_mail(1)
        self.bob.stop()
        self.alice.restart(P2PMTA_CLOCK_OFFSET=4 * DAY, P2PMTA_DIE_AFTER="expired", wait=False)
        self.revive(self.alice, P2PMTA_CLOCK_OFFSET=4 * DAY)
        self.one_dsn()

    def one_dsn(self):
        [uid] = self.alice.wait_mail(1, seconds=60)
        self.assertIn(b"report-type=delivery-status", self.alice.body(uid).replace(b'"', b""))
        self.alice.wait_empty(60)
        self.assertEqual(len(self.alice.uids()), 1)

    # The receiver

    def test_receiver_noticed(self):
        self.plain_way(self.bob, "noticed")

    def test_receiver_filed(self):
        self.plain_way(self.bob, "filed")

    def test_receiver_here(self):
        self.plain_way(self.bob, "here")

    def test_receiver_receipt(self):
        self.plain_way(self.bob, "receipt")

    def test_receiver_declined(self):
        self.begin(self.bob, "declined")
        self.send()
        [uid] = self.bob.wait_mail(1)
        with contextlib.suppress(self.bob_gone, OSError):
            self.bob.delete(uid)
        self.revive(self.bob)
        self.alice.wait_empty(60)
        self.assertEqual(self.bob.uids(), [])

    def test_receiver_recalled(self):
        self.begin(self.bob, "recalled")
        self.send()
        self.bob.wait_mail(1)
        self.alice.ctl("cancel", self.alice.queue()[0]["id"])
        self.revive(self.bob)
        until(lambda: not self.bob.uids(), "bob's entry goes", 60)
        self.alice.wait_empty(60)

    # Hard kills at no particular place

    def test_killed_again_and_again(self):
        """Both are killed at many instants of a letter's way."""
        self.begin(None, "")
        m = self.send()
        for peer in (self.alice, self.bob, self.alice, self.bob):
            peer.kill()
            peer.start()
        self.one_copy(m)


if __name__ == "__main__":
    unittest.main()
