"""A name server that says nothing for one host: everybody else goes on.

Row 43 of the table in tests/fault/README.md. The server runs with an /etc/resolv.conf of its own.
"""

import socket
import struct
import subprocess
import threading
import time
import unittest

from harness import BUDGET_ANSWER_S_MAX, SLOWNESS, wait_until
from journal_suite import JournalSuite

ADDRESS = "127.77.0.53"  # resolv.conf knows port 53 only.


class NameServer:
    """Every name is 127.0.0.1, and has no IPv6 address; what begins with "stuck" gets no answer."""

    def __init__(self):
        self.stuck = True
        self.asked = 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((ADDRESS, 53))
        self.socket.settimeout(0.1)
        self.open = True
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while self.open:
            try:
                query, client = self.socket.recvfrom(512)
            except TimeoutError:
                continue
            if query[13:18] == b"stuck" and self.stuck:
                self.asked += 1
                continue
            end = query.index(b"\0", 12) + 1
            is_ipv4 = query[end:end + 2] == b"\0\1"
            answer = query[:2] + struct.pack(">HHHHH", 0x8180, 1, int(is_ipv4), 0, 0)
            answer += query[12:end + 4]
            if is_ipv4:
                answer += b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + socket.inet_aton("127.0.0.1")
            self.socket.sendto(answer, client)

    def close(self):
        self.open = False
        self.thread.join()
        self.socket.close()


class Names(JournalSuite, unittest.TestCase):
    # A mount name space of its own would keep the mounts of tests beside it alive.
    exclusive = True

    def begin_with_names(self):
        try:
            self.names = NameServer()
        except OSError as error:
            self.skipTest(f"port 53 cannot be had here: {error}")
        self.addCleanup(self.names.close)
        configuration = self.folder / "resolv.conf"
        configuration.write_text(f"nameserver {ADDRESS}\n")
        mount = f'mount --bind {configuration} /etc/resolv.conf && exec "$@"'
        wrapper = ["unshare", "--mount", "sh", "-c", mount, "sh"]
        if subprocess.run([*wrapper, "true"], check=False, capture_output=True).returncode != 0:
            self.skipTest("mounting is not allowed here")
        self.begin(start=False, wrapper=wrapper)
        self.set_host("rector", "stuck.test", self.database_name())
        self.set_host("involve_asia", "quick.test", "quick")
        self.server.start()

    def set_host(self, code, host, database):
        self.server.ctl("partner", "set", "--yes", code, "database_url=postgresql://postgres@"
                        f"{host}:{self.gate.port}/{database}")

    def test_one_name_that_is_never_resolved(self):
        self.begin_with_names()
        wait_until(lambda: self.names.asked, 10 * SLOWNESS, "the name is asked for")
        wait_until(lambda: self.works(self.involve), 5 * SLOWNESS, "the other name is resolved")
        acknowledged = []
        for _ in range(20):
            started = time.monotonic()
            self.expect_neighbour_unharmed()
            self.assert_in_time(time.monotonic() - started, BUDGET_ANSWER_S_MAX)
            acknowledged += self.expect_accepted()
        # The neighbour's connection is lost, and made anew beside names that hang.
        self.gate.shut()
        self.until(200, "accepted", endpoint=self.involve)
        self.gate.open()
        wait_until(lambda: self.works(self.involve), 5 * SLOWNESS, "the neighbour is back")
        self.names.stuck = False
        wait_until(lambda: self.works(self.rector), 20 * SLOWNESS, "the name is resolved")
        self.wait_drained()
        self.assert_stored_once(acknowledged)
