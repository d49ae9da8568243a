"""One side is not there: later starts, a sender killed before the pull, a silent line."""
import re

from peers import ImapNo, fetch_body, until, SLOW
from scene import RawImap, Scene, letter

HOUR = 3600
DAY = 24 * HOUR


class Away(Scene):
    def test_receiver_an_hour_later(self):
        """bob is off when alice sends and restarts; an hour later he finds the notice in the DHT."""
        first = letter(self.alice, self.bob, "first", "hello\r\n")
        self.alice.send(self.bob, first)
        self.bob.wait_body(self.bob.wait_mail(1)[0])
        self.alice.wait_empty()
        self.bob.stop()
        second = letter(self.alice, self.bob, "second", "are you there?\r\n")
        self.alice.send(self.bob, second)
        # With bob away there is nobody else in the DHT who could take the notice.
        until(lambda: self.alice.states()["bob@home"] in ("offered", "notified"), "it is on offer")
        self.alice.restart(P2PMTA_CLOCK_OFFSET=HOUR // 2)
        self.alice.restart(P2PMTA_CLOCK_OFFSET=HOUR)
        self.bob.start(P2PMTA_CLOCK_OFFSET=HOUR)
        uid = self.bob.wait_mail(2, seconds=90)[-1]
        self.assertEqual(self.bob.wait_body(uid), second)
        self.alice.wait_empty()

    def test_sender_killed_before_the_pull(self):
        m = letter(self.alice, self.bob, "patience", "worth waiting for\r\n")
        self.alice.send(self.bob, m)
        [uid] = self.bob.wait_mail(1)
        self.alice.kill()
        with self.assertRaisesRegex(ImapNo, r"\[UNAVAILABLE\] .*alice@home"):
            self.bob.body(uid, item="BODY[]")
        self.assertNotIn("\\Seen", self.bob.flags(uid))
        self.assertIn("$Remote", self.bob.flags(uid))
        self.alice.start()
        self.assertEqual(self.bob.wait_body(uid), m)
        self.assertEqual(len(self.bob.uids()), 1)
        self.alice.wait_empty()

    def test_both_restart_before_the_pull(self):
        m = letter(self.alice, self.bob, "restarts", "still here\r\n")
        self.alice.send(self.bob, m)
        [uid] = self.bob.wait_mail(1)
        with self.bob.imap() as c:
            validity = c.untagged_responses["UIDVALIDITY"]
        self.bob.restart()
        self.alice.restart()
        self.assertEqual(self.bob.uids(), [uid])
        with self.bob.imap() as c:
            self.assertEqual(c.untagged_responses["UIDVALIDITY"], validity)
        self.assertEqual(self.bob.wait_body(uid), m)
        self.alice.wait_empty()


class Three(Scene):
    """A third peer keeps the DHT alive while alice and bob are never up together."""
    names = ("carol", "alice", "bob")

    def test_notice_waits_in_the_dht(self):
        first = letter(self.alice, self.bob, "first", "hello\r\n")
        self.alice.send(self.bob, first)
        self.bob.wait_body(self.bob.wait_mail(1)[0])
        self.alice.wait_empty()
        self.bob.stop()
        second = letter(self.alice, self.bob, "second", "are you there?\r\n")
        self.alice.send(self.bob, second)
        until(lambda: self.alice.states()["bob@home"] == "notified", "the notice is in the DHT")
        self.alice.kill()
        self.bob.start()
        uid = self.bob.wait_mail(2, seconds=90)[-1]
        with self.assertRaisesRegex(ImapNo, r"\[UNAVAILABLE\]"):
            self.bob.body(uid)
        self.alice.start()
        self.assertEqual(self.bob.wait_body(uid), second)
        self.alice.wait_empty()


class NotYet(Scene):
    running = False

    def test_receiver_first_starts_later(self):
        """bob was never seen: the letter waits until his descriptor appears."""
        self.alice.start()
        m = letter(self.alice, self.bob, "early", "you are not there yet\r\n")
        self.alice.send(self.bob, m)
        until(lambda: self.alice.states()["bob@home"] in ("accepted", "sealed"), "waiting for a key")
        self.bob.start(P2PMTA_CLOCK_OFFSET=HOUR)
        self.alice.restart(P2PMTA_CLOCK_OFFSET=HOUR)
        [uid] = self.bob.wait_mail(1, seconds=90)
        self.assertEqual(self.bob.wait_body(uid), m)
        self.alice.wait_empty()


class Silent(Scene):
    wired = True

    def test_silent_sender(self):
        """The line is open but nothing comes: progress every 15 s, no literal, NO within 60 s; then it works."""
        m = letter(self.alice, self.bob, "silence", "at last\r\n")
        self.alice.send(self.bob, m)
        [uid] = self.bob.wait_mail(1)
        self.wire.hold()
        s = RawImap(self.bob)
        other = RawImap(self.bob)
        tag = s.send("UID FETCH %d (BODY[])" % uid)
        other.command("NOOP")   # others go on meanwhile
        other.command("UID FETCH %d (FLAGS ENVELOPE)" % uid)
        lines = s.result(tag)
        self.assertRegex(lines[-1], rb"^\w+ NO \[UNAVAILABLE\] .*alice@home")
        self.assertGreaterEqual(len([l for l in lines if l.startswith(b"* OK [INPROGRESS")]), 2)
        self.assertFalse([l for l in lines if re.search(rb"\{\d+\}", l)])
        self.wire.release()
        self.wire.cut()
        self.assertEqual(self.bob.wait_body(uid), m)
        self.assertEqual(len(self.bob.uids()), 1)
        self.alice.wait_empty()

    def test_line_breaks_in_the_middle(self):
        m = letter(self.alice, self.bob, "broken", "x" * 70 + "\r\n" + "0123456789\r\n" * 400000)
        self.alice.send(self.bob, m)
        [uid] = self.bob.wait_mail(1)
        self.wire.hold()
        before = len(self.wire.requests())
        s = RawImap(self.bob)
        tag = s.send("UID FETCH %d (BODY.PEEK[])" % uid)
        until(lambda: len(self.wire.requests()) > before, "bob asks for its head")
        self.wire.cut()
        self.wire.release()
        s.wait_line(tag)
        s.leave()
        self.assertEqual(self.bob.wait_body(uid, seconds=90), m)
        self.alice.wait_empty()
