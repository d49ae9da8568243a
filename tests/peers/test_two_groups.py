"""Peers in several groups: whose mail each of them holds, and what he may ask for."""
import contextlib
import hashlib
import hmac
import sqlite3
import base64
import time
import urllib.error
import urllib.request

from peers import until
from scene import Scene, letter


class Two(Scene):
    """alice and bob are the group home, dan, erin and bob the group friends. frank is in none."""
    names = ("frank", "alice", "bob", "dan@friends", "erin@friends")
    running = False
    sync = {"home": "2s", "friends": "2s"}

    def setUp(self):
        super().setUp()
        self.groups = {"home": [self.alice, self.bob], "friends": [self.dan, self.bob, self.erin]}
        for name, members in self.groups.items():
            for p in members:
                p.set_group(name, members[0], members, self.sync[name])
        self.net.start()
        for p in (self.alice, self.bob, self.dan, self.erin):
            fellows = {q.address for g in self.groups.values() if p in g for q in g if q is not p}
            until(lambda: self.up(p) == fellows, "%s sees the others" % p.name, 60)

    def up(self, p):
        return {m["address"] for m in p.status()["replicas"]["members"] if m["up"]}

    def held(self, owner, *holders):
        want = sorted((p.address, True) for p in holders)
        until(lambda: owner.queue() and all(sorted((h["address"], h["holds"]) for h in m.get("holders", [])) == want
                                            for m in owner.queue()), "held: %s" % want, 30)

    def held_for(self, peer):
        return {m["address"]: m["messages"] for m in peer.status()["replicas"]["members"] if m["messages"]}

    def send(self, sender):
        m = letter(sender, self.frank, "from " + sender.name)
        sender.send(self.frank, m)
        return m


class Keep(Two):
    def test_of_ones_own_group_only(self):
        """A second group's members are held for by bob, and do not hold for him."""
        self.frank.stop()
        sent = {p: self.send(p) for p in (self.alice, self.bob, self.dan)}
        self.held(self.alice, self.bob)
        self.held(self.bob, self.alice)
        self.held(self.dan, self.bob, self.erin)
        self.assertEqual(self.held_for(self.alice), {"bob@home": 1})
        self.assertEqual(self.held_for(self.bob), {"alice@home": 1, "dan@friends": 1})
        self.assertEqual(self.held_for(self.erin), {"dan@friends": 1})
        self.assertEqual(self.held_for(self.dan), {})
        # The senders go, and of each group one member is left.
        for p in (self.alice, self.dan, self.erin):
            p.kill()
        self.frank.start()
        for uid in self.frank.wait_mail(3, seconds=90):
            self.assertIn(self.frank.wait_body(uid, seconds=90), sent.values())
        until(lambda: self.held_for(self.bob) == {}, "bob lets go of it", 60)
        self.frank.stop()
        for p in (self.alice, self.dan):
            p.start()
            p.wait_empty()
            self.assertNotIn(b"state=expired", p.log())

    def test_cancel(self):
        """Members of a second group say that they have forgotten it."""
        self.frank.stop()
        self.send(self.dan)
        self.held(self.dan, self.bob, self.erin)
        [queued] = self.dan.queue()
        begin = time.monotonic()
        self.assertEqual(self.dan.ctl("cancel", queued["id"])[0]["state"], "in-time")
        self.assertLess(time.monotonic() - begin, 3)
        for p in (self.bob, self.erin):
            self.assertEqual(p.replica_files(), [])

    def test_leaves_one_of_them(self):
        """bob leaves friends: what he held for dan goes, what he held for alice stays."""
        self.frank.stop()
        for p in (self.alice, self.dan):
            self.send(p)
        self.held(self.alice, self.bob)
        self.held(self.dan, self.bob, self.erin)
        self.dan.ctl("group", "remove", "bob@home")
        until(lambda: self.held_for(self.bob) == {"alice@home": 1}, "bob gives dan's away")
        self.held(self.dan, self.erin)
        self.held(self.alice, self.bob)


class Sync(Two):
    sync = {"home": "300s", "friends": "2s"}

    def test_of_the_most_impatient(self):
        """bob looks as often as his second group wants it."""
        self.dan.kill()
        until(lambda: self.dan.address not in self.up(self.bob), "bob finds dan away", 30)


class Ask(Two):
    def token(self, of, known_to):
        with contextlib.closing(sqlite3.connect("file:%s/state.db?mode=ro" % known_to.state, uri=True)) as db:
            return db.execute("SELECT token FROM replica_owner WHERE address = ? AND token_serial > 0", (of.address,)).fetchone()[0]

    def ask(self, of, who, path, body=None):
        """who asks of for this: the status."""
        digest = hashlib.sha256(body or b"").digest()
        said = b"\n".join([b"PUT" if body else b"GET", path.encode(), b"%d" % (time.time() // 60), digest])
        mac = base64.b64encode(hmac.new(self.token(of, who), said, hashlib.sha256).digest()).decode()
        headers = {"Authorization": "P2pMTA-Member %s %s" % (who.address, mac)}
        if body:
            headers["Content-Digest"] = "sha-256=:%s:" % base64.b64encode(digest).decode()
        request = urllib.request.Request(of.url + path, method="PUT" if body else "GET", headers=headers, data=body)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as e:
            return e.code

    def hash(self, peer):
        [queued] = peer.queue()
        return queued["hash"]

    def test_what_is_given_to_whom(self):
        """Between bob and his fellows of either group there is what belongs to that group."""
        self.frank.stop()
        for p in (self.alice, self.bob, self.dan):
            self.send(p)
        self.held(self.alice, self.bob)
        self.held(self.bob, self.alice)
        self.held(self.dan, self.bob, self.erin)
        alices, bobs, dans = (self.hash(p) for p in (self.alice, self.bob, self.dan))
        home, friends = self.alice, self.erin
        for path, may in (("/outbox/msglist", home), ("/outbox/" + bobs, home), ("/outbox/%s.notices" % bobs, home),
                          ("/outbox/" + alices, home), ("/replica/alice@home/msglist", home), ("/replica/alice@home/held", home),
                          ("/outbox/" + dans, friends), ("/outbox/%s.notices" % dans, friends),
                          ("/replica/dan@friends/msglist", friends), ("/replica/dan@friends/held", friends),
                          ("/replica/bob@home/msglist", None)):
            for who in (home, friends):
                status = self.ask(self.bob, who, path)
                self.assertEqual(status == 200, who is may, "%s asks for %s: %d" % (who.name, path, status))
                self.assertIn(status, (200, 404, 204))
        for who, owner, want in ((home, "dan@friends", 404), (friends, "alice@home", 404), (friends, "dan@friends", 409), (home, "alice@home", 409)):
            self.assertEqual(self.ask(self.bob, who, "/replica/%s/msglist" % owner, b"no list"), want)
