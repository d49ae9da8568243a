"""Submission: what is special about the door. alice writes to herself, so that one peer is enough.
Which clients come in through it: test_matrix.py."""
import base64
import collections
import contextlib
import hashlib
import imaplib
import os
import re
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import threading
import time
import unittest

from peers import until, SLOW
from scene import Scene, letter
from test_clients import needs, run
from test_hosts import MISSING, OnHosts


class Door(Scene):
    names = ("alice",)
    mode = "off"

    @classmethod
    def setUpClass(cls):
        cls.conf = {"smtp_tls": '"%s"' % cls.mode}

    def setUp(self):
        super().setUp()
        self.certificate = os.path.join(os.path.dirname(self.alice.config), "tls.crt")
        self.n = 0

    def write(self, name, octets):
        path = os.path.join(self.net.dir, name)
        with open(path, "wb") as f:
            f.write(octets)
        os.chmod(path, 0o600)
        return path

    def mail(self, subject):
        self.n += 1
        return letter(self.alice, self.alice, subject, "text\r\n.dot\r\n")

    def arrived(self):
        self.assertEqual(len(self.alice.wait_mail(self.n)), self.n)

    def context(self):
        return ssl.create_default_context(cafile=self.certificate)

    def python(self):
        if self.mode == "always":
            s = smtplib.SMTP_SSL("localhost", self.alice.smtp_port, context=self.context(), timeout=60 * SLOW)
        else:
            s = smtplib.SMTP("127.0.0.1", self.alice.smtp_port, timeout=60 * SLOW)
            if self.mode == "starttls":
                s._host = "localhost"   # what the certificate is for
                s.starttls(context=self.context())
        s.ehlo()
        return s


class Starttls(Door):
    mode = "starttls"

    def test_what_comes_before_the_handshake_is_forgotten(self):
        with socket.create_connection(("127.0.0.1", self.alice.smtp_port), timeout=60 * SLOW) as raw:
            self.assertTrue(raw.recv(1000).startswith(b"220 "))
            raw.sendall(b"EHLO x\r\n")
            while not re.search(rb"(?m)^250 ", raw.recv(4096)):
                pass
            raw.sendall(b"STARTTLS\r\nRSET\r\nNOOP injected\r\n")
            self.assertEqual(raw.recv(1000), b"220 2.0.0 Go ahead\r\n")
            with self.context().wrap_socket(raw, server_hostname="localhost") as s:
                s.sendall(b"MAIL FROM:<%s>\r\n" % self.alice.address.encode())
                self.assertTrue(s.recv(1000).startswith(b"530 "))
                s.sendall(b"AUTH PLAIN AAAA\r\n")
                self.assertTrue(s.recv(1000).startswith(b"503 "), "EHLO is forgotten too")

    def test_versions(self):
        for version, good in ((ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)):
            context = self.context()
            context.minimum_version = context.maximum_version = version
            with smtplib.SMTP("127.0.0.1", self.alice.smtp_port, timeout=60 * SLOW) as s:
                s._host = "localhost"
                s.starttls(context=context)
                self.assertEqual(s.noop()[0], 250)
        for version in ("-tls1", "-tls1_1"):
            done = subprocess.run(["openssl", "s_client", "-starttls", "smtp", version, "-cipher", "ALL:@SECLEVEL=0",
                                   "-connect", "127.0.0.1:%d" % self.alice.smtp_port],
                                  input=b"QUIT\r\n", capture_output=True, timeout=60 * SLOW)
            self.assertNotEqual(done.returncode, 0, done.stdout)

    def shown(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with smtplib.SMTP("127.0.0.1", self.alice.smtp_port, timeout=60 * SLOW) as s:
            s.starttls(context=context)
            return s.sock.getpeercert(binary_form=True)

    @needs("openssl")
    def test_another_certificate(self):
        """SIGHUP reads tls.crt and tls.key anew; a pair that does not fit changes nothing; a restart keeps it."""
        first = self.shown()
        folder = os.path.dirname(self.alice.config)
        new = {n: os.path.join(folder, "new." + n) for n in ("crt", "key")}
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2",
            "-keyout", new["key"], "-out", new["crt"])
        with open(new["crt"]) as f:
            want = ssl.PEM_cert_to_DER_cert(f.read())
        with smtplib.SMTP("127.0.0.1", self.alice.smtp_port, timeout=60 * SLOW) as early:
            early._host = "localhost"
            early.starttls(context=self.context())
            os.rename(new["crt"], self.certificate)
            self.alice.complaints = re.compile(rb"configuration=kept")
            self.alice.process.send_signal(signal.SIGHUP)
            until(lambda: b"configuration=kept" in self.alice.log(), "the wrong pair is refused")
            self.assertEqual(self.shown(), first)
            os.rename(new["key"], os.path.join(folder, "tls.key"))
            self.alice.process.send_signal(signal.SIGHUP)
            until(lambda: self.shown() == want, "the new certificate is shown")
            self.assertEqual(early.noop()[0], 250)
        self.alice.restart()
        self.assertEqual(self.shown(), want)


class Guests(Door):
    """Those who do not log in, and those who try to."""

    def test_500_idle_connections(self):
        idle = [socket.create_connection(("127.0.0.1", self.alice.smtp_port), timeout=60 * SLOW) for _ in range(500)]
        begin = time.monotonic()
        self.alice.send(self.alice, self.mail("through the crowd"))
        self.assertLess(time.monotonic() - begin, 10 * SLOW)
        self.arrived()
        for s in idle:
            s.close()

    def test_wrong_passwords(self):
        """Many wrong ones at once: the right one gets in all the same, and nothing of it is in the log."""
        wrong = base64.b64encode(b"\0alice\0not-the-password")
        guests = []
        for _ in range(60):
            s = socket.create_connection(("127.0.0.1", self.alice.smtp_port), timeout=60 * SLOW)
            s.sendall(b"EHLO x\r\nAUTH PLAIN " + wrong + b"\r\n")
            guests.append(s)
        until(lambda: self.alice.log().count(b"auth=failed") >= 30, "thirty failed")
        begin = time.monotonic()
        self.alice.send(self.alice, self.mail("in between"))
        self.assertLess(time.monotonic() - begin, 15 * SLOW)
        for s in guests:
            s.close()
        self.arrived()
        for secret in (wrong, b"not-the-password", self.alice.password.encode()):
            self.assertNotIn(secret, self.alice.log())

    @contextlib.contextmanager
    def guessing(self, port, hello):
        """Somebody dials again and again, each time with a wrong password, until all places are taken many times over."""
        dialled, stop = collections.deque(maxlen=700), threading.Event()

        def guess():
            while not stop.wait(1 / 150):
                with contextlib.suppress(OSError):
                    s = socket.create_connection(("127.0.0.1", port), timeout=5)
                    s.sendall(hello)
                    dialled.append(s)
        thread = threading.Thread(target=guess, daemon=True)
        thread.start()
        try:
            until(lambda: re.search(rb"in_all=1[0-9][0-9]", self.alice.log()), "a hundred failed", 60)
            yield
        finally:
            stop.set()
            thread.join()
            while dialled:
                dialled.pop().close()

    def test_guesses_in_a_flood(self):
        """The right password gets in before its connection has to make room: soon the first time, at once when it is remembered."""
        wrong = base64.b64encode(b"\0alice\0not-the-password")
        with self.guessing(self.alice.smtp_port, b"EHLO x\r\nAUTH PLAIN " + wrong + b"\r\n"):
            def log_in(mechanism):
                with self.python() as s:
                    s.user, s.password = self.alice.user, self.alice.password
                    return s.auth(mechanism, getattr(s, "auth_" + mechanism.lower()))[0] == 235

            def at_last():
                try:
                    return log_in("PLAIN")
                except (smtplib.SMTPException, OSError):
                    return False
            until(at_last, "the first login", 30)
            for mechanism in ("LOGIN", "PLAIN"):
                self.assertTrue(log_in(mechanism))
            if shutil.which("msmtp"):
                rc = self.write("msmtprc", ("account default\nhost 127.0.0.1\nport %d\nauth scram-sha-256\nuser alice\npassword %s\nfrom %s\n" % (
                    self.alice.smtp_port, self.alice.password, self.alice.address)).encode())
                done = subprocess.run(["msmtp", "-C", rc, "--", self.alice.address], input=self.mail("SCRAM"), capture_output=True,
                                      timeout=60 * SLOW)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.arrived()

    def test_guesses_at_imap_in_a_flood(self):
        with self.guessing(self.alice.imap_port, b'a LOGIN alice "not-the-password"\r\n'):
            def at_last():
                with contextlib.suppress(imaplib.IMAP4.error, OSError), self.alice.imap(readonly=True):
                    return True
            until(at_last, "the first login", 30)
            with self.alice.imap(readonly=True):
                pass
        self.assertIn(b"why=makes room", self.alice.log())

    def test_chunks(self):
        with self.python() as s:
            s.login(self.alice.user, self.alice.password)
            self.assertTrue(s.has_extn("chunking"))
            s.mail(self.alice.address)
            s.rcpt(self.alice.address)
            m = self.mail("chunks")
            for at in range(0, len(m), 50):
                part = m[at:at + 50]
                s.send(b"BDAT %d%s\r\n" % (len(part), b" LAST" if at + 50 >= len(m) else b"") + part)
                self.assertEqual(s.getreply()[0], 250)
        self.arrived()
        self.assertEqual(self.alice.body(self.alice.uids()[0]), m)

    def test_a_password_file_of_before(self):
        """Of a version that knew PBKDF2 only: PLAIN and SCRAM work."""
        with open(os.path.join(os.path.dirname(self.alice.config), "password"), "w") as f:
            f.write("pbkdf2-sha256 10000 %s %s\n" % ("00" * 16, hashlib.pbkdf2_hmac("sha256", b"old one", bytes(16), 10000).hex()))
        self.alice.password = "old one"
        self.alice.send(self.alice, self.mail("PLAIN"))
        if shutil.which("msmtp"):
            rc = self.write("msmtprc", ("account default\nhost 127.0.0.1\nport %d\nauth scram-sha-256\nuser alice\npassword old one\nfrom %s\n" % (
                self.alice.smtp_port, self.alice.address)).replace("password old one", 'password "old one"').encode())
            done = subprocess.run(["msmtp", "-C", rc, "--", self.alice.address], input=self.mail("SCRAM"), capture_output=True,
                                  timeout=60 * SLOW)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.arrived()


@unittest.skipIf(MISSING, MISSING)
class Elsewhere(OnHosts):
    """The user's mail client is on another machine."""

    def dialogue(self, s):
        """say(line) gives the whole answer."""
        lines = s.makefile("rb")

        def say(line):
            if line:
                s.sendall(line + b"\r\n")
            answer = lines.readline()
            while answer.split(b"\r\n")[-2][3:4] == b"-":
                answer += lines.readline()
            return answer
        return say

    def test_no_password_without_tls(self):
        """Not offered and not taken, right as it is; the same connection takes it under TLS."""
        self.make("alice", "bob")
        self.alice.set_conf("smtp", "listen", '{"0.0.0.0:%d"}' % self.alice.smtp_port)
        self.alice.start()
        right = base64.b64encode(("\0%s\0%s" % (self.alice.user, self.alice.password)).encode())
        with self.bob.connect(self.alice.outside, self.alice.smtp_port, 60 * SLOW) as raw:
            say = self.dialogue(raw)
            self.assertRegex(say(None), b"^220 ")
            offers = say(b"EHLO x")
            self.assertIn(b"250-STARTTLS\r\n", offers)
            self.assertNotIn(b"AUTH", offers)
            for line in (b"AUTH PLAIN " + right, b"AUTH PLAIN", b"AUTH LOGIN", b"AUTH SCRAM-SHA-256"):
                self.assertRegex(say(line), b"^538 5.7.11 ")
            self.assertRegex(say(b"MAIL FROM:<%s>" % self.alice.address.encode()), b"^530 5.7.0 ")
            self.assertRegex(say(b"STARTTLS"), b"^220 ")
            context = ssl.create_default_context(cafile=os.path.join(os.path.dirname(self.alice.config), "tls.crt"))
            with context.wrap_socket(raw, server_hostname="localhost") as s:
                say = self.dialogue(s)
                self.assertRegex(say(b"EHLO x"), b"250-AUTH [^\r]*PLAIN")
                self.assertRegex(say(b"AUTH PLAIN " + right), b"^235 ")
        self.assertNotIn(right, self.alice.log())


del Door, OnHosts    # have no tests of their own


if __name__ == "__main__":
    unittest.main()
