"""What every test of two peers shares: a net made and cleaned up, its logs shown
when a test fails, and letters to send."""
import base64
import os
import random
import signal
import socket
import sys
import time
import unittest

from peers import Net, SLOW, Timeout
from wire import Wire


def ended(*_):
    """An ordered end fails the test, which then stops its daemons."""
    raise SystemExit("ended by SIGTERM")


signal.signal(signal.SIGTERM, ended)


class Scene(unittest.TestCase):
    """alice@home and bob@home, running. conf: settings for both; wired: bob reaches alice over self.wire."""

    names = ("alice", "bob")
    conf = {}
    wired = False
    running = True

    def setUp(self):
        self.net = Net(*self.names)
        self.addCleanup(self._end)
        for p in self.net.peers:
            setattr(self, p.name, p)
        self.wire = None
        if self.wired:
            self.wire = Wire(self.alice.http_port)
            self.alice.url = self.wire.url
        self.net.init(**self.conf)
        if self.running:
            self.net.start()

    def _end(self):
        result = self._outcome.result
        failed = any(t is self for t, _ in result.failures + result.errors)
        wrong = self.net.close()
        wrong += [w for w in [p.orphans() for p in self.net.peers] if w]
        if self.wire:
            self.wire.close()
        if failed or wrong:
            sys.stderr.write(self.net.logs() + "\n")
        if os.environ.get("KEEP"):
            sys.stderr.write("kept: %s\n" % self.net.dir)
        else:
            self.net.remove()
        if wrong:
            self.fail("; ".join(wrong))

    def assertNoMore(self, peer, n, mailbox="INBOX"):
        """peer has n messages, also after the courier had every reason to file another."""
        self.assertEqual(len(peer.uids(mailbox)), n)


def noise(size):
    """So many octets of text that no compression makes less of."""
    text = base64.b64encode(os.urandom(size * 3 // 4))
    return b"".join(text[i:i + 76] + b"\r\n" for i in range(0, len(text), 76))


def letter(sender, to, subject="a letter", body="Hello.\r\n", head="", message_id=None):
    """A whole message with Date and Message-ID, so that it arrives octet for octet."""
    message_id = message_id or "<%d.%d@test>" % (time.time_ns(), random.getrandbits(32))
    to = getattr(to, "address", to)
    text = ("From: %s\r\nTo: %s\r\nSubject: %s\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n"
            "Message-ID: %s\r\n%s\r\n" % (sender.address, to, subject, message_id, head)).encode()
    return text + (body if isinstance(body, bytes) else body.encode())


class RawImap:
    """An IMAP session by hand: for IDLE, for leaving in the middle, for seeing every line."""

    def __init__(self, peer, mailbox="INBOX"):
        self.socket = socket.create_connection(("127.0.0.1", peer.imap_port), timeout=90 * SLOW)
        self.file = self.socket.makefile("rb")
        self.tags = 0
        self.line()
        self.command('LOGIN "%s" "%s"' % (peer.user, peer.password))
        if mailbox:
            self.command('SELECT "%s"' % mailbox)

    def send(self, command):
        self.tags += 1
        tag = "r%d" % self.tags
        self.socket.sendall(("%s %s\r\n" % (tag, command)).encode())
        return tag.encode()

    def line(self):
        line = self.file.readline()
        if not line:
            raise Timeout("the server closed the connection")
        return line

    def result(self, tag):
        """All lines up to the tagged one, literals not parsed."""
        lines = []
        while True:
            lines.append(self.line())
            if lines[-1].startswith(tag + b" "):
                return lines

    def command(self, command):
        lines = self.result(self.send(command))
        if b" OK" not in lines[-1][:12]:
            raise AssertionError("%s: %r" % (command, lines[-1]))
        return lines

    def idle(self):
        self.send("IDLE")
        while not self.line().startswith(b"+"):
            pass

    def wait_line(self, words):
        while True:
            line = self.line()
            if words in line:
                return line

    def leave(self):
        """Gone without a word, and with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.file.close()
        self.socket.close()
