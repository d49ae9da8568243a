"""The IMAP server alone (tests/unit/imap_host) on a store of its own, for scripts that talk to it."""
import concurrent.futures, imaplib, os, re, shutil, subprocess, sys, tempfile, traceback

BUILD = os.environ.get("BUILD_DIR", os.getcwd())
MSG = (b"From: Ann <ann@example.org>\r\nTo: user@home\r\nSubject: hello\r\nDate: Mon, 7 Feb 1994 21:52:25 -0800\r\n"
       b"Message-ID: <1@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
       b"--b\r\nContent-Type: text/plain\r\n\r\nsome words\r\n--b\r\nContent-Type: application/x; name=y\r\n"
       b"Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b--\r\n")


class Host:
    """One server on a store of its own."""

    def __init__(self, *options):
        self.dir = tempfile.mkdtemp(prefix="imap")
        self.message = os.path.join(self.dir, "message")
        with open(self.message, "wb") as f:
            f.write(MSG)
        self.options = options
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [os.path.join(BUILD, "tests/unit/imap_host"), os.path.join(self.dir, "state"), *self.options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[1])

    def stop(self):
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait(20)

    def restart(self):
        assert self.stop() == 0
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        status = self.stop()
        shutil.rmtree(self.dir)
        assert status == 0, f"the host ended with {status}"

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        assert answer.startswith("ok"), f"{command}: {answer}"
        return answer

    def peak_kib(self):
        with open(f"/proc/{self.process.pid}/status") as f:
            return int(re.search(r"VmHWM:\s+(\d+)", f.read())[1])

    def longest_ms(self):
        """The longest turn of its loop since this was asked last."""
        return int(self.tell("longest").split()[1])

    def client(self):
        c = imaplib.IMAP4("127.0.0.1", self.port)
        c.login("user", "pass")
        return c


class Skipped(Exception):
    """This machine cannot run the test."""


def ok(answer):
    assert answer[0] == "OK", answer
    return answer[1]


def run(tests, needs, jobs=1):
    """Every test_* of tests, jobs of them at a time; needs: {test: program}, without which it is skipped. Ends the script,
    with 77 (automake: skipped) when a test said that it could not run and none failed."""
    def one(name):
        if name in needs and not shutil.which(needs[name]):
            print(f"skip {name}: no {needs[name]}", flush=True)
            return True
        try:
            tests[name]()
            print(f"ok {name}", flush=True)
            return True
        except Skipped as why:
            print(f"skip {name}: {why}", flush=True)
            return None
        except Exception as e:      # every kind of failure counts, and the others still run
            line = "/".join(str(f.lineno) for f in traceback.extract_tb(e.__traceback__)[1:])
            print(f"FAILED {name}, line {line}: {type(e).__name__} {str(e)[:1000]}", flush=True)
            return False

    names = sorted(n for n in tests if n.startswith("test_") and (len(sys.argv) == 1 or any(word in n for word in sys.argv[1:])))
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        results = list(pool.map(one, names))
    sys.exit(1 if False in results else 77 if None in results else 0)
