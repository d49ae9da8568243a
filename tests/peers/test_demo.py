"""The demo is what a newcomer sees first: it must go its whole way."""
import os
import subprocess
import sys
import unittest

from peers import BUILD, SLOW, TOP


class Demo(unittest.TestCase):
    def test_two_peers(self):
        done = subprocess.run([sys.executable, "-B", os.path.join(TOP, "tools", "two-peers"), "--tell"], capture_output=True,
                              text=True, stdin=subprocess.DEVNULL, env={**os.environ, "BUILD_DIR": BUILD}, timeout=120 * SLOW)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("Done: one mail, its whole way", done.stdout)
