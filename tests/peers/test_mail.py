"""One mail from alice to bob, of many shapes: octet for octet what was submitted,
and the same ENVELOPE, BODYSTRUCTURE, sizes and header before its body is here as after."""
import base64
import contextlib
import email
import email.mime.application
import email.mime.message
import email.mime.multipart
import email.mime.text
import hashlib
import os
import random
import re
import smtplib

from peers import summary, until, fetch_body
from scene import RawImap, Scene, letter


def eol(text):
    return re.sub(rb"\r?\n", b"\r\n", text)


def three_levels():
    """multipart/mixed of multipart/related of multipart/alternative, attachments and a forwarded message."""
    rnd = random.Random(3)
    alternative = email.mime.multipart.MIMEMultipart("alternative", boundary="=_alt")
    alternative.attach(email.mime.text.MIMEText("Grüße aus der Küche\n" * 5, "plain", "utf-8"))
    alternative.attach(email.mime.text.MIMEText("<p>Grüße</p>\n", "html", "utf-8"))
    related = email.mime.multipart.MIMEMultipart("related", boundary="=_rel")
    related.attach(alternative)
    picture = email.mime.application.MIMEApplication(rnd.randbytes(30000), "octet-stream", name="logo.png")
    picture["Content-ID"] = "<logo@test>"
    related.attach(picture)
    mixed = email.mime.multipart.MIMEMultipart("mixed", boundary="=_mix")
    mixed.attach(related)
    paper = email.mime.application.MIMEApplication(rnd.randbytes(50000), "pdf")
    paper.add_header("Content-Disposition", "attachment", filename="a \"quoted\" näme.pdf")
    mixed.attach(paper)
    inner = email.mime.text.MIMEText("the forwarded text\n")
    inner["Subject"] = "inner"
    inner["From"] = "carol@elsewhere"
    mixed.attach(email.mime.message.MIMEMessage(inner))
    return mixed


class Shapes(Scene):
    """One pair of peers, a letter of each shape."""

    def carry(self, message, expected=None):
        expected = message if expected is None else expected
        before = len(self.bob.uids())
        self.alice.send(self.bob, message)
        uid = self.bob.wait_mail(before + 1)[-1]
        self.assertIn("$Remote", self.bob.flags(uid))
        with self.bob.imap() as c:
            unpulled = summary(c, uid)
            self.assertNotIn(b"\\Seen", c.uid("FETCH", str(uid), "(FLAGS)")[1][0])
            got = fetch_body(c, uid, "BODY[]")
            if got != expected:
                self.fail("not what was sent: %r... instead of %r..." % (got[:600], expected[:600]))
            pulled = summary(c, uid)
            self.assertIn(b"\\Seen", c.uid("FETCH", str(uid), "(FLAGS)")[1][0])
        self.assertEqual(unpulled, pulled)
        self.assertIn(b"RFC822.SIZE %d)" % len(expected), pulled["RFC822.SIZE"])
        self.assertTrue(got.startswith(pulled["BODY.PEEK[HEADER]"].split(b"\r\n", 1)[1][:20]))
        self.assertNotIn("$Remote", self.bob.flags(uid))
        return uid

    def test_plain(self):
        self.carry(letter(self.alice, self.bob, "plain", "One line.\r\n.\r\n..two dots\r\n\r\nEnd without empty line\r\n"))
        self.alice.wait_empty()

    def test_eight_bit(self):
        self.carry(letter(self.alice, self.bob, "=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße, 你好, \u200bmañana\r\n" * 40,
                          "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                          "Content-Transfer-Encoding: 8bit\r\n"))
        self.carry(letter(self.alice, self.bob, "latin 1, unlabelled", bytes(range(0xa0, 0x100)) + b"\r\n"))
        self.alice.wait_empty()

    def test_three_levels(self):
        m = three_levels()
        m["From"] = self.alice.address
        m["To"] = "Bob <%s>, carol@elsewhere" % self.bob.address
        m["Cc"] = "A group: dan@home, eve@home;"
        m["Subject"] = "three levels"
        m["Date"] = "Sat, 21 Nov 2026 10:00:00 +0000"
        m["Message-ID"] = "<three@test>"
        octets = eol(m.as_bytes())
        uid = self.carry(octets)
        parsed = email.message_from_bytes(octets)
        with self.bob.imap() as c:
            for section, wanted in (("1.1.1", parsed.get_payload(0).get_payload(0).get_payload(0)),
                                    ("1.2", parsed.get_payload(0).get_payload(1)),
                                    ("2", parsed.get_payload(1))):
                got = fetch_body(c, uid, "BODY.PEEK[%s]" % section)
                self.assertEqual(base64.b64decode(got), wanted.get_payload(decode=True), section)
            self.assertIn(b"Subject: inner", fetch_body(c, uid, "BODY.PEEK[3.HEADER]"))
            self.assertIn(b"the forwarded text", fetch_body(c, uid, "BODY.PEEK[3.TEXT]"))
        self.alice.wait_empty()

    def test_empty_body(self):
        self.carry(letter(self.alice, self.bob, "nothing", ""))
        self.carry(letter(self.alice, self.bob, "nothing, declared", "", "Content-Type: multipart/mixed; boundary=x\r\n"))
        self.alice.wait_empty()

    def test_header_only_without_separator(self):
        whole = letter(self.alice, self.bob, "no empty line", "")
        self.carry(whole[:-2])

    def test_large_skeleton(self):
        """A header that does not fit into a notice travels as the head object."""
        head = "".join("X-Padding-%d: %s\r\n" % (i, "y" * 900) for i in range(60))
        self.carry(letter(self.alice, self.bob, "a large header", "small body\r\n", head))
        self.alice.wait_empty()

    def test_added_fields(self):
        """Date and Message-ID on top when missing, Bcc and Resent-Bcc away with their folding."""
        given = (b"From: alice@home\r\nTo: bob@home\r\nBcc: carol@home,\r\n\tdan@home\r\nSubject: fields\r\n"
                 b"Resent-Bcc: x@home\r\n\r\nbody\r\n")
        kept = b"From: alice@home\r\nTo: bob@home\r\nSubject: fields\r\n\r\nbody\r\n"
        self.alice.send(self.bob, given)
        [uid] = self.bob.wait_mail(1)
        got = self.bob.body(uid)
        self.assertTrue(got.endswith(kept), got)
        added = got[:-len(kept)]
        self.assertRegex(added, rb"\A(Date: [^\r\n]+\r\nMessage-ID: <[^<>\s]+@[^<>\s]+>\r\n|"
                                rb"Message-ID: <[^<>\s]+@[^<>\s]+>\r\nDate: [^\r\n]+\r\n)\Z")

    def test_many_in_a_row(self):
        """Ten letters, each once, in the order they were sent."""
        sent = [letter(self.alice, self.bob, "number %d" % i, "body %d\r\n" % i) for i in range(10)]
        with self.alice.smtp() as s:
            for m in sent:
                s.sendmail(self.alice.address, [self.bob.address], m)
        uids = self.bob.wait_mail(10)
        self.assertEqual(sorted(self.bob.body(u) for u in uids), sorted(sent))
        self.alice.wait_empty()

    def test_oneself(self):
        m = letter(self.alice, self.alice, "to myself", "note\r\n")
        self.alice.send(self.alice, m)
        [uid] = self.alice.wait_mail(1)
        self.assertEqual(self.alice.wait_body(uid), m)
        self.alice.wait_empty()

    def test_answer_goes_back(self):
        """Both ways at once; each side is sender and receiver."""
        there = letter(self.alice, self.bob, "there", "1\r\n")
        back = letter(self.bob, self.alice, "back", "2\r\n")
        self.alice.send(self.bob, there)
        self.bob.send(self.alice, back)
        self.assertEqual(self.bob.body(self.bob.wait_mail(1)[0]), there)
        self.assertEqual(self.alice.body(self.alice.wait_mail(1)[0]), back)
        self.alice.wait_empty()
        self.bob.wait_empty()


class Large(Scene):
    def test_200_megabytes(self):
        rnd = random.Random(200)
        head = letter(self.alice, self.bob, "200 MB", "", "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n")
        block = base64.encodebytes(rnd.randbytes(57 * 18000)).replace(b"\n", b"\r\n")
        message = b"".join([head, b"--b\r\n\r\nsee attachment\r\n--b\r\nContent-Type: application/octet-stream\r\n"
                            b"Content-Transfer-Encoding: base64\r\n\r\n"] + [block] * (200_000_000 // len(block) + 1) +
                           [b"--b--\r\n"])
        wanted = hashlib.sha256(message).hexdigest()
        size = len(message)
        self.alice.send(self.bob, message)
        del message
        [uid] = self.bob.wait_mail(1, seconds=120)
        with self.bob.imap() as c:
            unpulled = summary(c, uid)
            got = fetch_body(c, uid)
            self.assertEqual(unpulled, summary(c, uid))
        self.assertEqual(len(got), size)
        self.assertEqual(hashlib.sha256(got).hexdigest(), wanted)
        self.assertIn(b"RFC822.SIZE %d)" % size, unpulled["RFC822.SIZE"])
        self.alice.wait_empty()

    def test_given_up(self):
        """A client that hangs up after 150 MB leaves nothing, and nobody waits until its octets are gone."""
        def temporary():
            return [f for d, _, names in os.walk(self.alice.state) for f in names if f.startswith("tmp.")]

        m = letter(self.alice, self.bob, "never whole", (b"x" * 998 + b"\r\n") * 150000)
        with contextlib.suppress(smtplib.SMTPServerDisconnected), self.alice.smtp() as s:
            s.mail(self.alice.address)
            s.rcpt(self.bob.address)
            self.assertEqual(s.docmd("DATA")[0], 354)
            s.send(m)
            until(temporary, "some of it is in a file")
            s.close()
        c = RawImap(self.alice)
        c.send(b"APPEND INBOX {200000000+}")
        c.socket.sendall(m)
        c.socket.close()
        until(lambda: not temporary(), "nothing is left")
        self.assertEqual(self.alice.queue(), [])

    def test_a_small_one_goes_ahead(self):
        """It does not wait until the one before it to the same receiver is sealed."""
        self.alice.send(self.bob, letter(self.alice, self.bob, "hello"))
        self.bob.wait_mail(1)
        line = base64.encodebytes(random.Random(1).randbytes(57)).replace(b"\n", b"\r\n")
        self.alice.send(self.bob, letter(self.alice, self.bob, "large", line * 2500000))
        self.alice.send(self.bob, letter(self.alice, self.bob, "small"))

        def states():
            return {q["subject"]: q["recipients"][0]["state"] for q in self.alice.queue()}
        until(lambda: states()["small"] == "notified", "the small one is notified")
        self.assertEqual(states()["large"], "accepted")
        self.bob.wait_mail(3, seconds=60)


class Strangers(Scene):
    names = ("alice",) + tuple("bob%d" % i for i in range(1, 7))

    def test_first_contacts_while_sealing(self):
        """Keys of new people come in while letters are sealed; no letter suffers."""
        receivers = self.net.peers[1:]
        with self.alice.smtp() as s:
            for p in receivers:
                for i in range(6):
                    s.sendmail(self.alice.address, [p.address], letter(self.alice, p, "number %d" % i))
        for p in receivers:
            p.wait_mail(6, seconds=60)
        self.assertEqual(self.alice.uids(), [])
        for p in receivers:
            p.ctl("pull", "--all")
        self.alice.wait_empty(60)


class Twenty(Scene):
    names = ("alice",) + tuple("bob%d" % i for i in range(1, 21))

    def test_one_mail_to_twenty(self):
        """One sealed copy, twenty notices, gone after the twentieth has it."""
        receivers = self.net.peers[1:]
        m = letter(self.alice, "everybody@home", "to all of you", "dinner at eight\r\n" * 50)
        self.alice.send(receivers, m)
        uids = [p.wait_mail(1, seconds=120)[0] for p in receivers]
        until(lambda: set(self.alice.states().values()) == {"notified"}, "twenty notified", 60)
        self.assertEqual(self.alice.status()["outbox"]["messages"], 1)
        self.assertEqual(len(self.alice.queue()), 1)
        self.assertEqual(len(self.alice.queue()[0]["recipients"]), 20)
        self.assertEqual(len(self.alice.sealed()), 1)
        for p, uid in list(zip(receivers, uids))[:-1]:
            self.assertEqual(p.body(uid), m)
        until(lambda: self.alice.states()[receivers[0].address] == "delivered", "the first is delivered")
        until(lambda: sorted(self.alice.states().values()) == ["delivered"] * 19 + ["notified"], "nineteen delivered", 60)
        self.assertEqual(self.alice.status()["outbox"]["messages"], 1)
        self.assertEqual(receivers[-1].body(uids[-1]), m)
        self.alice.wait_empty()
