"""p2pmta-ctl as scripts use it: the fields of --json, exit statuses, and a wrong configuration."""
import json
import os
import re
import sqlite3
import subprocess

from peers import CtlError, program, until
from scene import Scene, letter


class Ctl(Scene):
    def test_init_answers(self):
        for p in self.net.peers:
            self.assertRegex(p.fingerprint, r"\A[0-9A-F]{40}\Z")
            self.assertTrue(os.path.isfile(p.config))
            self.assertTrue(p.password)

    def test_init_never_overwrites(self):
        with open(self.alice.config) as f:
            before = f.read()
        with self.assertRaises(CtlError) as caught:
            self.alice.ctl("init", self.alice.address, "--dir", self.alice.dir)
        self.assertEqual(caught.exception.status, 1)
        with open(self.alice.config) as f:
            self.assertEqual(f.read(), before)

    def test_status(self):
        s = self.alice.status()
        self.assertEqual(s["address"], "alice@home")
        self.assertEqual(s["fingerprint"], self.alice.fingerprint)
        self.assertTrue(s["version"])
        self.assertGreaterEqual(s["uptime_s"], 0)
        self.assertIs(s["dht"]["ready"], True)
        self.assertGreaterEqual(s["dht"]["nodes"], 1)
        self.assertEqual(s["outbox"], {"messages": 0, "bytes": 0})
        self.assertEqual(s["replicas"], {"messages": 0, "bytes": 0, "quota": 20 << 30, "members": []})
        self.assertEqual((s["spool"], s["unpulled"], s["groups"]), (0, 0, []))

    def keys_as_they_are(self):
        """The pid of alice's agent, and her files with owner, mode and times; but those that her daemon changes itself."""
        home = os.path.join(self.alice.state, "keys")
        agent = subprocess.run(["gpg-connect-agent", "--homedir", home, "--no-autostart", "GETINFO pid", "/bye"],
                               capture_output=True, text=True).stdout
        names = [os.path.join(folder, name) for folder, _, files in os.walk(home) for name in files]
        stats = {name: os.lstat(name) for name in names if os.path.dirname(name) != os.path.join(home, "ring") and ".#" not in name}
        return agent, {name: (s.st_ino, s.st_uid, s.st_mode, s.st_mtime_ns, s.st_ctime_ns) for name, s in stats.items()}

    def test_doctor_only_looks(self):
        until(lambda: self.keys_as_they_are()[0], "an agent")     # the first who signs starts it
        before = self.keys_as_they_are()
        self.assertRegex(before[0], r"\AD \d+\nOK")
        self.alice.ctl("doctor")
        self.assertEqual(self.keys_as_they_are(), before)

    def test_doctor(self):
        found = {c["check"]: c["state"] for c in self.alice.ctl("doctor")["checks"]}
        clock = found.pop("clock")
        self.assertIn(clock, ("good", "warn"))      # whether something keeps it right is the machine's affair
        self.assertEqual(found, dict.fromkeys(("configuration", "files", "key", "disk", "store", "daemon", "ports", "dht"), "good"))
        with self.assertRaises(CtlError) as caught:
            self.alice.ctl("doctor", "--repair")
        self.assertEqual(caught.exception.status, 1)    # it runs

    def test_doctor_repairs(self):
        self.alice.send(self.bob, letter(self.alice, self.bob, "one"))
        self.bob.wait_mail(1)
        self.alice.send(self.bob, letter(self.alice, self.bob, "two"))
        uids = self.bob.wait_mail(2)
        self.bob.stop()
        db = sqlite3.connect(os.path.join(self.bob.state, "state.db"))
        db.execute("DELETE FROM content WHERE id = (SELECT content FROM message ORDER BY uid LIMIT 1)")
        db.commit()
        db.close()
        run = [program("p2pmta-ctl"), "-c", self.bob.config, "doctor"]
        done = subprocess.run(run, capture_output=True, text=True)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"(?m)^bad +store .*1 messages without a content$")
        self.assertRegex(done.stdout, r"(?m)^warn +daemon ")
        done = subprocess.run(run + ["--repair"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"(?m)^repaired +store .*1 messages without a content$")
        self.assertEqual(subprocess.run(run, capture_output=True).returncode, 0)
        secret = os.path.join(self.bob.state, "keys", "private-keys-v1.d")
        os.rename(secret, secret + ".away")
        self.assertRegex(subprocess.run(run, capture_output=True, text=True).stdout, r"(?m)^bad +key ")
        os.rename(secret + ".away", secret)
        self.bob.start(dht=True)
        self.assertEqual(self.bob.uids(), uids[1:])

    def test_queue_and_show(self):
        m = letter(self.alice, self.bob, "in the queue", message_id="<queue@test>")
        self.alice.send(self.bob, m)
        [uid] = self.bob.wait_mail(1)
        until(lambda: self.alice.states() == {"bob@home": "notified"}, "notified")
        [q] = self.alice.queue()
        self.assertEqual((q["message_id"], q["subject"], q["size"]), ("<queue@test>", "in the queue", len(m)))
        self.assertRegex(q["hash"], r"\A[0-9a-f]{64}\Z")
        self.assertTrue(q["submitted"])
        [r] = q["recipients"]
        self.assertEqual((r["address"], r["state"]), ("bob@home", "notified"))
        self.assertTrue({"since", "reason"} <= set(r))
        self.assertEqual(self.bob.status()["unpulled"], 1)
        self.bob.body(uid)
        self.alice.wait_empty()
        self.assertEqual(self.alice.queue(), [])
        shown = self.alice.ctl("show", q["id"])     # known for 30 days
        self.assertEqual(shown["message_id"], "<queue@test>")
        self.assertEqual(shown["recipients"][0]["state"], "delivered")
        with self.assertRaises(CtlError) as caught:
            self.alice.ctl("show", 4711)
        self.assertEqual(caught.exception.status, 1)

    def test_contacts(self):
        self.alice.send(self.bob, letter(self.alice, self.bob, "contact"))
        self.bob.wait_mail(1)
        for who, other in ((self.alice, self.bob), (self.bob, self.alice)):
            [c] = until(lambda: [c for c in who.ctl("contacts") if c["address"] == other.address], "a contact")
            self.assertEqual(c["fingerprint"], other.fingerprint)
            self.assertEqual(c["trust"], "first-use")
            self.assertTrue({"accepted", "last_seen"} <= set(c))

    def test_statuses(self):
        def status(*arguments):
            return subprocess.run([program("p2pmta-ctl"), "-c", self.alice.config, *arguments], capture_output=True,
                                  stdin=subprocess.DEVNULL, text=True)
        self.assertEqual(status("status").returncode, 0)
        self.assertIn("alice@home", status("status").stdout)
        self.assertEqual(status("queue").returncode, 0)
        self.assertEqual(status("no-such-command").returncode, 2)
        self.assertEqual(status("cancel").returncode, 2)
        self.assertEqual(status("status", "--help").returncode, 0)
        self.alice.stop()
        done = status("status")
        self.assertEqual(done.returncode, 3)
        self.assertTrue(done.stderr.strip())

    def test_stop_and_reload(self):
        self.alice.set_conf("log", "level", '"debug"')
        self.alice.ctl("reload")
        self.assertTrue(self.alice.is_running())
        self.assertEqual(self.alice.status()["address"], "alice@home")
        self.alice.ctl("stop")
        self.alice.wait_exit(5)
        self.assertEqual(self.alice.process.returncode, 0)

    def test_second_daemon_is_refused(self):
        done = subprocess.run([program("p2pmta"), "-c", self.alice.config], capture_output=True, timeout=30,
                              stdin=subprocess.DEVNULL)
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(self.alice.status()["address"], "alice@home")


class Config(Scene):
    running = False

    def check(self, path):
        done = subprocess.run([program("p2pmta"), "-t", "-c", path], capture_output=True, text=True, timeout=30,
                              stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout + done.stderr

    def test_good(self):
        self.assertEqual(self.check(self.alice.config)[0], 0, self.check(self.alice.config)[1])

    def test_wrong_ones_name_file_and_line(self):
        with open(self.alice.config) as f:
            good = f.read()
        bad = os.path.join(self.net.dir, "bad.conf")
        for line in ('colour = "blue"', 'smtp { listne = {"127.0.0.1:1"} }', 'imap { tls = "sometimes" }',
                     'outbox { validity = "a while" }', 'queue { lifetime = "-1d" }', 'smtp { max_size = "big" }',
                     'dht { port = 70000 }', 'log { level = "loud" }', 'smtp {', 'address = "nobody"'):
            with open(bad, "w") as f:
                f.write(good.rstrip("\n") + "\n" + line + "\n")
            number = good.rstrip("\n").count("\n") + 2
            status, said = self.check(bad)
            self.assertNotEqual(status, 0, line)
            self.assertRegex(said, re.escape(bad) + r":(%d|%d)\b" % (number, number + 1), line)
