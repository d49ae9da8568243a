"""Every client, with each TLS mode and each mechanism it knows: one mail each. alice writes to herself, so that
one peer is enough; the mails of one mode go in side by side. What was used is read in the daemon's log."""
import base64
import collections
import concurrent.futures
import os
import re
import shutil
import smtplib
import socket
import ssl
import subprocess
import unittest

from peers import fetch_body, SLOW
from scene import Scene, letter
from test_clients import run

# Thunderbird is played: its commands in its order (traced from 153), over the real socket and TLS.
# Python's smtplib brings no SCRAM, but a place to put one.
CLIENTS = {
    "swaks": ("PLAIN", "LOGIN"),
    "msmtp": ("PLAIN", "LOGIN", "SCRAM-SHA-256"),
    "curl": ("PLAIN", "LOGIN", "SCRAM-SHA-256"),
    "mutt": ("PLAIN", "LOGIN", "SCRAM-SHA-256"),
    "python": ("PLAIN", "LOGIN", "SCRAM-SHA-256"),
    "thunderbird": ("PLAIN", "LOGIN"),
}
# What a client can do depends on how it was built: its words for that.
KNOWS = {
    ("curl", "SCRAM-SHA-256"): (("curl", "-V"), rb"gsasl"),
    ("mutt", "SCRAM-SHA-256"): (("mutt", "-v"), rb"\+USE_GSASL"),
}
SWAKS_TLS = {"off": (), "starttls": ("--tls",), "always": ("--tls-on-connect",)}
MSMTP_TLS = {"off": "tls off", "starttls": "tls on\ntls_starttls on", "always": "tls on\ntls_starttls off"}
CURL_TLS = {"off": (), "starttls": ("--ssl-reqd",), "always": ()}
MUTT_TLS = {"off": "ssl_starttls=no ssl_force_tls=no", "starttls": "ssl_starttls=yes ssl_force_tls=yes", "always": "ssl_force_tls=yes"}


def why_not(client, kind):
    """None, or why this field of the table stays empty on this machine."""
    if client not in ("python", "thunderbird") and not shutil.which(client):
        return client + " is not installed"
    command, words = KNOWS.get((client, kind), (None, None))
    if command and not re.search(words, run(*command)):
        return "this %s knows no %s" % (client, kind)
    return None


class Scram:
    """The client's side of SCRAM-SHA-256 (RFC 7677), for smtplib.SMTP.auth()."""

    def __init__(self, user, password):
        self.first = "n=%s,r=%s" % (user, base64.b64encode(os.urandom(12)).decode())
        self.password = password.encode()
        self.proven = False

    def __call__(self, challenge=None):
        import hashlib
        import hmac
        if challenge is None:
            return "n,," + self.first
        if self.proven:     # v=...: he knows it, too
            assert challenge == b"v=" + base64.b64encode(self.signature), challenge
            return ""
        fields = dict(f.split("=", 1) for f in challenge.decode().split(","))
        assert fields["r"].startswith(self.first.split("r=", 1)[1])
        salted = hashlib.pbkdf2_hmac("sha256", self.password, base64.b64decode(fields["s"]), int(fields["i"]))

        def mac(key, text):
            return hmac.new(key, text, "sha256").digest()
        final = "c=biws,r=" + fields["r"]
        said = ",".join((self.first, challenge.decode(), final)).encode()
        key = mac(salted, b"Client Key")
        proof = bytes(a ^ b for a, b in zip(key, mac(hashlib.sha256(key).digest(), said)))
        self.signature = mac(mac(salted, b"Server Key"), said)
        self.proven = True
        return "%s,p=%s" % (final, base64.b64encode(proof).decode())


class Table(Scene):
    names = ("alice",)
    mode = None

    @classmethod
    def setUpClass(cls):
        cls.conf = {"smtp_tls": '"%s"' % cls.mode}

    def write(self, name, octets):
        path = os.path.join(self.net.dir, name)
        with open(path, "wb", opener=lambda p, f: os.open(p, f, 0o600)) as f:
            f.write(octets)
        return path

    def login(self, kind):
        """One mechanism is told the whole address, the other the local part: both are the user."""
        return (self.alice.user if kind == "PLAIN" else self.alice.name), self.alice.password

    def swaks(self, kind, m):
        user, password = self.login(kind)
        run("swaks", "--server", "127.0.0.1", "--port", str(self.alice.smtp_port), *SWAKS_TLS[self.mode], "--auth", kind,
            "--auth-user", user, "--auth-password", password, "--from", self.alice.address,
            "--to", self.alice.address, "--data", "@" + self.write("swaks." + kind, m.replace(b"\r\n", b"\n")))

    def msmtp(self, kind, m):
        user, password = self.login(kind)
        rc = self.write("msmtp." + kind, (
            "account default\nhost localhost\nport %d\nauth %s\nuser %s\npassword %s\nfrom %s\ntls_trust_file %s\n%s\n"
            "dsn_notify failure,delay\ndsn_return headers\n" % (
                self.alice.smtp_port, kind.lower(), user, password, self.alice.address, self.certificate,
                MSMTP_TLS[self.mode])).encode())
        done = subprocess.run(["msmtp", "-C", rc, "--", self.alice.address], input=m, capture_output=True, timeout=60 * SLOW)
        self.assertEqual(done.returncode, 0, done.stderr)

    def curl(self, kind, m):
        run("curl", "-sS", "-4", *CURL_TLS[self.mode], "--cacert", self.certificate, "--url",
            "%s://localhost:%d" % ("smtps" if self.mode == "always" else "smtp", self.alice.smtp_port),
            "--login-options", "AUTH=" + kind, "--user", ":".join(self.login(kind)), "--mail-from", self.alice.address,
            "--mail-rcpt", self.alice.address, "--upload-file", self.write("curl." + kind, m))

    def mutt(self, kind, m):
        """It writes the message itself."""
        user, password = self.login(kind)
        rc = self.write("mutt." + kind, (
            'set from="%s" realname="" use_from=yes envelope_from=yes copy=no\nset certificate_file="%s"\nset %s\n'
            'set smtp_url="%s://%s@localhost:%d" smtp_pass="%s" smtp_authenticators="%s"\n'
            'set dsn_notify="failure,delay" dsn_return=hdrs\n' % (
                self.alice.address, self.certificate, MUTT_TLS[self.mode], "smtps" if self.mode == "always" else "smtp",
                user.replace("@", "%40"), self.alice.smtp_port, password, kind.lower())).encode())
        done = subprocess.run(["mutt", "-F", rc, "-s", "mutt " + kind, "--", self.alice.address], input=b"text\n",
                              capture_output=True, timeout=60 * SLOW,
                              env=dict(os.environ, TERM="xterm", HOME=self.net.dir, LC_ALL="C.UTF-8"))
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)

    def python(self, kind, m):
        context = ssl.create_default_context(cafile=self.certificate)
        if self.mode == "always":
            s = smtplib.SMTP_SSL("localhost", self.alice.smtp_port, context=context, timeout=60 * SLOW)
        else:
            s = smtplib.SMTP("127.0.0.1", self.alice.smtp_port, timeout=60 * SLOW)
            s._host = "localhost"   # what the certificate is for
        with s:
            if self.mode == "starttls":
                s.starttls(context=context)
            s.ehlo()
            s.user, s.password = self.login(kind)
            s.auth(kind, Scram(s.user, s.password) if kind.startswith("SCRAM") else getattr(s, "auth_" + kind.lower()))
            self.assertEqual(s.sendmail(self.alice.address, [self.alice.address], m,
                                        mail_options=["BODY=8BITMIME", "RET=HDRS", "ENVID=x+2By"],
                                        rcpt_options=["NOTIFY=FAILURE", "ORCPT=rfc822;" + self.alice.address]), {})

    def thunderbird(self, kind, m):
        context = ssl.create_default_context(cafile=self.certificate)
        wire = socket.create_connection(("127.0.0.1", self.alice.smtp_port), timeout=60 * SLOW)
        if self.mode == "always":
            wire = context.wrap_socket(wire, server_hostname="localhost")

        def say(line, code):
            if line:
                wire.sendall(line if isinstance(line, bytes) else line.encode() + b"\r\n")
            answer = b""
            while not re.search(rb"(?m)^\d\d\d [^\n]*\r\n\Z", answer):
                octets = wire.recv(4096)
                self.assertTrue(octets, "the connection ended after %r" % (line,))
                answer += octets
            self.assertTrue(answer.splitlines()[-1].startswith(b"%d " % code), (line, answer))
            return answer

        user, password = self.login(kind)
        say(None, 220)
        offers = say("EHLO [127.0.0.1]", 250)
        self.assertEqual(b"STARTTLS" in offers, self.mode == "starttls")
        if self.mode == "starttls":
            say("STARTTLS", 220)
            wire = context.wrap_socket(wire, server_hostname="localhost")
            offers = say("EHLO [127.0.0.1]", 250)
            self.assertNotIn(b"STARTTLS", offers)
        self.assertRegex(offers, rb"250-AUTH [^\r]*\b%s\b" % kind.encode())
        if kind == "PLAIN":
            say("AUTH PLAIN " + base64.b64encode(("\0%s\0%s" % (user, password)).encode()).decode(), 235)
        else:
            say("AUTH LOGIN", 334)
            say(base64.b64encode(user.encode()).decode(), 334)
            say(base64.b64encode(password.encode()).decode(), 235)
        say("MAIL FROM:<%s> BODY=8BITMIME SIZE=%d" % (self.alice.address, len(m)), 250)
        say("RCPT TO:<%s>" % self.alice.address, 250)
        say("DATA", 354)
        say(m.replace(b"\r\n.", b"\r\n..") + b".\r\n", 250)
        say("QUIT", 221)
        wire.close()

    def fields(self):
        """(client, mechanism) of this machine; the others are said to be skipped."""
        for client, kinds in CLIENTS.items():
            for kind in kinds:
                why = why_not(client, kind)
                if why is None:
                    yield client, kind
                elif "not installed" in why:
                    with self.subTest(client=client, mechanism=kind):
                        self.skipTest(why)

    def check_log(self, fields):
        """Each of them used what it was told to, and under TLS when there is some."""
        used = re.findall(rb"auth=ok mechanism=(\S+) tls=(\S+)", self.alice.log()[self.before:])
        want = [(kind.encode(), b"no" if self.mode == "off" else b"yes") for _, kind in fields]
        self.assertEqual(collections.Counter(used), collections.Counter(want))

    def check_bodies(self, sent):
        with self.alice.imap(readonly=True) as c:
            for (client, kind), m in sent.items():
                _, found = c.uid("SEARCH", 'HEADER SUBJECT "%s %s"' % (client, kind))
                [uid] = found[0].split()
                body = fetch_body(c, int(uid))
                if client == "swaks":       # writes its data and one line end more
                    body = body[:-2]
                if client != "mutt":
                    self.assertEqual(body, m)

    def everybody(self):
        self.certificate = os.path.join(os.path.dirname(self.alice.config), "tls.crt")
        self.before = len(self.alice.log())
        fields = list(self.fields())
        sent = {f: letter(self.alice, self.alice, "%s %s" % f, "text\r\n.dot\r\nGr\u00fc\u00dfe\r\n") for f in fields}
        with concurrent.futures.ThreadPoolExecutor(4) as together:
            done = {f: together.submit(getattr(self, f[0]), f[1], sent[f]) for f in fields}
        for f, one in done.items():
            with self.subTest(client=f[0], mechanism=f[1], tls=self.mode):
                one.result()
        self.check_log(fields)
        self.alice.wait_mail(len(fields))
        self.check_bodies(sent)
        self.alice.wait_empty()


class Off(Table):
    mode = "off"

    def test_everybody(self):
        self.everybody()


class Starttls(Table):
    mode = "starttls"

    def test_everybody(self):
        self.everybody()


class Always(Table):
    mode = "always"

    def test_everybody(self):
        self.everybody()


if __name__ == "__main__":
    unittest.main()
