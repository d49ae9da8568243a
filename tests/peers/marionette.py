"""Thunderbird driven from outside: on a virtual screen, over the Marionette protocol (a length, a colon,
a JSON array), with scripts that run inside its windows and do what its menus and keys do."""
import json
import os
import shutil
import socket
import subprocess
import tempfile

from peers import SLOW, Ports, Timeout, until

# Scripts may use these.
PRELUDE = """
const {MailServices} = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const {MailUtils} = ChromeUtils.importESModule("resource:///modules/MailUtils.sys.mjs");
const win = Services.wm.getMostRecentWindow("mail:3pane");
const server = MailServices.accounts.accounts.map(a => a.incomingServer).find(s => s.type == "imap");
const root = server.rootFolder;
function pane() { return win.document.getElementById("tabmail").currentAbout3Pane; }
function folder(name) { return root.subFolders.find(f => f.name == name || f.URI.endsWith("/" + name)); }
function headers(f) { return Array.from(f.messages); }
function find(f, subject) { return headers(f).find(h => h.mime2DecodedSubject == subject); }
"""


class ScriptError(AssertionError):
    pass


class Thunderbird:
    def __init__(self, prefs, login):
        """login: (host as URL, user, password) for each server."""
        self.dir = tempfile.mkdtemp(prefix="tb.")
        self.profile = os.path.join(self.dir, "profile")
        os.makedirs(self.profile)
        ports = Ports()
        self.port = ports.take()
        ports.release()
        with open(os.path.join(self.profile, "user.js"), "w") as f:
            for name, value in dict(prefs, **{"marionette.port": self.port}).items():
                f.write("user_pref(%s, %s);\n" % (json.dumps(name), json.dumps(value)))
        self.screen, self.number = None, 0
        env = dict(os.environ, HOME=self.dir, MOZ_CRASHREPORTER_DISABLE="1", XDG_RUNTIME_DIR=self.dir)
        env.pop("WAYLAND_DISPLAY", None)
        r, w = os.pipe()
        self.screen = subprocess.Popen(["Xvfb", "-displayfd", str(w), "-screen", "0", "1280x900x24", "-nolisten", "tcp"], pass_fds=[w],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(w)
        with os.fdopen(r) as f:
            env["DISPLAY"] = ":" + f.readline().strip()
        self.log = open(os.path.join(self.dir, "log"), "wb")
        self.process = subprocess.Popen(["thunderbird", "--profile", self.profile, "--no-remote", "--marionette", "--remote-allow-system-access"],
                                        env=env, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True)
        try:
            self.socket = until(self.connect, "Thunderbird opens its Marionette port", 90)
            self.input = b""
            self.read()     # who it is
            self.ask("WebDriver:NewSession", {"capabilities": {"alwaysMatch": {"unhandledPromptBehavior": "ignore"}}})
            self.ask("WebDriver:SetTimeouts", {"script": int(120000 * SLOW)})
            self.ask("Marionette:SetContext", {"value": "chrome"})
            for host, user, password in login:
                self.run("""
                    let info = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
                    info.init(arguments[0], null, arguments[0], arguments[1], arguments[2], "", "");
                    await Services.logins.addLoginAsync(info);""", host, user, password, prelude="")
        except BaseException:
            self.close()
            raise

    def connect(self):
        if self.process.poll() is not None:
            raise AssertionError("Thunderbird ended with %d: %s" % (self.process.returncode, self.said()))
        try:
            return socket.create_connection(("127.0.0.1", self.port), 150 * SLOW)
        except OSError:
            return None

    def said(self):
        with open(os.path.join(self.dir, "log"), "rb") as f:
            return f.read()[-3000:].decode(errors="replace")

    def read(self):
        while b":" not in self.input:
            self.more()
        size, _, self.input = self.input.partition(b":")
        while len(self.input) < int(size):
            self.more()
        text, self.input = self.input[:int(size)], self.input[int(size):]
        return json.loads(text)

    def more(self):
        block = self.socket.recv(1 << 16)
        if not block:
            raise EOFError("Thunderbird went: " + self.said())
        self.input += block

    def ask(self, command, parameters):
        self.number += 1
        text = json.dumps([0, self.number, command, parameters]).encode()
        self.socket.sendall(b"%d:%s" % (len(text), text))
        _, number, error, value = self.read()
        assert number == self.number
        if error:
            raise ScriptError("%s: %s: %s" % (command, error.get("error"), error.get("message")))
        return value.get("value") if isinstance(value, dict) else value

    def run(self, script, *arguments, prelude=PRELUDE):
        """What an async function with this body returns."""
        body = "const done = arguments[arguments.length - 1];\n(async (...arguments) => {%s\n%s})(...arguments)" \
               ".then(v => done({v: v === undefined ? null : v}), e => done({e: String(e) + ' ' + (e.stack || '')}));" % (prelude, script)
        said = self.ask("WebDriver:ExecuteAsyncScript", {"script": body, "args": list(arguments), "newSandbox": True})
        if "e" in said:
            raise ScriptError(said["e"])
        return said["v"]

    def until(self, script, what, *arguments, seconds=60):
        try:
            return until(lambda: self.run(script, *arguments), what, seconds)
        except Timeout as e:
            raise Timeout("%s\n%s" % (e, self.said())) from None

    def alert(self):
        """The text of the alert that is shown, which goes; None when there is none."""
        try:
            text = self.ask("WebDriver:GetAlertText", {})
        except ScriptError as e:
            if "no such alert" not in str(e):
                raise
            return None
        self.ask("WebDriver:AcceptAlert", {})
        return text

    def close(self):
        for p in (self.process, self.screen):
            if p and p.poll() is None:
                p.terminate()
                try:
                    p.wait(20)
                except subprocess.TimeoutExpired:
                    p.kill()
                    p.wait()
        self.log.close()
        if os.environ.get("KEEP"):
            print("kept: %s" % self.dir)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)
