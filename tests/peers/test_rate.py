"""outbox.replica_rate: what members keep for each other takes no more of a line than its owner gives, and what is small
does not wait behind what is large."""
import contextlib
import sqlite3
import time
import unittest

from peers import until
from scene import letter, noise
from test_absent import InGroup, MISSING
from test_replica import Group

RATE, SIZE = 80 * 1024, 1060 * 1024
TOLERANCE = 0.85        # a rate is measured over seconds
SLACK = 100 * 1024      # lists, notices, the DHT


def noticed(peer):
    """How many messages of others this peer could announce: list and notices object are here."""
    with contextlib.closing(sqlite3.connect("file:%s/state.db?mode=ro" % peer.state, uri=True)) as db:
        return db.execute("SELECT count(*) FROM replica WHERE listed AND noticed = notices_hash").fetchone()[0]


class Rate(Group):
    def send_large(self):
        """To dave, who is off. The time when it was sent, and its sealed size."""
        self.dave.stop()
        begin = time.monotonic()
        self.alice.send(self.dave, letter(self.alice, self.dave, "large", noise(SIZE)))
        until(lambda: self.alice.status()["outbox"]["bytes"] > SIZE, "it is sealed")
        return begin, self.alice.status()["outbox"]["bytes"]

    def held_by(self, subject, *names):
        return [h["address"] for m in self.alice.queue() if m["subject"] == subject for h in m["holders"] if h["holds"]] == [
            n + "@home" for n in names]

    def rated(self, begin, octets):
        """So many octets were not here sooner than the rate allows."""
        seconds = time.monotonic() - begin
        self.assertGreater(seconds, TOLERANCE * octets / RATE)
        self.assertLess(seconds, 30 + 3 * octets / RATE)


class Pull(Rate):
    settings = {"bob": {"outbox_replica_rate": str(RATE)}}

    def test_member_with_a_rate(self):
        """bob takes his time, also when alice would rather bring it; carol has it at once, and the second letter is not
        behind the first one."""
        self.greet()
        begin, size = self.send_large()
        until(lambda: self.held_by("large", "carol"), "carol has it")
        self.alice.send(self.dave, letter(self.alice, self.dave, "small"))
        until(lambda: noticed(self.bob) == 2, "bob can announce both", 5)
        self.assertFalse(self.bob.replica_files() and self.held_by("large", "bob", "carol"))
        until(lambda: self.bob.status()["replicas"]["messages"] == 2, "bob has both", 60)
        self.rated(begin, size)
        self.dave.start()
        for uid in self.dave.wait_mail(3):
            self.dave.wait_body(uid)
        self.alice.wait_empty()
        self.wait_none(self.bob, self.carol)

    def test_cancel_meanwhile(self):
        self.greet()
        self.send_large()
        until(lambda: self.held_by("large", "carol"), "carol has it")
        [queued] = self.alice.queue()
        [said] = self.alice.ctl("cancel", queued["id"])
        self.assertEqual(said["state"], "in-time", said)
        self.wait_none(self.bob, self.carol, seconds=3)


@unittest.skipIf(MISSING, MISSING)
class Bring(InGroup):
    """alice cannot be reached, and brings her mail to both."""
    settings = {"alice": {"outbox_replica_rate": str(RATE), "outbox_url": "{}"}}

    def known(self, n):
        """Both could announce so many."""
        until(lambda: noticed(self.bob) == noticed(self.carol) == n, "both can announce %d" % n, 5)

    def test_owner_with_a_rate(self):
        """Two large ones and a small one, over one line, whose octets are counted."""
        self.dora.stop()
        _, before = self.alice.octets()
        begin = time.monotonic()
        for _ in range(2):
            self.send(self.alice, body=noise(SIZE // 2))
        self.send(self.alice)
        self.known(3)
        self.wait_held(self.alice, [self.bob, self.carol])
        _, after = self.alice.octets()
        seconds = time.monotonic() - begin
        self.assertLess(after - before, RATE * seconds / TOLERANCE + SLACK)
        self.assertLess(seconds, 30 + 3 * SIZE / RATE)

    def test_cancel_meanwhile(self):
        self.dora.stop()
        self.send(self.alice, body=noise(SIZE))
        self.known(1)
        [queued] = self.alice.queue()
        [said] = self.alice.ctl("cancel", queued["id"])
        self.assertEqual(said["state"], "in-time", said)
        for p in (self.bob, self.carol):
            until(lambda p=p: not p.replica_files(), p.name + " forgets it", 3)
