"""What comes to no good end: the user is told, and nothing stays behind."""
import re
import time
from email.utils import parsedate_to_datetime

from peers import ImapNo, until
from scene import Scene, letter

HOUR = 3600
DAY = 24 * HOUR
NOBODY = rb"no (valid )?descriptor was found"


class Expiry(Scene):
    def dsn(self, action, address, subject, cause, next_):
        """The one report in alice's INBOX: who, why, what happens next, in reply to the original."""
        [uid] = self.alice.wait_mail(1, seconds=60)
        body = self.alice.body(uid)
        text = body.lower().replace(b'"', b"")
        self.assertIn(b"multipart/report", text)
        self.assertIn(b"report-type=delivery-status", text)
        self.assertIn(b"action: " + action, text)
        self.assertIn(b"final-recipient: ", text)
        self.assertIn(address, text)
        self.assertIn(subject, body)
        flat = re.sub(rb"\s+", b" ", body)
        self.assertRegex(flat, b"To " + address + b" it [^.]*\\. " + cause)
        self.assertRegex(flat, next_)
        self.assertRegex(flat, b"Diagnostic-Code: x-p2pmta; .*" + cause)
        [original] = re.findall(rb"(?m)^Message-ID: (<\S+@test>)", body)    # the header that comes back
        self.assertRegex(body, b"(?m)^In-Reply-To: %s\r$" % re.escape(original))
        return body

    def test_expired(self):
        """bob never opens it: message and notice go, alice is told, bob's entry stays and says so."""
        self.alice.set_conf("outbox", "validity", '"1d"')
        self.alice.restart()
        self.alice.send(self.bob, letter(self.alice, self.bob, "too long"))
        [uid] = self.bob.wait_mail(1)
        self.bob.stop()
        self.alice.restart(P2PMTA_CLOCK_OFFSET=4 * DAY)
        body = self.dsn(b"failed", b"bob@home", b"too long", b"it was announced, and not collected until \\w+, ", b"It is not tried again.")
        self.assertIn(b"Status: 5.4.7\r\n", body)
        self.alice.wait_empty()
        self.bob.set_conf("policy", "rescue", "false")
        self.bob.start(P2PMTA_CLOCK_OFFSET=4 * DAY)
        until(lambda: "$Expired" in self.bob.flags(uid), "bob's entry says $Expired", 60)
        with self.assertRaises(ImapNo):
            self.bob.body(uid)

    def test_never_announced(self):
        """bob's key is known and nobody takes the notification: queue.lifetime holds here too, and no report speaks of bob's will."""
        self.alice.set_conf("queue", "lifetime", '"2h"')
        self.alice.set_conf("queue", "warn_after", '"1h"')
        self.alice.restart()
        self.alice.send(self.bob, letter(self.alice, self.bob, "known"))
        self.bob.body(self.bob.wait_mail(1)[0])
        self.alice.wait_empty()
        self.bob.stop()
        begin = time.time()
        self.alice.send(self.bob, letter(self.alice, self.bob, "nobody listens"))
        until(lambda: self.alice.queue()[0]["recipients"][0]["reason"], "it is tried again")
        self.assertEqual(self.alice.states()[self.bob.address], "offered")
        self.alice.restart(P2PMTA_CLOCK_OFFSET=HOUR * 3 // 2)
        body = self.dsn(b"delayed", b"bob@home", b"nobody listens", b"neither the DHT nor the receiver took the notification",
                        b"It is tried again until \\w+, ")
        until_s = parsedate_to_datetime(re.search(rb"Will-Retry-Until: (.*)\r", body).group(1).decode()).timestamp()
        self.assertAlmostEqual(until_s, begin + 2 * HOUR, delta=HOUR / 4)
        self.alice.delete(self.alice.uids()[0])
        self.alice.restart(P2PMTA_CLOCK_OFFSET=3 * HOUR)
        body = self.dsn(b"failed", b"bob@home", b"nobody listens", b"neither the DHT nor the receiver took the notification",
                        b"It is not tried again.")
        self.assertIn(b"Status: 5.4.7\r\n", body)
        self.assertNotIn(b"collected", body)
        self.alice.wait_empty()

    def test_never_resolves(self):
        self.alice.set_conf("queue", "lifetime", '"2d"')
        self.alice.restart()
        self.alice.send("nobody@nowhere", letter(self.alice, "nobody@nowhere", "into the void"))
        until(lambda: self.alice.states()["nobody@nowhere"] in ("accepted", "sealed"), "waiting for a key")
        self.alice.restart(P2PMTA_CLOCK_OFFSET=3 * DAY)
        body = self.dsn(b"failed", b"nobody@nowhere", b"into the void", NOBODY, b"It is not tried again.")
        self.assertIn(b"Status: 5.4.7\r\n", body)
        self.alice.wait_empty()

    def test_delay_is_told_once(self):
        self.alice.send("nobody@nowhere", letter(self.alice, "nobody@nowhere", "slowly"))
        until(lambda: self.alice.states()["nobody@nowhere"] in ("accepted", "sealed"), "waiting for a key")
        self.alice.restart(P2PMTA_CLOCK_OFFSET=5 * HOUR)
        body = self.dsn(b"delayed", b"nobody@nowhere", b"slowly", NOBODY, b"It is tried again until \\w+, ")
        until_s = parsedate_to_datetime(re.search(rb"Will-Retry-Until: (.*)\r", body).group(1).decode()).timestamp()
        self.assertAlmostEqual(until_s, time.time() + 5 * DAY, delta=HOUR)
        self.alice.restart(P2PMTA_CLOCK_OFFSET=9 * HOUR)
        until(lambda: self.alice.queue()[0]["recipients"][0]["reason"], "a reason is shown")
        self.assertEqual(len(self.alice.uids()), 1)
        self.assertEqual(len(self.alice.queue()), 1)

    def test_late_proof_overrides(self):
        """bob has it and alice was away: delivered, whatever the clock says at her return."""
        self.alice.set_conf("outbox", "validity", '"1d"')
        self.alice.restart()
        m = letter(self.alice, self.bob, "just in time")
        self.alice.send(self.bob, m)
        [uid] = self.bob.wait_mail(1)
        self.assertEqual(self.bob.body(uid), m)
        self.alice.kill()
        self.alice.start(P2PMTA_CLOCK_OFFSET=4 * HOUR)
        self.alice.wait_empty()
        self.assertEqual(self.alice.uids(), [])

    def test_rescue(self):
        """At three quarters of its life an unopened letter is pulled unasked."""
        self.alice.set_conf("outbox", "validity", '"4d"')
        self.alice.restart()
        m = letter(self.alice, self.bob, "holiday")
        self.alice.send(self.bob, m)
        [uid] = self.bob.wait_mail(1)
        self.alice.restart(P2PMTA_CLOCK_OFFSET=DAY * 7 // 2)
        self.bob.restart(P2PMTA_CLOCK_OFFSET=DAY * 7 // 2)
        until(lambda: "$Remote" not in self.bob.flags(uid), "it is pulled unasked", 90)
        self.assertNotIn("\\Seen", self.bob.flags(uid))
        self.assertEqual(self.bob.body(uid), m)
