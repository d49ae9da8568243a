"""Thunderbird on a virtual screen, with the preferences it comes with and with those of its user who
wants bodies only when he opens them: list, open, move, delete, search, send, beside another client."""
import shutil
import unittest

from marionette import ScriptError, Thunderbird
from peers import until
from scene import Scene, letter

QUIET = {   # nothing that asks, greets or phones
    "app.update.enabled": False, "app.donation.eoy.version.viewed": 999, "datareporting.policy.dataSubmissionEnabled": False,
    "mail.rights.version": 1, "mail.shell.checkDefaultClient": False, "mail.spam.version": 1, "mailnews.start_page.enabled": False,
    "mail.provider.suppress_dialog_on_startup": True, "mail.winsearch.firstRunDone": True, "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False, "services.settings.server": "data:,", "extensions.update.enabled": False,
    "network.manage-offline-status": False, "offline.autoDetect": False, "mail.inappnotifications.enabled": False, "mail.biff.show_alert": False, "mail.biff.play_sound": False,
}
OURS = {"mail.server.server1.autosync_offline_stores": False, "mail.server.server1.offline_download": False}


def account(peer):
    user = peer.user.replace("@", "%40")
    return {
        "mail.accountmanager.accounts": "account1", "mail.accountmanager.defaultaccount": "account1",
        "mail.account.account1.identities": "id1", "mail.account.account1.server": "server1",
        "mail.identity.id1.useremail": peer.address, "mail.identity.id1.fullName": peer.name, "mail.identity.id1.smtpServer": "smtp1",
        "mail.identity.id1.valid": True, "mail.identity.id1.compose_html": False, "mail.identity.id1.fcc": True,
        "mail.identity.id1.fcc_folder": "imap://%s@127.0.0.1/Sent" % user,
        "mail.server.server1.type": "imap", "mail.server.server1.hostname": "127.0.0.1", "mail.server.server1.port": peer.imap_port,
        "mail.server.server1.userName": peer.user, "mail.server.server1.socketType": 0, "mail.server.server1.authMethod": 3,
        "mail.server.server1.name": peer.address, "mail.server.server1.login_at_startup": False,
        "mail.smtpservers": "smtp1", "mail.smtpserver.smtp1.hostname": "127.0.0.1", "mail.smtpserver.smtp1.port": peer.smtp_port,
        "mail.smtpserver.smtp1.username": peer.user, "mail.smtpserver.smtp1.authMethod": 3, "mail.smtpserver.smtp1.try_ssl": 0,
    }


# Opens a message in the message pane as a click does.
SELECT = """
    const f = folder(arguments[0]), p = pane();
    if (p.gFolder != f) { p.displayFolder(f); return false; }
    const h = find(f, arguments[1]);
    if (!h || !p.gDBView) return false;
    const row = p.gDBView.findIndexOfMsgHdr(h, true);
    if (row > 0xfffffff) return false;
    if (p.threadTree.selectedIndex != row) { p.threadTree.selectedIndex = row; return false; }
    return true;
"""
SHOWN = """
    const b = pane().messageBrowser.contentWindow.getMessagePaneBrowser();
    return b && b.contentDocument.body ? b.contentDocument.body.textContent : "";
"""
LISTENER = """
    const over = Promise.withResolvers();
    const listener = {
        QueryInterface: ChromeUtils.generateQI(["nsIUrlListener", "nsIMsgSearchNotify"]),
        OnStartRunningUrl() {}, OnStopRunningUrl(url, status) { over.resolve(status); },
        onSearchHit(h) { hits.push(h.mime2DecodedSubject); }, onSearchDone(status) { over.resolve(status); }, onNewSearch() {},
    };
    const hits = [];
"""


@unittest.skipUnless(shutil.which("thunderbird") and shutil.which("Xvfb"), "thunderbird or Xvfb is not installed")
class InThunderbird(Scene):
    wired = True

    def begin(self, prefs):
        self.sent = [letter(self.alice, self.bob, "number %d" % i, "body of %d\r\n" % i) for i in range(6)]
        for m in self.sent:
            self.alice.send(self.bob, m)
        self.bob.wait_mail(6)
        self.tb = Thunderbird(dict(QUIET, **account(self.bob), **prefs),
                              [(scheme + "://127.0.0.1", self.bob.user, self.bob.password) for scheme in ("imap", "smtp")])
        self.addCleanup(self.tb.close)
        self.tb.run("pane().displayFolder(folder('INBOX')); server.getNewMessages(folder('INBOX'), win.msgWindow, null);")
        self.tb.until("return ['INBOX', 'Sent', 'Trash', 'Junk', 'Drafts'].every(n => folder(n));", "folders")
        self.show("INBOX", 6)

    def show(self, name, n):
        self.tb.until("const f = folder(arguments[0]); if (pane().gFolder != f) { pane().displayFolder(f); return false; }"
                      "return headers(f).length == arguments[1];", "%s shows %d" % (name, n), name, n)

    def select(self, name, subject):
        self.tb.until(SELECT, "%s is selected" % subject, name, subject)

    def read(self, subject, words):
        self.select("INBOX", subject)
        until(lambda: words in self.tb.run(SHOWN), "%s shows its text" % subject, 60)

    def flags_of(self, subject, mailbox="INBOX"):
        uids = self.bob.uids(mailbox, 'SUBJECT "%s"' % subject)
        return self.bob.flags(uids[0], mailbox) if uids else None

    def day(self):
        """What a user does."""
        # A synchronisation, as it runs by itself with default preferences, or from the menu: it pulls nothing.
        status = self.tb.run(LISTENER + "folder('INBOX').downloadAllForOffline(listener, win.msgWindow); return await over.promise;")
        self.assertEqual(status, 0)
        self.assertEqual(self.wire.pulls(), [])
        # Open: one body comes.
        self.read("number 2", "body of 2")
        self.assertEqual(len(self.wire.pulls()), 1)
        until(lambda: "\\Seen" in self.flags_of("number 2") and "$Remote" not in self.flags_of("number 2"), "it is read here, too")
        # Search on the server: what is here is found by its text, everything by its subject.
        search = LISTENER + """
            const s = Cc["@mozilla.org/messenger/searchSession;1"].createInstance(Ci.nsIMsgSearchSession);
            s.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, folder("INBOX"));
            const t = s.createTerm(), v = t.value;
            t.attrib = v.attrib = Ci.nsMsgSearchAttrib[arguments[0]];
            v.str = arguments[1]; t.value = v; t.op = Ci.nsMsgSearchOp.Contains; t.booleanAnd = true;
            s.appendTerm(t);
            s.registerListener(listener);
            s.search(win.msgWindow);
            await over.promise;
            return hits.sort();"""
        self.assertEqual(self.tb.run(search, "Body", "body of"), ["number 2"])
        self.assertEqual(self.tb.run(search, "Subject", "number"), ["number %d" % i for i in range(6)])
        self.assertEqual(len(self.wire.pulls()), 1)
        # Move to another folder, delete (to Trash).
        self.tb.run("folder('INBOX'); root.createSubfolder('Kept', win.msgWindow);")
        self.tb.until("return folder('Kept') && true;", "the new folder")
        self.select("INBOX", "number 2")
        self.tb.run("pane().gDBView.doCommandWithFolder(Ci.nsMsgViewCommandType.moveMessages, folder('Kept'));")
        until(lambda: self.bob.count("Kept") == 1 and self.bob.count() == 5, "it is moved")
        self.show("INBOX", 5)
        self.select("INBOX", "number 3")
        self.read("number 3", "body of 3")
        self.tb.run("pane().gDBView.doCommand(Ci.nsMsgViewCommandType.deleteMsg);")
        until(lambda: self.bob.count("Trash") == 1 and self.bob.count() == 4, "it is in Trash")
        self.show("INBOX", 4)
        self.show("Kept", 1)
        self.show("INBOX", 4)
        # Another client at the same time: flags both ways, new mail, a deletion.
        [uid] = self.bob.uids("INBOX", 'SUBJECT "number 0"')
        with self.bob.imap() as c:
            c.uid("STORE", str(uid), "+FLAGS", "(\\Flagged)")
            self.tb.until("return find(folder('INBOX'), 'number 0').isFlagged;", "the flag of the other client")
            self.tb.run("folder('INBOX').markMessagesFlagged([find(folder('INBOX'), 'number 1')], true);")
            until(lambda: "\\Flagged" in self.flags_of("number 1"), "Thunderbird's flag")
            c.uid("STORE", str(uid), "+FLAGS", "(\\Deleted)")
            c.expunge()
        self.tb.until("return !find(folder('INBOX'), 'number 0');", "the deletion of the other client")
        self.alice.send(self.bob, letter(self.alice, self.bob, "news", "news of today\r\n"))
        self.tb.until("return !!find(folder('INBOX'), 'news');", "new mail")
        self.read("news", "news of today")
        self.send()

    def send(self):
        """One copy in Sent, one at the receiver."""
        self.tb.run("""
            const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
            const params = Cc["@mozilla.org/messengercompose/composeparams;1"].createInstance(Ci.nsIMsgComposeParams);
            fields.to = arguments[0]; fields.subject = "from Thunderbird"; fields.body = "typed here\\n";
            params.composeFields = fields; params.format = Ci.nsIMsgCompFormat.PlainText;
            params.identity = MailServices.accounts.defaultAccount.defaultIdentity;
            MailServices.compose.OpenComposeWindowWithParams(null, params);""", self.alice.address)
        self.tb.until("const w = Services.wm.getMostRecentWindow('msgcompose'); return w && w.composeEditorReady && !w.gWindowLocked || false;",
                      "the composer")
        self.tb.run("const w = Services.wm.getMostRecentWindow('msgcompose'); w.goDoCommand('cmd_sendNow'); return true;")
        [uid] = self.alice.wait_mail(1)
        self.assertIn(b"typed here", self.alice.body(uid))
        until(lambda: self.bob.count("Sent") == 1, "the copy in Sent")
        self.tb.until("return !Services.wm.getMostRecentWindow('msgcompose');", "the composer closes")
        self.show("Sent", 1)
        self.assertNoMore(self.bob, 1, "Sent")

    def test_body_that_does_not_come(self):
        """Slow: another message can be opened meanwhile. Away: it says so, and later the body comes."""
        self.begin({})
        self.wire.hold()
        self.select("INBOX", "number 0")
        until(self.wire.pulls, "the pull begins")
        self.select("INBOX", "number 1")
        self.wire.release()
        self.read("number 1", "body of 1")
        self.read("number 0", "body of 0")
        self.alice.stop()
        try:
            self.select("INBOX", "number 3")
        except ScriptError as e:
            self.assertIn("alert", str(e))      # already
        self.assertIn("alice@home", until(self.tb.alert, "an alert", 60))
        self.assertIn("$Remote", self.flags_of("number 3"))
        self.assertNotIn("\\Seen", self.flags_of("number 3"))
        self.read("number 1", "body of 1")
        self.alice.start()
        self.read("number 3", "body of 3")

    def test_default_preferences(self):
        self.begin({})
        self.day()

    def test_our_preferences(self):
        self.begin(OURS)
        self.day()
