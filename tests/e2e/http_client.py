"""An HTTP/1.1 client over a plain socket, for tests: what goes over the wire is the test's choice.

Sends any bytes (one at a time, several requests at once, half a request), reads answers one by one
and tells apart an answer, the end of the stream and silence.
"""

import json
import socket
import time
import urllib.parse
from decimal import Decimal

# Longer than any time limit of the server, so that its limits are seen and not ours.
PATIENCE_S = 30


class Closed(Exception):
    """The peer closed where an answer was expected."""


class Response:
    def __init__(self, version, status, phrase, headers, body):
        self.version = version
        self.status = status
        self.phrase = phrase
        self.headers = headers  # Of (lower-case name, value), in order.
        self.body = body

    def header(self, name):
        """The value of the only header of this name; None when absent."""
        values = [value for key, value in self.headers if key == name.lower()]
        assert len(values) <= 1, f"{name} occurs {len(values)} times"
        return values[0] if values else None

    @property
    def json(self):
        """The body; amounts are Decimal, exactly as printed."""
        return json.loads(self.body, parse_float=Decimal)

    @property
    def text(self):
        return self.body.decode()

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


class Connection:
    def __init__(self, host, port, timeout_s=PATIENCE_S):
        self.host = host
        self.port = port
        self.socket = socket.create_connection((host, port), timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))

    def send_bytewise(self, data):
        """One segment per byte, as far as the kernel goes along with it."""
        for index in range(len(data)):
            self.socket.sendall(data[index:index + 1])

    def end_sending(self):
        """Half close: the answer can still come."""
        self.socket.shutdown(socket.SHUT_WR)

    def request(self, method, target, headers=(), body=None, host=True):
        """Sends one request, well-formed but for what the arguments say."""
        lines = [f"{method} {target} HTTP/1.1"]
        if host:
            lines.append(f"Host: {self.host}:{self.port}")
        lines += [f"{name}: {value}" for name, value in headers]
        if body is not None:
            body = body if isinstance(body, bytes) else body.encode()
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b""))

    def exchange(self, method, target, headers=(), body=None):
        self.request(method, target, headers, body)
        return self.read(head=method == "HEAD")

    def read(self, head=False):
        """The next answer. Raises Closed at the end of the stream, TimeoutError on silence."""
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        block, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = block.decode("latin-1").split("\r\n")
        version, status, phrase = lines[0].split(" ", 2)
        headers = []
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers.append((name.lower(), value.strip()))
        response = Response(version, int(status), phrase, headers, b"")
        length = int(response.header("content-length") or 0)
        if not head and response.status >= 200 and response.status != 204:
            while len(self.buffer) < length:
                self._more()
            response.body, self.buffer = self.buffer[:length], self.buffer[length:]
        return response

    def closed_within(self, seconds):
        """True when the peer closes, with nothing more to say, in this time."""
        deadline = time.monotonic() + seconds
        try:
            while True:
                self.socket.settimeout(max(0.01, deadline - time.monotonic()))
                data = self.socket.recv(65536)
                if not data:
                    return not self.buffer
                self.buffer += data
        except TimeoutError:
            return False
        except ConnectionError:
            return not self.buffer
        finally:
            self.socket.settimeout(PATIENCE_S)

    def _more(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionError as error:
            raise Closed(str(error)) from error
        if not data:
            raise Closed(f"end of stream behind {self.buffer[:200]!r}")
        self.buffer += data


def query(parameters):
    """A query string of a dict or a list of pairs."""
    return urllib.parse.urlencode(parameters)
