"""Groups of three on loopback: what is in one outbox is held by the others, and arrives without the sender."""
import base64
import concurrent.futures
import contextlib
import hmac
import json
import os
import re
import signal
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request

from peers import CtlError, ImapNo, program, until
from scene import Scene, letter, noise


class Group(Scene):
    """alice, bob and carol are a group; dave is somebody else whom they write to."""
    names = ("carol", "alice", "bob", "dave")       # the DHT begins at carol, who is never killed
    members = ("alice", "bob", "carol")
    sync = "2s"
    running = False
    settings = {}           # name: {section_key: value}

    def setUp(self):
        super().setUp()
        fellows = self.fellows()
        for p in fellows:
            p.set_group("home", self.alice, fellows, self.sync)
        for name, settings in self.settings.items():
            for key, value in settings.items():
                getattr(self, name).set_conf(*key.split("_", 1), value)
        self.net.start()
        self.wait_fellows(*fellows)

    def fellows(self):
        return [p for p in self.net.peers if p.name in self.members]

    def rows(self, peer, sql):
        with contextlib.closing(sqlite3.connect("file:%s/state.db?mode=ro" % peer.state, uri=True)) as db:
            return db.execute(sql).fetchall()

    def up(self, p):
        return sorted(m["address"].split("@")[0] for m in p.status()["replicas"]["members"] if m["up"])

    def wait_fellows(self, *peers):
        """Each of them has heard the others."""
        for p in peers:
            until(lambda: self.up(p) == sorted(q.name for q in peers if q is not p), "%s sees the others" % p.name, 40)

    def wait_away(self, who, *at):
        for p in at:
            until(lambda: who.name not in self.up(p), "%s finds %s away" % (p.name, who.name), 30)

    def held(self, peer, n, seconds=20):
        until(lambda: peer.queue() and all(m.get("held_by") == n for m in peer.queue()), "held by %d" % n, seconds)

    def wait_none(self, *peers, seconds=30):
        """Nothing is left of any replica."""
        for p in peers:
            until(lambda: p.status()["replicas"]["messages"] == 0 and not p.replica_files(),
                  "%s lets go of it" % p.name, seconds)

    def greet(self):
        """alice and dave know each other's keys."""
        self.alice.send(self.dave, letter(self.alice, self.dave, "first"))
        self.dave.wait_body(self.dave.wait_mail(1)[0])
        self.alice.wait_empty()

    def send_to_absent_dave(self, n_held=2, body="Hello.\r\n"):
        """A letter that is held by so many members while dave is off."""
        self.greet()
        self.dave.stop()
        m = letter(self.alice, self.dave, "second", body)
        self.alice.send(self.dave, m)
        self.held(self.alice, n_held)
        return m


class Replicas(Group):
    def test_held_within_a_second(self):
        self.send_to_absent_dave()
        start = time.monotonic()
        self.alice.send(self.dave, letter(self.alice, self.dave, "third"))
        until(lambda: len(self.alice.queue()) == 2, "there are two")
        self.held(self.alice, 2)
        self.assertLess(time.monotonic() - start, 3)
        for m in self.alice.queue():
            self.assertTrue(m["safe"])
        self.assertEqual(self.alice.status()["outbox"]["safe"], 2)
        for p in (self.bob, self.carol):
            self.assertEqual(p.status()["replicas"]["messages"], 2)
        self.dave.start()
        for uid in self.dave.wait_mail(3):
            self.dave.wait_body(uid)
        self.alice.wait_empty()
        self.wait_none(self.bob, self.carol)

    def test_sender_killed(self):
        """Held, then alice is killed; dave comes, gets notice and body, and is done before she is back."""
        m = self.send_to_absent_dave()
        self.alice.kill()
        self.wait_away(self.alice, self.bob, self.carol)
        self.dave.start()
        uid = self.dave.wait_mail(2, seconds=90)[-1]
        self.assertEqual(self.dave.wait_body(uid, seconds=90), m)
        self.wait_none(self.bob, self.carol)
        self.alice.start()
        self.alice.wait_empty()
        self.assertEqual(len(self.dave.uids()), 2)

    def test_all_but_one_killed(self):
        m = self.send_to_absent_dave(body="0123456789\r\n" * 300000)
        self.alice.kill()
        self.bob.kill()
        self.wait_away(self.alice, self.carol)
        self.dave.start()
        uid = self.dave.wait_mail(2, seconds=90)[-1]
        self.assertEqual(self.dave.wait_body(uid, seconds=90), m)
        self.wait_none(self.carol)
        self.bob.start()
        self.alice.start()
        self.alice.wait_empty()
        self.wait_none(self.bob, self.carol)

    def test_declined_while_its_sender_is_away(self):
        """dave has the header and deletes it unread: the members hear of it, and tell alice when she is back."""
        self.greet()
        self.alice.send(self.dave, letter(self.alice, self.dave, "second"))
        uid = self.dave.wait_mail(2)[-1]
        self.held(self.alice, 2)
        [queued] = self.alice.queue()
        self.alice.kill()
        self.wait_away(self.alice, self.bob, self.carol)
        self.dave.delete(uid)
        self.wait_none(self.bob, self.carol)
        self.dave.stop()
        self.alice.start()
        self.alice.wait_empty()
        self.assertEqual([r["state"] for r in self.alice.ctl("show", queued["id"])["recipients"]], ["declined"])

    def test_receiver_is_a_member(self):
        """bob holds what alice sent to him: he needs nobody else to open it."""
        self.alice.send(self.bob, letter(self.alice, self.bob, "first"))
        self.bob.wait_body(self.bob.wait_mail(1)[0])
        self.alice.wait_empty()
        m = letter(self.alice, self.bob, "second")
        self.alice.send(self.bob, m)
        uid = self.bob.wait_mail(2)[-1]
        self.held(self.alice, 2)
        self.alice.kill()
        self.carol.kill()
        self.assertEqual(self.bob.wait_body(uid), m)
        until(lambda: not self.bob.replica_files(), "bob lets go of it")
        self.carol.start()
        self.alice.start()
        self.alice.wait_empty()
        self.wait_none(self.bob, self.carol)

    def test_restarts(self):
        """Everybody restarts, one after the other; nothing is lost or kept too long."""
        m = self.send_to_absent_dave()
        for p in (self.bob, self.alice, self.carol):
            p.restart()
        self.wait_fellows(self.alice, self.bob, self.carol)
        self.held(self.alice, 2)
        self.alice.kill()
        self.bob.restart()
        self.wait_away(self.alice, self.bob, self.carol)
        self.dave.start()
        uid = self.dave.wait_mail(2, seconds=90)[-1]
        self.assertEqual(self.dave.wait_body(uid, seconds=90), m)
        self.alice.start()
        self.alice.wait_empty()
        self.wait_none(self.bob, self.carol)

    def test_burst(self):
        """A burst costs few lists."""
        self.greet()
        self.dave.stop()
        before = self.alice.log().count(b"state=published")
        with self.alice.smtp() as s:
            for i in range(60):
                s.sendmail(self.alice.address, [self.dave.address], letter(self.alice, self.dave, "number %d" % i))
        until(lambda: len(self.alice.queue()) == 60, "all are queued")
        self.held(self.alice, 2, 60)
        self.assertLess(self.alice.log().count(b"state=published") - before, 25)
        self.dave.start()
        for uid in self.dave.wait_mail(61, seconds=60):
            self.dave.wait_body(uid)
        self.alice.wait_empty(60)
        self.wait_none(self.bob, self.carol)


class Cancel(Group):
    def test_cancel_while_a_member_is_off(self):
        """bob is off when alice cancels; she goes, he comes back and hears of it from carol."""
        self.send_to_absent_dave()
        self.bob.kill()
        [queued] = self.alice.queue()
        t_get = self.t_get(queued)
        [said] = self.alice.ctl("cancel", queued["id"])
        self.assertEqual(said["state"], "unknown", said)
        self.assertIn("bob@home", said["reason"])
        until(lambda: not self.carol.replica_files(), "carol forgets it")
        self.alice.kill()
        self.bob.start()
        self.ask_until_gone(self.bob, queued["hash"], t_get)
        until(lambda: not self.bob.replica_files(), "bob forgets it")
        self.dave.start()
        until(lambda: len(self.up(self.bob)) == 1 and len(self.dave.uids()) < 2, "the entry goes", 60)

    def test_cancel_while_a_member_sleeps(self):
        """As a laptop does: bob's process is there all the time, but does not run. When it does again it gives nothing away."""
        self.send_to_absent_dave()
        [queued] = self.alice.queue()
        t_get = self.t_get(queued)
        self.assertEqual(self.ask(self.bob, queued["hash"], t_get), 200)
        begin = time.monotonic()
        self.bob.process.send_signal(signal.SIGSTOP)
        self.bob.complaints = re.compile(rb"loop=blocked")
        [said] = self.alice.ctl("cancel", queued["id"])
        self.assertEqual(said["state"], "unknown", said)
        until(lambda: not self.carol.replica_files(), "carol forgets it")
        self.alice.kill()
        until(lambda: time.monotonic() > begin + 31, "bob has slept long enough", 60)
        self.bob.process.send_signal(signal.SIGCONT)
        self.ask_until_gone(self.bob, queued["hash"], t_get)
        until(lambda: not self.bob.replica_files(), "and forgets it")

    def test_too_late_at_a_member(self):
        """dave had all of it from bob while alice was away, and has not said so: she hears it from bob."""
        self.send_to_absent_dave()
        [queued] = self.alice.queue()
        self.alice.kill()
        self.assertEqual(self.ask(self.bob, queued["hash"], self.t_get(queued)), 200)
        self.alice.start()
        until(lambda: self.rows(self.alice, "SELECT served FROM rcpt WHERE letter = %d" % queued["id"]) == [(1,)], "bob tells alice")
        [said] = self.alice.ctl("cancel", queued["id"])
        self.assertEqual((said["state"], said["cancelled"]), ("too-late", False))

    def t_get(self, queued):
        """What dave would show."""
        [(secret,)] = self.rows(self.alice, "SELECT secret FROM rcpt WHERE letter = %d" % queued["id"])
        return hmac.digest(secret, b"get\0" + bytes.fromhex(queued["hash"]), "sha256")

    def ask_until_gone(self, peer, name, t_get):
        answers = []
        until(lambda: answers.append(self.ask(peer, name, t_get)) or answers[-1] == 410, peer.name + " knows of it")
        self.assertNotIn(200, answers)

    def ask(self, peer, name, t_get):
        """What he answers to who shows this."""
        question = urllib.request.Request("%s/outbox/%s" % (peer.url, name), headers={
            "Authorization": "P2pMTA " + base64.b64encode(t_get).decode()})
        try:
            with urllib.request.urlopen(question, timeout=20) as answer:
                answer.read()
                return answer.status
        except urllib.error.HTTPError as e:
            return e.code

    def test_sender_stops_meanwhile(self):
        """The answer to a cancel waits for bob, who is off; alice stops before it comes."""
        self.send_to_absent_dave()
        self.bob.kill()
        [queued] = self.alice.queue()
        with concurrent.futures.ThreadPoolExecutor(1) as others:
            asked = others.submit(self.alice.ctl, "cancel", queued["id"])
            until(lambda: not self.carol.replica_files(), "carol forgets it")
            self.alice.stop()
            # On a slow machine its three seconds may have been over before.
            self.assertTrue(isinstance(asked.exception(), CtlError) or asked.result()[0]["state"] == "unknown")

    def test_cancel_is_in_time(self):
        self.send_to_absent_dave()
        [queued] = self.alice.queue()
        [said] = self.alice.ctl("cancel", queued["id"])
        self.assertEqual(said["state"], "in-time", said)
        self.wait_none(self.bob, self.carol, seconds=3)
        self.dave.start()
        # Its notification may still be in the DHT, and be seen before the recall.
        until(lambda: len(self.dave.uids()) == 1, "the entry goes", 60)


class CancelHidden(Group):
    """Nobody can ask bob for what he holds: nobody waits for his word."""
    settings = {"bob": {"outbox_url": "{}"}}
    sync = "8s"

    def test_cancel_is_in_time(self):
        self.send_to_absent_dave()
        [queued] = self.alice.queue()
        [said] = self.alice.ctl("cancel", queued["id"])
        self.assertEqual(said["state"], "in-time", said)
        self.wait_none(self.bob, self.carol)


class CancelHiddenAll(CancelHidden):
    """Nor carol: these two never meet."""
    settings = {"bob": {"outbox_url": "{}"}, "carol": {"outbox_url": "{}"}}

    def wait_fellows(self, *peers):
        until(lambda: self.up(self.alice) == ["bob", "carol"], "alice sees both", 40)

    def test_not_safe(self):
        """When alice goes nobody gets it."""
        self.send_to_absent_dave()
        [m] = self.alice.queue()
        self.assertEqual((m["held_by"], m["safe"]), (2, False))
        self.assertEqual(m["holders"], [{"address": a, "holds": True, "reachable": False} for a in ("bob@home", "carol@home")])
        self.assertEqual(self.alice.status()["outbox"]["safe"], 0)


class Nat(Group):
    settings = {"alice": {"outbox_url": "{}"}}

    def up(self, p):
        # Nobody can ask alice; she asks.
        return super().up(p)

    def test_sender_without_url(self):
        """alice cannot be reached: she brings her mail to bob and carol, where dave gets it, also while she is here."""
        self.alice.send(self.dave, letter(self.alice, self.dave, "first"))
        self.held(self.alice, 2)
        self.dave.wait_body(self.dave.wait_mail(1)[0], seconds=90)
        self.alice.wait_empty(60)
        self.wait_none(self.bob, self.carol)


class People(Group):
    """What they are told."""

    def checks(self, peer, name):
        try:
            said = peer.ctl("doctor")
        except CtlError:        # something is bad
            said = json.loads(subprocess.run([program("p2pmta-ctl"), "-c", peer.config, "--json", "doctor"], capture_output=True,
                                             env=peer.environment({})).stdout)
        return [(c["state"], c["text"]) for c in said["checks"] if c["check"] == name]

    def test_status_and_doctor(self):
        self.send_to_absent_dave()
        s = until(lambda: (lambda s: s if s["reachable"] else None)(self.alice.status()), "somebody has asked alice")
        self.assertIn(s["reached_by"], ("bob@home", "carol@home"))
        self.assertEqual(s["replicas"]["quota"], 20 << 30)
        self.assertEqual([(m["address"], m["up"], m["holds"], m["messages"]) for m in s["replicas"]["members"]],
                         [("bob@home", True, 1, 0), ("carol@home", True, 1, 0)])
        [there] = [m for m in self.bob.status()["replicas"]["members"] if m["address"] == "alice@home"]
        self.assertEqual((there["messages"], there["holds"]), (1, 0))
        self.assertEqual(there["bytes"], s["replicas"]["members"][0]["holds_bytes"])
        [shown] = self.alice.ctl("group", "show")
        self.assertEqual({m["address"]: (m.get("up"), m.get("holds")) for m in shown["members"]},
                         {"alice@home": (None, None), "bob@home": (True, 1), "carol@home": (True, 1)})
        self.assertEqual(self.checks(self.alice, "group"), [("good", "home: master, 3 members")])
        self.assertEqual([state for state, text in self.checks(self.alice, "reachable")], ["good"])
        members = self.checks(self.alice, "members")
        self.assertEqual([state for state, text in members], ["good"] * 3)
        self.assertRegex(members[0][1], r"\Abob@home: up; holds 1 of ours, \d+ octets; we 0 of his, 0 octets\Z")
        self.assertRegex(members[2][1], r"\A0 octets of 20\.0 GiB are used")
        self.bob.kill()
        self.wait_away(self.bob, self.alice)
        self.assertRegex(self.checks(self.alice, "members")[0][1], r"\Abob@home: away since 20\S+Z; holds 1")


class Unreachable(People):
    test_status_and_doctor = None
    settings = {"alice": {"outbox_url": '{"http://127.0.0.1:9"}'}}

    def test_nobody_gets_through(self):
        until(lambda: self.alice.status()["reachable"] is False, "alice finds that nobody gets through to her", 60)
        [(state, text)] = self.checks(self.alice, "reachable")
        self.assertEqual(state, "bad")
        self.assertRegex(text, r"\A(bob|carol)@home is up, and does not get through")
        self.assertTrue(self.bob.status()["reachable"])


class Told(Group):
    """A withdrawal does not wait for what else is under way to a member."""
    wired = True            # what is asked of alice passes here
    sync = "8s"

    def test_while_held_is_asked(self):
        self.bob.send(self.dave, letter(self.bob, self.dave, "first"))
        self.dave.wait_body(self.dave.wait_mail(1)[0])
        self.bob.wait_empty()
        self.dave.stop()
        self.bob.send(self.dave, letter(self.bob, self.dave, "second"))
        self.held(self.bob, 2)
        asked = lambda: self.wire.requests().count("GET /replica/bob@home/held")
        self.wire.hold()
        before = asked()
        until(lambda: asked() > before, "bob asks alice what she holds", 20)
        self.bob.ctl("cancel", self.bob.queue()[0]["id"])
        until(lambda: not self.alice.replica_files(), "alice forgets it", 3)
        self.wire.release()
        self.wait_none(self.carol)


class TooSlow(Group):
    settings = {"alice": {"outbox_url": "{}", "outbox_replica_rate": '"16K"'}}

    def test_while_something_large_is_brought(self):
        self.alice.send(self.dave, letter(self.alice, self.dave, "first"))
        self.dave.wait_body(self.dave.wait_mail(1)[0], seconds=90)
        self.alice.wait_empty(60)
        self.dave.stop()
        self.alice.send(self.dave, letter(self.alice, self.dave, "second"))
        self.held(self.alice, 2)
        [second] = self.alice.queue()
        self.alice.send(self.dave, letter(self.alice, self.dave, "third", noise(600_000)))
        until(lambda: any("tmp" in os.path.basename(f) for p in (self.bob, self.carol) for f in p.replica_files()),
              "it comes to one of them")
        said = self.alice.ctl("cancel", second["id"])
        self.assertEqual(said[0]["state"], "in-time", said)
        for p in (self.bob, self.carol):
            until(lambda: not any(second["hash"] in f for f in p.replica_files()), p.name + " forgets it", 3)


class Full(Group):
    settings = {"bob": {"outbox_replica_quota": "0"}}

    def test_no_room(self):
        self.bob.complaints = self.carol.complaints = re.compile(rb"replica_quota is used up")
        self.send_to_absent_dave(n_held=1)
        [m] = self.alice.queue()
        self.assertEqual([h["address"] for h in m["holders"] if h["holds"]], ["carol@home"])
        self.assertFalse(m["safe"])
        self.assertEqual(self.alice.status()["outbox"]["safe"], 0)
        [alice] = [x for x in self.bob.status()["replicas"]["members"] if x["address"] == "alice@home"]
        self.assertEqual(alice["wanted"], 1)
        self.assertIn("replica_quota", alice["reason"])


class FullNat(Group):
    wired = True
    settings = {"alice": {"outbox_replica_quota": "0"}, "bob": {"outbox_url": "{}"}}

    def test_refused_before_its_first_octet(self):
        """bob brings what nobody can fetch from him; alice has no room, and says so before it comes."""
        self.alice.complaints = re.compile(rb"replica_quota is used up")
        self.bob.send(self.dave, letter(self.bob, self.dave, "first"))
        self.dave.wait_body(self.dave.wait_mail(1)[0], seconds=90)
        self.bob.wait_empty(60)
        self.dave.stop()
        self.bob.send(self.dave, letter(self.bob, self.dave, "large", noise(3_000_000)))
        self.held(self.bob, 1)
        [m] = self.bob.queue()
        tried = lambda: sum(m["hash"] in r and r.startswith("PUT") for r in self.wire.requests())
        before = tried()
        until(lambda: tried() > before + 2, "bob tries again", 20)
        self.assertLess(len(self.wire.asked), 300_000)
        self.assertEqual(self.alice.status()["replicas"]["messages"], 0)


class SlowPull(Group):
    wired = True
    settings = {"alice": {"outbox_replica_rate": '"100K"'}}

    def test_what_is_being_pulled_is_not_brought(self):
        """alice takes longer than bob is patient: it goes over the line once."""
        self.bob.send(self.dave, letter(self.bob, self.dave, "first"))
        self.dave.wait_body(self.dave.wait_mail(1)[0])
        self.bob.wait_empty()
        self.dave.stop()
        self.bob.send(self.dave, letter(self.bob, self.dave, "large", noise(3_000_000)))
        self.held(self.bob, 2, 60)
        [m] = self.bob.queue()
        self.assertTrue(any(r.startswith("PUT") and m["hash"] in r for r in self.wire.requests()))
        self.assertLess(len(self.wire.asked), 300_000)


class Old(Group):
    def test_expired_while_its_sender_is_away(self):
        self.send_to_absent_dave()
        self.alice.kill()
        for p in (self.bob, self.carol):
            p.restart(P2PMTA_CLOCK_OFFSET=32 * 86400)
        self.wait_none(self.bob, self.carol)
        self.bob.restart(P2PMTA_CLOCK_OFFSET=35 * 86400)
        until(lambda: self.rows(self.bob, "SELECT count(*) FROM replica") == [(0,)], "its row goes, too")
        self.assertEqual(self.rows(self.bob, "SELECT count(*) FROM replica_rcpt"), [(0,)])


class Room(Group):
    settings = {"bob": {"outbox_replica_quota": '"100K"'}}

    def test_what_fits_is_taken(self):
        """Eight are too large for bob; that keeps nothing else from him, also when alice brings nothing."""
        self.bob.complaints = re.compile(rb"replica_quota is used up")
        self.greet()
        self.dave.stop()
        self.bob.stop()
        for i in range(8):
            self.alice.send(self.dave, letter(self.alice, self.dave, "large %d" % i, noise(150_000)))
        self.alice.send(self.dave, letter(self.alice, self.dave, "small"))
        until(lambda: self.carol.status()["replicas"]["messages"] == 9, "carol holds all")
        self.alice.kill()
        self.bob.start()
        until(lambda: self.bob.status()["replicas"]["messages"] == 1, "bob holds what he can")
        [alice] = [x for x in self.bob.status()["replicas"]["members"] if x["address"] == "alice@home"]
        self.assertEqual(alice["wanted"], 8)
        self.assertIn("replica_quota", alice["reason"])


class Wrong(Group):
    def test_other_notices(self):
        """A notices object that is not the listed one may be newer than the list: whose it is, is trusted as before."""
        self.greet()
        self.dave.stop()
        self.bob.stop()
        self.carol.stop()
        for subject in ("second", "third"):
            self.alice.send(self.dave, letter(self.alice, self.dave, subject))
        paths = until(lambda: self.notices(2), "there are notices")
        with open(paths[0], "r+b") as f:
            f.seek(20)
            f.write(b"wrong")
        self.bob.start()
        until(lambda: self.bob.status()["replicas"]["messages"] == 1, "bob holds the other one", 4)
        self.assertIn(b"notices=refused", self.bob.log())

    def notices(self, n):
        """Where alice has these."""
        names = [d.hex() for d, in self.rows(self.alice, "SELECT digest FROM own_notices")]
        return [os.path.join(self.alice.state, "outbox", d[:2], d) for d in names] if len(names) == n else None

    def test_wrong_octets(self):
        """alice's file is not what she lists: carol does not take it, and gets it from bob."""
        self.carol.complaints = re.compile(rb"other octets than were listed")
        self.greet()
        self.dave.stop()
        self.carol.stop()
        self.alice.send(self.dave, letter(self.alice, self.dave, "second", noise(40000)))
        self.held(self.alice, 1)
        [queued] = self.alice.queue()
        path = os.path.join(self.alice.state, "outbox", queued["hash"][:2], queued["hash"])
        with open(path, "r+b") as f:
            f.seek(20)
            f.write(b"wrong")
        self.carol.start()
        self.held(self.alice, 2, 40)
        self.assertIn(b"member=alice@home", [l for l in self.carol.log().splitlines() if b"other octets" in l][0])


class Removed(Group):
    def test_removed_member(self):
        """bob is removed: he gives away all that he held, and gets nothing new."""
        self.send_to_absent_dave()
        self.alice.ctl("group", "remove", "bob@home")
        self.wait_none(self.bob)
        self.alice.send(self.dave, letter(self.alice, self.dave, "third"))
        until(lambda: len(self.alice.queue()) == 2 and all(m.get("held_by") == 1 and len(m["holders"]) == 1
                                                          for m in self.alice.queue()), "held by carol alone")
        self.assertEqual(self.bob.replica_files(), [])
        self.dave.start()
        for uid in self.dave.wait_mail(3):
            self.dave.wait_body(uid)
        self.alice.wait_empty()
        self.wait_none(self.carol)
