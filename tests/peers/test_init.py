"""p2pmta-ctl init and password, without a daemon: what is made, what is refused, what is finished."""
import json
import os
import shutil
import stat
import subprocess
import tempfile
import unittest

from peers import program

FPR = "0123456789ABCDEF0123456789ABCDEF01234567"


class Init(unittest.TestCase):
    def setUp(self):
        self.top = tempfile.mkdtemp(prefix="init.")
        self.dir = os.path.join(self.top, "peer")
        self.config = os.path.join(self.dir, "p2pmta.conf")

    def tearDown(self):
        shutil.rmtree(self.top)

    def ctl(self, *arguments, stdin=""):
        env = {k: v for k, v in os.environ.items() if not k.startswith("P2PMTA_")}
        env["HOME"] = self.top
        return subprocess.run([program("p2pmta-ctl"), *arguments], input=stdin, capture_output=True, text=True, env=env)

    def init(self, *arguments, stdin=""):
        done = self.ctl("--json", "init", "alice@home", "--dir", self.dir, *arguments, stdin=stdin)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def conf(self):
        with open(self.config) as f:
            return f.read()

    def test_what_is_made(self):
        said = self.init("--smtp", "2525", "--imap", "2143", "--dht", "0", "--network", "7", "--bootstrap", "h.example:1",
                         "--bootstrap", "[::1]:2")
        self.assertEqual((said["address"], said["dir"], said["config"]), ("alice@home", self.dir, self.config))
        self.assertEqual((said["smtp"], said["imap"]), (2525, 2143))
        self.assertRegex(said["password"], r"\A[a-z2-9]{5}(-[a-z2-9]{5}){3}\Z")
        for text in ('"127.0.0.1:2525"', '"127.0.0.1:2143"', "network = 7", "port = 0", '{"h.example:1", "[::1]:2"}'):
            self.assertIn(text, self.conf())
        for folder, folders, files in os.walk(self.dir):
            for name in folders + files:
                mode = os.stat(os.path.join(folder, name)).st_mode
                self.assertFalse(stat.S_IMODE(mode) & 0o077, os.path.join(folder, name))
        checked = subprocess.run([program("p2pmta"), "-t", "-c", self.config], capture_output=True, text=True)
        self.assertEqual(checked.returncode, 0, checked.stderr)
        self.assertEqual(self.ctl("-c", self.config, "status").returncode, 3)

    def test_default_folder_and_text(self):
        done = self.ctl("init", "Alice@Home", "--url", "https://mail.example/p")
        self.assertEqual(done.returncode, 0, done.stderr)
        where = os.path.join(self.top, ".local/share/p2pmta")
        for text in ("alice@home is ready in " + where, "https://mail.example/p", "password"):
            self.assertIn(text, done.stdout)
        self.assertEqual(self.ctl("status").returncode, 3)     # found by itself

    def test_urls(self):
        self.assertEqual(self.init("--outbox", "127.0.0.1:4999")["url"], ["http://127.0.0.1:4999"])
        self.assertIn('listen = {"127.0.0.1:4999"}', self.conf())

    def test_group(self):
        self.init("--group-master", FPR + "@bob@friends")
        self.assertRegex(self.conf(), r'group friends \{\s*master = "bob@friends"\s*key = "%s"' % FPR)

    def test_refused(self):
        for status, arguments in (
                (2, ["init"]), (2, ["init", "alice"]), (2, ["init", "a@b", "c@d"]), (2, ["init", "a@b", "--smtp", "70000"]),
                (2, ["init", "a@b", "--smtp", "-1"]), (2, ["init", "a@b", "--smtp"]), (2, ["init", "a@b", "--colour", "x"]),
                (2, ["init", "a@b", "--network", "4294967296"]), (2, ["init", "a@b", "--group-master", "x@y"]),
                (1, ["init", "a@b", "--url", "ftp://x"]), (1, ["init", "a@b", "--bootstrap", "nowhere"]),
                (1, ["init", "a@b", "--password-stdin"]), (1, ["init", "a@b", "--import-key", "/nowhere"])):
            if arguments[1:]:
                arguments += ["--dir", self.dir]
            done = self.ctl(*arguments)
            self.assertEqual(done.returncode, status, "%s: %s" % (arguments, done.stderr))
            self.assertTrue(done.stderr.startswith("p2pmta-ctl: "), done.stderr)
            self.assertEqual(done.stdout, "")
            self.assertFalse(os.path.exists(self.config))

    def test_a_crash_is_finished(self):
        first = self.init()
        os.unlink(self.config)                   # written last: a crash leaves all but this
        for name in ("tls.key", "password"):     # or less
            os.unlink(os.path.join(self.dir, name))
        second = self.init()
        self.assertEqual(second["fingerprint"], first["fingerprint"])
        self.assertNotEqual(second["password"], first["password"])
        os.unlink(self.config)
        os.unlink(os.path.join(self.dir, "state/fingerprint"))
        self.assertNotEqual(self.init()["fingerprint"], first["fingerprint"])

    def test_import(self):
        home = os.path.join(self.top, "g")
        os.mkdir(home, 0o700)
        gpg = ["gpg", "--homedir", home, "--batch", "-q", "--pinentry-mode", "loopback", "--passphrase", ""]
        try:
            subprocess.run(gpg + ["--quick-gen-key", "alice@home", "future-default", "default", "never"], check=True,
                           capture_output=True)
            key = os.path.join(self.top, "key.asc")
            with open(key, "wb") as f:
                subprocess.run(gpg + ["--armor", "--export-secret-keys"], check=True, stdout=f, stderr=subprocess.DEVNULL)
            listed = subprocess.run(gpg + ["--with-colons", "-K"], check=True, capture_output=True, text=True).stdout
        finally:
            subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"])
        want = [line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:")][0]
        self.assertEqual(self.init("--import-key", key)["fingerprint"], want)

    def test_password(self):
        self.assertIsNone(self.init("--password-stdin", stdin="open sesame\n")["password"])
        with open(os.path.join(self.dir, "password")) as f:
            first = f.read()
        self.assertNotIn("sesame", first)
        done = self.ctl("-c", self.config, "password")
        self.assertRegex(done.stdout, r"\A[a-z2-9]{5}(-[a-z2-9]{5}){3}\n\Z")
        self.assertEqual(self.ctl("-c", self.config, "password", "--stdin", stdin="\n").returncode, 1)
        self.assertEqual(self.ctl("-c", self.config, "password", "x").returncode, 2)
        with open(os.path.join(self.dir, "password")) as f:
            self.assertNotEqual(f.read(), first)

    def test_help(self):
        usage = self.ctl("--help").stdout
        names = [line.split()[0] for line in usage.splitlines() if line.startswith("  ") and line.split()]
        for name in ("init", "status", "queue", "show", "cancel", "pull", "contacts", "doctor", "reload", "stop"):
            self.assertIn(name, names)
            done = self.ctl(name, "--help")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertTrue(done.stdout.startswith("usage: p2pmta-ctl"), done.stdout)
        for name in ("group", "export"):
            self.assertEqual(self.ctl(name).returncode, 2)
