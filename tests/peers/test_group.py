"""Groups: create, invite and join, add and remove, what is forged, rolled back, used before or too late, a master that
dies between two steps, several groups at once, and the old age of a list."""
import contextlib
import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from peers import CtlError, program, until
from scene import Scene, letter

DAY = 86400
MAGIC = b"p2gd\x01"


def stamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


class Groups(Scene):
    names = ("alice", "bob", "carol")

    def group(self, peer, name="home"):
        return next((g for g in peer.ctl("group", "show") if g["name"] == name), None)

    def members(self, peer, name="home"):
        g = self.group(peer, name)
        return sorted(m["address"] for m in g["members"]) if g else None

    def state(self, peer, name="home"):
        g = self.group(peer, name)
        return g["state"] if g else None

    def wait_members(self, peer, *names, name="home", seconds=30):
        want = sorted("%s@home" % n for n in names)
        until(lambda: self.members(peer, name) == want and self.state(peer, name) in ("master", "member"),
              "%s sees %s in %s" % (peer.name, want, name), seconds)

    def refused(self, peer, *arguments):
        with self.assertRaises(CtlError) as caught:
            peer.ctl("group", *arguments)
        self.assertEqual(caught.exception.status, 1, caught.exception.text)
        return caught.exception.text

    def page(self, peer, name="home"):
        """What anybody gets there; None: nothing."""
        try:
            with urllib.request.urlopen("%s/group/%s" % (peer.url, name), timeout=10) as answer:
                return answer.read()
        except urllib.error.HTTPError as e:
            self.assertEqual(e.code, 404)
            return None

    def invite(self, *arguments):
        return self.alice.ctl("group", "invite", *arguments)["token"]

    def join(self, *peers):
        for p in peers:
            self.assertEqual(p.ctl("group", "join", self.invite())["state"], "member")

    @contextlib.contextmanager
    def in_dht(self, key, *values):
        """Somebody puts these octets, and keeps them there."""
        command = [program("tests/peers/dht-values"), str(self.net.network), "127.0.0.1:%d" % self.alice.dht_port, key]
        with subprocess.Popen(command + [v.hex() for v in values], stdout=subprocess.PIPE, text=True) as child:
            try:
                self.assertEqual(child.stdout.readline(), "put\n")
                yield
            finally:
                child.kill()

    @contextlib.contextmanager
    def stranger(self):
        """The folder of a key that nobody knows, and its fingerprint."""
        home = tempfile.mkdtemp(prefix="p2pgpg.")
        try:
            subprocess.run(["gpg", "--homedir", home, "--batch", "--passphrase", "", "--quick-generate-key", "eve@home",
                            "ed25519", "sign", "0"], check=True, capture_output=True)
            said = subprocess.run(["gpg", "--homedir", home, "--batch", "--with-colons", "--list-keys"], check=True,
                                  capture_output=True, text=True).stdout
            yield home, re.search(r"(?m)^fpr:+([0-9A-F]{40}):", said).group(1)
        finally:
            subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], capture_output=True)
            shutil.rmtree(home, ignore_errors=True)

    def sign(self, home, fpr, record, role="group/1"):
        return subprocess.run(["gpg", "--homedir", home, "--batch", "--trust-model", "always", "--local-user", fpr,
                               "--digest-algo", "SHA256", "--set-notation", "role@p2pmta.invalid=" + role, "--sign"],
                              input=record, check=True, capture_output=True).stdout

    def record(self, master, members, serial=None, expires=90 * DAY, name="home"):
        lines = ["P2pMTA: group/1", "Group: " + name, "Master: %s %s" % master, "Issued: " + stamp(0),
                 "Expires: " + stamp(expires), "Serial: %d" % (serial or time.time() * 1000)]
        return "\r\n".join(lines + sorted("Member: %s %s" % m for m in members) + ["", ""]).encode()

    def named(self, *peers):
        return [(p.address, p.fingerprint) for p in peers]


class Life(Groups):
    def test_three_commands(self):
        """create, invite, join; then both serve the list, trust each other, and say so."""
        self.assertEqual(self.alice.ctl("group", "create", "home"), {"group": "home"})
        said = self.alice.ctl("group", "invite")
        self.assertRegex(said["token"], r"\Ap2pmta1\.[A-Za-z0-9_-]+\Z")
        self.assertLessEqual(len(said["token"]), 2048)
        self.assertEqual(said["group"], "home")
        begin = time.monotonic()
        joined = self.bob.ctl("group", "join", said["token"])
        self.assertLess(time.monotonic() - begin, 20)
        self.assertEqual((joined["name"], joined["state"], joined["master"]), ("home", "member", "alice@home"))
        self.assertEqual({m["address"]: m["fingerprint"] for m in joined["members"]}, dict(self.named(self.alice, self.bob)))
        self.assertEqual(self.state(self.alice), "master")
        until(lambda: self.page(self.bob) and self.page(self.bob) == self.page(self.alice), "both serve the same list")
        for who, other in ((self.alice, self.bob), (self.bob, self.alice)):
            [g] = who.status()["groups"]
            self.assertEqual((g["name"], g["members"], g["reason"]), ("home", 2, ""))
            [c] = [c for c in who.ctl("contacts") if c["address"] == other.address]
            self.assertEqual((c["fingerprint"], c["trust"]), (other.fingerprint, "group"))
        self.bob.send(self.alice, letter(self.bob, self.alice, "from a fellow"))
        uids = self.alice.wait_mail(2)      # and one that says who has joined
        flags = [self.alice.flags(u) for u in uids]
        self.assertEqual(sum("$Group" in f for f in flags), 1, flags)

    def test_for_people(self):
        """What they see: lines that fit, a code to scan, help, exit statuses."""
        def run(peer, *arguments, **env):
            return subprocess.run([program("p2pmta-ctl"), "-c", peer.config, "group", *arguments], capture_output=True, text=True,
                                  stdin=subprocess.DEVNULL, env={**peer.environment({}), **env})
        self.assertIn("in no group", run(self.alice, "show").stdout)
        self.assertIn("master of home", run(self.alice, "create", "home").stdout)
        token = run(self.alice, "invite").stdout
        self.assertEqual(token.count("\n"), 1)
        shown = run(self.alice, "invite", "--qr").stdout
        self.assertIn("\u2584", shown)
        done = subprocess.run([program("p2pmta-ctl"), "-c", self.bob.config, "group", "join", "-"], input=token, text=True,
                              capture_output=True, env=self.bob.environment({}))
        self.assertEqual((done.returncode, done.stdout), (0, "In home.\n"), done.stderr)
        for line in run(self.bob, "show", COLUMNS="60").stdout.splitlines():
            self.assertLessEqual(len(line), 60)
        self.assertEqual(run(self.alice, "show", "--help").returncode, 0)
        for arguments in (["frobnicate"], ["create"], ["add", "bob@home"], ["add", "bob@home", "12"], ["join", "--wait", "x", "t"],
                          ["create", "no/group"], ["leave"]):
            self.assertEqual(run(self.alice, *arguments).returncode, 2, arguments)
        for arguments in (["show", "nothing"], ["leave", "nothing"], ["remove", "carol@home"], ["create", "home"],
                          ["remove", "alice@home"], ["leave", "home"], ["join", "p2pmta1.nonsense"]):
            done = run(self.alice, *arguments)
            self.assertEqual(done.returncode, 1, arguments)
            self.assertRegex(done.stderr, r"\Ap2pmta-ctl: .+\n\Z")

    def test_add_and_remove(self):
        self.alice.ctl("group", "create", "home")
        self.bob.set_conf("group home", "master", '"alice@home"')
        self.bob.set_conf("group home", "key", '"%s"' % self.alice.fingerprint)
        self.bob.restart()
        until(lambda: self.state(self.bob) == "waiting", "bob waits to be named")
        self.assertIn("alice@home", self.group(self.bob)["reason"])
        self.alice.ctl("group", "add", "bob@home", self.bob.fingerprint)
        self.alice.ctl("group", "add", "bob@home", self.bob.fingerprint)     # once more changes nothing
        self.wait_members(self.bob, "alice", "bob")
        serial = self.group(self.bob)["serial"]
        self.alice.ctl("group", "remove", "bob@home")
        until(lambda: self.state(self.bob) == "waiting", "bob is out")
        self.assertGreater(self.group(self.bob)["serial"], serial)
        self.assertIsNone(self.page(self.bob))
        self.assertEqual(self.bob.status()["groups"][0]["state"], "waiting")
        [uid] = self.bob.wait_mail(1)
        self.assertIn(b"taken you out of the group home", self.bob.body(uid))
        self.refused(self.alice, "remove", "bob@home")
        self.assertEqual([c["trust"] for c in self.alice.ctl("contacts")], ["first-use"])
        self.alice.ctl("group", "add", "bob@home", self.bob.fingerprint)
        self.wait_members(self.bob, "alice", "bob")
        self.assertIn("another key", self.refused(self.alice, "add", "bob@home", self.carol.fingerprint))
        self.alice.complaints = re.compile(rb"address=bob@home key=\S+ rival=")
        self.wait_members(self.alice, "alice", "bob")

    def test_verified_and_forgotten(self):
        """A member's key that the user forgets is known again by the list; one that he verifies stays so."""
        self.alice.ctl("group", "create", "home")
        self.join(self.bob)
        def trust():
            return [c["trust"] for c in self.bob.ctl("contacts") if c["fingerprint"] == self.alice.fingerprint]
        self.bob.ctl("forget", "alice@home")
        self.assertEqual(trust(), ["group"])
        self.bob.ctl("verify", "alice@home")
        self.alice.ctl("group", "add", "carol@home", self.carol.fingerprint)
        self.wait_members(self.bob, "alice", "bob", "carol")
        self.assertEqual(trust(), ["verified"])
        self.bob.ctl("group", "leave", "home")
        self.assertEqual(trust(), ["verified"])

    def test_left_and_back(self):
        """Who leaves is still in the master's list: with another invite he is in again at once, by that same list."""
        self.alice.ctl("group", "create", "home")
        self.join(self.bob)
        serial = self.group(self.bob)["serial"]
        self.bob.ctl("group", "leave", "home")
        self.assertIsNone(self.group(self.bob))
        self.assertEqual(self.bob.ctl("group", "join", self.invite())["state"], "member")
        self.assertEqual(self.group(self.bob)["serial"], serial)

    def test_members_from_the_configuration(self):
        """Named without keys: found and pinned first; reload follows; who was removed stays removed."""
        self.alice.set_conf("group home", "master", '"alice@home"')
        self.alice.set_conf("group home", "members", '{"alice@home", "bob@home"}')
        for p in (self.bob, self.carol):
            p.set_conf("group home", "master", '"alice@home"')
            p.set_conf("group home", "key", '"%s"' % self.alice.fingerprint)
            p.restart()
        self.alice.restart()
        self.wait_members(self.bob, "alice", "bob")
        self.alice.set_conf("group home", "members", '{"alice@home", "bob@home", "carol@home"}')
        self.alice.ctl("reload")
        self.wait_members(self.carol, "alice", "bob", "carol")
        self.alice.ctl("group", "remove", "carol@home")
        self.wait_members(self.bob, "alice", "bob")
        self.alice.ctl("reload")
        self.alice.restart()
        self.wait_members(self.alice, "alice", "bob")
        self.alice.set_conf("group home", "members", '{"alice@home", "carol@home"}')
        self.alice.ctl("reload")
        self.wait_members(self.alice, "alice")
        self.alice.ctl("group", "add", "carol@home", self.carol.fingerprint)
        self.wait_members(self.carol, "alice", "carol")

    def test_several_groups(self):
        self.alice.ctl("group", "create", "home")
        self.alice.ctl("group", "create", "work")
        self.bob.ctl("group", "create", "friends.example")
        self.assertEqual(self.bob.ctl("group", "join", self.invite("--group", "work"))["name"], "work")
        self.assertEqual(self.bob.ctl("group", "join", self.invite())["name"], "home")      # that of alice's address
        self.assertEqual(self.carol.ctl("group", "join", self.bob.ctl("group", "invite")["token"])["name"], "friends.example")
        self.wait_members(self.alice, "alice", "bob", name="work")
        self.assertEqual([g["name"] for g in self.bob.status()["groups"]], ["friends.example", "home", "work"])
        self.bob.restart()
        self.wait_members(self.bob, "alice", "bob", name="work")
        self.wait_members(self.bob, "bob", "carol", name="friends.example")
        self.bob.ctl("group", "leave", "work")
        self.assertEqual([g["name"] for g in self.bob.status()["groups"]], ["friends.example", "home"])
        self.assertIsNone(self.page(self.bob, "work"))
        self.bob.restart()
        self.assertEqual([g["name"] for g in self.bob.status()["groups"]], ["friends.example", "home"])
        self.assertIn("remove", self.refused(self.bob, "leave", "friends.example"))     # somebody is in it
        self.assertIn("alice@home", self.refused(self.bob, "create", "home"))
        self.alice.ctl("group", "remove", "--group", "work", "bob@home")
        self.alice.ctl("group", "leave", "work")
        self.assertEqual([g["name"] for g in self.alice.status()["groups"]], ["home"])


class Join(Groups):
    def test_from_another_network(self):
        """bob is alone in a network of his own: one command, and he is where alice is; also after a restart."""
        self.bob.set_conf("dht", "network", str(self.net.network + 1))
        self.bob.set_conf("dht", "bootstrap", "{}")
        self.bob.restart()
        self.alice.ctl("group", "create", "home")
        self.join(self.bob)
        self.alice.send(self.bob, letter(self.alice, self.bob, "over there"))
        [uid] = self.bob.wait_mail(1)
        self.assertTrue(self.bob.body(uid))
        self.bob.restart(dht=True)
        self.wait_members(self.bob, "alice", "bob")
        self.bob.send(self.carol, letter(self.bob, self.carol, "whom he did not know"))
        self.carol.wait_mail(1)
        self.bob.ctl("group", "leave", "home")
        until(lambda: b"dht=moved network=%d\n" % (self.net.network + 1) in self.bob.log(), "bob goes home")

    def test_used_expired_and_forged(self):
        self.alice.ctl("group", "create", "home")
        used = self.invite()
        self.bob.ctl("group", "join", used)
        self.wait_members(self.alice, "alice", "bob")
        text = self.refused(self.carol, "join", "--wait", "3", used)
        self.assertIn("not in home yet", text)
        self.assertEqual(self.state(self.carol), "joining")
        self.carol.ctl("group", "leave", "home")
        # A secret that was made up: the master does not even open it.
        token = self.invite()
        made_up = token[:-40] + "".join(reversed(token[-40:-4])) + token[-4:]
        with contextlib.suppress(CtlError):
            self.carol.ctl("group", "join", "--wait", "2", made_up)
        self.assertEqual(self.members(self.alice), ["alice@home", "bob@home"])
        self.assertNotIn(b"carol@home", self.alice.log())
        if self.state(self.carol):
            self.carol.ctl("group", "leave", "home")
        # Too late: the invited sees it himself, and a master whose clock is ahead does not take it.
        self.carol.restart(P2PMTA_CLOCK_OFFSET=25 * 3600)
        self.assertIn("expired", self.refused(self.carol, "join", token))
        self.carol.restart()
        self.alice.restart(P2PMTA_CLOCK_OFFSET=25 * 3600)
        self.refused(self.carol, "join", "--wait", "3", token)
        self.assertEqual(self.members(self.alice), ["alice@home", "bob@home"])

    def test_asked_while_the_master_is_away(self):
        """The request waits in the DHT, and outlives a kill of who asks."""
        self.alice.ctl("group", "create", "home")
        token = self.invite()
        self.bob.send(self.alice, letter(self.bob, self.alice, "so that her key is known"))
        self.alice.wait_mail(1)
        self.alice.kill()
        text = self.refused(self.bob, "join", "--wait", "1", token)
        self.assertIn("alice@home", text)
        self.bob.kill()
        self.bob.start()
        self.assertEqual(self.state(self.bob), "joining")
        self.alice.start()
        until(lambda: self.state(self.bob) == "member", "bob is in", 90)
        self.wait_members(self.alice, "alice", "bob")

    def test_gives_up(self):
        """Nobody answers for 24 hours: all is as before, and the user is told."""
        self.alice.ctl("group", "create", "home")
        token = self.invite()
        self.alice.stop()
        self.assertEqual(self.bob.ctl("group", "join", "--wait", "0", token)["state"], "joining")
        self.bob.restart(P2PMTA_CLOCK_OFFSET=DAY + 60)
        until(lambda: self.state(self.bob) is None, "bob gives up")
        [uid] = self.bob.wait_mail(1)
        self.assertIn(b"before the invite expired", self.bob.body(uid))
        self.assertEqual(self.bob.status()["groups"], [])


class Forged(Groups):
    def test_lists(self):
        """What is not by the master, older, of the future, of another group, or not signed for this: nothing changes."""
        self.alice.ctl("group", "create", "home")
        self.join(self.bob)
        old = MAGIC + self.page(self.bob)
        self.alice.ctl("group", "add", "carol@home", self.carol.fingerprint)
        self.wait_members(self.bob, "alice", "bob", "carol")
        before = self.group(self.bob)
        keys = os.path.join(self.alice.state, "keys")
        alice = (self.alice.address, self.alice.fingerprint)
        two = self.named(self.alice, self.bob)
        serial = int(time.time() * 1000) + 60000
        with self.stranger() as (home, eve):
            forged = [
                self.sign(home, eve, self.record(alice, two, serial)),                          # in alice's name
                self.sign(home, eve, self.record(("eve@home", eve), two + [("eve@home", eve)], serial)),
                self.sign(home, eve, self.record(("alice@home", eve), [("alice@home", eve), two[1]], serial)),
                self.sign(keys, alice[1], self.record(alice, two, serial), role="peer/1"),      # not signed as a list
                self.sign(keys, alice[1], self.record(alice, two, serial, name="work")),
                self.sign(keys, alice[1], self.record(alice, two, serial + 3 * DAY * 1000)),    # of the future
                self.sign(keys, alice[1], self.record(alice, two, serial, expires=-40 * DAY).replace(
                    b"Issued: " + stamp(0)[:10].encode(), b"Issued: 2020-01-01")),
                self.sign(keys, alice[1], self.record(alice, [two[1]], serial)),                # the master is no member
                self.page(self.bob)[:-1], b"\x00" * 100,
            ]
            with self.in_dht("p2pmta:group:home", old, *[MAGIC + f for f in forged]):
                self.bob.restart(dht=True)
                self.carol.restart(dht=True)
                time_to_hear = letter(self.bob, self.alice, "time passes")
                self.bob.send(self.alice, time_to_hear)
                self.alice.wait_mail(2)
                self.assertEqual(self.members(self.bob), ["alice@home", "bob@home", "carol@home"])
                self.assertEqual(self.group(self.bob)["serial"], before["serial"])
                # The master's next word is heard through all that.
                self.alice.ctl("group", "remove", "carol@home")
                self.wait_members(self.bob, "alice", "bob", seconds=60)
        self.assertGreater(self.group(self.bob)["serial"], before["serial"])

    def test_state_folder_put_back(self):
        """A master that remembers less than it has said signs something newer than that."""
        self.alice.ctl("group", "create", "home")
        self.alice.stop()
        db = os.path.join(self.alice.state, "state.db")
        shutil.copy(db, db + ".old")
        self.alice.start(dht=True)
        self.join(self.bob)
        serial = self.group(self.bob)["serial"]
        self.alice.stop()
        for end in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(db + end)
        os.rename(db + ".old", db)
        self.alice.complaints = re.compile(rb"a newer list of ours is out")
        self.alice.start(dht=True)
        until(lambda: self.group(self.alice)["serial"] > serial, "alice signs anew", 60)
        until(lambda: self.state(self.bob) == "waiting", "bob hears that he is not in it", 60)


class Killed(Groups):
    def test_master_between_steps(self):
        """A change that was answered is there after kill -9, and its list comes out; serials only grow."""
        self.alice.ctl("group", "create", "home")
        self.join(self.bob)
        serial = self.group(self.bob)["serial"]
        for i in range(4):
            if i % 2:
                self.alice.ctl("group", "remove", "carol@home")
            else:
                self.alice.ctl("group", "add", "carol@home", self.carol.fingerprint)
            self.alice.kill()
            self.alice.start()
            self.wait_members(self.bob, "alice", "bob", *([] if i % 2 else ["carol"]), seconds=60)
            self.assertGreater(self.group(self.bob)["serial"], serial)
            serial = self.group(self.bob)["serial"]

    def test_master_away(self):
        """Members keep the list in the DHT and on their pages: who comes later finds it."""
        self.alice.ctl("group", "create", "home")
        self.join(self.bob)
        self.carol.set_conf("group home", "master", '"alice@home"')
        self.carol.set_conf("group home", "key", '"%s"' % self.alice.fingerprint)
        self.alice.ctl("group", "add", "carol@home", self.carol.fingerprint)
        self.carol.send(self.alice, letter(self.carol, self.alice, "so that carol knows her key"))
        self.alice.wait_mail(2)
        self.wait_members(self.bob, "alice", "bob", "carol")
        self.carol.stop()
        self.alice.kill()
        self.carol.start(dht=True)
        self.wait_members(self.carol, "alice", "bob", "carol", seconds=60)

    def test_old_age(self):
        """Day 65: told; day 100: it goes on; day 125: it stops; then the master is back."""
        self.alice.ctl("group", "create", "home")
        self.join(self.bob)
        self.alice.stop()
        self.bob.complaints = re.compile(rb"its list of members was not renewed for long")
        self.bob.restart(P2PMTA_CLOCK_OFFSET=65 * DAY)
        [uid] = self.bob.wait_mail(1)
        self.assertIn(b"needs its master", self.bob.body(uid))
        self.assertEqual(self.state(self.bob), "member")
        self.bob.restart(P2PMTA_CLOCK_OFFSET=100 * DAY)
        self.assertEqual(self.state(self.bob), "member")
        self.bob.restart(P2PMTA_CLOCK_OFFSET=125 * DAY)
        until(lambda: self.state(self.bob) == "expired", "the list is too old")
        self.assertIsNone(self.page(self.bob))
        self.bob.wait_mail(1)       # told once
        self.alice.start(P2PMTA_CLOCK_OFFSET=125 * DAY)
        self.wait_members(self.bob, "alice", "bob", seconds=60)


class Holders(Groups):
    def rows(self, peer, sql):
        with contextlib.closing(sqlite3.connect("file:%s/state.db?mode=ro" % peer.state, uri=True)) as db:
            return db.execute(sql).fetchall()

    def test_receiver_finds_the_senders_group(self):
        """carol is in no group. When she opens bob's mail she learns of his group and where its members are; not before."""
        self.alice.ctl("group", "create", "home")
        self.join(self.bob)
        self.bob.send(self.carol, letter(self.bob, self.carol, "to a stranger"))
        [uid] = self.carol.wait_mail(1)
        self.assertEqual(self.rows(self.carol, "SELECT name FROM grp"), [])
        self.assertTrue(self.carol.body(uid))
        until(lambda: self.rows(self.carol, "SELECT name, role, fpr FROM grp") == [("home", 3, self.alice.fingerprint)],
              "carol knows bob's group")
        self.assertEqual(self.rows(self.carol, "SELECT address FROM member ORDER BY address"), [("alice@home",), ("bob@home",)])
        until(lambda: self.rows(self.carol, "SELECT urls FROM contact WHERE address = 'alice@home'") == [(self.alice.url,)],
              "and where alice is")
        [trust] = [c["trust"] for c in self.carol.ctl("contacts") if c["address"] == "alice@home"]
        self.assertEqual(trust, "first-use")       # a foreign list vouches for nobody
        self.assertEqual(self.carol.status()["groups"], [])
