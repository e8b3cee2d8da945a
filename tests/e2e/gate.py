"""A door in front of a database: open, shut (connections are refused) or stuck (nothing moves)."""

import select
import socket
import threading

from databases import free_port


class Gate:
    """Forwards connections to 127.0.0.1:`port` from a port of its own that stays the same."""

    def __init__(self, port):
        self.target = port
        self.pairs = []
        self.moving = threading.Event()
        self.moving.set()
        self.port = free_port()
        self.listener = None
        self.open()

    def open(self):
        """Whatever it was before."""
        self.moving.set()
        if self.listener is None:
            self.listener = socket.create_server(("127.0.0.1", self.port))
            threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def shut(self):
        """The database's machine is off: connections end, new ones are refused."""
        listener, self.listener = self.listener, None
        if listener:
            # Wakes accept(); a port whose listener is only closed would stay open until then.
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.moving.set()
        pairs, self.pairs = self.pairs, []
        for pair in pairs:
            self._end(pair)

    def stick(self):
        """The database hangs: connections stay, new ones are taken, nothing is said."""
        self.moving.clear()

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                pair = client, socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            self.pairs.append(pair)
            threading.Thread(target=self._forward, args=(pair,), daemon=True).start()

    def _forward(self, pair):
        for each in pair:
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while True:
                for readable in select.select(pair, [], [])[0]:
                    self.moving.wait()
                    data = readable.recv(65536)
                    if not data:
                        return
                    pair[readable is pair[0]].sendall(data)
        except (OSError, ValueError):
            pass
        finally:
            self._end(pair)

    @staticmethod
    def _end(pair):
        for each in pair:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
