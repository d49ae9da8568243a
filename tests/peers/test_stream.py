"""Random commands over several connections, every reply checked against a model (imap_model.py).

STREAM_SECONDS: how long (5); STREAM_SEED: which (another one each time, it is told when it fails)."""
import os
import random

import imap_model
from scene import Scene


class Stream(Scene):
    names = ("alice",)

    def test_against_the_model(self):
        seed = int(os.environ.get("STREAM_SEED", random.randrange(1 << 30)))
        seconds = float(os.environ.get("STREAM_SECONDS", "5"))
        try:
            count = imap_model.stream(self.alice.imap_port, self.alice.user, self.alice.password, seconds, seed)
        except imap_model.Mismatch as e:
            self.fail("STREAM_SEED=%d: %s" % (seed, e))
        self.assertGreater(sum(count.values()), 10 * seconds / float(os.environ.get("SLOW", "1")), count)
        if seconds > 60:
            print("seed %d: %d commands, %s" % (seed, sum(count.values()), dict(count)))
