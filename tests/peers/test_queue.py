"""What `p2pmta-ctl queue`, `show` and `cancel` say of a letter in each of its states is what happened to it;
and the listing fits the terminal it is shown on."""
import os
import re
import subprocess
import unicodedata

from peers import program, until, SLOW
from scene import Scene, letter
from test_clients import on_terminal

DAY = 24 * 3600
UNSENT = ("accepted", "sealed", "resolved", "offered")


class Truth(Scene):
    def submit(self, to, subject="truth", body="hello\r\n"):
        self.m = letter(self.alice, to, subject, body)
        self.alice.send(to, self.m)
        [self.id] = [q["id"] for q in self.alice.queue() if q["subject"] == subject]
        return self.id

    def rcpt(self, command="show"):
        """The one recipient, as show or queue tells of him; None when queue does not."""
        if command == "show":
            [r] = self.alice.ctl("show", self.id)["recipients"]
            return r
        found = [q for q in self.alice.queue() if q["id"] == self.id]
        return found[0]["recipients"][0] if found else None

    def wait_state(self, *states):
        return until(lambda: self.rcpt() if self.rcpt()["state"] in states else None, "state " + " or ".join(states), 60)["state"]

    def check(self, *states, queued=True, reason=None, again=None):
        """show and queue agree; people are told the same as programs."""
        shown = self.rcpt()
        self.assertIn(shown["state"], states)
        # The history ends with the state, but for what was told since.
        words = [e["text"].split(":")[0] for e in shown["history"]]
        if shown["state"] != "accepted":
            self.assertIn(shown["state"], words)
        self.assertEqual([e["at"] for e in shown["history"]], sorted(e["at"] for e in shown["history"]))
        listed = self.rcpt("queue")
        self.assertEqual(listed is not None, queued, listed)
        if queued:
            self.assertEqual(listed["address"], shown["address"])
        if reason:
            self.assertRegex(shown["reason"], reason)
        if again is not None:
            self.assertEqual(bool(shown["next"]) and shown["tries"] > 0, again, shown)
        text = subprocess.run([program("p2pmta-ctl"), "-c", self.alice.config, "show", str(self.id)], capture_output=True,
                              text=True, timeout=60 * SLOW, check=True).stdout
        self.assertRegex(text, r"(?m)^    (%s) +%s " % ("|".join(states), re.escape(shown["address"])))
        counts = self.alice.status()
        self.assertEqual(counts["outbox"]["messages"] > 0, queued and shown["state"] not in ("accepted",) or bool(self.others()))
        return shown

    def others(self):
        return [q for q in self.alice.queue() if q["id"] != self.id]

    def cancel(self, state, reason=""):
        [answer] = self.alice.ctl("cancel", self.id)
        self.assertEqual((answer["state"], answer["cancelled"]), (state, state == "in-time"))
        self.assertRegex(answer["reason"], reason or r"\A\Z")

    def is_gone(self):
        until(lambda: not self.alice.queue() and not self.alice.sealed(), "nothing is left of it")

    # One test for each way a letter can go

    def test_waiting(self):
        """Nobody has his key: it was sealed, is tried again, says why and when, and can be taken back."""
        self.submit("nobody@nowhere")
        until(lambda: self.rcpt()["reason"], "a reason")
        before = self.check("sealed", reason="nobody@nowhere|no ", again=True)
        after = until(lambda: (lambda r: r if r["tries"] > before["tries"] else None)(self.rcpt()), "the next try", 60)
        self.assertGreaterEqual(after["next"], before["next"])
        self.assertEqual(after["since"], before["since"])
        self.cancel("in-time")
        self.check("cancelled", queued=False)
        self.cancel("in-time", "before")
        self.is_gone()

    def test_accepted(self):
        """Right after the 250 of a large letter."""
        self.submit(self.bob, "large", b"0123456789abcdef\r\n" * 2000000)
        self.assertIn(self.rcpt()["state"], UNSENT + ("notified",))
        self.wait_state("notified")
        self.check("notified")
        self.assertEqual([e["text"] for e in self.rcpt()["history"]], ["sealed", "resolved", "offered", "notified"])
        [uid] = self.bob.wait_mail(1)
        self.assertIn("$Remote", self.bob.flags(uid))

    def test_notified_and_delivered(self):
        self.submit(self.bob)
        [uid] = self.bob.wait_mail(1)
        self.wait_state("notified")
        self.assertEqual(self.check("notified")["reason"], "")
        self.assertEqual(self.bob.body(uid), self.m)
        self.wait_state("delivered")
        self.is_gone()
        self.check("delivered", queued=False, again=False)
        self.assertIn("the whole message went out", [e["text"] for e in self.rcpt()["history"]])
        self.cancel("too-late", "delivered")
        self.assertEqual(self.bob.uids(), [uid])

    def test_declined(self):
        self.submit(self.bob)
        [uid] = self.bob.wait_mail(1)
        self.wait_state("notified")
        self.bob.delete(uid)
        self.wait_state("declined")
        self.is_gone()
        self.check("declined", queued=False)
        self.cancel("too-late", "unread")

    def test_cancelled(self):
        self.submit(self.bob)
        self.bob.wait_mail(1)
        self.wait_state("notified")
        self.cancel("in-time")
        self.check("cancelled", queued=False)
        until(lambda: self.bob.uids() == [], "bob's entry goes")
        self.is_gone()

    def test_offered_and_retried(self):
        """bob's key is known and he is away, with nobody else in the DHT: tried again and again, and it says so."""
        self.submit(self.bob, "first")
        self.bob.body(self.bob.wait_mail(1)[0])
        self.wait_state("delivered")
        self.bob.stop()
        self.submit(self.bob, "second")
        self.wait_state("offered")
        until(lambda: self.rcpt()["tries"] >= 2, "two tries", 60)
        self.check("offered", reason="neither the DHT nor the receiver", again=True)
        self.bob.start(dht=True)
        uid = self.bob.wait_mail(2, seconds=90)[-1]
        self.wait_state("notified", "delivered")
        self.assertEqual(self.bob.wait_body(uid), self.m)
        self.wait_state("delivered")
        self.is_gone()

    def test_failed(self):
        self.alice.set_conf("queue", "lifetime", '"2d"')
        self.submit("nobody@nowhere")
        until(lambda: self.rcpt()["reason"], "a reason")
        self.alice.restart(P2PMTA_CLOCK_OFFSET=3 * DAY)
        self.wait_state("failed")
        [uid] = self.alice.wait_mail(1, seconds=60)
        self.is_gone()
        shown = self.check("failed", queued=False, reason=".", again=False)
        self.assertIn(shown["reason"].encode()[:40], re.sub(rb"\r\n ?", b" ", self.alice.body(uid)))     # told the same
        self.cancel("too-late", "given up")

    def test_expired(self):
        self.alice.set_conf("outbox", "validity", '"1d"')
        self.alice.restart()
        self.submit(self.bob)
        self.bob.wait_mail(1)
        self.wait_state("notified")
        self.bob.stop()
        self.alice.restart(P2PMTA_CLOCK_OFFSET=4 * DAY)
        self.wait_state("expired")
        self.alice.wait_mail(1, seconds=60)
        self.is_gone()
        self.check("expired", queued=False, reason="not collected", again=False)
        self.cancel("too-late", "given up")


def columns(line):
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


class Listing(Scene):
    """Long addresses, wide and strange characters: each line fits, and nothing that matters is lost."""
    names = ("alice",)
    LONG = "a" * 60 + "@" + "b" * 60
    WIDE = "漢" * 20 + "ü@" + "gruppe." * 8 + "x"
    SUBJECT = "漢字 " * 40 + "=?utf-8?Q?=E2=80=AE?= e\u0301"

    def shown(self, *command, width=80, **env):
        status, drawn = on_terminal([program("p2pmta-ctl"), "-c", self.alice.config, *map(str, command)],
                                    dict(os.environ, **env), 30, width)
        self.assertEqual(status, 0, drawn)
        text = drawn.decode()       # the terminal's line ends
        return text.replace("\r\n", "\n")

    def piped(self, *command, **env):
        return subprocess.run([program("p2pmta-ctl"), "-c", self.alice.config, *map(str, command)], capture_output=True,
                              text=True, check=True, env=dict(os.environ, **env)).stdout

    def assertFits(self, text, width):
        for line in text.splitlines():
            self.assertLessEqual(columns(line), width, line)
            self.assertFalse([c for c in line if ord(c) < 32 or 0x202a <= ord(c) <= 0x202e], repr(line))

    def test_subject_as_it_reads(self):
        m = letter(self.alice, "x@y", "=?utf-8?B?R3LDvMOfZQ==?= =?iso-8859-1?Q?_an_=E4lle?=")
        self.alice.send(["x@y"], m)
        [q] = self.alice.queue()
        self.assertEqual(q["subject"], "Grüße an älle")
        self.assertIn("Grüße an älle", self.shown("queue", LC_ALL="C.UTF-8"))
        self.assertIn("Grüße an älle", self.piped("show", str(q["id"])))

    def test_every_listing_fits(self):
        self.alice.send([self.LONG], letter(self.alice, "x@y", "short"))
        m = letter(self.alice, "x@y", self.SUBJECT).replace(b"=E2=80=AE", b"=E2=80=AE=1B=5B2J")
        with self.alice.smtp() as s:
            s.command_encoding = "utf-8"
            s.ehlo("test")
            s.mail(self.alice.address, ["SMTPUTF8", "BODY=8BITMIME"])
            for address in (self.WIDE, "nobody@nowhere"):
                self.assertEqual(s.docmd("RCPT TO:<%s>" % address)[0], 250)
            self.assertEqual(s.data(m)[0], 250)
        until(lambda: all(r["reason"] for q in self.alice.queue() for r in q["recipients"]), "reasons")
        ids = [q["id"] for q in self.alice.queue()]
        reasons = {r["reason"] for q in self.alice.queue() for r in q["recipients"]}
        for width in (80, 132, 40, 61):
            for command in (["queue"], ["status"], ["contacts"], *(["show", i] for i in ids)):
                text = self.shown(*command, width=width)
                self.assertFits(text, width)
                if command[0] in ("queue", "show"):
                    whole = re.sub(r"\s+", "", text)
                    for address in (self.LONG, self.WIDE, "nobody@nowhere"):
                        self.assertTrue(address in whole or command[0] == "show", (address, text))
            queue = self.shown("queue", width=width)
            for reason in reasons:
                self.assertIn(reason.replace(" ", ""), re.sub(r"\s+", "", queue))
        self.assertRegex(self.shown("queue"), r"(?m)\.\.\.$")   # the long subject
        # A terminal that does not know its size, and who says it is otherwise.
        self.assertFits(self.shown("queue", width=0), 80)
        self.assertFits(self.shown("queue", width=132, COLUMNS="60"), 60)
        self.assertFits(self.piped("queue", COLUMNS="70"), 70)
        # In a pipe a thing is a line.
        lines = self.piped("queue").splitlines()
        self.assertEqual(len(lines), 2 + 3)
        self.assertEqual(sum(self.WIDE in l and "sealed" in l for l in lines), 1)
        said = self.shown("cancel", ids[0])
        self.assertFits(said, 80)
        self.assertIn(self.LONG, re.sub(r"\s+", "", said))
