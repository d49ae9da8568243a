"""Random commands over several IMAP connections, every reply checked against a model of the mailboxes.

Two kinds of rounds take turns. In an ordered round one connection at a time sends a command, so the
model knows exactly what has to come: numbers, UIDs, flags, mod-sequences, texts. In a crowded round all
connections send at once, several commands each; then the model knows what may come, checks that the
mailbox ended in a state that some order leads to, and goes on from there.

What a connection is told is checked at every line: EXPUNGE only where RFC 3501 section 7.4.1 allows,
numbers that exist, flags that are or were true, nothing untold after a NOOP.

    imap_model.py PORT USER PASSWORD SECONDS [SEED]
"""
import collections
import random
import re
import sys
import time

from imap_wire import NIL, Wire, items_of

SYSTEM = ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft"]
WORDS = ["$Label1", "NonJunk", "$Forwarded"]
FLAGS = SYSTEM + WORDS
BOXES = ["INBOX", "Sent", "Trash", "one", "two/three"]


class Mismatch(AssertionError):
    pass


def need(true, *what):
    if not true:
        raise Mismatch(" ".join(str(w) for w in what))


class Message:
    def __init__(self, uid, octets, flags, date, subject):
        self.uid, self.octets, self.flags, self.date, self.subject = uid, octets, frozenset(flags), date, subject
        self.modseq = None      # as was seen last; None: not yet, or changed since
        self.ids = {}           # RFC 8474: of these octets, wherever they are copied or moved

    def copy(self, uid):
        m = Message(uid, self.octets, self.flags, self.date, self.subject)
        m.ids = self.ids
        return m


class Box:
    def __init__(self, name):
        self.name = name
        self.messages = {}      # by uid, ascending
        self.uidnext, self.uidvalidity = 1, None
        self.highest = 0        # mod-sequence when the observer looked
        self.changed = set()    # uids since the observer looked
        self.gone = set()

    def change(self, m, flags):
        flags = frozenset(flags)
        if flags != m.flags:
            m.flags, m.modseq = flags, None
            self.changed.add(m.uid)

    def add(self, m):
        need(m.uid >= self.uidnext, "uid", m.uid, "uidnext", self.uidnext)
        self.messages[m.uid] = m
        self.uidnext = m.uid + 1
        self.changed.add(m.uid)

    def remove(self, uid):
        del self.messages[uid]
        self.changed.discard(uid)
        self.gone.add(uid)

    def saw(self, m, modseq):
        """A mod-sequence was told; it changes only with the message."""
        if m.modseq is None:
            need(modseq > 0, "MODSEQ 0")
            m.modseq = modseq
        need(m.modseq == modseq, self.name, "MODSEQ of", m.uid, modseq, "instead of", m.modseq)


class Client:
    """One connection and what it was told."""

    def __init__(self, port, user, password, name):
        self.wire = Wire(port)
        self.name = name
        self.caps = set()
        for r in self.wire.ok('LOGIN "%s" "%s"' % (user, password)) + self.wire.ok("CAPABILITY"):
            if r.kind == b"CAPABILITY":
                self.caps = {a[0].decode() for a in r.data}
        self.condstore = self.qresync = self.rev2 = self.utf8 = False
        self.box = None
        self.read_only = False
        self.last = 0           # highest UID it ever saw in this mailbox
        self.leave()

    def leave(self):
        self.box, self.last = None, 0
        self.view = []          # uid, or None: not yet known
        self.known = {}         # uid: flags as told
        self.seen_modseq = {}
        self.saved = None

    def enable(self, word):
        got = [a[0] for r in self.wire.ok("ENABLE " + word) if r.kind == b"ENABLED" for a in r.data]
        need(word.encode() in got, "ENABLE", word, got)
        self.condstore |= word in ("CONDSTORE", "QRESYNC")
        self.qresync |= word == "QRESYNC"
        self.rev2 |= word == "IMAP4rev2"
        self.utf8 |= word == "UTF8=ACCEPT"

    def view_uid(self, response, items):
        return int(items[b"UID"][0]) if b"UID" in items else self.view[response.number - 1]

    # ---- what is told unasked ----

    def take(self, r, world, verb=""):
        """Apply one untagged response; True when it was one of the mailbox."""
        if r.kind == b"EXISTS":
            need(r.number >= len(self.view), self.name, "EXISTS shrinks", r.number, len(self.view))
            if world.crowded:
                self.view += [None] * (r.number - len(self.view))
            else:
                last = max([u for u in self.view if u] or [0])
                last = max(last, self.last)
                new = [u for u in self.box.messages if u > last]
                need(len(self.view) + len(new) == r.number, self.name, "EXISTS", r.number, "view", len(self.view), "new", new)
                self.view += new
            self.last = max([self.last] + [u for u in self.view if u])
        elif r.kind == b"EXPUNGE":
            need(not self.qresync, self.name, "EXPUNGE after ENABLE QRESYNC")
            need(verb not in ("FETCH", "STORE", "SEARCH", "SORT", "THREAD", ""), self.name, "EXPUNGE during", verb)
            need(1 <= r.number <= len(self.view), self.name, "EXPUNGE", r.number, "of", len(self.view))
            uid = self.view.pop(r.number - 1)
            need(world.crowded or uid not in self.box.messages, self.name, "EXPUNGE of", uid, "that is there")
            self.known.pop(uid, None)
        elif r.kind == b"VANISHED":
            need(self.qresync, self.name, "VANISHED without QRESYNC")
            if isinstance(r.data[0], list):
                return False
            need(verb not in ("FETCH", "STORE", "SEARCH", "SORT", "THREAD", ""), self.name, "VANISHED during", verb)
            for uid in numbers(r.data[0][0]):
                need(uid in self.view or (world.crowded and None in self.view), self.name, "VANISHED", uid, "not in", self.view)
                need(world.crowded or uid not in self.box.messages, self.name, "VANISHED of", uid, "that is there")
                self.view.remove(uid if uid in self.view else None)
                self.known.pop(uid, None)
        elif r.kind == b"FETCH":
            self.fetched(r, world)
        elif r.kind == b"RECENT":
            need(r.number <= len(self.view), self.name, "RECENT", r.number)
        elif r.kind not in (b"FLAGS", b"OK"):
            return False
        return True

    def fetched(self, r, world):
        need(1 <= r.number <= len(self.view), self.name, "FETCH of", r.number, "of", len(self.view))
        items = items_of(r)
        uid = self.view[r.number - 1]
        if b"UID" in items:
            told = int(items[b"UID"][0])
            if uid is None:
                self.view[r.number - 1] = uid = told
                self.last = max(self.last, uid)
            need(uid == told, self.name, "UID", told, "instead of", uid)
        if uid is None:
            return items
        m = self.box.messages.get(uid)
        if b"FLAGS" in items:
            flags = frozenset(f[0].decode() for f in items[b"FLAGS"]) - {"\\Recent"}
            self.known[uid] = flags
            if m and not world.crowded:
                need(flags == m.flags, self.name, "flags of", uid, set(flags), "instead of", set(m.flags))
        if b"MODSEQ" in items:
            modseq = int(items[b"MODSEQ"][0][0])
            need(modseq >= self.seen_modseq.get(uid, 0), self.name, "MODSEQ of", uid, "shrinks")
            self.seen_modseq[uid] = modseq
            if m and not world.crowded:
                self.box.saw(m, modseq)
        elif self.condstore and b"FLAGS" in items and not world.asked:
            raise Mismatch(self.name, "untagged FETCH without MODSEQ", items)
        if m:
            check_items(m, items, self.name)
        return items


def check_items(m, items, who):
    for name, value in items.items():
        if name == b"RFC822.SIZE":
            need(int(value[0]) == len(m.octets), who, "size of", m.uid, value)
        elif name == b"INTERNALDATE":
            need(value.decode().strip() == m.date or not m.date, who, "date of", m.uid, value, m.date)
        elif name == b"ENVELOPE":
            need(value[1] == m.subject.encode(), who, "subject of", m.uid, value[1], m.subject)
        elif name == b"BODY[]" or name == b"RFC822":
            need(value == m.octets, who, "octets of", m.uid)
        elif name.startswith(b"BODY[]<"):
            at = int(name[7:-1])
            need(m.octets[at:at + len(value)] == value, who, "octets of", m.uid, "at", at)
        elif name in (b"BODY[HEADER]", b"RFC822.HEADER"):
            need(value == m.octets[:m.octets.index(b"\r\n\r\n") + 4], who, "header of", m.uid)
        elif name == b"EMAILID":
            need(m.ids.setdefault("email", value) == value, who, "EMAILID of", m.uid, value, m.ids)
        elif name == b"BINARY.SIZE[1]":
            need(int(value[0]) == len(m.octets) - m.octets.index(b"\r\n\r\n") - 4, who, "BINARY.SIZE of", m.uid, value)
        elif name in (b"BODY[TEXT]", b"BODY[1]", b"RFC822.TEXT", b"BINARY[1]"):
            need(value == m.octets[m.octets.index(b"\r\n\r\n") + 4:], who, "text of", m.uid)
        elif name.startswith(b"BODY[HEADER.FIELDS"):
            need(value == b"Subject: %s\r\n\r\n" % m.subject.encode(), who, "field of", m.uid, value)


def numbers(text):
    """[3, 5, 6] of b"3,5:6"."""
    out = []
    for part in text.split(b","):
        a, _, b = part.partition(b":")
        lo, hi = sorted((int(a), int(b or a)))
        out += range(lo, hi + 1)
    return out


def as_set(values, r):
    """A set that names exactly these numbers, in some way."""
    values = sorted(values)
    parts, i = [], 0
    while i < len(values):
        j = i
        while j + 1 < len(values) and values[j + 1] == values[j] + 1 and r.random() < 0.9:
            j += 1
        parts.append("%d" % values[i] if i == j else "%d:%d" % ((values[i], values[j]) if r.random() < 0.8 else (values[j], values[i])))
        i = j + 1
    if r.random() < 0.2:
        r.shuffle(parts)
    return ",".join(parts)


class World:
    def __init__(self, port, user, password, seed, clients=4):
        self.random = random.Random(seed)
        self.port, self.login = port, (user, password)
        self.crowded, self.asked = False, ()
        self.count = collections.Counter()
        self.serial = 0
        self.boxes = {}
        self.log = collections.deque(maxlen=60)
        self.observer = Client(port, user, password, "observer")
        self.caps = self.observer.caps
        if "CONDSTORE" in self.caps:
            self.observer.enable("QRESYNC" if "QRESYNC" in self.caps else "CONDSTORE")
        for name in BOXES:
            self.observer.wire.do('CREATE "%s"' % name)
            self.boxes[name] = Box(name)
            self.adopt(self.boxes[name])
        self.see_subscribed()
        self.clients = [self.new_client("c%d" % i) for i in range(clients)]

    def see_subscribed(self):
        """Names of ours that are: a rename, or a mailbox made again, may change it."""
        self.subscribed = {r.data[2].decode() for r in self.observer.wire.ok('LSUB "" "*"') if r.kind == b"LSUB"} & set(self.boxes)

    def new_client(self, name):
        c = Client(self.port, *self.login, name)
        r = self.random.random()
        if r < 0.35 and "CONDSTORE" in self.caps:
            c.enable("CONDSTORE")
        elif r < 0.55 and "QRESYNC" in self.caps:
            c.enable("QRESYNC")
        if "COMPRESS=DEFLATE" in self.caps and self.random.random() < 0.3:
            c.wire.compress()
        if "UTF8=ACCEPT" in self.caps and self.random.random() < 0.2:
            c.enable("UTF8=ACCEPT")
        if "IMAP4rev2" in self.caps and self.random.random() < 0.3:
            c.enable("IMAP4rev2")
        return c

    def letter(self):
        self.serial += 1
        r = self.random
        subject = "letter %d %s" % (self.serial, r.choice(["apple", "Pear", "plum"]))
        text = "x" * r.choice([0, 1, 70, 500]) + "\r\n"
        return subject, ("From: a%d@example.org\r\nTo: b@home\r\nSubject: %s\r\nDate: Tue, %d Nov 2026 10:00:00 +0000\r\n"
                         "Message-ID: <%d@stream>\r\n\r\n" % (r.randrange(5), subject, r.randrange(10, 29), self.serial)
                         + text * r.choice([1, 1, 3])).encode()

    # ---- the observer ----

    def adopt(self, box):
        """What is there when we begin."""
        w = self.observer.wire
        for r in w.ok('EXAMINE "%s"' % box.name):
            if r.code and r.code[0] == b"UIDVALIDITY":
                box.uidvalidity = int(r.code[1])
            if r.code and r.code[0] == b"UIDNEXT":
                box.uidnext = int(r.code[1])
        for r in w.ok("FETCH 1:* (UID FLAGS INTERNALDATE BODY.PEEK[])") if box.uidnext > 1 else []:
            if r.kind == b"FETCH":
                i = items_of(r)
                subject = re.search(rb"(?im)^Subject: (.*?)\r?$", i[b"BODY[]"])
                m = Message(int(i[b"UID"][0]), i[b"BODY[]"], {f[0].decode() for f in i[b"FLAGS"]} - {"\\Recent"},
                            i[b"INTERNALDATE"].decode().strip(), subject.group(1).decode() if subject else "")
                box.messages[m.uid] = m
        self.observe(box, True)

    def observe(self, box, first=False):
        """Exactly what changed since the last look has a higher mod-sequence; exactly what went has vanished."""
        if not self.observer.condstore:
            return
        w, since = self.observer.wire, box.highest
        for r in w.ok('EXAMINE "%s"' % box.name):
            if r.code and r.code[0] == b"HIGHESTMODSEQ":
                highest = int(r.code[1])
            if r.code and r.code[0] == b"UIDNEXT":
                need(int(r.code[1]) == box.uidnext, box.name, "UIDNEXT", r.code, "instead of", box.uidnext)
            if r.code and r.code[0] == b"UIDVALIDITY":
                need(int(r.code[1]) == box.uidvalidity, box.name, "UIDVALIDITY changed")
            if r.kind == b"EXISTS":
                need(r.number == len(box.messages), box.name, "EXISTS", r.number, "instead of", len(box.messages))
        changed, vanished = {}, set()
        vanish = " VANISHED" if self.observer.qresync else ""
        for r in w.ok("UID FETCH 1:* (FLAGS)%s" % (" (CHANGEDSINCE %d%s)" % (since, vanish) if since else "")):
            if r.kind == b"FETCH":
                i = items_of(r)
                uid = int(i[b"UID"][0])
                need(uid in box.messages, box.name, "observer sees", uid)
                flags = frozenset(f[0].decode() for f in i[b"FLAGS"]) - {"\\Recent"}
                need(flags == box.messages[uid].flags, box.name, "observer: flags of", uid, set(flags), "instead of", set(box.messages[uid].flags))
                changed[uid] = int(i[b"MODSEQ"][0][0]) if b"MODSEQ" in i else None
            elif r.kind == b"VANISHED":
                vanished |= set(numbers(r.data[1][0]))
        if since:
            need(set(changed) == box.changed, box.name, "changed since", since, sorted(changed), "instead of", sorted(box.changed))
            if vanish:
                need(box.gone <= vanished, box.name, "vanished since", since, sorted(vanished), "without", sorted(box.gone - vanished))
                need(not vanished & set(box.messages), box.name, "vanished but there", vanished & set(box.messages))
        for uid, modseq in changed.items():
            if modseq is not None:
                need(since < modseq <= highest, box.name, "MODSEQ of", uid, modseq, "since", since, "highest", highest)
                box.saw(box.messages[uid], modseq)
        need(highest >= box.highest, box.name, "HIGHESTMODSEQ shrinks", highest, box.highest)
        need(highest > since or not (box.changed or box.gone) or not since, box.name, "HIGHESTMODSEQ stays", highest)
        box.highest, box.changed, box.gone = highest, set(), set()
        self.count["observed"] += 1

    # ---- an ordered command ----

    def run(self, c, command, verb, asked=(), literal=None):
        """Send it; apply what is told; returns (tagged response, others that were for the command)."""
        self.log.append("%s: %s" % (c.name, command[:500] if literal is None else command + " + literal"))
        self.asked = asked
        tag = c.wire.send(command)
        if literal is not None:
            while True:
                r = c.wire.response()
                if r.kind == b"+":
                    c.wire.raw(literal + b"\r\n")
                    break
                if r.tag == tag:
                    return r, []
                c.take(r, self, verb)
        rest = []
        for r in c.wire.finish(tag):
            if r.tag == tag:
                break
            need(r.kind not in (b"BYE", b"BAD", b"NO"), c.name, command, r)
            if r.kind == b"FETCH" and asked:
                rest.append((r, c.fetched(r, self)))
            elif not c.box or not c.take(r, self, verb) or r.kind == b"OK":
                rest.append((r, None))
        self.asked = ()
        self.count[verb] += 1
        need(r.kind != b"BAD", c.name, command, r)
        return r, rest

    def settle(self, c):
        """After a NOOP nothing is untold."""
        if not c.box:
            return
        r, rest = self.run(c, self.random.choice(["NOOP", "NOOP", "CHECK"]), "NOOP")
        self.told_all(c)

    def told_all(self, c):
        need(c.view == list(c.box.messages), c.name, "view", c.view, "instead of", list(c.box.messages))
        for uid, flags in c.known.items():
            need(flags == c.box.messages[uid].flags, c.name, "knows", uid, set(flags), "but", set(c.box.messages[uid].flags))

    def pick(self, c, here_only=False):
        """Some of the view: (indices, uids)."""
        r = self.random
        n = len(c.view)
        if n == 0:
            return [], []
        k = r.choice([1, 1, 1, 2, 3, n])
        indices = sorted(r.sample(range(n), min(k, n)))
        if r.random() < 0.3:
            a, b = sorted((r.randrange(n), r.randrange(n)))
            indices = list(range(a, b + 1))
        return indices, [c.view[i] for i in indices]

    def target(self, c):
        """A set argument: (prefix "UID " or "", its text, uids it names in the view)."""
        r = self.random
        indices, uids = self.pick(c)
        if not uids:
            return "UID ", "%d:*" % r.randrange(1, 50), list(c.view)[-1:] and [u for u in c.view[-1:]]
        if c.saved is not None and r.random() < 0.1:
            return r.choice(["", "UID "]), "$", [u for u in c.view if u in c.saved]
        if r.random() < 0.5:
            text = as_set([i + 1 for i in indices], r)
            if r.random() < 0.1:
                return "", "%d:*" % (indices[0] + 1), c.view[indices[0]:]
            return "", text, uids
        if r.random() < 0.1:
            return "UID ", "%d:*" % uids[0], [u for u in c.view if u >= uids[0]]
        strange = [c.box.uidnext + r.randrange(100)] if r.random() < 0.1 else []
        return "UID ", as_set(uids + strange, r), uids

    def flags(self):
        r = self.random
        return r.sample(FLAGS, r.choice([0, 1, 1, 2, 3]))

    # ---- commands ----

    def do_select(self, c):
        r = self.random
        box = self.boxes[r.choice(list(self.boxes))]
        how = r.choice(["SELECT", "SELECT", "SELECT", "EXAMINE"])
        c.leave()
        option = " (CONDSTORE)" if "CONDSTORE" in self.caps and r.random() < 0.1 else ""
        tagged, rest = self.run(c, '%s "%s"%s' % (how, box.name, option), "SELECT")
        need(tagged.kind == b"OK", how, box.name, tagged)
        need(tagged.code == [b"READ-WRITE" if how == "SELECT" else b"READ-ONLY"], how, tagged)
        c.condstore |= bool(option)
        codes = {x.code[0]: x.code[1:] for x, _ in rest if x.code}
        exists = [x.number for x, _ in rest if x.kind == b"EXISTS"]
        need(exists == [len(box.messages)], how, box.name, exists, "instead of", len(box.messages))
        need(codes[b"UIDNEXT"] == [b"%d" % box.uidnext], how, codes)
        need(codes[b"UIDVALIDITY"] == [b"%d" % box.uidvalidity], how, codes)
        if b"HIGHESTMODSEQ" in codes:
            need(int(codes[b"HIGHESTMODSEQ"][0]) >= box.highest, how, codes, box.highest)
        if b"UNSEEN" in codes:
            unseen = [i + 1 for i, m in enumerate(box.messages.values()) if "\\Seen" not in m.flags]
            need(unseen[:1] == [int(codes[b"UNSEEN"][0])], how, codes, unseen[:1])
        c.box, c.read_only = box, how == "EXAMINE"
        c.view = list(box.messages)
        c.last = max(c.view or [0])

    def do_fetch(self, c):
        r = self.random
        uid, text, uids = self.target(c)
        if uid == "" and not c.view:
            return
        items = r.sample(["UID", "FLAGS", "RFC822.SIZE", "INTERNALDATE", "ENVELOPE", "BODY.PEEK[]", "BODY.PEEK[HEADER]", "BODY.PEEK[TEXT]",
                          "BODY.PEEK[HEADER.FIELDS (SUBJECT)]", "BODY.PEEK[]<%d.%d>" % (r.randrange(200), r.randrange(1, 300)), "BODY[1]", "BODY[]",
                          "RFC822.HEADER", "BODYSTRUCTURE", "RFC822", "RFC822.TEXT"] + (["BINARY[1]", "BINARY.SIZE[1]"] if "BINARY" in self.caps else []) +
                         (["EMAILID"] if "OBJECTID" in self.caps else []) + (["MODSEQ"] if "CONDSTORE" in self.caps else []), r.choice([1, 1, 2, 3, 4]))
        if "BODY[]" in items and "BODY.PEEK[]" in items:
            items.remove("BODY[]")      # they are one item in the answer
        if r.random() < 0.4:
            items = ["FLAGS"]
        since = ""
        if c.condstore and r.random() < 0.2 and c.box.highest:
            since = " (CHANGEDSINCE %d)" % c.box.highest
        sees = not c.read_only and any(i.startswith(("BODY[", "BINARY[")) or i in ("RFC822", "RFC822.TEXT") for i in items)
        newly = set()
        for u in uids:
            m = c.box.messages.get(u)
            if m and sees and "\\Seen" not in m.flags and not (since and m.modseq is not None and m.modseq <= c.box.highest):
                newly.add(u)
                c.box.change(m, m.flags | {"\\Seen"})
        tagged, rest = self.run(c, "%sFETCH %s (%s)%s" % (uid, text, " ".join(items), since), uid + "FETCH", asked=items)
        c.condstore |= "MODSEQ" in items
        need(tagged.kind == b"OK", c.name, items, tagged)
        got = collections.Counter()
        for x, i in rest:
            if x.kind != b"FETCH":
                continue
            if all(self.named(item) in i for item in items):
                got[c.view_uid(x, i)] += 1
            if uid:
                need(b"UID" in i, c.name, "UID FETCH without UID", i)
        there = {u for u in uids if u in c.box.messages}
        if since:
            there = {u for u in there if c.box.messages[u].modseq is None or c.box.messages[u].modseq > int(since[15:-1])}
        # News of a change may look like an answer.
        need(set(got) >= there, c.name, "FETCH", text, "without", sorted(there - set(got)))
        if items != ["FLAGS"] and not set(items) <= {"UID", "FLAGS", "MODSEQ"}:
            need(set(got) == there, c.name, "FETCH", text, "of", sorted(set(got) - there))
        for u in newly:
            need("\\Seen" in c.known.get(u, ()), c.name, "\\Seen of", u, "was not told")

    @staticmethod
    def named(item):
        name = item.replace("BODY.PEEK", "BODY")
        if name.startswith("BODY[]<"):
            name = name[:name.index(".")] + ">"
        return name.encode()

    def do_store(self, c):
        r = self.random
        if c.read_only:
            return
        uid, text, uids = self.target(c)
        if uid == "" and not c.view:
            return
        how, flags = r.choice(["", "+", "+", "-"]), self.flags()
        if how and not flags:
            flags = ["\\Seen"]
        silent = r.random() < 0.4
        since = None
        if "CONDSTORE" in self.caps and r.random() < 0.25:
            since = r.choice([c.box.highest, max(0, c.box.highest - r.randrange(10)), 1 << 40])
            if any(m.modseq is None for m in c.box.messages.values()):
                self.observe(c.box)
        failed, wanted = set(), {}
        for u in uids:
            m = c.box.messages.get(u)
            if not m:
                continue
            if since is not None and m.modseq > since:
                failed.add(u)
                continue
            new = set(flags) if how == "" else m.flags | set(flags) if how == "+" else m.flags - set(flags)
            wanted[u] = frozenset(new)
        # Others' changes are told first: what it knows is checked against the new flags only.
        before = {u: c.box.messages[u].flags for u in wanted}
        for u, new in wanted.items():
            c.box.change(c.box.messages[u], new)
        command = "%sSTORE %s%s %sFLAGS%s (%s)" % (uid, text, " (UNCHANGEDSINCE %d)" % since if since is not None else "", how,
                                                  ".SILENT" if silent else "", " ".join(flags))
        was_condstore, c.condstore = c.condstore, c.condstore or since is not None
        told = set()
        self.crowded = True     # news of before and answers of after come together
        tagged, rest = self.run(c, command, uid + "STORE", asked=("STORE",))
        self.crowded = False
        self.settle_view(c)
        for x, i in rest:
            if x.kind == b"FETCH":
                u = c.view_uid(x, i)
                told.add(u)
                m = c.box.messages.get(u)
                if m and b"FLAGS" in i:
                    need(c.known[u] in (m.flags, before.get(u, m.flags)), c.name, "STORE tells", u, set(c.known[u]), "instead of", set(m.flags))
                if uid:
                    need(b"UID" in i, c.name, "UID STORE without UID", i)
        for u in wanted:
            if not silent:
                need(u in told and c.known[u] == c.box.messages[u].flags, c.name, "STORE did not tell", u, c.known.get(u), set(c.box.messages[u].flags))
            elif u in c.known:
                c.known[u] = c.box.messages[u].flags
            if c.condstore:
                need(u in told, c.name, "STORE without MODSEQ of", u)
        modified = set()
        if tagged.code and tagged.code[0] == b"MODIFIED":
            modified = set(numbers(tagged.code[1]))
            if not uid:
                modified = {c.view[n - 1] for n in modified}
        gone = {u for u in uids if u not in c.box.messages}
        need(modified - gone == failed, c.name, "MODIFIED", modified, "instead of", failed)
        need(tagged.kind == b"OK" or gone, c.name, command, tagged)

    def do_copy(self, c, move=False):
        r = self.random
        if move and c.read_only:
            return
        uid, text, uids = self.target(c)
        if uid == "" and not c.view or not uids:
            return
        to = self.boxes[r.choice(list(self.boxes))]
        there = [u for u in uids if u in c.box.messages]
        same = to is c.box
        self.crowded = same or move     # EXISTS of the copies comes before the model has them
        tagged, rest = self.run(c, '%s%s %s "%s"' % (uid, "MOVE" if move else "COPY", text, to.name), uid + "COPY")
        self.crowded = False
        if move and same:
            need(tagged.kind in (b"OK", b"NO"), c.name, tagged)
            if tagged.kind == b"NO":
                self.settle_view(c)
                return
        need(tagged.kind == b"OK", c.name, text, tagged)
        codes = [x.code for x, _ in rest if x.code and x.code[0] == b"COPYUID"] + ([tagged.code] if tagged.code and tagged.code[0] == b"COPYUID" else [])
        if not there:
            need(not codes, c.name, "COPYUID of nothing", codes)
            self.settle_view(c)
            return
        [code] = codes
        need(int(code[1]) == to.uidvalidity and numbers(code[2]) == there, c.name, code, "instead of", there)
        new = numbers(code[3])
        need(new == list(range(to.uidnext, to.uidnext + len(there))), c.name, code, "uidnext", to.uidnext)
        for u, n in zip(there, new):
            to.add(c.box.messages[u].copy(n))
            if move:
                c.box.remove(u)
        self.settle_view(c)
        if move:
            need(not set(there) & set(c.view), c.name, "moved but in view", set(there) & set(c.view))

    def settle_view(self, c):
        """New messages in the view that have no UID yet."""
        if c.box and None in c.view:
            known = [u for u in c.view if u]
            last = max(known or [0])
            new = [u for u in c.box.messages if u > last]
            need(c.view[len(known):].count(None) == len(c.view) - len(known), c.name, "hole in view")
            need(len(new) >= len(c.view) - len(known), c.name, "view", c.view, new)
            c.view = known + new[:len(c.view) - len(known)]
            c.last = max([c.last] + c.view)

    def do_expunge(self, c):
        r = self.random
        if c.read_only:
            return
        only, text = None, ""
        if r.random() < 0.5 and c.view:
            _, uids = self.pick(c)
            only, text = set(uids), " " + as_set(uids, r)
        gone = [u for u in c.view if u in c.box.messages and "\\Deleted" in c.box.messages[u].flags and (only is None or u in only)]
        for u in gone:
            c.box.remove(u)
        tagged, rest = self.run(c, "%sEXPUNGE%s" % ("UID " if only is not None else "", text), "EXPUNGE")
        need(tagged.kind == b"OK", c.name, tagged)
        need(not [u for u in c.view if u not in c.box.messages], c.name, "EXPUNGE leaves", c.view)

    def do_close(self, c):
        if self.random.random() < 0.5 and not c.read_only:
            for u in [u for u in c.view if u in c.box.messages and "\\Deleted" in c.box.messages[u].flags]:
                c.box.remove(u)
            tagged, rest = self.run(c, "CLOSE", "CLOSE")
            need(not [x for x, _ in rest if x.kind in (b"EXPUNGE", b"VANISHED")], "CLOSE tells")
        else:
            tagged, rest = self.run(c, "UNSELECT", "CLOSE")
        need(tagged.kind == b"OK", tagged)
        c.leave()

    def key(self, c, depth=0):
        """A search key and what it means: a function of (index, message)."""
        r = self.random
        kind = r.randrange(18 if depth < 3 else 10)
        if kind == 0:
            return "ALL", lambda i, m: True
        if kind in (1, 2):
            f = r.choice(SYSTEM)
            word = f[1:].upper()
            return (word, lambda i, m: f in m.flags) if kind == 1 else ("UN" + word, lambda i, m: f not in m.flags)
        if kind == 3:
            f = r.choice(WORDS)
            return (("KEYWORD " + f), lambda i, m: f in m.flags) if r.random() < 0.5 else (("UNKEYWORD " + f), lambda i, m: f not in m.flags)
        if kind == 4:
            word = r.choice(["apple", "PEAR", "letter", "nothing"])
            return "SUBJECT %s" % word, lambda i, m: word.lower() in m.subject.lower()
        if kind == 5:
            n = r.choice([100, 200, 300, 700, 1500])
            return ("LARGER %d" % n, lambda i, m: len(m.octets) > n) if r.random() < 0.5 else ("SMALLER %d" % n, lambda i, m: len(m.octets) < n)
        if kind == 6 and c.view:
            _, uids = self.pick(c)
            return "UID " + as_set(uids, r), lambda i, m: m.uid in uids
        if kind == 7 and c.view:
            indices, _ = self.pick(c)
            return as_set([i + 1 for i in indices], r), lambda i, m: i in indices
        if kind == 8:
            day = r.randrange(8, 30)
            word = r.choice(["SENTBEFORE", "SENTON", "SENTSINCE"])
            test = {"SENTBEFORE": lambda d: d < day, "SENTON": lambda d: d == day, "SENTSINCE": lambda d: d >= day}[word]

            def sent(i, m):
                found = re.search(rb"Date: Tue, (\d+) Nov 2026", m.octets)
                return bool(found) and test(int(found.group(1)))
            return "%s %d-Nov-2026" % (word, day), sent
        if kind == 9:
            word = "a%d@example" % r.randrange(6)
            return "FROM " + word, lambda i, m: word.encode() in m.octets
        if kind == 10:
            text, f = self.key(c, depth + 1)
            return "NOT " + text, lambda i, m: not f(i, m)
        if kind == 11:
            (t1, f1), (t2, f2) = self.key(c, depth + 1), self.key(c, depth + 1)
            return "OR %s %s" % (t1, t2), lambda i, m: f1(i, m) or f2(i, m)
        if kind == 12:
            (t1, f1), (t2, f2) = self.key(c, depth + 1), self.key(c, depth + 1)
            return "(%s %s)" % (t1, t2), lambda i, m: f1(i, m) and f2(i, m)
        if kind == 13:
            word = r.choice(["xxxx", "plum", "nowhere"])
            return "TEXT " + word, lambda i, m: word.encode() in m.octets
        if kind == 14:      # APPEND with a date is of 2020, others of today
            word, old = r.choice([("BEFORE", True), ("SINCE", False)])
            return word + " 1-Jan-2021", lambda i, m: bool(m.date and "2020" in m.date) == old
        if kind == 15:
            word, old = r.choice([("OLDER", True), ("YOUNGER", False)])
            return word + " 864000", lambda i, m: bool(m.date and "2020" in m.date) == old
        if kind == 16:
            number = r.randrange(1, self.serial + 2)
            return "HEADER Message-ID <%d@stream>" % number, lambda i, m: b"Message-ID: <%d@stream>" % number in m.octets
        if kind == 17:
            word = r.choice(["xx", "letter", "@example"])
            return "BODY " + word, lambda i, m: word.encode() in m.octets[m.octets.index(b"\r\n\r\n"):]
        return "ALL", lambda i, m: True

    def do_search(self, c):
        r = self.random
        text, f = self.key(c)
        found = [(i, u) for i, u in enumerate(c.view) if u in c.box.messages and f(i, c.box.messages[u])]
        uid = r.choice(["", "UID "])
        want = [u if uid else i + 1 for i, u in found]
        options = []
        if "ESEARCH" in self.caps and r.random() < 0.4:
            options = r.sample(["MIN", "MAX", "ALL", "COUNT"] + (["SAVE"] if "SEARCHRES" in self.caps else []), r.randrange(4))
        returns = "RETURN (%s) " % " ".join(options) if options or (c.rev2 is False and r.random() < 0.05 and "ESEARCH" in self.caps) else ""
        tagged, rest = self.run(c, "%sSEARCH %s%s" % (uid, returns, text), uid + "SEARCH")
        need(tagged.kind == b"OK", c.name, text, tagged)
        if options == ["SAVE"]:
            c.saved = {u for _, u in found}
            return
        [answer] = [x for x, _ in rest if x.kind in (b"SEARCH", b"ESEARCH")]
        if answer.kind == b"SEARCH":
            need(not returns and not c.rev2, c.name, "SEARCH instead of ESEARCH")
            got = [int(n[0]) for n in answer.data if isinstance(n, tuple)]
            need(got == want, c.name, uid, "SEARCH", text, got, "instead of", want)
            return
        need(returns or c.rev2, c.name, "ESEARCH instead of SEARCH")
        data = answer.data[1:]
        if uid:
            need(data[:1] == [(b"UID",)], c.name, "ESEARCH without UID", answer)
            data = data[1:]
        got = {data[i][0]: data[i + 1] for i in range(0, len(data), 2)}
        wants = set(options) - {"SAVE"} or {"ALL"}
        expected = {}
        if "COUNT" in wants:
            expected[b"COUNT"] = len(want)
        if want and "MIN" in wants:
            expected[b"MIN"] = want[0]
        if want and "MAX" in wants:
            expected[b"MAX"] = want[-1]
        need({k: int(v[0]) for k, v in got.items() if k in (b"COUNT", b"MIN", b"MAX")} == expected, c.name, text, got, expected)
        need(numbers(got[b"ALL"][0]) == want if want and "ALL" in wants else b"ALL" not in got, c.name, text, got, want)
        if "SAVE" in options:
            if wants & {"ALL", "COUNT"}:
                c.saved = {u for _, u in found}
            else:
                ends = [found[0]] * ("MIN" in wants) + [found[-1]] * ("MAX" in wants) if found else []
                c.saved = {u for _, u in ends}

    def do_sort(self, c):
        if "SORT" not in self.caps:
            return
        r = self.random
        text, f = self.key(c)
        found = [(i, c.box.messages[u]) for i, u in enumerate(c.view) if u in c.box.messages and f(i, c.box.messages[u])]
        by, reverse = r.choice(["SIZE", "SUBJECT"]), r.random() < 0.5
        value = (lambda m: len(m.octets)) if by == "SIZE" else (lambda m: m.subject.upper())
        order = sorted(found, key=lambda x: value(x[1]), reverse=reverse)    # stable: by number within
        tagged, rest = self.run(c, "SORT (%s%s) UTF-8 %s" % ("REVERSE " if reverse else "", by, text), "SORT")
        need(tagged.kind == b"OK", c.name, tagged)
        [answer] = [x for x, _ in rest if x.kind == b"SORT"]
        got = [int(n[0]) for n in answer.data if isinstance(n, tuple)]
        need(got == [i + 1 for i, _ in order], c.name, "SORT", by, reverse, text, got, [i + 1 for i, _ in order])

    def do_thread(self, c):
        """Whatever the threads are, they have each message once."""
        r = self.random
        how = r.choice(["REFERENCES", "ORDEREDSUBJECT"])
        if "THREAD=" + how not in self.caps:
            return
        text, f = self.key(c)
        want = [i + 1 for i, u in enumerate(c.view) if u in c.box.messages and f(i, c.box.messages[u])]
        tagged, rest = self.run(c, "THREAD %s UTF-8 %s" % (how, text), "THREAD")
        need(tagged.kind == b"OK", c.name, tagged)
        [answer] = [x for x, _ in rest if x.kind == b"THREAD"]
        got, todo = [], list(answer.data)
        while todo:
            x = todo.pop()
            if isinstance(x, list):
                todo += x
            else:
                got.append(int(x[0]))
        need(sorted(got) == want, c.name, "THREAD", how, text, sorted(got), want)

    def do_list(self, c):
        """Names, what is subscribed, and their numbers."""
        r = self.random
        if r.random() < 0.5:
            name, on = r.choice(list(self.boxes)), r.random() < 0.5
            tagged, rest = self.run(c, '%sSUBSCRIBE "%s"' % ("" if on else "UN", name), "SUBSCRIBE")
            need(tagged.kind == b"OK", c.name, tagged)
            (self.subscribed.add if on else self.subscribed.discard)(name)
        tagged, rest = self.run(c, 'LIST "" "*" RETURN (SUBSCRIBED CHILDREN STATUS (MESSAGES UIDNEXT UNSEEN))', "LIST")
        need(tagged.kind == b"OK", c.name, tagged)
        seen = {x.data[2].decode(): {a[0].decode() for a in x.data[0]} for x, _ in rest if x.kind == b"LIST"}
        numbers_of = {x.data[0].decode(): x.data[1] for x, _ in rest if x.kind == b"STATUS"}
        for name, box in self.boxes.items():
            need(name in seen, c.name, "LIST without", name)
            need(("\\Subscribed" in seen[name]) == (name in self.subscribed), c.name, "LIST", name, seen[name], self.subscribed)
            got = [int(x[0]) for x in numbers_of[name][1::2]]
            need(got == [len(box.messages), box.uidnext, sum("\\Seen" not in m.flags for m in box.messages.values())], c.name, "STATUS", name, got)
        tagged, rest = self.run(c, 'LSUB "" "*"', "LSUB")
        lsub = {x.data[2].decode() for x, _ in rest if x.kind == b"LSUB"}
        need(lsub & set(self.boxes) == self.subscribed, c.name, "LSUB", lsub, self.subscribed)

    def do_quota(self, c):
        name = self.random.choice(list(self.boxes))
        tagged, rest = self.run(c, 'GETQUOTAROOT "%s"' % name, "GETQUOTAROOT")
        need(tagged.kind == b"OK", c.name, tagged)
        [root] = [x.data[1] for x, _ in rest if x.kind == b"QUOTAROOT"]
        [quota] = [x.data for x, _ in rest if x.kind == b"QUOTA"]
        need(quota[0] == root and int(quota[1][1][0]) <= int(quota[1][2][0]), c.name, "QUOTA", quota)

    def do_multiappend(self, c):
        """RFC 3502: all or nothing, one UID after the other."""
        r = self.random
        box = self.boxes[r.choice(list(self.boxes))]
        command, uids = ('APPEND "%s"' % box.name).encode(), []
        for _ in range(r.randrange(2, 6)):
            subject, octets = self.letter()
            flags = self.flags()
            date = "%2d-Feb-2020 10:0%d:00 +0000" % (r.randrange(1, 29), r.randrange(10)) if r.random() < 0.7 else ""
            m = Message(box.uidnext, octets, flags, date.strip(), subject)
            box.add(m)
            uids.append(m.uid)
            command += b"%s%s %s{%d+}\r\n%s" % ((" (%s)" % " ".join(flags)).encode() if flags else b"", (' "%s"' % date).encode() if date else b"",
                                              b"~" if "BINARY" in self.caps and r.random() < 0.3 else b"", len(octets), octets)
        tagged, rest = self.run(c, command, "APPEND")
        need(tagged.kind == b"OK", c.name, tagged)
        need(tagged.code[:2] == [b"APPENDUID", b"%d" % box.uidvalidity] and numbers(tagged.code[2]) == uids, c.name, tagged, uids)
        self.count["MULTIAPPEND"] += 1

    def do_append(self, c):
        r = self.random
        if "MULTIAPPEND" in self.caps and r.random() < 0.3:
            self.do_multiappend(c)
            return
        box = self.boxes[r.choice(list(self.boxes))]
        subject, octets = self.letter()
        flags = self.flags()
        date = "%2d-Feb-2020 10:0%d:00 +0000" % (r.randrange(1, 29), r.randrange(10)) if r.random() < 0.7 else ""
        m = Message(box.uidnext, octets, flags, date.strip(), subject)
        box.add(m)
        utf8 = c.utf8 and r.random() < 0.5      # RFC 6855 section 4
        tagged, rest = self.run(c, 'APPEND "%s"%s%s %s{%d}' % (box.name, " (%s)" % " ".join(flags) if flags or r.random() < 0.1 else "",
                                                              ' "%s"' % date if date else "", "UTF8 (~" if utf8 else "~" if "BINARY" in self.caps and r.random() < 0.2 else "",
                                                              len(octets)), "APPEND", literal=octets + b")" * utf8)
        need(tagged.kind == b"OK", c.name, tagged)
        need(tagged.code == [b"APPENDUID", b"%d" % box.uidvalidity, b"%d" % m.uid], c.name, tagged, m.uid)

    def do_status(self, c):
        r = self.random
        box = self.boxes[r.choice(list(self.boxes))]
        items = r.sample(["MESSAGES", "UIDNEXT", "UIDVALIDITY", "UNSEEN"] + (["SIZE"] if "STATUS=SIZE" in self.caps else []) +
                         (["DELETED", "DELETED-STORAGE"] if "QUOTA" in self.caps else []), r.randrange(1, 5))
        tagged, rest = self.run(c, 'STATUS "%s" (%s)' % (box.name, " ".join(items)), "STATUS")
        [answer] = [x for x, _ in rest if x.kind == b"STATUS"]
        pairs = answer.data[1]
        got = {pairs[i][0].decode(): int(pairs[i + 1][0]) for i in range(0, len(pairs), 2)}
        want = {"MESSAGES": len(box.messages), "UIDNEXT": box.uidnext, "UIDVALIDITY": box.uidvalidity,
                "UNSEEN": sum("\\Seen" not in m.flags for m in box.messages.values()), "SIZE": sum(len(m.octets) for m in box.messages.values()),
                "DELETED": sum("\\Deleted" in m.flags for m in box.messages.values()),
                "DELETED-STORAGE": (sum(len(m.octets) for m in box.messages.values() if "\\Deleted" in m.flags) + 1023) // 1024}
        need(got == {i: want[i] for i in items}, c.name, "STATUS", got, {i: want[i] for i in items})

    def do_idle(self, c):
        """Others change the mailbox; it is told without asking."""
        others = [x for x in self.clients if x is not c and x.box is c.box]
        self.settle(c)
        self.log.append("%s: IDLE" % c.name)
        tag = c.wire.send("IDLE")
        while c.wire.response().kind != b"+":
            pass
        for x in others[:2]:
            self.random.choice([self.do_store, self.do_append, self.do_expunge, self.do_copy, self.do_fetch])(x)
        deadline = time.monotonic() + 30
        while True:
            try:
                self.told_all(c)
                break
            except Mismatch:
                if time.monotonic() > deadline:
                    raise
            if c.wire.has_input(1):
                self.crowded = True
                c.take(c.wire.response(), self, "IDLE")
                self.crowded = False
                self.settle_view(c)
        c.wire.raw(b"DONE\r\n")
        self.crowded = True     # what was true in between may still be on its way
        for r in c.wire.finish(tag)[:-1]:
            c.take(r, self, "IDLE")
        self.crowded = False
        self.settle_view(c)
        self.count["IDLE"] += 1
        self.told_all(c)

    def do_leave(self, c):
        """A new connection in its place; sometimes the old one just goes."""
        if self.random.random() < 0.5:
            c.wire.do("LOGOUT")
        c.wire.close()
        self.clients[self.clients.index(c)] = self.new_client(c.name)
        self.count["LOGOUT"] += 1

    def do_rename(self, c):
        """Who has it selected goes on with it."""
        box = next(b for name, b in self.boxes.items() if name.startswith("two/"))
        name = "two/" + self.random.choice([n for n in ("three", "four", "five", "a b") if "two/" + n != box.name])
        tagged, rest = self.run(c, 'RENAME "%s" "%s"' % (box.name, name), "RENAME")
        need(tagged.kind == b"OK", c.name, tagged)
        self.boxes = {name if b is box else n: b for n, b in self.boxes.items()}
        box.name = name
        self.see_subscribed()

    def do_delete(self, c):
        """Who has it selected is sent away; the one who deletes it has none selected. Made again it is another one."""
        box = self.boxes["one"]
        for x in self.clients:
            if x.box is box and x is not c:
                self.settle(x)
        self.observer.wire.ok('EXAMINE "INBOX"')
        if c.box is box:
            c.leave()
        tagged, rest = self.run(c, 'DELETE "one"', "DELETE")
        need(tagged.kind == b"OK", c.name, tagged)
        for x in [x for x in self.clients if x.box is box]:
            need(x.wire.response().kind == b"BYE", x.name, "no BYE")
            x.wire.close()
            self.clients[self.clients.index(x)] = self.new_client(x.name)
        tagged, rest = self.run(c, 'CREATE "one"', "CREATE")
        need(tagged.kind == b"OK", c.name, tagged)
        self.boxes["one"] = again = Box("one")
        self.adopt(again)
        self.see_subscribed()
        need(again.uidvalidity > box.uidvalidity and again.uidnext == 1 and not again.messages, "made again", again.uidvalidity, box.uidvalidity)

    def ordered(self):
        r = self.random
        c = r.choice(self.clients)
        if not c.box:
            r.choice([self.do_select] * 6 + [self.do_append, self.do_status])(c)
        else:
            r.choice([self.do_fetch] * 5 + [self.do_store] * 6 + [self.do_search] * 4 + [self.do_append] * 4 + [self.do_copy] * 2 +
                     [lambda x: self.do_copy(x, True)] * 2 + [self.do_expunge] * 2 + [self.settle] * 3 +
                     [self.do_select, self.do_status, self.do_sort, self.do_thread, self.do_idle] + [self.do_list, self.do_quota] * (r.random() < 0.3) + [self.do_close, self.do_leave] * (r.random() < 0.3) +
                     [self.do_rename, self.do_delete] * (r.random() < 0.1))(c)
        if r.random() < 0.05:
            self.observe(r.choice(list(self.boxes.values())))

    # ---- all at once ----

    def crowd(self):
        """Everybody sends some commands at once, without waiting for each other or himself."""
        r = self.random
        for c in self.clients:
            if not c.box or r.random() < 0.2:
                self.do_select(c)
            self.settle(c)
        for box in self.boxes.values():
            self.observe(box)
        sent, written = [], {b: collections.defaultdict(lambda: collections.defaultdict(set)) for b in self.boxes}
        doomed, texts = {b: False for b in self.boxes}, {}
        self.crowded = True
        for c in self.clients:
            lines = b""
            for _ in range(r.randrange(1, 6)):
                line, verb = self.crowd_command(c, written, doomed, texts)
                if line:
                    c.wire.n += 1
                    tag = b"t%d" % c.wire.n
                    sent.append((c, tag, verb))
                    lines += tag + b" " + line
                    self.log.append("%s: (all at once) %s" % (c.name, line[:200]))
            c.wire.raw(lines)
        arrived = collections.defaultdict(list)
        for c, tag, verb in sent:
            while True:
                x = c.wire.response()
                if x.tag == tag:
                    break
                need(x.tag in (None, b"*"), c.name, "answers out of order:", x, "before", tag)
                if x.kind == b"FETCH":
                    self.asked = (verb,)
                    c.fetched(x, self)
                elif x.kind != b"+":
                    c.take(x, self, verb)
            need(x.kind == b"OK" or x.code in ([b"EXPUNGEISSUED"],), c.name, verb, x)
            if verb.startswith("UID STORE "):   # silent: it is not told what became of them
                for u in numbers(verb[10:].encode()):
                    c.known.pop(u, None)
            if x.code and x.code[0] in (b"APPENDUID", b"COPYUID"):
                arrived[verb.split(" ", 1)[1]] += numbers(x.code[-1])
            self.count["crowd " + verb.split(" ")[0]] += 1
        self.crowded, self.asked = False, ()
        for box in self.boxes.values():
            self.reconcile(box, written[box.name], arrived[box.name], doomed[box.name], texts)
        for c in self.clients:
            self.crowded = True
            self.run(c, "NOOP", "NOOP")
            self.crowded = False
            self.resolve(c)
            self.told_all(c)

    def crowd_command(self, c, written, doomed, texts):
        r = self.random
        kind = r.randrange(8)
        box = c.box
        if kind <= 2 and not c.read_only and box.messages:
            # By UID only: numbers may move under commands sent ahead.
            uids = r.sample(list(box.messages), min(len(box.messages), r.choice([1, 2, 5, 30])))
            how, flags, silent = r.choice(["", "+", "+", "-"]), self.flags() or ["\\Flagged"], r.choice(["", ".SILENT"])
            for u in uids:
                for f in FLAGS:
                    if f in flags:
                        written[box.name][u][f].add(how != "-")
                    elif how == "":
                        written[box.name][u][f].add(False)
            return ("UID STORE %s %sFLAGS%s (%s)\r\n" % (as_set(uids, r), how, silent, " ".join(flags))).encode(), \
                "UID STORE" + (" " + ",".join(map(str, uids)) if silent else "")
        if kind == 3 and not c.read_only:
            doomed[box.name] = True
            return b"EXPUNGE\r\n", "EXPUNGE"
        if kind == 4:
            subject, octets = self.letter()
            flags = self.flags()
            to = r.choice(list(self.boxes))
            texts[octets] = (subject, flags)
            return b'APPEND "%s" (%s) {%d+}\r\n%s\r\n' % (to.encode(), " ".join(flags).encode(), len(octets), octets), "APPEND " + to
        if kind == 5 and box.messages:
            uids = r.sample(list(box.messages), min(len(box.messages), 3))
            to = r.choice(list(self.boxes))
            for u in uids:
                m = box.messages[u]
                texts[m.octets] = (m.subject, None)
            return ('UID COPY %s "%s"\r\n' % (as_set(uids, r), to)).encode(), "COPY " + to
        if kind == 6:
            return b"UID FETCH 1:* (UID FLAGS)\r\n", "UID FETCH"
        return r.choice([(b"NOOP\r\n", "NOOP"), (b"UID SEARCH SEEN\r\n", "UID SEARCH"), (b"UID FETCH 1:* (UID RFC822.SIZE BODY.PEEK[])\r\n", "UID FETCH")])

    def reconcile(self, box, written, arrived, doomed, texts):
        """Is this a state that some order leads to? Then it is ours."""
        w = self.observer.wire
        w.ok('EXAMINE "%s"' % box.name)
        seen = {}
        for x in w.ok("UID FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])"):
            if x.kind == b"FETCH":
                i = items_of(x)
                seen[int(i[b"UID"][0])] = (frozenset(f[0].decode() for f in i[b"FLAGS"]) - {"\\Recent"}, i[b"BODY[]"], i[b"INTERNALDATE"].decode().strip())
        arrived = sorted(arrived)
        need(arrived == list(range(box.uidnext, box.uidnext + len(arrived))), box.name, "new UIDs", arrived, "uidnext", box.uidnext)
        for uid, m in list(box.messages.items()):
            could_go = doomed and ("\\Deleted" in m.flags or True in written[uid]["\\Deleted"])
            if uid not in seen:
                need(could_go, box.name, uid, "went without reason")
                box.remove(uid)
                continue
            flags = seen[uid][0]
            need(seen[uid][1] == m.octets, box.name, uid, "has other octets")
            touched = False
            for f in FLAGS:
                ways = written[uid][f]
                touched |= bool(ways - {f in m.flags})
                need((f in flags) in (ways or {f in m.flags}), box.name, uid, f, "is", f in flags, "ways", ways, "was", f in m.flags)
            if touched:     # it may have changed there and back
                m.flags, m.modseq = flags, None
        for uid in arrived:
            if uid not in seen:
                need(doomed, box.name, uid, "new and gone without reason")
                box.gone.add(uid)
                box.uidnext = max(box.uidnext, uid + 1)
                continue
            flags, octets, date = seen[uid]
            need(octets in texts, box.name, uid, "has octets of nobody")
            subject, given = texts[octets]
            need(given is None or frozenset(given) == flags or written[uid], box.name, uid, set(flags), given)
            box.add(Message(uid, octets, flags, date, subject))
        need(set(seen) == set(box.messages), box.name, sorted(set(seen) ^ set(box.messages)))
        # The observer's next look begins here.
        box.changed, box.gone = set(), set()
        for x in w.ok("UID FETCH 1:* (FLAGS%s)" % (" MODSEQ" if self.observer.condstore else "")):
            if x.kind == b"FETCH" and self.observer.condstore:
                i = items_of(x)
                modseq, m = int(i[b"MODSEQ"][0][0]), box.messages[int(i[b"UID"][0])]
                need(modseq > box.highest or m.modseq == modseq, box.name, "MODSEQ of", m.uid, modseq, "was", m.modseq, "highest", box.highest)
                m.modseq = modseq
        for x in w.ok('EXAMINE "%s"' % box.name):
            if x.code and x.code[0] == b"HIGHESTMODSEQ":
                need(int(x.code[1]) >= box.highest, box.name, "HIGHESTMODSEQ shrinks")
                box.highest = int(x.code[1])

    def resolve(self, c):
        """UIDs of what came while all were talking."""
        if None in c.view:
            self.run(c, "FETCH 1:* (UID)", "FETCH", asked=("UID",))
        need(None not in c.view, c.name, "no UID told", c.view)
        c.last = max([c.last] + c.view)

    def steps(self, seconds):
        end = time.monotonic() + seconds
        n = 0
        while time.monotonic() < end:
            n += 1
            try:
                if n % 40 == 0:
                    self.crowd()
                else:
                    self.ordered()
            except (AssertionError, EOFError, OSError, KeyError, ValueError, IndexError) as e:
                raise Mismatch("%s: %s\n%s" % (type(e).__name__, e, "\n".join(self.log))) from e
            # Not too many.
            for box in self.boxes.values():
                if len(box.messages) > 60:
                    self.thin(box)
        for c in self.clients:
            self.settle(c)
        for box in self.boxes.values():
            self.observe(box)
        return self.count

    def thin(self, box):
        c = Client(self.port, *self.login, "thinner")
        c.wire.ok('SELECT "%s"' % box.name)
        gone = self.random.sample(list(box.messages), 40)
        c.wire.ok("UID STORE %s +FLAGS.SILENT (\\Deleted)" % as_set(gone, self.random))
        c.wire.ok("UID EXPUNGE %s" % as_set(gone, self.random))
        for u in gone:
            box.remove(u)
        c.wire.do("LOGOUT")
        c.wire.close()
        self.log.append("thinned %s" % box.name)

    def close(self):
        for c in self.clients + [self.observer]:
            c.wire.close()


def stream(port, user, password, seconds, seed):
    """Mismatch when one was found, with the last commands; else how many of what were checked."""
    world = World(port, user, password, seed)
    try:
        return world.steps(seconds)
    finally:
        world.close()


if __name__ == "__main__":
    seed = int(sys.argv[5]) if len(sys.argv) > 5 else random.randrange(1 << 30)
    print("seed %d" % seed, flush=True)
    print(dict(stream(int(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4]), seed)))
