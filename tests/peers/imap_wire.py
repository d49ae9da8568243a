"""An IMAP client that hides nothing: every response parsed by the grammar of RFC 3501 section 9 (and
RFC 9051's), in the order it came; what does not fit the grammar is an error."""
import collections
import re
import select
import socket
import zlib

ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){"]+')


class Bad(AssertionError):
    pass


class Nil:
    def __repr__(self):
        return "NIL"


NIL = Nil()
# kind: b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH" (tag, code, text), b"+" (text), else data: the tokens after the word;
# numbers come as number: "* 3 FETCH (...)".
Response = collections.namedtuple("Response", "tag kind number code text data")
STATUS = (b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH")


class Tokens:
    """What stands in one response. Quoted strings and literals come as bytes, atoms as bytes in a tuple of one."""

    def __init__(self, pieces):
        self.pieces = pieces    # line, literal, line, ...
        self.line, self.literals, self.at = pieces[0], list(pieces[1:]), 0

    def peek(self):
        return self.line[self.at:self.at + 1]

    def take(self, octets):
        if self.line[self.at:self.at + len(octets)] != octets:
            raise Bad("%r at %d of %r" % (octets, self.at, self.line[:300]))
        self.at += len(octets)

    def quoted(self):
        self.take(b'"')
        out = bytearray()
        while True:
            c = self.peek()
            if c in (b"", b"\r", b"\n", b"\0"):
                raise Bad("a quoted string does not end: %r" % self.line[:300])
            self.at += 1
            if c == b'"':
                return bytes(out)
            if c == b"\\":
                c = self.peek()
                if c not in (b'"', b"\\"):
                    raise Bad("bad escape in %r" % self.line[:300])
                self.at += 1
            out += c

    def literal(self):
        m = re.compile(rb"~?\{(\d+)\}$").match(self.line, self.at)
        if not m or not self.literals:
            raise Bad("literal in %r" % self.line[:300])
        octets = self.literals.pop(0)
        self.line, self.at = self.literals.pop(0), 0
        return octets

    def atom(self):
        """With what stands in brackets: BODY[HEADER.FIELDS (A "B")]<0>."""
        start = self.at
        while True:
            m = ATOM.match(self.line, self.at)
            if m:
                self.at = m.end()
            text = self.line[start:self.at]
            if text.count(b"[") > text.count(b"]") and self.at < len(self.line):
                if self.peek() == b'"':
                    self.quoted()
                else:
                    self.at += 1
                continue
            if not text:
                raise Bad("token missing at %d of %r" % (self.at, self.line[:300]))
            return (text,)

    def value(self):
        c = self.peek()
        if c == b'"':
            return self.quoted()
        if c == b"{" or self.line[self.at:self.at + 2] == b"~{":
            return self.literal()
        if c == b"(":
            return self.list()
        atom = self.atom()
        return NIL if atom[0].upper() == b"NIL" else atom

    def list(self):
        """Iterative: BODYSTRUCTURE may be as deep as the server lets it."""
        stack, top = [], None
        while True:
            if self.peek() == b"(":
                self.at += 1
                stack.append([])
                if self.peek() != b")":
                    continue
            else:
                stack[-1].append(self.value())
            while self.peek() == b")":
                self.at += 1
                top = stack.pop()
                if not stack:
                    return top
                stack[-1].append(top)
            if self.peek() != b"(":     # (...)(...) in BODYSTRUCTURE
                self.take(b" ")

    def rest(self):
        out = []
        while self.at < len(self.line):
            if out and not (self.peek() == b"(" and isinstance(out[-1], list)):
                self.take(b" ")     # but "(1)(2)" in THREAD
            out.append(self.value())
        return out


def code_of(text):
    """["UIDNEXT", "5"], text"""
    m = re.match(rb"\[([^\]\" ]+)( .*?)?\](?: |$)", text)
    if not m:
        return None, text
    return [m.group(1)] + (m.group(2) or b"").split(), text[m.end():]


def parse(pieces):
    t = Tokens(pieces)
    if t.line.startswith(b"+"):
        return Response(None, b"+", None, None, t.line[2:], [])
    tag = t.atom()[0]
    t.take(b" ")
    start = t.at
    word = t.atom()[0]
    number = None
    if word.isdigit() and tag == b"*":
        number = int(word)
        t.take(b" ")
        word = t.atom()[0]
    if word in STATUS and number is None:
        text = t.line[start + len(word):]
        if text[:1] != b" " or any(c < 0x20 or c == 0x7f for c in text):
            raise Bad("status text: %r" % t.line)
        code, text = code_of(text[1:])
        return Response(tag, word, None, code, text, [])
    if tag != b"*":
        raise Bad("tagged %r" % t.line[:200])
    data = []
    if t.at < len(t.line):
        t.take(b" ")
        data = t.rest()
    return Response(tag, word.upper(), number, None, None, data)


class Wire:
    """One connection. tag = send(...); response() gives what comes next; finish(tag) all up to the tagged one."""

    def __init__(self, port, timeout=120):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.input, self.at = b"", 0
        self.deflate = self.inflate = None
        self.n = 0
        self.greeting = self.response()

    def close(self):
        self.socket.close()

    def raw(self, octets):
        self.socket.sendall(self.deflate.compress(octets) + self.deflate.flush(zlib.Z_SYNC_FLUSH) if self.deflate else octets)

    def compress(self):
        """RFC 4978, from here on."""
        self.ok("COMPRESS DEFLATE")
        self.deflate, self.inflate = zlib.compressobj(wbits=-15), zlib.decompressobj(-15)
        self.input, self.at = self.inflate.decompress(self.input[self.at:]), 0

    def send(self, command):
        if isinstance(command, str):
            command = command.encode()
        self.n += 1
        tag = b"t%d" % self.n
        self.raw(tag + b" " + command + b"\r\n")
        return tag

    def has_input(self, seconds=0):
        return self.at < len(self.input) or bool(select.select([self.socket], [], [], seconds)[0])

    def receive(self, most):
        while True:
            block = self.socket.recv(most)
            if not block:
                raise EOFError("the server closed the connection")
            if self.inflate:
                block = self.inflate.decompress(block)
            if block:
                return block

    def more(self):
        self.input, self.at = self.input[self.at:] + self.receive(1 << 18), 0

    def line(self):
        seen = self.at
        while True:
            end = self.input.find(b"\n", seen)
            if end >= 0:
                line, self.at = self.input[self.at:end + 1], end + 1
                return line
            seen = len(self.input) - self.at
            self.more()

    def octets(self, n):
        if len(self.input) - self.at < n:       # long ones are not copied again and again
            blocks = [self.input[self.at:]]
            left = n - len(blocks[0])
            while left > 0:
                blocks.append(self.receive(1 << 20))
                left -= len(blocks[-1])
            all_of_it = b"".join(blocks)
            self.input, self.at = all_of_it[n:], 0
            return all_of_it[:n]
        self.at += n
        return self.input[self.at - n:self.at]

    def response(self):
        pieces = []
        while True:
            line = self.line()
            if not line.endswith(b"\r\n"):
                raise Bad("line end: %r" % line[-100:])
            line = line[:-2]
            pieces.append(line)
            m = re.search(rb"~?\{(\d+)\}$", line)
            if not m or line.startswith(b"+") or re.match(rb"\S+ (OK|NO|BAD|BYE|PREAUTH) ", line):
                return parse(pieces)
            pieces.append(self.octets(int(m.group(1))))

    def finish(self, tag):
        out = []
        while True:
            r = self.response()
            out.append(r)
            if r.tag == tag:
                return out

    def do(self, command):
        """All responses; the last is the tagged one."""
        return self.finish(self.send(command))

    def ok(self, command):
        out = self.do(command)
        if out[-1].kind != b"OK":
            raise Bad("%s: %r" % (str(command)[:200], out[-1]))
        return out[:-1]

    def login(self, user="user", password="pass", mailbox=None):
        self.ok('LOGIN "%s" "%s"' % (user, password))
        if mailbox:
            self.ok('SELECT "%s"' % mailbox)
        return self

    def append(self, mailbox, message, flags="", date="", plus=False):
        """The responses of an APPEND with a literal."""
        tag = self.send('APPEND "%s"%s%s {%d%s}' % (mailbox, " (%s)" % flags if flags else "", ' "%s"' % date if date else "",
                                                    len(message), "+" if plus else ""))
        if not plus:
            while True:
                r = self.response()
                if r.kind == b"+":
                    break
                if r.tag == tag:
                    return [r]
        self.raw(message + b"\r\n")
        return self.finish(tag)


def items_of(response):
    """{name: value} of a FETCH."""
    [pairs] = response.data
    if len(pairs) % 2:
        raise Bad("FETCH %r" % (pairs,))
    out = {}
    for name, value in zip(pairs[::2], pairs[1::2]):
        if not isinstance(name, tuple) or name[0] in out:
            raise Bad("FETCH item %r" % (name,))
        out[name[0].upper()] = value
    return out
