"""Nothing readable leaves the house: not in the outbox folder, not in HTTP, not in the DHT.
No credential gets into a log, a trace or an answer of p2pmta-ctl."""
import base64
import concurrent.futures
import contextlib
import imaplib
import os
import re
import smtplib
import socket
import sqlite3
import subprocess

from peers import program, until, BUILD, SLOW
from scene import Scene, letter
from test_matrix import Scram

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
        sealed = self.alice.sealed()
        self.assertTrue(sealed)
        for name, octets in sealed.items():
            self.assertUnreadable(octets, name)
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
        [h] = self.alice.sealed()
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


class Credentials(Scene):
    """Everything is logged that can be, while right and wrong credentials come in every way they can."""
    wired = True
    WRONG = "Xylophone-Wrong-1"

    def forms(self, octets):
        """The octets, and what base64 makes of them wherever they stand in something longer."""
        yield octets
        for lead in range(3):
            text = base64.b64encode(b"\0" * lead + octets)
            yield text[(4 if lead else 0):-4]
        yield octets.hex().encode()
        yield octets.hex().upper().encode()

    def dial(self, peer, port):
        s = socket.create_connection(("127.0.0.1", port), timeout=60 * SLOW)
        self.addCleanup(s.close)
        s.recv(1000)
        return s

    def play(self, port, *pieces):
        """Each piece, and whatever comes back; then the line is dropped."""
        s = self.dial(self.alice, port)
        s.settimeout(0.05 * SLOW)
        for piece in pieces:
            with contextlib.suppress(OSError):
                s.sendall(piece)
                while s.recv(65536):
                    pass
        s.close()

    def smtp_ways(self, password):
        user = self.alice.user
        with smtplib.SMTP("127.0.0.1", self.alice.smtp_port, timeout=60 * SLOW) as s:
            s.user, s.password = user, password
            for kind in ("PLAIN", "LOGIN", "SCRAM-SHA-256"):
                s.ehlo()
                with contextlib.suppress(smtplib.SMTPException):
                    scram = Scram(user, password)
                    self.secrets += [scram.first.split("r=")[1].encode()]
                    s.auth(kind, scram if kind.startswith("SCRAM") else getattr(s, "auth_" + kind.lower()))
                    s.quit()
                    s.connect("127.0.0.1", self.alice.smtp_port)
        plain = base64.b64encode(("\0%s\0%s" % (user, password)).encode())
        word = base64.b64encode(password.encode())
        ehlo = b"EHLO x\r\n"
        long = b"A" * 20000
        for pieces in (
                (b"AUTH PLAIN " + plain + b"\r\n",),                           # before EHLO
                (ehlo, b"AUTH " + plain + b"\r\n"),                            # no mechanism
                (ehlo, b"AUTH " + plain + b" PLAIN\r\n"),
                (ehlo, b"auth   plain   " + plain + b"\r\n"),
                (ehlo, b"AUTH PLAIN " + plain[:9], plain[9:] + b"\r", b"\n"),    # in pieces
                (ehlo, b"AUTH PLAIN " + plain[:9] + b"\r\n", plain[9:] + b"\r\n"),     # in two lines
                (ehlo, b"AUTH PLAIN\n" + plain + b"\r\n"),                     # bare ends
                (ehlo, b"AUTH PLAIN\r" + plain + b"\r\n"),
                (ehlo, b"AUTH\tPLAIN " + plain + b"\r\n"),
                (ehlo, b"AUTH PLAIN " + plain + b"\0\r\n"),
                (ehlo, b"AUTH PLAIN " + plain + long + b"\r\n"),                # too long
                (ehlo, b"AUTH PLAIN " + long + plain + b"\r\n"),
                (ehlo, b"AUTH PLAIN\r\n", long + plain + b"\r\n", plain + b"\r\n"),
                (ehlo, b"AUTH PLAIN " + plain + b" " + plain + b"\r\n"),
                (ehlo, b"AUTH XOAUTH2 " + plain + b"\r\n"),
                (ehlo, b"AUTH CRAM-MD5\r\n", plain + b"\r\n"),
                (ehlo, b"AUTH LOGIN " + word + b"\r\n", word + b"\r\n", word + b"\r\n"),
                (ehlo, b"AUTH LOGIN\r\n" + word + b"\r\n" + word + b"\r\n" + word + b"\r\n"),
                (ehlo, b"AUTH PLAIN " + plain),                                # dropped
                (ehlo, plain + b"\r\n", plain + b" x\r\n", b"PASS " + password.encode() + b"\r\n"),
                (ehlo, b"AUTH=PLAIN " + plain + b"\r\n", b"AUTHPLAIN " + plain + b"\r\n"),
                (b"GET /?" + password.encode() + b" HTTP/1.1\r\nAuthorization: Basic " + plain + b"\r\n\r\n",)):
            self.play(self.alice.smtp_port, *pieces)

    def imap_ways(self, password):
        user = self.alice.user
        for way in (lambda c: c.login(user, password),
                    lambda c: c.authenticate("PLAIN", lambda _: ("\0%s\0%s" % (user, password)).encode()),
                    self.imap_scram(password)):
            c = imaplib.IMAP4("127.0.0.1", self.alice.imap_port, timeout=60 * SLOW)
            with contextlib.suppress(imaplib.IMAP4.error):
                way(c)
            c.logout()
        plain = base64.b64encode(("\0%s\0%s" % (user, password)).encode())
        octets = password.encode()
        long = b"A" * 20000
        for pieces in (
                (b"a AUTHENTICATE PLAIN " + plain[:9], plain[9:] + b"\r\n"),
                (b"a AUTHENTICATE PLAIN\r\n", plain[:9] + b"\r\n", plain[9:] + b"\r\n"),
                (b"a AUTHENTICATE PLAIN\r\n", long + plain + b"\r\n"),
                (b"a AUTHENTICATE " + plain + b"\r\n",),
                (b"a AUTHENTICATE XOAUTH2 " + plain + b"\r\n",),
                (b"a LOGIN alice {%d}\r\n" % len(octets), octets + b"\r\n"),
                (b"a LOGIN alice {%d+}\r\n" % len(octets) + octets + b"\r\n",),
                (b"a LOGIN alice {999999999+}\r\n" + octets + b"\r\n",),
                (b"a LOGIN alice {999999999}\r\n", octets + b"\r\n"),
                (b"a LOGIN alice \"" + octets + b"\r\n",),
                (b"a LOGIN alice " + octets + b" more\r\n",),
                (b"a LOGIN (alice " + octets + b")\r\n",),
                (b"a LOGN alice " + octets + b"\r\n",),
                (b"a UID LOGIN alice " + octets + b"\r\n",),
                (b"LOGIN alice " + octets + b"\r\n",),                         # no tag
                (b"a LOGIN alice " + long + octets + b"\r\n",),
                (plain + b"\r\n",),
                (octets + b"\r\n",),
                (octets + b" " + octets + b"\r\n",),
                (octets + b" " + octets + b" " + octets + b"\r\n",),
                (b"a LOGIN alice " + octets,)):                                # dropped
            self.play(self.alice.imap_port, *pieces)

    def imap_scram(self, password):
        def way(c):
            step = Scram(self.alice.user, password)
            self.secrets.append(step.first.split("r=")[1].encode())
            # The first word is asked for with an empty challenge.
            return c.authenticate("SCRAM-SHA-256", lambda challenge: step(challenge or None).encode())
        return way

    def ctl_says(self, *arguments, peer=None):
        """Both ways of saying it, with its complaints."""
        said = b""
        for more in ((), ("--json",)):
            done = subprocess.run([program("p2pmta-ctl"), "-c", (peer or self.alice).config, *more, *map(str, arguments)],
                                  capture_output=True, stdin=subprocess.DEVNULL, timeout=60 * SLOW)
            said += done.stdout + done.stderr
        return said

    def kept(self):
        """What the two have in their files that is as good as a password."""
        for peer in (self.alice, self.bob):
            with open(os.path.join(os.path.dirname(peer.config), "password")) as f:
                yield from (bytes.fromhex(w) for w in f.read().split()[3:])
            with contextlib.closing(sqlite3.connect("file:%s/state.db?mode=ro" % peer.state, uri=True)) as db:
                for query in ("SELECT key FROM letter", "SELECT secret FROM rcpt", "SELECT t_got FROM rcpt", "SELECT t_declined FROM rcpt"):
                    yield from (bytes(r[0]) for r in db.execute(query) if r[0] and any(r[0]))

    def test_no_credential_is_told(self):
        self.secrets = []
        for p in (self.alice, self.bob):
            p.set_conf("log", "level", '"debug"')
            p.ctl("reload")
            p.ctl("trace", "smtp,imap,http,dht", "on")
        self.alice.complaints = re.compile(rb"\A.*")
        m = letter(self.alice, self.bob, "traced")
        self.alice.send([self.bob, "nobody@nowhere"], m)
        self.assertEqual(self.bob.body(self.bob.wait_mail(1)[0]), m)
        with concurrent.futures.ThreadPoolExecutor() as together:
            done = [together.submit(ways, password) for ways in (self.smtp_ways, self.imap_ways)
                    for password in (self.WRONG, self.alice.password)]
        for one in done:
            one.result()
        keep = list(self.kept())
        tokens = [base64.b64decode(t) for t in re.findall(rb"Authorization: P2pMTA (\S+)", self.wire.octets())]
        self.assertTrue(tokens)
        self.assertGreaterEqual(len(keep), 6)
        [q] = self.alice.queue()
        said = b"".join(self.ctl_says(*c) for c in (
            ("status",), ("queue",), ("show", q["id"]), ("contacts",), ("trace", "smtp", "on"), ("pull", "--all"), ("pull", 4711),
            ("reload",), ("verify", "nobody@nowhere"), ("forget", "nobody@nowhere"), ("cancel", q["id"], "nobody@nowhere"),
            ("show", q["id"]), ("--help",), ("init", self.alice.address, "--dir", self.alice.dir), ("nonsense",)))
        log = self.alice.log() + self.bob.log()
        for word in (b"trace=smtp", b"trace=imap", b"trace=http", b"trace=dht", b"AUTH PLAIN ***", b"AUTH SCRAM-SHA-256 ***",
                     b"AUTH LOGIN ***", b"< (no command)", b"auth=failed", b"mechanism=SCRAM-SHA-256", b"LOGIN *** ***", b"+ ***"):
            self.assertIn(word, log)    # it was traced, and such things happened
        for secret in (self.WRONG.encode(), self.alice.password.encode(), self.bob.password.encode(), *self.secrets, *keep, *tokens):
            for form in self.forms(secret):
                for where, text in (("log", log), ("p2pmta-ctl", said)):
                    at = text.find(form)
                    self.assertEqual(at, -1, "%s: %r in %r" % (where, form, text[max(0, at - 150):at + 80]))
