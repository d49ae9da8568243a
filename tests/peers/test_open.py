"""What makes a body move, and what does not."""
import contextlib
import os
import re
import sqlite3
import threading

from peers import fetch_body, until
from scene import RawImap, Scene, letter


class Opening(Scene):
    wired = True

    def unpulled(self, n=1):
        self.sent = [letter(self.alice, self.bob, "number %d" % i, "body %d\r\n" % i * 20) for i in range(n)]
        for m in self.sent:
            self.alice.send(self.bob, m)
        uids = self.bob.wait_mail(n)
        # Letters sent over several connections may arrive in any order.
        with self.bob.imap() as c:
            headers = [fetch_body(c, uid, "BODY.PEEK[HEADER.FIELDS (SUBJECT)]").decode() for uid in uids]
        self.sent = [self.sent[int(re.search(r"number (\d+)", h).group(1))] for h in headers]
        self.assertEqual(self.wire.pulls(), [])
        return uids

    def test_lists_never_pull(self):
        """All that a client asks for to show its list of messages."""
        uids = self.unpulled(3)
        with self.bob.imap() as c:
            for items in ("(UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Subject Date Message-ID)])",
                          "(ENVELOPE BODYSTRUCTURE INTERNALDATE)", "FULL", "RFC822.HEADER", "BODY.PEEK[HEADER]"):
                typ, data = c.uid("FETCH", "1:*", items)
                self.assertEqual(typ, "OK")
                self.assertEqual(len([d for d in data if d and d != b")"]), 3, items)
            self.assertEqual(c.uid("SEARCH", "SUBJECT", "number")[0], "OK")
            fetch_body(c, uids[0], "BODY.PEEK[HEADER]")
        self.assertEqual(self.wire.pulls(), [])

    def test_auto_sync_never_pulls(self):
        """A fetch over several messages answers OK with what is here and leaves the rest out."""
        uids = self.unpulled(4)
        with self.bob.imap() as c:
            typ, data = c.uid("FETCH", "%d:%d" % (uids[0], uids[-1]), "(UID RFC822.SIZE BODY.PEEK[])")
            self.assertEqual(typ, "OK")
            self.assertEqual([d for d in data if isinstance(d, tuple)], [])
            self.assertEqual(self.wire.pulls(), [])
            self.assertEqual(fetch_body(c, uids[1]), self.sent[1])
            typ, data = c.uid("FETCH", "%d:%d" % (uids[0], uids[-1]), "(UID RFC822.SIZE BODY.PEEK[])")
            self.assertEqual([d[1] for d in data if isinstance(d, tuple)], [self.sent[1]])
        self.assertEqual(len(self.wire.pulls()), 1)

    def test_deleted_unread(self):
        """No body crosses the wire; the sender learns that it was declined."""
        [uid] = self.unpulled()
        letter_id = self.alice.queue()[0]["id"]
        self.bob.delete(uid)
        self.alice.wait_empty()
        self.assertEqual(self.wire.pulls(), [])
        shown = self.alice.ctl("show", letter_id)
        self.assertEqual([r["state"] for r in shown["recipients"]], ["declined"])

    def test_moved_to_trash_is_not_declined(self):
        """The last reference counts: a copy in Trash still can be opened."""
        [uid] = self.unpulled()
        with self.bob.imap() as c:
            self.assertEqual(c.uid("COPY", str(uid), "Trash")[0], "OK")
        self.bob.delete(uid)
        [copy] = self.bob.uids("Trash")
        self.assertEqual(self.alice.states(), {"bob@home": "notified"})
        self.assertEqual(self.bob.body(copy, "Trash"), self.sent[0])
        self.alice.wait_empty()

    def test_two_clients_one_pull(self):
        [uid] = self.unpulled()
        self.wire.hold()
        got = []
        opening = [threading.Thread(target=lambda: got.append(self.bob.body(uid))) for _ in range(3)]
        for t in opening:
            t.start()
        until(self.wire.pulls, "the pull begins")
        self.wire.release()
        for t in opening:
            t.join()
        self.assertEqual(got, self.sent * 3)
        self.assertEqual(len(self.wire.pulls()), 1)

    def run_sql(self, sql):
        with contextlib.closing(sqlite3.connect(os.path.join(self.bob.state, "state.db"), timeout=20)) as db:
            return db.execute(sql).fetchall()

    def has_only_files_with_rows(self):
        rows = {d.hex() for (d,) in self.run_sql("SELECT digest FROM content WHERE place = 2")}
        return all(f in rows for _, _, files in os.walk(os.path.join(self.bob.state, "inbox")) for f in files)

    def test_body_that_is_not_committed(self):
        """As on a full disk: its file goes at once, and it is pulled again."""
        self.bob.complaints = re.compile(rb"is undone")
        [uid] = self.unpulled()
        self.run_sql("CREATE TRIGGER refuse BEFORE UPDATE OF place ON content BEGIN SELECT raise(ABORT, 'no room'); END")
        s = RawImap(self.bob)
        s.send("UID FETCH %d (BODY[])" % uid)
        until(lambda: b"is undone" in self.bob.log(), "the body is refused")
        until(self.has_only_files_with_rows, "its file goes", 20)
        self.run_sql("DROP TRIGGER refuse")
        s.socket.close()
        self.assertEqual(self.bob.wait_body(uid), self.sent[0])
        self.alice.wait_empty()
        self.assertTrue(self.has_only_files_with_rows())

    def test_client_leaves_while_it_waits(self):
        [uid] = self.unpulled()
        self.bob.body  # the sessions of wait_mail are closed
        before = self.bob.open_files()
        self.wire.hold()
        for leave in (RawImap.leave, lambda s: s.socket.close()):
            s = RawImap(self.bob)
            s.send("UID FETCH %d (BODY[])" % uid)
            until(self.wire.pulls, "the pull begins")
            leave(s)
        self.assertNotIn("\\Seen", self.bob.flags(uid))
        self.wire.release()
        self.assertEqual(self.bob.wait_body(uid), self.sent[0])
        self.alice.wait_empty()
        until(lambda: self.bob.open_files() <= before + 2, "bob closes what he opened", 60)

    def test_stop_while_somebody_waits(self):
        """Orderly within 5 s, also with a pull under way."""
        [uid] = self.unpulled()
        self.wire.hold()
        s = RawImap(self.bob)
        s.send("UID FETCH %d (BODY[])" % uid)
        until(self.wire.pulls, "the pull begins")
        self.bob.stop()
        self.alice.stop()
        self.wire.release()
        self.alice.start()
        self.bob.start()
        self.assertEqual(self.bob.wait_body(uid), self.sent[0])

    def test_ctl_pull(self):
        uids = self.unpulled(3)
        self.bob.ctl("pull", uids[0])
        until(lambda: "$Remote" not in self.bob.flags(uids[0]), "the first is here")
        self.bob.ctl("pull", "--all")
        until(lambda: self.bob.status()["unpulled"] == 0, "all are here")
        self.assertEqual([self.bob.body(u) for u in uids], self.sent)
        self.alice.wait_empty()

    def test_idle_hears_of_the_body(self):
        """A client in IDLE sees the letter come, and $Remote go when another opens it."""
        s = RawImap(self.bob)
        s.idle()
        m = letter(self.alice, self.bob, "idle")
        self.alice.send(self.bob, m)
        s.wait_line(b" EXISTS")
        [uid] = self.bob.wait_mail(1)
        self.bob.body(uid)
        line = s.wait_line(b" FETCH ")
        self.assertIn(b"FLAGS", line)
        self.assertNotIn(b"$Remote", line)
