"""A TCP relay that stands where a peer's outbox is announced: it writes down
what crosses the wire, and can hold the answers or cut the line."""
import re
import socket
import threading


class Wire:
    def __init__(self, target_port):
        self.target_port = target_port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = "http://127.0.0.1:%d" % self.port
        self.lock = threading.Lock()
        self.asked = bytearray()    # towards the peer
        self.answered = bytearray()  # from the peer
        self.pairs = []
        self.open = threading.Event()   # answers pass
        self.open.set()
        self.closing = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target_port))
            except OSError:
                client.close()
                continue
            with self.lock:
                self.pairs.append((client, server))
            threading.Thread(target=self._pump, args=(client, server, self.asked, False), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, self.answered, True), daemon=True).start()

    def _pump(self, source, sink, record, holdable):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                if holdable:
                    self.open.wait()
                with self.lock:
                    record += data
                sink.sendall(data)
        except OSError:
            pass
        for s, how in ((sink, socket.SHUT_WR), (source, socket.SHUT_RD)):
            try:
                s.shutdown(how)
            except OSError:
                pass

    def hold(self):
        """From now on no answer gets through."""
        self.open.clear()

    def release(self):
        self.open.set()

    def cut(self):
        """Every connection breaks now."""
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for s in pair:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def requests(self):
        """["GET /outbox/...", ...] in order."""
        with self.lock:
            return [m.decode() for m in re.findall(rb"((?:GET|HEAD|PUT|POST) \S+) HTTP/1", bytes(self.asked))]

    def pulls(self):
        """GETs of a sealed message itself (not its head)."""
        return [r for r in self.requests() if re.match(r"GET /outbox/[0-9a-f]{64}$", r)]

    def octets(self):
        with self.lock:
            return bytes(self.asked) + bytes(self.answered)

    def close(self):
        self.listener.close()
        self.release()
        self.cut()
