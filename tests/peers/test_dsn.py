"""What the sender asks to be told (RFC 3461), and what he is told (RFC 3464)."""
import email
import email.policy

from peers import until
from scene import Scene, letter

DAY = 24 * 3600


class Dsn(Scene):
    def submit(self, recipients, message, mail=""):
        """recipients: (address, parameters of RCPT)."""
        with self.alice.smtp() as s:
            s.ehlo("test")
            self.assertEqual(s.docmd("MAIL FROM:<%s> %s" % (self.alice.address, mail))[0], 250)
            for address, parameters in recipients:
                self.assertEqual(s.docmd("RCPT TO:<%s> %s" % (address, parameters))[0], 250)
            self.assertEqual(s.data(message)[0], 250)

    def report(self, uid):
        """The whole, and the fields: of the message, and of each recipient by address."""
        octets = self.alice.body(uid)
        m = email.message_from_bytes(octets, policy=email.policy.default)
        self.assertEqual(m.get_content_type(), "multipart/report")
        parts = list(m.iter_parts())
        about, *each = parts[1].get_payload()
        return m, parts, about, {r["Final-Recipient"].split(";")[1].strip(): r for r in each}

    def give_up(self, *recipients, **letter_of):
        """Nobody is found until the lifetime is over."""
        self.alice.set_conf("queue", "lifetime", '"2d"')
        self.alice.restart()
        m = letter(self.alice, recipients[0][0], "into the void", "a body to remember\r\n")
        self.submit(recipients, m, **letter_of)
        until(lambda: set(self.alice.states().values()) == {"sealed"}, "waiting for keys")
        self.alice.restart(P2PMTA_CLOCK_OFFSET=3 * DAY)
        return m

    def test_delivered(self):
        m = letter(self.alice, self.bob, "tell me")
        self.submit([("bob+x@home", "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob+2Bx@home")], m, mail="RET=FULL ENVID=QQ+2B1")
        [uid] = self.bob.wait_mail(1)
        self.assertEqual(self.alice.uids(), [])
        self.assertEqual(self.bob.body(uid), m)
        [uid] = self.alice.wait_mail(1)
        whole, parts, about, each = self.report(uid)
        self.assertEqual(about["Original-Envelope-Id"], "QQ+1")
        self.assertEqual(each["bob@home"]["Action"], "delivered")
        self.assertEqual(each["bob@home"]["Status"][0], "2")
        self.assertEqual(each["bob@home"]["Original-Recipient"], "rfc822;Bob+x@home")
        self.assertEqual(parts[2].get_content_type(), "text/rfc822-headers")
        self.assertIn(whole["In-Reply-To"].encode(), m)
        self.alice.wait_empty()
        self.assertNoMore(self.alice, 1)

    def test_delivered_is_not_told_unasked(self):
        m = letter(self.alice, self.bob)
        self.alice.send(self.bob, m)
        [uid] = self.bob.wait_mail(1)
        self.bob.body(uid)
        self.alice.wait_empty()
        self.assertNoMore(self.alice, 0)

    def test_deleted_unread(self):
        """Told to whoever asked for reports of failure in so many words."""
        self.submit([("bob@home", "NOTIFY=SUCCESS,FAILURE")], letter(self.alice, self.bob, "asked"))
        self.submit([("bob@home", "")], letter(self.alice, self.bob, "not asked"))
        self.submit([("bob@home", "NOTIFY=SUCCESS")], letter(self.alice, self.bob, "asked for the good news"))
        for uid in self.bob.wait_mail(3):
            self.bob.delete(uid)
        [uid] = self.alice.wait_mail(1)
        whole, _, _, each = self.report(uid)
        self.assertIn("asked", whole["Subject"].split())
        self.assertNotIn("not", whole["Subject"].split())
        self.assertEqual(each["bob@home"]["Action"], "failed")
        self.assertEqual(each["bob@home"]["Status"], "5.7.1")
        self.assertIn("deleted it unread", each["bob@home"]["Diagnostic-Code"])
        self.alice.wait_empty()
        self.assertNoMore(self.alice, 1)

    def test_tags_of_one_peer(self):
        """One copy and one report; what the second RCPT says is not lost."""
        self.submit([("bob+a@home", ""), ("bob+b@home", "NOTIFY=SUCCESS ORCPT=rfc822;bob+2Bb@home")], letter(self.alice, self.bob))
        [uid] = self.bob.wait_mail(1)
        self.bob.body(uid)
        [uid] = self.alice.wait_mail(1)
        _, _, _, each = self.report(uid)
        self.assertEqual(each["bob@home"]["Original-Recipient"], "rfc822;bob+b@home")

    def test_failed_together(self):
        """One report for two; the third wants none; the letter comes back as a whole."""
        m = self.give_up(("one@nowhere", "NOTIFY=FAILURE"), ("two@nowhere", ""), ("three@nowhere", "NOTIFY=NEVER"), mail="RET=FULL")
        [uid] = self.alice.wait_mail(1, seconds=60)
        _, parts, about, each = self.report(uid)
        self.assertEqual(set(each), {"one@nowhere", "two@nowhere"})
        self.assertEqual({r["Action"] for r in each.values()}, {"failed"})
        self.assertNotIn("Original-Envelope-Id", about)
        self.assertEqual(parts[2].get_content_type(), "message/rfc822")
        self.assertIn(b"a body to remember\r\n", self.alice.body(uid))
        self.alice.wait_empty()
        self.assertNoMore(self.alice, 1)

    def test_a_thousand(self):
        """One report, made and filed within turns of 50 ms; so is its cancelling."""
        everybody = ["r%d@nowhere" % i for i in range(1000)]
        m = self.give_up(*[(address, "") for address in everybody])
        [uid] = self.alice.wait_mail(1, seconds=60)
        self.assertEqual(set(self.report(uid)[3]), set(everybody))
        self.alice.wait_empty()
        self.submit([(address, "") for address in everybody], m)
        until(lambda: self.alice.queue() and set(self.alice.states().values()) == {"sealed"}, "waiting for keys")
        answers = self.alice.ctl("cancel", self.alice.queue()[0]["id"])
        self.assertEqual({a["address"] for a in answers if a["cancelled"]}, set(everybody))
        self.alice.wait_empty()
        self.assertNoMore(self.alice, 1)

    def test_never(self):
        self.give_up(("one@nowhere", "NOTIFY=NEVER"), mail="RET=HDRS")
        self.alice.wait_empty(60)
        self.assertNoMore(self.alice, 0)
