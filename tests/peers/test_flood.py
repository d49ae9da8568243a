"""Many submissions at once while the worst happens to the sender: what was answered with 250
arrives exactly once, and nothing that was refused arrives.

FLOOD: how many messages (default 200). A message whose answer was lost with the connection
may arrive, once: its client does not know either.
"""
import contextlib
import os
import random
import re
import smtplib
import sqlite3
import subprocess
import threading
import time
import unittest

from peers import SLOW, until
from scene import Scene, letter

N = int(os.environ.get("FLOOD", "200"))
CONNECTIONS = 10
PATIENCE = 60 + N * 0.1


class Flood(Scene):
    running = False
    until_refused = False   # go on, with small ones and in no hurry, until one was

    def setUp(self):
        super().setUp()
        self.taken, self.unsure, self.refused = set(), set(), set()
        self.full = threading.Event()   # one was refused
        self.fatal = []
        self.sent = {}

    def submit(self, s, name, sizes=(10, 4000, 100000)):
        """One message; True while the connection can be used for another."""
        m = letter(self.alice, self.bob, name, "x" * random.choice(sizes) + "\r\n")
        self.sent[name] = m
        try:
            for command in ("MAIL FROM:<%s>" % self.alice.address, "RCPT TO:<%s>" % self.bob.address, "DATA"):
                code, said = s.docmd(command)
                if code not in (250, 354):
                    break
            if code == 354:
                self.unsure.add(name)
                s.send(m.replace(b"\r\n.", b"\r\n..") + b".\r\n")
                code, said = s.getreply()
                self.unsure.discard(name)
        except (smtplib.SMTPServerDisconnected, OSError):
            return False
        if code == 250:
            self.taken.add(name)
            return True
        self.refused.add(name)
        self.full.set()
        if code != 452:
            self.fatal.append((name, code, said))
        with contextlib.suppress(smtplib.SMTPServerDisconnected, OSError):
            s.rset()
        time.sleep(0.05)    # as a client that tries again later
        return True

    def connect(self):
        """The daemon may be on its way down or up."""
        def there():
            try:
                return self.alice.smtp()
            except (smtplib.SMTPException, OSError):
                return None
        return until(there, "alice takes a connection", 60)

    def client(self, k):
        try:
            s = self.connect()
            for i in range(N // CONNECTIONS):
                if not self.submit(s, "flood %d.%d" % (k, i)):
                    s.close()
                    s = self.connect()
            give_up = time.monotonic() + 60
            while self.until_refused and not self.full.wait(0.05) and time.monotonic() < give_up:
                i += 1
                if not self.submit(s, "flood %d.%d" % (k, i), sizes=(10,)):
                    s.close()
                    s = self.connect()
            with contextlib.suppress(smtplib.SMTPException, OSError):
                s.quit()
        except Exception as e:      # a thread's failure is the test's
            self.fatal.append(e)

    def flood(self, trouble):
        """All clients at once; trouble() again and again until they are through."""
        clients = [threading.Thread(target=self.client, args=(k,), daemon=True) for k in range(CONNECTIONS)]
        for c in clients:
            c.start()
        while any(c.is_alive() for c in clients):
            trouble()
        self.assertEqual(self.fatal, [])

    def subjects(self):
        with self.bob.imap(readonly=True) as c:
            _, data = c.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        return [re.search(rb"Subject: (.*?)\r\n", p[1]).group(1).decode() for p in data if isinstance(p, tuple)]

    def arrived(self):
        until(lambda: self.taken <= set(self.subjects() if self.bob.count() else []), "all that was taken arrives", PATIENCE)
        until(lambda: {r["state"] for m in self.alice.queue() for r in m["recipients"]} <= {"notified"},
              "nothing is left to send", PATIENCE)
        got = self.subjects()
        self.assertEqual(len(got), len(set(got)), "something came twice")
        self.assertEqual(set(got) - self.taken - self.unsure, set(), "something came that was refused")
        queued = [m["subject"] for m in self.alice.queue()]
        self.assertEqual(sorted(queued), sorted(got), "the queue tells something else")

    def unharmed(self):
        """What arrived is what was sent, octet for octet: all of it, or a sample of very many."""
        uids = self.bob.uids()
        for uid in random.sample(uids, min(len(uids), 200)):
            m = self.bob.wait_body(uid)
            name = re.search(rb"Subject: (.*?)\r\n", m).group(1).decode()
            self.assertTrue(m == self.sent[name], "%s is not what was sent" % name)


class Killed(Flood):
    def test_killed_while_many_submit(self):
        self.net.start()
        kills = []

        def kill():
            time.sleep(random.uniform(0.01, 0.4) * SLOW)     # any instant is the point
            self.alice.kill()
            self.alice.start()
            kills.append(1)
        self.flood(kill)
        self.assertGreater(len(kills), 0)
        self.alice.wait_dht()
        self.arrived()
        self.unharmed()


class Full(Flood):
    """alice's state lies in a small file system of its own."""
    until_refused = True

    def mount(self):
        if os.geteuid() != 0:
            self.skipTest("only root can mount a file system")
        os.makedirs(self.alice.state, exist_ok=True)
        saved = self.alice.state + ".saved"
        os.rename(self.alice.state, saved)
        os.mkdir(self.alice.state, 0o700)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm,mode=700" % (32 + N * 40 // 1000), "tmpfs", self.alice.state],
                              capture_output=True, text=True)
        if done.returncode != 0:
            os.rmdir(self.alice.state)
            os.rename(saved, self.alice.state)
            self.skipTest("no right to mount: " + done.stderr.strip())
        self.addCleanup(lambda: subprocess.run(["umount", "-l", self.alice.state]))
        subprocess.run(["cp", "-a", saved + "/.", self.alice.state], check=True)
        self.filler = os.path.join(self.alice.state, "filler")

    def fill(self):
        block = b"\0" * 65536
        with open(self.filler, "wb", buffering=0) as f:
            with contextlib.suppress(OSError):
                while f.write(block):
                    pass
            with contextlib.suppress(OSError):
                while f.write(b"\0"):
                    pass

    def test_full_while_many_submit(self):
        self.mount()
        self.net.start()
        self.alice.complaints = re.compile(rb"full|No space left|seal|encrypt|notification=failed|descriptor=unsigned")

        def full():
            time.sleep(random.uniform(0.01, 0.3) * SLOW)     # any instant is the point
            self.fill()
            time.sleep(random.uniform(0.01, 0.3) * SLOW)
            os.unlink(self.filler)
        self.flood(full)
        self.assertNotEqual(self.refused, set(), "the disk was never full for a client")
        self.assertNoTemporary()
        self.arrived()
        began = len(self.alice.log())
        self.alice.restart(dht=True)
        swept = re.findall(rb"store: place=.* swept=.*", self.alice.log()[began:])
        self.assertEqual(swept, [], "files lay there without a row")
        self.assertEqual(len(self.alice.queue()), len(self.bob.uids()))
        self.unharmed()

    def assertNoTemporary(self):
        def none():
            return not [f for d, _, names in os.walk(self.alice.state) for f in names if f.startswith("tmp.")]
        until(none, "nothing half-kept lies about")


class Stream(Scene):
    def test_mail_arrives_beside_a_stream(self):
        """Who submits without an end keeps nothing from being sealed, told and shown."""
        over, failed = threading.Event(), []

        def client():
            try:
                with self.alice.smtp() as s:
                    while not over.is_set():
                        s.sendmail(self.alice.address, [self.bob.address], letter(self.alice, self.bob, "one of many"))
            except (smtplib.SMTPException, OSError) as e:
                failed.append(e)

        clients = [threading.Thread(target=client, daemon=True) for _ in range(2)]
        for c in clients:
            c.start()
        try:
            # Some are through before it is a stream.
            until(lambda: self.bob.count() > 40 or failed, "some of the stream have arrived")
        finally:
            over.set()
        for c in clients:
            c.join()
        self.assertEqual(failed, [])
        self.assertTrue(self.alice.queue())


class Burst(Scene):
    def test_notices_share_a_message(self):
        """Ten letters at once to one whose key is known: far fewer OpenPGP messages than letters."""
        self.alice.send(self.bob, letter(self.alice, self.bob, "known from now on"))
        self.bob.wait_mail(1)
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(self.alice.smtp()) for _ in range(10)]
            for i, s in enumerate(clients):
                s.mail(self.alice.address)
                s.rcpt(self.bob.address)
                self.assertEqual(s.docmd("DATA")[0], 354)
                s.send(letter(self.alice, self.bob, "burst %d" % i))
            for s in clients:
                s.send(b".\r\n")
            for s in clients:
                self.assertEqual(s.getreply()[0], 250)
        self.bob.wait_mail(11)
        with contextlib.closing(sqlite3.connect("file:%s/state.db?mode=ro" % self.alice.state, uri=True)) as db:
            shares = [n for n, in db.execute("SELECT count(*) FROM rcpt GROUP BY posting")]
        self.assertEqual(sum(shares), 11)
        self.assertLess(len(shares), 1 + 8, "notices do not share messages")


if __name__ == "__main__":
    unittest.main()
