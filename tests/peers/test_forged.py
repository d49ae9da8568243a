"""What is forged, rolled back, or not what it says, changes nothing at a holder; what is right is taken after all that."""
import base64
import hashlib
import hmac
import http.client
import os
import re
import subprocess
import time

from peers import until
from scene import letter, noise
from test_replica import Group



def stamp(seconds=0):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def sha(octets):
    return hashlib.sha256(octets).digest()


class Forger(Group):
    n_held = 2

    def setUp(self):
        super().setUp()
        self.send_to_absent_dave(self.n_held)
        self.name = "/replica/alice@home/"

    def token(self, knower, of):
        """What this peer has to show there."""
        [(token,)] = self.rows(knower, "SELECT token FROM replica_owner WHERE address = '%s'" % of.address)
        return token

    def put(self, path, body, token, who="carol@home", digest=None, announced=None, minutes=0, headers=None):
        """PUT at bob's as one who has this token would do it; the status, None when he hung up."""
        digest = sha(body) if digest is None else digest
        text = b"PUT\n%s\n%d\n" % (path.encode(), time.time() // 60 + minutes) + digest
        mac = base64.b64encode(hmac.digest(token, text, "sha256")).decode()
        fields = {"Authorization": "P2pMTA-Member %s %s" % (who, mac), "Content-Length": str(len(body)),
                  "Content-Digest": "sha-256=:%s:" % base64.b64encode(announced or digest).decode(), **(headers or {})}
        c = http.client.HTTPConnection("127.0.0.1", self.bob.http_port, timeout=20)
        try:
            c.putrequest("PUT", path, skip_accept_encoding=True)
            for name, value in fields.items():
                if value is not None:
                    c.putheader(name, value)
            c.endheaders(body)
            return c.getresponse().status
        except (ConnectionError, http.client.HTTPException):
            return None
        finally:
            c.close()

    def seal(self, signer, record, role="msglist/1"):
        """Signed by this peer, encrypted to bob."""
        return subprocess.run(
            ["gpg", "--homedir", os.path.join(signer.state, "keys"), "--batch", "--pinentry-mode", "loopback", "--passphrase", "",
             "--trust-model", "always", "--local-user", signer.fingerprint, "--digest-algo", "SHA256", "--compress-algo", "none",
             "--set-notation", "role@p2pmta.invalid=" + role, "--throw-keyids", "--recipient", self.bob.fingerprint, "--sign",
             "--encrypt"], input=record, check=True, capture_output=True).stdout

    def record(self, owner="alice@home", serial=None, body=b"", issued=0):
        return ("P2pMTA: msglist/1\r\nOwner: %s\r\nGroup: home\r\nSerial: %d\r\nIssued: %s\r\nMember-Token: %s\r\nLength: %d\r\n\r\n" % (
            owner, serial or time.time() * 1000 + 60000, stamp(issued), base64.b64encode(bytes(32)).decode(), len(body))).encode() + body

    def state(self):
        """All that bob knows of alice's outbox, and has of it."""
        return ([self.rows(self.bob, "SELECT * FROM %s ORDER BY 1, 2" % t) for t in ("replica", "replica_rcpt", "replica_list")],
                self.rows(self.bob, "SELECT serial, token FROM replica_owner WHERE address = 'alice@home'"), self.bob.replica_files())

    def list_of(self, peer):
        [(octets,)] = self.rows(peer, "SELECT octets FROM own_list")
        return octets


class Lists(Forger):
    def test_lists(self):
        old = self.list_of(self.alice)
        self.alice.send(self.dave, letter(self.alice, self.dave, "third"))
        until(lambda: len(self.alice.queue()) == 2, "there are two")
        self.held(self.alice, 2)
        [hash1, hash2] = sorted(m["hash"] for m in self.alice.queue())
        before = self.state()
        token, path = self.token(self.carol, self.bob), self.name + "msglist"
        withdrawn = ("- %s %s\n- %s %s\n" % (hash1, "00" * 32, hash2, "00" * 32)).encode()
        good = self.seal(self.alice, self.record())
        for name, octets in (
                ("signed by another member", self.seal(self.carol, self.record())),
                ("another member withdraws", self.seal(self.carol, self.record(body=withdrawn))),
                ("of another owner", self.seal(self.alice, self.record(owner="carol@home"))),
                ("signed for something else", self.seal(self.alice, self.record(), role="notices/1")),
                ("no record", self.seal(self.alice, b"P2pMTA: msglist/1\r\n\r\n")),
                ("lines out of order", self.seal(self.alice, self.record(body=withdrawn[::-1]))),
                ("changed on its way", good[:-20] + bytes(20)),
                ("cut", good[:-30]),
                ("something behind it", good + good),
                ("nothing", b""), ("noise", os.urandom(3000))):
            status = until(lambda: (lambda s: s if s != 503 else None)(self.put(path, octets, token)), name)
            self.assertEqual(status, 409, name)
            self.assertEqual(self.state(), before, name)
        # As it was before: nothing new, and nothing else than that.
        self.assertEqual(self.put(path, old, token), 204)
        self.assertEqual(self.state(), before)
        self.alice.ctl("cancel", self.alice.queue()[0]["id"])
        until(lambda: self.bob.status()["replicas"]["messages"] == 1, "her true word counts")
        # None of these was refused for how it was made.
        self.assertEqual(self.put(path, good, token), 204)
        self.wait_none(self.bob)

    def test_who_brings_it(self):
        before = self.state()
        list_now, path = self.list_of(self.alice), self.name + "msglist"
        token = self.token(self.carol, self.bob)
        self.assertEqual(self.put(path, list_now, token), 204)
        for name, how in (
                ("who is no member", {"who": "dave@home"}), ("nobody", {"who": "x"}),
                ("with the token of another peer", {"token": self.token(self.carol, self.alice)}),
                ("with none", {"token": bytes(32)}), ("long ago", {"minutes": -12}), ("from the future", {"minutes": 12}),
                ("without authorization", {"headers": {"Authorization": None}}),
                ("as a recipient", {"headers": {"Authorization": "P2pMTA " + base64.b64encode(bytes(32)).decode()}}),
                ("without digest", {"headers": {"Content-Digest": None}}),
                ("with a MAC over other octets", {"digest": bytes(32), "announced": sha(list_now)})):
            self.assertEqual(self.put(path, list_now, **{"token": token, **how}), 401, name)
        self.assertEqual(self.put(path, list_now, token, digest=sha(b"x")), 409)     # octets that are not those of the digest
        for other in ("/replica/alice@home/held", "/replica/alice@home/" + "0" * 63, "/outbox/msglist", "/replica/nobody/msglist"):
            self.assertIn(self.put(other, list_now, token), (404, 401), other)
        self.assertEqual(self.put("/replica/dave@home/msglist", list_now, token), 404)
        self.assertEqual(self.state(), before)
        self.alice.ctl("group", "remove", "carol@home")
        until(lambda: self.put(path, list_now, token) == 401, "who is removed brings nothing any more")


class Octets(Forger):
    settings = {"carol": {"outbox_replica_quota": "0"}}
    n_held = 1

    def held_files(self):
        """Without what is just coming: alice and bob try again now and then."""
        return [f for f in self.bob.replica_files() if not os.path.basename(f).startswith("tmp.")]

    def put_then(self, *args, **kwargs):
        """What is answered when bob is not just getting it from somebody else."""
        return until(lambda: [s for s in [self.put(*args, **kwargs)] if s != 503], "bob is not asking for it himself")[0]

    def test_octets(self):
        """A message that bob lacks, because alice's file is broken: only its very octets are taken, from whomever."""
        self.bob.complaints = re.compile(rb"other octets than were listed")
        self.carol.complaints = re.compile(rb"replica_quota is used up")
        self.bob.stop()
        self.alice.send(self.dave, letter(self.alice, self.dave, "third", noise(40000)))   # so that it is a file
        [third] = until(lambda: [m for m in self.alice.queue() if m["subject"] == "third" and
                                 m["recipients"][0]["state"] == "notified"], "the third is announced")
        name = third["hash"]
        file = os.path.join(self.alice.state, "outbox", name[:2], name)
        with open(file, "rb") as f:
            octets = f.read()
        with open(file, "wb") as f:
            f.write(octets[:-1] + bytes([octets[-1] ^ 1]))
        self.bob.start()
        until(lambda: self.rows(self.bob, "SELECT 1 FROM replica WHERE body = 0 AND noticed = notices_hash"), "bob knows of it")
        until(lambda: b"other octets than were listed" in self.bob.log(), "bob has asked alice for it")
        token = self.token(self.alice, self.bob)
        files = self.held_files()
        other = "ff" * 32
        wrong = octets[:-1] + bytes([octets[-1] ^ 2])
        self.assertEqual(self.put(self.name + name, wrong, token, "alice@home"), 409)                     # an honest digest, not h
        self.assertIn(self.put_then(self.name + name, wrong, token, "alice@home", digest=bytes.fromhex(name)), (409, None))
        self.assertEqual(self.put_then(self.name + name, octets + b"x", token, "alice@home"), 409)
        self.assertEqual(self.put(self.name + other, octets, token, "alice@home"), 409)
        self.assertEqual(self.put(self.name + sha(wrong).hex(), wrong, token, "alice@home"), 404)         # in no list
        self.assertEqual(self.put("/replica/carol@home/" + name, octets, token, "alice@home"), 404)       # not in hers
        self.assertEqual(self.put(self.name + name + ".head", b"head", token, "alice@home"), 404)
        self.assertEqual(self.put(self.name + name + ".notices", b"notices", token, "alice@home"), 204)    # are here: not read
        self.assertEqual(self.held_files(), files)
        self.assertEqual(self.bob.status()["replicas"]["messages"], 1)
        self.assertEqual(self.put_then(self.name + name, octets, token, "carol@home"), 204)
        self.assertEqual(self.bob.status()["replicas"]["messages"], 2)
