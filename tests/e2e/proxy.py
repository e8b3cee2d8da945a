"""A TCP proxy between the server and its database, which can misbehave on demand."""

import socket
import threading
import time


class Proxy:
    """Forwards to 127.0.0.1:`port`. What it does is set by attributes, at any time:

    swallow   bytes from the database are read and thrown away: commits happen, answers are lost
    delay_s   each piece from the database waits so long
    slice_b   pieces from the database are cut into so many bytes each (0: not at all)
    """

    def __init__(self, port):
        self.target = port
        self.swallow = False
        self.delay_s = 0.0
        self.slice_b = 0
        self.pairs = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
                database = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                return
            for each in (client, database):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.pairs.append((client, database))
            threading.Thread(target=self._forward, args=(client, database), daemon=True).start()
            threading.Thread(target=self._back, args=(database, client), daemon=True).start()

    @staticmethod
    def _end(*sockets):
        for each in sockets:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _forward(self, client, database):
        try:
            while data := client.recv(65536):
                database.sendall(data)
        except OSError:
            pass
        self._end(client, database)

    def _back(self, database, client):
        try:
            while data := database.recv(65536):
                time.sleep(self.delay_s)
                if self.swallow:
                    continue
                step = self.slice_b or len(data)
                for start in range(0, len(data), step):
                    client.sendall(data[start:start + step])
        except OSError:
            pass
        self._end(client, database)

    def cut(self):
        """Resets every connection: a fire wall that forgot them, a machine that died."""
        pairs, self.pairs = self.pairs, []
        for client, database in pairs:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            self._end(database)
            client.close()

    def close(self):
        self.listener.close()
        self.cut()
