"""Holders that were off, while their owner is: what they may give to receivers, and what they tell of what he took back."""
import base64
import contextlib
import hashlib
import hmac
import sqlite3
import urllib.error
import urllib.request

from peers import ImapNo, until
from scene import letter
from test_replica import Group

HOUR = 3600


class Returning(Group):
    """erin is a node of the DHT that stays, and a receiver when one is needed."""
    names = ("erin", "alice", "bob", "carol", "dave")

    def proofs(self, subject, to, *names):
        """h, then T_... of a letter of alice's."""
        with contextlib.closing(sqlite3.connect("file:%s/state.db?mode=ro" % self.alice.state, uri=True)) as db:
            h, secret = db.execute("SELECT hash, secret FROM letter JOIN rcpt ON rcpt.letter = letter.id WHERE subject = ? AND address = ?",
                                   (subject, to.address)).fetchone()
        return (h,) + tuple(hmac.new(secret, n.encode() + b"\0" + h, hashlib.sha256).digest() for n in names)

    def ask(self, holder, h, t_get):
        """As the receiver would: (status, body)."""
        request = urllib.request.Request("%s/outbox/%s" % (holder.url, h.hex()),
                                         headers={"Authorization": "P2pMTA " + base64.b64encode(t_get).decode()})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as e:
            return e.code, e.read()

    def ask_until_gone(self, holders, h, t_get):
        """They may say that they do not know yet, then that it was taken back; what is asked for they never give."""
        answers = []

        def ask():
            answers.append([self.ask(p, h, t_get)[0] for p in holders])
            return set(answers[-1]) == {410}
        until(ask, "they know")
        for now in answers:
            self.assertNotIn(200, now, answers)
        for p in holders:
            until(lambda: not p.replica_files(), p.name + " forgets it")

    def wait_alone(self, peer, *others):
        """He has asked everybody, and nobody was there."""
        started = peer.log().rindex(b"--- start")
        until(lambda: all(b"member=%s state=away" % o.address.encode() in peer.log()[started:] for o in others),
              peer.name + " finds nobody", 30)

    def forget_dht(self, *peers, **env):
        """Every node of the DHT starts anew: what is in it is what somebody still puts."""
        for p in peers:
            p.stop()
        for p in peers:
            p.start(wait=False, **env)
        for p in peers:
            until(p.answers, p.name + " answers", 20)
        for p in peers:
            p.wait_dht()


class Off(Returning):
    def all_off(self):
        """A letter that both hold; everybody but erin is off."""
        m = self.send_to_absent_dave()
        self.asked = self.proofs("second", self.dave, "get")
        self.alice.kill()
        self.carol.stop()
        self.bob.stop()
        return m

    def test_longer_than_a_day(self):
        """bob alone gives nothing; carol's word is enough."""
        m = self.all_off()
        self.bob.start(P2PMTA_CLOCK_OFFSET=25 * HOUR)
        self.wait_alone(self.bob, self.alice, self.carol)
        self.assertEqual(self.ask(self.bob, *self.asked)[0], 503)
        self.dave.start(P2PMTA_CLOCK_OFFSET=25 * HOUR)
        uid = self.dave.wait_mail(2)[-1]
        with self.assertRaises(ImapNo):
            self.dave.body(uid)
        self.assertEqual(self.ask(self.bob, *self.asked)[0], 503)
        self.carol.start(P2PMTA_CLOCK_OFFSET=25 * HOUR)
        self.assertEqual(self.dave.wait_body(uid, seconds=90), m)
        self.wait_none(self.bob, self.carol)

    def test_owner_comes_back(self):
        """Or the owner's: here he has taken it back meanwhile, and bob never gives it."""
        self.all_off()
        self.bob.start(P2PMTA_CLOCK_OFFSET=25 * HOUR)
        self.wait_alone(self.bob, self.alice, self.carol)
        self.bob.stop()
        self.alice.start(P2PMTA_CLOCK_OFFSET=25 * HOUR)
        [queued] = self.alice.queue()
        self.assertEqual(self.alice.ctl("cancel", queued["id"])[0]["state"], "unknown")
        self.bob.start(P2PMTA_CLOCK_OFFSET=25 * HOUR)
        until(lambda: self.ask(self.bob, *self.asked)[0] == 410, "bob knows")
        until(lambda: not self.bob.replica_files(), "bob forgets it")

    def test_less_than_a_day(self):
        """A list that was good 23 hours ago will do, once nobody is found who knows better."""
        m = self.all_off()
        self.bob.start(P2PMTA_CLOCK_OFFSET=23 * HOUR)
        self.wait_alone(self.bob, self.alice, self.carol)
        until(lambda: self.ask(self.bob, *self.asked)[0] == 200, "bob serves")
        self.dave.start(P2PMTA_CLOCK_OFFSET=23 * HOUR)
        uid = self.dave.wait_mail(2)[-1]
        self.assertEqual(self.dave.wait_body(uid, seconds=90), m)


class TwoOff(Returning):
    names = ("erin", "alice", "bob", "carol", "dan", "dave")
    members = ("alice", "bob", "carol", "dan")

    def test_the_third_knows(self):
        """bob and carol are off when alice cancels; then she is gone. What they tell each other is old, dan knows better."""
        self.send_to_absent_dave(n_held=3)
        asked = self.proofs("second", self.dave, "get")
        self.bob.stop()
        self.carol.stop()
        [queued] = self.alice.queue()
        self.alice.ctl("cancel", queued["id"])
        until(lambda: not self.dan.replica_files(), "dan forgets it")
        self.alice.kill()
        for p in (self.bob, self.carol):
            p.start(wait=False)
        for p in (self.bob, self.carol):
            until(p.answers, p.name + " answers", 20)
        self.ask_until_gone((self.bob, self.carol), *asked)


class Hidden(Returning):
    """Nobody can ask bob."""
    settings = {"bob": {"outbox_url": "{}"}}

    def test_he_tells(self):
        """carol is off when alice cancels; then alice is gone. bob comes with what he knows."""
        self.send_to_absent_dave()
        asked = self.proofs("second", self.dave, "get")
        self.carol.stop()
        [queued] = self.alice.queue()
        self.alice.ctl("cancel", queued["id"])
        until(lambda: not self.bob.replica_files(), "bob forgets it")
        self.alice.kill()
        self.carol.start()
        self.ask_until_gone((self.carol,), *asked)

    def test_his_word_is_enough(self):
        """Nothing was taken back, and the list is too old to do by itself: bob comes with the same, and carol gives what she holds."""
        self.send_to_absent_dave()
        asked = self.proofs("second", self.dave, "get")
        self.alice.kill()
        for p in (self.bob, self.carol):
            p.stop()
        self.carol.start(P2PMTA_CLOCK_OFFSET=25 * HOUR)
        self.wait_alone(self.carol, self.alice)
        self.assertEqual(self.ask(self.carol, *asked)[0], 503)
        self.bob.start(P2PMTA_CLOCK_OFFSET=25 * HOUR)
        until(lambda: self.ask(self.carol, *asked)[0] == 200, "carol serves", 60)


class Recalled(Returning):
    def test_holders_tell_of_it(self):
        """dave has the header when alice cancels; he hears of that from the members, and his entry goes without being opened."""
        self.greet()
        self.alice.send(self.dave, letter(self.alice, self.dave, "second"))
        self.dave.wait_mail(2)
        self.held(self.alice, 2)
        self.dave.stop()
        h, t_get, t_recall = self.proofs("second", self.dave, "get", "recall")
        [queued] = self.alice.queue()
        self.assertEqual(self.alice.ctl("cancel", queued["id"])[0]["state"], "in-time")
        self.alice.kill()
        self.forget_dht(self.erin, self.bob, self.carol)
        for p in (self.bob, self.carol):
            self.assertEqual(self.ask(p, h, t_get), (410, t_recall))
        self.dave.start()
        until(lambda: len(self.dave.uids()) == 1, "the entry goes", 60)

    def test_never_seen(self):
        """dave was off all the time: he never hears of it at all."""
        self.send_to_absent_dave()
        h, t_get = self.proofs("second", self.dave, "get")
        [queued] = self.alice.queue()
        self.assertEqual(self.alice.ctl("cancel", queued["id"])[0]["state"], "in-time")
        self.alice.kill()
        self.forget_dht(self.erin, self.bob, self.carol)
        self.dave.start()
        self.erin.send(self.dave, letter(self.erin, self.dave, "another one"))
        self.dave.wait_mail(1)
        self.assertNoMore(self.dave, 1)
        self.assertEqual(self.ask(self.bob, h, t_get)[0], 410)

    def test_one_of_two(self):
        """Taken back from dave alone: erin gets it, from the members."""
        self.greet()
        m = letter(self.alice, self.dave, "second")
        self.alice.send([self.dave, self.erin], m)
        self.dave.wait_mail(2)
        [uid] = self.erin.wait_mail(1)
        self.held(self.alice, 2)
        self.dave.stop()
        self.erin.stop()
        [queued] = self.alice.queue()
        [said] = self.alice.ctl("cancel", queued["id"], self.dave.address)
        self.assertEqual(said["state"], "in-time")
        self.alice.kill()
        self.wait_away(self.alice, self.bob, self.carol)
        self.forget_dht(self.bob, self.carol, self.erin)
        self.dave.start()
        until(lambda: len(self.dave.uids()) == 1, "the entry goes", 60)
        self.assertEqual(self.erin.wait_body(uid, seconds=90), m)
        self.wait_none(self.bob, self.carol)
