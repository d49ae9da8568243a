"""Mail from someone who is not there: groups whose members hold each other's outboxes, each peer on a host of its own."""
import base64
import contextlib
import hmac
import os
import re
import sqlite3
import subprocess
import unittest
import urllib.error
import urllib.request

from hosts import needed
from peers import Timeout, until
from scene import letter, noise
from test_hosts import OnHosts

MISSING = needed()
DAY = 86400


def replicas(peer):
    """Whole messages of others that this peer holds."""
    return sorted(f for _, _, names in os.walk(os.path.join(peer.state, "replicas")) for f in names
                  if re.fullmatch(r"[0-9a-f]{62,64}", f))


@unittest.skipIf(MISSING, MISSING)
class InGroup(OnHosts):
    """The first are a group, the last is their correspondent dora, in no group."""

    members = ("alice", "bob", "carol")
    nat = ()
    settings = {}           # name: {section_key: value}

    def setUp(self):
        net = self.make(*self.members, "dora", nat=self.nat)
        self.group = [getattr(self, n) for n in self.members]
        master = self.group[0]
        for p in self.group:
            p.set_conf("group home", "master", '"%s"' % master.address)
            p.set_conf("group home", "key", '"%s"' % master.fingerprint)
            p.set_conf("group home", "sync", '"2s"')
        master.set_conf("group home", "members", "{%s}" % ", ".join('"%s"' % p.address for p in self.group))
        for name, settings in self.settings.items():
            for key, value in settings.items():
                getattr(self, name).set_conf(*key.split("_", 1), value)
        net.start()
        for p in self.group:
            self.wait_member(p, len(self.group))

    def wait_member(self, peer, n):
        """peer knows all n members of the group."""
        until(lambda: any(len(g["members"]) == n and all(m["fingerprint"] for m in g["members"])
                          for g in peer.ctl("group", "show")), "%s is in the group of %d" % (peer.name, n), 60)

    def wait_held(self, owner, holders):
        """Whatever owner has sent is announced, and all of these hold it."""
        def held():
            queue = owner.queue()
            return queue and all(m.get("held_by") == len(holders) and all(r["state"] == "notified" for r in m["recipients"])
                                 for m in queue)
        try:
            until(held, "", 60)
        except Timeout:
            raise Timeout("not held by %s: %s" % ([p.name for p in holders], owner.queue())) from None

    def others(self, *without):
        return [p for p in self.group if p not in without]

    def proof(self, sender, word="get"):
        """h and T_word of the one letter that is under way to dora."""
        with contextlib.closing(sqlite3.connect("file:%s/state.db?mode=ro" % sender.state, uri=True)) as db:
            [(h, secret)] = db.execute("SELECT hash, secret FROM letter JOIN rcpt ON rcpt.letter = letter.id WHERE address = ?",
                                       (self.dora.address,)).fetchall()
        return h, hmac.digest(secret, word.encode() + b"\0" + h, "sha256")

    def ask(self, holder, h, t_get):
        """As dora would, from her host: the status, or None when there is no way to him."""
        request = urllib.request.Request("%s/outbox/%s" % (holder.url, h.hex()),
                                         headers={"Authorization": "P2pMTA " + base64.b64encode(t_get).decode()})
        try:
            with self.dora.inside(), urllib.request.urlopen(request, timeout=3) as answer:
                answer.read()
                return answer.status
        except urllib.error.HTTPError as e:
            return e.code
        except OSError:
            return None

    def ask_until_gone(self, holder, h, t_get):
        """He knows in the end that it was taken back, and never gave it until then."""
        answers = []

        def ask():
            answers.append(self.ask(holder, h, t_get))
            return answers[-1] == 410
        until(ask, holder.name + " knows", 60)
        self.assertNotIn(200, answers)
        until(lambda: not replicas(holder), holder.name + " forgets it", 60)

    def nothing_left(self, *peers):
        """No replica stays behind."""
        for p in peers:
            until(lambda p=p: not replicas(p), "%s drops what was delivered" % p.name, 60)

    def done(self, *senders, n=1):
        """They need do no more, and dora has so many: each came once."""
        for p in senders:
            p.wait_empty(90)
        self.assertEqual(len(self.dora.uids()), n)

    def send(self, sender, subject="from one who is not there", body="see you\r\n"):
        m = letter(sender, self.dora, subject, body)
        sender.send(self.dora, m)
        return m

    def arrives(self, m, sender=None):
        uid = self.dora.wait_mail(1, seconds=90)[0]
        self.assertEqual(self.dora.wait_body(uid, seconds=90), m)
        return uid


class Three(InGroup):
    def test_sender_killed_after_one_sync(self):
        """Dora was away; when she comes, the sender is gone."""
        self.dora.stop()
        m = self.send(self.bob)
        self.wait_held(self.bob, self.others(self.bob))
        self.bob.kill()
        self.dora.start()
        self.arrives(m)
        self.bob.start()
        self.done(self.bob)
        self.nothing_left(*self.group)
        self.assertNotIn(b"expired", self.bob.log())

    def test_large_one_in_pieces(self):
        """4 MB, from two holders; dora has written to bob, so his holders are looked for at once."""
        first = letter(self.dora, self.bob, "write to me")
        self.dora.send(self.bob, first)
        self.bob.wait_body(self.bob.wait_mail(1)[0])
        self.dora.stop()
        m = self.send(self.bob, body=noise(4 << 20))
        self.wait_held(self.bob, self.others(self.bob))
        self.bob.kill()
        self.dora.start()
        self.arrives(m)
        self.bob.start()
        self.done(self.bob)
        self.nothing_left(*self.group)

    def test_all_but_one_killed(self):
        self.dora.stop()
        m = self.send(self.alice)
        self.wait_held(self.alice, self.others(self.alice))
        self.alice.kill()
        self.bob.kill()
        self.dora.start()
        self.arrives(m)
        self.alice.start()
        self.done(self.alice)

    def test_master_away(self):
        """The list of members outlives its master's presence."""
        self.alice.kill()
        self.dora.stop()
        m = self.send(self.bob)
        self.wait_held(self.bob, [self.carol])
        self.bob.kill()
        self.dora.start()
        self.arrives(m)

    def test_never_up_together(self):
        """The sender goes, two days later the receiver comes, then the sender again."""
        self.dora.stop()
        m = self.send(self.bob)
        self.wait_held(self.bob, self.others(self.bob))
        self.bob.kill()
        for p in self.others(self.bob):
            p.restart(P2PMTA_CLOCK_OFFSET=2 * DAY)
        self.dora.start(P2PMTA_CLOCK_OFFSET=2 * DAY)
        self.arrives(m)
        self.dora.stop()
        self.bob.start(P2PMTA_CLOCK_OFFSET=2 * DAY + 60)
        self.bob.wait_empty(60)
        self.dora.start(dht=True, P2PMTA_CLOCK_OFFSET=2 * DAY + 120)
        self.assertEqual(len(self.dora.uids()), 1)
        self.nothing_left(*self.group)

    def test_partition_heals(self):
        """Sender alone on one side; a member and the receiver on the other one, which has the mail."""
        self.dora.stop()
        m = self.send(self.bob)
        self.wait_held(self.bob, self.others(self.bob))
        self.net.split(self.bob)
        self.dora.start()
        self.arrives(m)
        self.assertEqual(self.bob.status()["outbox"]["messages"], 1)
        self.net.split()
        self.done(self.bob)
        self.nothing_left(*self.group)

    def test_wrong_octets(self):
        """One holder's disk lies; the other one has it."""
        self.dora.stop()
        m = self.send(self.bob, body=b"x" * 70 + b"\r\n")
        self.wait_held(self.bob, self.others(self.bob))
        self.bob.kill()
        for folder, _, names in os.walk(os.path.join(self.alice.state, "replicas")):
            for name in names:
                with open(os.path.join(folder, name), "r+b") as f:
                    f.seek(40)
                    f.write(b"\0\0\0\0\0\0")
        self.dora.start()
        self.arrives(m)

    def test_truncated(self):
        """A file that became shorter."""
        self.dora.stop()
        m = self.send(self.bob, body=b"y" * 70 + b"\r\n")
        self.wait_held(self.bob, self.others(self.bob))
        self.bob.kill()
        for folder, _, names in os.walk(os.path.join(self.carol.state, "replicas")):
            for name in names:
                os.truncate(os.path.join(folder, name), 100)
        self.dora.start()
        self.arrives(m)

    def test_stalled_holder(self):
        """One holder answers nothing (its host hangs)."""
        self.dora.stop()
        m = self.send(self.bob)
        self.wait_held(self.bob, self.others(self.bob))
        self.bob.kill()
        self.alice.unplug()
        self.dora.start()
        self.arrives(m)
        self.alice.plug()

    def test_cancel_while_a_member_is_off(self):
        """The member that was off comes back first, the sender stays away: nobody serves it any more."""
        self.dora.stop()
        self.send(self.bob)
        self.wait_held(self.bob, self.others(self.bob))
        self.carol.stop()
        asked = self.proof(self.bob)
        said = self.bob.ctl("cancel", self.bob.queue()[0]["id"])
        self.assertEqual([s["address"] for s in said], [self.dora.address])
        until(lambda: not replicas(self.alice), "alice forgets it")
        self.bob.kill()
        self.carol.start()
        self.ask_until_gone(self.carol, *asked)
        # What dora sees of it, as long as its notification is in the DHT, goes.
        self.dora.start()
        m = self.send(self.alice, "another one")
        [uid] = until(lambda: self.dora.uids(criteria='SUBJECT "another one"'), "dora sees another one", 60)
        self.assertEqual(self.dora.wait_body(uid, seconds=90), m)
        until(lambda: self.dora.uids() == [uid], "and no other one", 60)

    def test_removed_member(self):
        """Who is removed gets nothing new and serves nothing old."""
        self.dora.stop()
        self.send(self.bob)
        self.wait_held(self.bob, self.others(self.bob))
        self.alice.ctl("group", "remove", self.carol.address)
        until(lambda: not replicas(self.carol), "carol drops what is not hers to keep", 60)
        m = letter(self.bob, self.dora, "a second one")
        self.bob.send(self.dora, m)
        until(lambda: len(replicas(self.alice)) == 2, "alice holds both", 60)
        self.assertEqual(replicas(self.carol), [])


class CutOff(InGroup):
    """carol is not in the network while bob takes a letter back that she holds; when she is there again, bob is gone."""

    def held(self):
        self.dora.stop()
        self.send(self.bob)
        self.wait_held(self.bob, self.others(self.bob))
        return self.proof(self.bob)

    def taken_back(self):
        self.bob.ctl("cancel", self.bob.queue()[0]["id"])
        until(lambda: not replicas(self.alice), "alice forgets it")
        self.bob.kill()

    def wait_log(self, peer, since, words, seconds=60):
        until(lambda: words in peer.log()[since:], "%s logs %s" % (peer.name, words), seconds)

    def test_cable_pulled(self):
        asked = self.held()
        self.assertEqual(self.ask(self.carol, *asked), 200)
        since = len(self.carol.log())
        self.carol.unplug()
        self.taken_back()
        self.wait_log(self.carol, since, b'member=%s replicas=withheld why="no network"' % self.bob.address.encode(), 120)
        self.carol.plug()
        self.ask_until_gone(self.carol, *asked)

    def test_started_without_network(self):
        asked = self.held()
        self.carol.stop()
        self.carol.unplug()
        since = len(self.carol.log())
        self.carol.start()
        self.taken_back()
        for p in self.others(self.carol):
            self.wait_log(self.carol, since, b"member=%s state=away" % p.address.encode())
        self.carol.plug()
        self.ask_until_gone(self.carol, *asked)

    def test_cable_pulled_for_a_moment(self):
        """Before the network is missed; from the first sign of alice on carol asks first."""
        asked = self.held()
        since = len(self.carol.log())
        self.carol.unplug()
        self.taken_back()
        for p in self.others(self.carol):
            self.wait_log(self.carol, since, b"member=%s state=away" % p.address.encode())
        self.carol.plug()
        self.wait_log(self.carol, since, b"member=%s state=up" % self.alice.address.encode())
        self.ask_until_gone(self.carol, *asked)


class NatSender(InGroup):
    nat = ("bob",)

    def test_nobody_can_reach_the_sender(self):
        """He pushes; a receiver that knows only his group gets it all the same."""
        m = self.send(self.bob)
        self.arrives(m)
        self.done(self.bob)
        self.nothing_left(*self.group)

    def test_and_he_goes(self):
        self.dora.stop()
        m = self.send(self.bob)
        self.wait_held(self.bob, self.others(self.bob))
        self.bob.kill()
        self.dora.start()
        self.arrives(m)
        self.bob.start()
        self.done(self.bob)
        self.nothing_left(*self.group)


class OneReachable(InGroup):
    """Master and another member behind NATs: carol alone can be reached."""
    nat = ("alice", "bob")

    def test_both_send_and_go(self):
        self.dora.stop()
        sent = [self.send(self.alice, "from the master"), self.send(self.bob, "from a member")]
        for p in (self.alice, self.bob):
            self.wait_held(p, [self.carol])
            p.kill()
        self.dora.start()
        for uid in self.dora.wait_mail(2, seconds=90):
            self.assertIn(self.dora.wait_body(uid, seconds=90), sent)
        for p in (self.alice, self.bob):
            p.start()
        self.done(self.alice, self.bob, n=2)
        self.nothing_left(*self.group)

    def test_to_each_other(self):
        """Neither can ask the other one: it goes by carol, each way, while both are there."""
        for sender, to in ((self.alice, self.bob), (self.bob, self.alice)):
            m = letter(sender, to, "to a fellow", noise(100_000))
            sender.send(to, m)
            self.assertEqual(to.wait_body(to.wait_mail(1, seconds=60)[0], seconds=90), m)
            sender.wait_empty(60)
            self.assertEqual(len(to.uids()), 1)
        self.nothing_left(*self.group)

    def test_cancel(self):
        """What carol confirms is in time; dora, who has the header, loses it."""
        first = self.send(self.alice, "read at once")
        self.arrives(first)
        self.done(self.alice)
        self.send(self.alice, "taken back")
        self.dora.wait_mail(2)
        self.wait_held(self.alice, [self.carol])
        self.dora.stop()
        [said] = self.alice.ctl("cancel", self.alice.queue()[0]["id"])
        self.assertEqual(said["state"], "in-time", said)
        self.alice.kill()
        self.dora.start()
        until(lambda: len(self.dora.uids()) == 1, "the entry goes", 60)
        for p in (self.bob, self.carol):
            until(lambda p=p: not p.replica_files(), p.name + " forgets it")


class NatReceiver(InGroup):
    nat = ("dora",)

    def test_receiver_behind_nat(self):
        self.dora.stop()
        m = self.send(self.bob)
        self.wait_held(self.bob, self.others(self.bob))
        self.bob.kill()
        self.dora.start()
        self.arrives(m)
        self.bob.start()
        self.done(self.bob)


class Five(InGroup):
    members = ("alice", "bob", "carol", "dave", "erin")

    def test_one_of_five_is_left(self):
        self.dora.stop()
        m = self.send(self.bob)
        self.wait_held(self.bob, self.others(self.bob))
        for p in (self.alice, self.bob, self.carol, self.dave):
            p.kill()
        self.dora.start()
        self.arrives(m)
        for p in (self.alice, self.bob, self.carol, self.dave):
            p.start()
        self.done(self.bob)
        self.nothing_left(*self.group)

    def test_full_disk(self):
        """One member has no room: the others have."""
        self.carol.stop()
        folder = os.path.join(self.carol.state, "replicas")
        os.makedirs(folder, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", folder], check=True)
        self.addCleanup(subprocess.run, ["umount", folder])
        self.carol.complaints = re.compile(rb"space|replica")
        self.carol.start()
        self.dora.stop()
        m = self.send(self.bob, body=noise(200_000))
        self.wait_held(self.bob, self.others(self.bob, self.carol))
        self.assertEqual(self.carol.status()["replicas"]["messages"], 0)
        self.bob.kill()
        self.dora.start()
        self.arrives(m)
        self.bob.start()
        self.done(self.bob)
        self.nothing_left(*self.group)
