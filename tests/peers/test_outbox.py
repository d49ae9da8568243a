"""The Outbox mailbox as a mail client sees it: states that change while it looks, taking back by delete and by move,
a NO that says why when it was too late, and the client's own copy in Sent."""
import re

from peers import until
from scene import RawImap, Scene, letter


def keywords(line):
    return set(re.search(rb"FLAGS \(([^)]*)\)", line).group(1).split())


class OutboxMailbox(Scene):
    wired = True

    def watch(self):
        """Somebody who idles on alice's Outbox."""
        s = RawImap(self.alice, "Outbox")
        s.idle()
        return s

    @staticmethod
    def wait_keyword(s, keyword):
        """All keywords of the first FETCH that has this one."""
        while True:
            seen = keywords(s.wait_line(b" FETCH "))
            if keyword in seen:
                return seen

    def move(self, uid, to="Trash"):
        """As Thunderbird deletes."""
        with self.alice.imap("Outbox") as c:
            return c.uid("MOVE", str(uid), to)

    def half_delivered(self):
        m = letter(self.alice, self.bob, "half")
        self.alice.send([self.bob, "nobody@nowhere"], m)
        [uid] = self.bob.wait_mail(1)
        self.bob.body(uid)
        until(lambda: self.alice.states()["bob@home"] == "delivered", "delivered")
        [entry] = self.alice.uids("Outbox")
        return m, entry

    def test_states_change_live(self):
        s = self.watch()
        m = letter(self.alice, self.bob, "watched")
        self.alice.send([self.bob, "nobody@nowhere"], m)
        s.wait_line(b" EXISTS")
        self.wait_keyword(s, b"$Notified")
        [uid] = self.bob.wait_mail(1)
        [entry] = self.alice.uids("Outbox")
        with self.alice.imap("Outbox") as c:
            self.assertEqual(c.uid("STORE", str(entry), "+FLAGS", "(\\Flagged mine)")[0], "OK")
            # Nobody fakes a state, or takes it away.
            self.assertEqual(c.uid("STORE", str(entry), "+FLAGS", "($Delivered)")[0], "OK")
            self.assertEqual(c.uid("STORE", str(entry), "-FLAGS", "($Notified)")[0], "OK")
        self.assertEqual(self.alice.flags(entry, "Outbox") & {"$Notified", "$Delivered", "mine"}, {"$Notified", "mine"})
        self.bob.body(uid)
        seen = self.wait_keyword(s, b"$Delivered")
        self.assertNotIn(b"$Notified", seen)        # the other has not come so far
        self.assertLessEqual({b"mine", b"\\Flagged"}, seen)
        [answer] = self.alice.ctl("cancel", self.alice.queue()[0]["id"], "nobody@nowhere")
        self.assertEqual(answer["state"], "in-time")
        # All is done: the entry goes, in the same session.
        s.wait_line(b" EXPUNGE")
        self.assertEqual(self.alice.uids("Outbox"), [])

    def test_move_to_trash_cancels(self):
        m = letter(self.alice, self.bob, "never mind")
        self.alice.send(self.bob, m)
        self.bob.wait_mail(1)
        [entry] = self.alice.uids("Outbox")
        s = self.watch()
        typ, data = self.move(entry)
        self.assertEqual(typ, "OK", data)
        s.wait_line(b" EXPUNGE")
        until(lambda: not self.bob.uids(), "bob's entry goes")
        self.alice.wait_empty()
        [kept] = self.alice.uids("Trash")
        self.assertEqual(self.alice.body(kept, "Trash"), m)
        self.assertEqual(self.wire.pulls(), [])

    def test_move_too_late(self):
        """The row stays where it is, and the text says who has it."""
        m, entry = self.half_delivered()
        typ, data = self.move(entry)
        self.assertEqual(typ, "NO")
        self.assertIn(b"bob@home", data[0])
        self.assertIn(b"delivered already", data[0])
        self.assertEqual(self.alice.uids("Trash"), [])
        self.alice.wait_empty()     # nobody was still in time

    def test_delete_too_late(self):
        m, entry = self.half_delivered()
        with self.alice.imap("Outbox") as c:
            self.assertEqual(c.uid("STORE", str(entry), "+FLAGS.SILENT", "(\\Deleted)")[0], "OK")
            typ, data = c.expunge()
            self.assertEqual(typ, "NO")
            self.assertIn(b"bob@home", data[0])
        self.alice.wait_empty()

    def test_nothing_else_gets_in(self):
        with self.alice.imap("INBOX") as c:
            typ, data = c.append("Outbox", None, None, letter(self.alice, self.bob, "x"))
            self.assertEqual((typ, b"[CANNOT]" in data[0]), ("NO", True))

    def test_copy_in_sent(self):
        """A client appends what it has just submitted: one copy, under the UID it was told, before and after delivery."""
        m = letter(self.alice, self.bob, "with a copy", "text\r\n" * 2000)
        self.alice.send(self.bob, m)
        with self.alice.imap("Sent") as c:
            typ, data = c.append("Sent", "(\\Seen)", None, m)
            self.assertEqual(typ, "OK")
            uid = int(re.search(rb"\[APPENDUID \d+ (\d+)\]", data[0]).group(1))
        self.assertEqual(self.alice.uids("Sent"), [uid])
        self.assertEqual(self.alice.body(uid, "Sent"), m)
        [came] = self.bob.wait_mail(1)
        self.assertEqual(self.bob.body(came), m)
        self.alice.wait_empty()
        until(lambda: not self.alice.uids("Outbox"), "Outbox empties")
        self.assertEqual(self.alice.uids("Sent"), [uid])
        self.assertEqual(self.alice.body(uid, "Sent"), m)
        self.assertEqual(self.alice.flags(uid, "Sent") & {"\\Seen", "$Remote"}, {"\\Seen"})
