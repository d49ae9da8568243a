"""Taking back: in time, too late, from the command line and from the Outbox mailbox, and at the same instant as a pull."""
import threading

from peers import CtlError, ImapNo, until
from scene import Scene, letter


class Cancel(Scene):
    def unpulled(self, subject="please forget this", body="secret\r\n"):
        self.m = letter(self.alice, self.bob, subject, body)
        before = len(self.bob.uids())
        self.alice.send(self.bob, self.m)
        return self.bob.wait_mail(before + 1)[-1]

    def gone(self, n=0):
        until(lambda: len(self.bob.uids()) == n, "bob's entry goes", 10)

    def test_in_time(self):
        self.unpulled()
        until(lambda: self.alice.states() == {"bob@home": "notified"}, "notified")
        [answer] = self.alice.ctl("cancel", self.alice.queue()[0]["id"])
        self.assertEqual((answer["address"], answer["cancelled"], answer["state"]), ("bob@home", True, "in-time"))
        self.gone()
        self.alice.wait_empty()
        self.assertEqual(self.alice.uids("Outbox"), [])

    def test_while_it_is_being_sealed(self):
        """Right after the 250 of a large letter: nothing is left of it."""
        self.alice.send(self.bob, letter(self.alice, self.bob, "large", b"0123456789abcdef\r\n" * 3000000))
        [answer] = self.alice.ctl("cancel", self.alice.queue()[0]["id"])
        self.assertEqual(answer["state"], "in-time")
        # Another one overtakes it, so that whatever was left to do has been done.
        after = letter(self.alice, self.bob, "after")
        self.alice.send(self.bob, after)
        [uid] = self.bob.wait_mail(1)
        self.assertEqual(self.bob.body(uid), after)
        self.alice.wait_empty()

    def test_too_late(self):
        """Two recipients, so that the letter is still there to be cancelled: bob has it, nobody has not."""
        self.m = letter(self.alice, self.bob, "half")
        self.alice.send([self.bob, "nobody@nowhere"], self.m)
        [uid] = self.bob.wait_mail(1)
        self.bob.body(uid)
        until(lambda: self.alice.states()["bob@home"] == "delivered", "delivered")
        answer = {a["address"]: a for a in self.alice.ctl("cancel", self.alice.queue()[0]["id"])}
        self.assertEqual((answer["bob@home"]["cancelled"], answer["bob@home"]["state"]), (False, "too-late"))
        self.assertEqual((answer["nobody@nowhere"]["cancelled"], answer["nobody@nowhere"]["state"]), (True, "in-time"))
        self.assertTrue(answer["bob@home"]["reason"])
        self.alice.wait_empty()
        self.assertEqual(self.bob.body(uid), self.m)

    def test_one_of_two(self):
        self.m = letter(self.alice, self.bob, "half")
        self.alice.send([self.bob, "nobody@nowhere"], self.m)
        [uid] = self.bob.wait_mail(1)
        [answer] = self.alice.ctl("cancel", self.alice.queue()[0]["id"], "nobody@nowhere")
        self.assertEqual((answer["address"], answer["state"]), ("nobody@nowhere", "in-time"))
        self.assertEqual(self.bob.body(uid), self.m)
        self.alice.wait_empty()

    def test_unknown(self):
        with self.assertRaises(CtlError) as caught:
            self.alice.ctl("cancel", 4711)
        self.assertEqual(caught.exception.status, 1)

    def test_delete_in_outbox(self):
        self.unpulled()
        [entry] = until(lambda: self.alice.uids("Outbox"), "the letter shows in Outbox")
        self.alice.delete(entry, "Outbox")
        self.gone()
        self.alice.wait_empty()
        self.assertEqual(self.alice.uids("Outbox"), [])

    def test_delete_in_outbox_too_late(self):
        m = letter(self.alice, self.bob, "half")
        self.alice.send([self.bob, "nobody@nowhere"], m)
        [uid] = self.bob.wait_mail(1)
        self.assertEqual(self.bob.body(uid), m)
        until(lambda: self.alice.states()["bob@home"] == "delivered", "delivered")
        [entry] = self.alice.uids("Outbox")
        try:
            self.alice.delete(entry, "Outbox")
        except ImapNo as e:
            self.assertIn("bob@home", str(e))
        self.alice.wait_empty()     # nobody was still in time
        self.assertEqual(self.bob.body(uid), m)

    def test_outbox_shows_the_letter(self):
        """Outbox holds what was submitted, readable by its author, and empties by itself."""
        uid = self.unpulled("look in Outbox")
        [entry] = until(lambda: self.alice.uids("Outbox"), "the letter shows in Outbox")
        self.assertEqual(self.alice.body(entry, "Outbox"), self.m)
        until(lambda: any("otified" in f for f in self.alice.flags(entry, "Outbox")), "a keyword tells the state")
        self.bob.body(uid)
        until(lambda: not self.alice.uids("Outbox"), "Outbox empties")

    def test_cancel_while_bob_is_away(self):
        self.unpulled()
        self.bob.stop()
        self.alice.ctl("cancel", self.alice.queue()[0]["id"])
        self.bob.start()
        until(lambda: not self.bob.uids(), "bob's entry goes", 60)
        self.alice.wait_empty()

    def test_only_proof_takes_an_entry_away(self):
        """alice forgets everything about the letter: bob keeps the entry, and is told NO."""
        uid = self.unpulled()
        self.alice.stop()
        with self.assertRaises(ImapNo):
            self.bob.body(uid)
        self.assertEqual(self.bob.uids(), [uid])


class Race(Scene):
    def test_cancel_and_pull_at_the_same_instant(self):
        """Ten times: what alice was told is what happened."""
        told = []
        for i in range(10):
            m = letter(self.alice, self.bob, "race %d" % i, "x" * 1000 + "\r\n")
            before = len(self.bob.uids())
            self.alice.send(self.bob, m)
            uid = self.bob.wait_mail(before + 1)[-1]
            letter_id = self.alice.queue()[0]["id"]
            result = {}
            gate = threading.Barrier(2)

            def pull():
                gate.wait()
                try:
                    result["body"] = self.bob.body(uid)
                except (ImapNo, AssertionError) as e:
                    result["no"] = str(e)

            puller = threading.Thread(target=pull)
            puller.start()
            gate.wait()
            if i % 2:
                until(lambda: result or i % 4 == 1, "", 5)
            try:
                [answer] = self.alice.ctl("cancel", letter_id)
            except CtlError as e:   # already done: as too late as can be
                self.assertEqual(e.status, 1)
                answer = {"cancelled": False, "state": "too-late"}
            puller.join()
            told.append(answer["state"])
            if answer["state"] == "in-time":
                self.assertNotIn("body", result)
                until(lambda: len(self.bob.uids()) == before, "bob's entry goes", 10)
            else:
                self.assertEqual(answer["state"], "too-late")
                self.assertEqual(self.bob.wait_body(uid), m)
                self.assertEqual(len(self.bob.uids()), before + 1)
            self.alice.wait_empty()
        self.assertEqual(len(told), 10)
