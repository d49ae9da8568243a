"""Mail clients of other people's making: swaks, curl and mutt (Python's own are everywhere else)."""
import fcntl
import os
import pty
import select
import shutil
import struct
import subprocess
import termios
import time
import unittest

from peers import until, SLOW, Timeout
from scene import Scene, letter


def run(*command, **more):
    done = subprocess.run(command, capture_output=True, timeout=120 * SLOW, stdin=subprocess.DEVNULL, **more)
    if done.returncode != 0:
        raise AssertionError("%s: status %d\n%s%s" % (command[0], done.returncode,
                                                     done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")))
    return done.stdout


def on_terminal(command, env, seconds, columns=80):
    """Run a full-screen program on a terminal of its own, deaf to what it draws."""
    pid, fd = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        os.execvpe(command[0], command, env)
    deadline = time.monotonic() + seconds * SLOW
    drawn = b""
    while True:
        if select.select([fd], [], [], 0.2)[0]:
            try:
                drawn += os.read(fd, 65536)
            except OSError:     # the terminal is gone: it ended
                break
        if time.monotonic() > deadline:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            raise Timeout("%s did not end: %r" % (command[0], drawn[-1500:]))
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(fd)
    return status, drawn


def needs(name):
    return unittest.skipUnless(shutil.which(name), name + " is not installed")


class Clients(Scene):
    def write(self, name, octets):
        path = os.path.join(self.net.dir, name)
        with open(path, "wb") as f:
            f.write(octets)
        return path

    @needs("swaks")
    def test_swaks(self):
        m = letter(self.alice, self.bob, "by swaks", ".a dot\r\nsecond line\r\n")
        path = self.write("swaks.eml", m.replace(b"\r\n", b"\n"))
        for kind in ("PLAIN", "LOGIN"):
            run("swaks", "--server", "127.0.0.1", "--port", str(self.alice.smtp_port), "--auth", kind,
                "--auth-user", self.alice.user, "--auth-password", self.alice.password, "--from", self.alice.address,
                "--to", self.bob.address, "--data", "@" + path)
        uids = self.bob.wait_mail(2)
        for uid in uids:    # swaks writes its data and one line end more
            self.assertEqual(self.bob.body(uid).rstrip(b"\r\n"), m.rstrip(b"\r\n"))
        self.alice.wait_empty()

    @needs("curl")
    def test_curl_over_tls(self):
        """STARTTLS at both doors, with the certificate that init made."""
        m = letter(self.alice, self.bob, "by curl, TLS", "inside\r\n")
        path = self.write("tls.eml", m)
        run("curl", "-sS", "--ssl-reqd", "--cacert", self.certificate(self.alice), "--url",
            "smtp://localhost:%d" % self.alice.smtp_port, "-4", "--user", "%s:%s" % (self.alice.user, self.alice.password),
            "--mail-from", self.alice.address, "--mail-rcpt", self.bob.address, "--upload-file", path)
        [uid] = self.bob.wait_mail(1)
        got = run("curl", "-sS", "--ssl-reqd", "--cacert", self.certificate(self.bob), "--url",
                  "imap://localhost:%d/INBOX;UID=%d" % (self.bob.imap_port, uid), "-4",
                  "--user", "%s:%s" % (self.bob.user, self.bob.password))
        self.assertEqual(got, m)

    @staticmethod
    def certificate(peer):
        return os.path.join(os.path.dirname(peer.config), "tls.crt")

    @needs("curl")
    def test_curl(self):
        m = letter(self.alice, self.bob, "by curl", "line\r\n..two dots\r\n")
        path = self.write("curl.eml", m)
        run("curl", "-sS", "--url", "smtp://127.0.0.1:%d" % self.alice.smtp_port, "--user",
            "%s:%s" % (self.alice.user, self.alice.password), "--mail-from", self.alice.address, "--mail-rcpt",
            self.bob.address, "--upload-file", path)
        [uid] = self.bob.wait_mail(1)
        got = run("curl", "-sS", "--url", "imap://127.0.0.1:%d/INBOX;UID=%d" % (self.bob.imap_port, uid),
                  "--user", "%s:%s" % (self.bob.user, self.bob.password))
        self.assertEqual(got, m)
        listed = run("curl", "-sS", "--url", "imap://127.0.0.1:%d/" % self.bob.imap_port,
                     "--user", "%s:%s" % (self.bob.user, self.bob.password))
        for box in (b"INBOX", b"Drafts", b"Sent", b"Trash", b"Junk", b"Outbox"):
            self.assertIn(box, listed)
        self.alice.wait_empty()

    @needs("mutt")
    def test_mutt(self):
        """mutt sends, leaves its copy in Sent, and at the other end reads over IMAP."""
        env = dict(os.environ, TERM="xterm", HOME=self.net.dir, LC_ALL="C.UTF-8")
        send_rc = self.write("send.rc", (
            'set from="%s" realname="" use_from=yes envelope_from=yes\n'
            'set ssl_force_tls=yes certificate_file="%s"\n'
            'set smtp_url="smtp://%s@127.0.0.1:%d" smtp_pass="%s" smtp_authenticators="plain"\n'
            'set folder="imap://%s@127.0.0.1:%d/" imap_pass="%s" record="+Sent" copy=yes\n' % (
                self.alice.address, self.certificate(self.alice), self.alice.user.replace("@", "%40"), self.alice.smtp_port, self.alice.password,
                self.alice.user.replace("@", "%40"), self.alice.imap_port, self.alice.password)).encode())
        attachment = self.write("menu.txt", b"soup\nsalad\n")
        # Long enough for quoted-printable, 8-bit, and a line that begins with a dot.
        text = self.write("text", "Grüße\n.dot\n".encode())
        with open(text, "rb") as f:
            done = subprocess.run(["mutt", "-F", send_rc, "-s", "by mutt", "-a", attachment, "--", self.bob.address],
                                  stdin=f, capture_output=True, env=env, timeout=120 * SLOW)
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
        [uid] = self.bob.wait_mail(1)
        [copy] = until(lambda: self.alice.uids("Sent"), "mutt's copy in Sent")
        box = os.path.join(self.net.dir, "read.mbox")
        read_rc = self.write("read.rc", (
            'set folder="%s" imap_pass="%s" ssl_force_tls=no ssl_starttls=no mbox_type=mbox confirmappend=no confirmcreate=no\n'
            'set copy=no quit=yes mail_check=1 delete=no move=no wait_key=no\n'
            'push "<first-entry><copy-message><kill-line>%s<enter><exit>"\n' % (self.net.dir, self.bob.password, box)).encode())
        status, drawn = on_terminal(["mutt", "-F", read_rc, "-f", "imap://%s@127.0.0.1:%d/INBOX" % (
            self.bob.user.replace("@", "%40"), self.bob.imap_port)], env, 60)
        self.assertEqual(status, 0, drawn[-1000:])
        self.assertTrue(os.path.exists(box), drawn[-3000:])
        with open(box, "rb") as f:
            saved = f.read()
        self.assertIn(b"Subject: by mutt", saved)
        self.assertIn(b"soup\nsalad\n", saved)
        self.assertEqual(self.bob.body(uid).count(b"Subject: by mutt"), 1)
        self.assertNotIn("$Remote", self.bob.flags(uid))
        self.assertIn(b"Subject: by mutt", self.alice.body(copy, "Sent"))
        self.alice.wait_empty()
