"""Mail to one who is not there: his group keeps his descriptor and his key where a sender finds them."""
import subprocess
import urllib.error
import urllib.request

from peers import until
from scene import letter
from test_replica import Group

DAY = 86400


class Absent(Group):
    """bob's group is home; dave and frank, whom nobody there knows, are the group work."""
    names = ("alice", "bob", "carol", "dave", "frank")

    def wait_fellows(self, *peers):
        super().wait_fellows(*peers)
        for p in (self.dave, self.frank):
            until(lambda: len(self.up(p)) == 1, p.name + " sees the other one", 40)

    def fellows(self):
        for p in (self.dave, self.frank):
            p.set_group("work", self.dave, [self.dave, self.frank], self.sync)
        return super().fellows()

    def test_sender_has_never_met_him(self):
        """bob is off for two days, and of what was put into the DHT nothing is left: his members put it anew. Sender and receiver
        are never up together."""
        late = {"P2PMTA_CLOCK_OFFSET": 2 * DAY}
        others = [p for p in self.net.peers if p is not self.bob]
        for p in self.net.peers:
            p.stop()
        for p in others:
            p.start(wait=False, **late)
        for p in others:
            until(p.answers, p.name + " answers", 20)
            p.wait_dht()
        self.assertEqual([c for c in self.dave.ctl("contacts") if c["address"] == self.bob.address], [])
        m = letter(self.dave, self.bob, "you do not know me")
        self.dave.send(self.bob, m)
        until(lambda: self.dave.states() == {self.bob.address: "notified"}, "it is sealed for him, and announced", 60)
        self.held(self.dave, 1)
        self.dave.stop()
        self.bob.start(**late)
        [uid] = self.bob.wait_mail(1, seconds=90)
        self.assertEqual(self.bob.wait_body(uid, seconds=90), m)
        self.wait_none(self.frank)
        self.bob.stop()
        self.dave.start(**late)
        self.dave.wait_empty()
        self.assertNotIn(b"state=expired", self.dave.log())


class Keys(Group):
    def key(self, peer, address=None):
        """What anybody gets there; None: 404."""
        try:
            with urllib.request.urlopen(peer.url + "/pubkey" + ("/" + address if address else ""), timeout=10) as answer:
                self.assertEqual(answer.headers["Content-Type"], "application/pgp-keys")
                return answer.read()
        except urllib.error.HTTPError as e:
            self.assertEqual(e.code, 404)
            return None

    def fingerprint(self, key):
        said = subprocess.run(["gpg", "--homedir", self.net.dir, "--batch", "--with-colons", "--show-keys"], input=key,
                              capture_output=True, check=True).stdout.decode()
        return [l.split(":")[9] for l in said.splitlines() if l.startswith("fpr:")][0]

    def test_served_by_members(self):
        self.greet()
        self.bob.stop()
        self.alice.restart()
        for p in (self.alice, self.carol):
            for who in (self.alice, self.bob, self.carol):
                key = until(lambda: self.key(p, who.address), "%s has the key of %s" % (p.name, who.name))
                self.assertEqual(self.fingerprint(key), who.fingerprint)
                self.assertTrue(key.startswith(b"-----BEGIN PGP PUBLIC KEY BLOCK-----"))
            self.assertEqual(self.fingerprint(self.key(p)), p.fingerprint)
            # dave is known to alice, but no member; nor is any of these.
            for address in (self.dave.address, "nobody@home", "bob", "bob@", "../bob@home", "bob@home/", "BOB@home/x"):
                self.assertIsNone(self.key(p, address), address)
        self.alice.ctl("group", "remove", self.bob.address)
        for p in (self.alice, self.carol):
            until(lambda: self.key(p, self.bob.address) is None, p.name + " serves it no more")
            self.assertIsNotNone(self.key(p, self.carol.address))
