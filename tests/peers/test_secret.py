"""Nothing readable leaves the house: not in the outbox folder, not in HTTP, not in the DHT."""
import base64
import os
import re
import subprocess

from peers import program, until, BUILD
from scene import Scene, letter

WORDS = [b"Zanzibar", b"Quetzalcoatl", b"Xylophone", b"alice@home", b"bob@home", b"Pumpernickel"]


class Secret(Scene):
    wired = True

    def assertUnreadable(self, octets, where):
        for word in WORDS:
            for form in (word, word.lower(), base64.b64encode(word)[:-4], word.hex().encode()):
                self.assertNotIn(form, octets, where)

    def dht_values(self, key):
        tool = os.path.join(BUILD, "tests/peers/dht-values")
        done = subprocess.run([tool, str(self.net.network), "127.0.0.1:%d" % self.alice.dht_port, key],
                              capture_output=True, check=True, timeout=90)
        return [bytes.fromhex(l) for l in done.stdout.decode().split()]

    def test_nothing_readable(self):
        m = letter(self.alice, self.bob, "Zanzibar Quetzalcoatl", "Xylophone\r\n" * 100,
                   'MIME-Version: 1.0\r\nContent-Type: text/plain; name="Pumpernickel"\r\n' +
                   "".join("X-Long-%d: %s\r\n" % (i, "Pumpernickel" * 40) for i in range(20)))
        self.alice.send(self.bob, m)
        [uid] = self.bob.wait_mail(1)
        until(lambda: self.alice.states() == {"bob@home": "notified"}, "notified")
        files = self.alice.outbox_files()
        self.assertTrue(files)
        for path in files:
            with open(path, "rb") as f:
                self.assertUnreadable(f.read(), path)
        notices = until(lambda: self.dht_values("p2pmta:ns:bob@home"), "the notice is in the DHT", 60)
        for value in notices:
            self.assertTrue(value.startswith(b"p2ns\x01"), value[:16])
            self.assertLessEqual(len(value), 4096)
            self.assertUnreadable(value, "notice")
        self.assertEqual(self.bob.body(uid), m)
        self.alice.wait_empty()
        self.assertEqual(len(self.wire.pulls()), 1)
        # Host and path may name the address of the outbox; what is carried may not name anybody.
        self.assertUnreadable(self.wire.octets(), "HTTP")
        for value in self.dht_values("p2pmta:nr:alice@home"):
            self.assertEqual(len(value), 37)

    def test_modes(self):
        """Everything below the state folder is its owner's alone."""
        self.alice.send(self.bob, letter(self.alice, self.bob, "modes"))
        self.bob.body(self.bob.wait_mail(1)[0])
        for peer in (self.alice, self.bob):
            for folder, _, names in os.walk(peer.state):
                self.assertEqual(os.stat(folder).st_mode & 0o777, 0o700, folder)
                for name in names:
                    path = os.path.join(folder, name)
                    try:
                        mode = os.lstat(path).st_mode
                    except FileNotFoundError:   # it lived only for a moment
                        continue
                    self.assertEqual(mode & 0o077, 0, path)

    def test_outbox_tells_strangers_nothing(self):
        """404 without a token, the same for a wrong one and for what never was; open pages are open."""
        self.alice.send(self.bob, letter(self.alice, self.bob, "closed"))
        self.bob.wait_mail(1)
        [h] = {re.search(r"[0-9a-f]{64}", f).group() for f in self.alice.outbox_files()}
        import urllib.error
        import urllib.request

        def get(path, token=None):
            request = urllib.request.Request("http://127.0.0.1:%d%s" % (self.alice.http_port, path))
            if token:
                request.add_header("Authorization", "P2pMTA " + base64.b64encode(token).decode())
            try:
                with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as r:
                    return r.status, r.read()
            except urllib.error.HTTPError as e:
                return e.code, e.read()

        answers = [get("/outbox/" + h), get("/outbox/" + h, bytes(32)), get("/outbox/" + "0" * 64, bytes(32)),
                   get("/outbox/%s.head" % h), get("/outbox/msglist"), get("/nothing")]
        self.assertEqual({a[0] for a in answers}, {404})
        self.assertEqual(len({a[1] for a in answers[:3]}), 1)
        status, descriptor = get("/descriptor")
        self.assertEqual(status, 200)
        self.assertTrue(descriptor)
        status, key = get("/pubkey")
        self.assertEqual(status, 200)
        home = os.path.join(self.net.dir, "gpg")
        os.mkdir(home, 0o700)
        shown = subprocess.run(["gpg", "--homedir", home, "--batch", "--show-keys", "--with-colons"], input=key,
                               capture_output=True, check=True).stdout.decode()
        self.assertIn("fpr:::::::::%s:" % self.alice.fingerprint, shown)
