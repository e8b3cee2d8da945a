"""Starts, stops and restarts as clients see them: nothing but 200 from a server, and refusals only
while no process lives."""

import socket
import threading
import time

import support  # noqa: F401
from harness import SLOWNESS, Suite, over, wait_until
from http_client import Closed, Connection, query
from test_start import StartCase


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as each:
        return each.getsockname()[1]


def hung_listener():
    """Accepts in the kernel and never answers, as a database behind a dead machine."""
    return socket.create_server(("127.0.0.1", 0), backlog=64)


class Clients:
    """Clients that never pause. Every answer is kept; a connection that is refused or breaks is
    kept with its times, so that it can be laid beside the life of the process."""

    def __init__(self, port, path, count, keep_alive=True):
        self.port = port
        self.path = path
        self.keep_alive = keep_alive
        self.statuses = {}
        self.bad_answers = []
        self.troubles = []  # (begun, seen, what)
        self.stopping = False
        self.lock = threading.Lock()
        self.next_id = 0
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def _one_more_id(self):
        with self.lock:
            self.next_id += 1
            return f"r{self.next_id}"

    def _run(self):
        connection = None
        while not self.stopping:
            begun = time.monotonic()
            try:
                if connection is None:
                    connection = Connection("127.0.0.1", self.port, timeout_s=10)
                target = f"{self.path}?{query({'conversion_id': self._one_more_id()})}"
                headers = [] if self.keep_alive else [("Connection", "close")]
                answer = connection.exchange("GET", target, headers)
                with self.lock:
                    self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
                    if answer.status != 200:
                        self.bad_answers.append(answer)
                if answer.header("Connection") == "close":
                    connection.close()
                    connection = None
            except ConnectionRefusedError:
                self._trouble(begun, "refused")
                time.sleep(0.005)
            except (OSError, Closed) as error:
                self._trouble(begun, f"broken: {error!r}")
                if connection is not None:
                    connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def _trouble(self, begun, what):
        with self.lock:
            self.troubles.append((begun, time.monotonic(), what))

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join(20)


@over(stores=("sqlite",), exclusive=True)
class Restarts(Suite):
    settings = {"JOURNAL": "on"}
    rounds = 8

    def test_clients_that_never_pause_get_200_across_restarts_and_kills(self):
        port = free_port()
        server = self.make_server("fixed", PORT=port)
        server.ctl("init")
        server.start().wait_for_databases()
        clients = Clients(port, f"/partner{self.rector}", 16)
        dead = []  # From the signal to the listening line; was it a kill.
        try:
            for round_number in range(self.rounds):
                before = sum(clients.statuses.values())
                wait_until(lambda: sum(clients.statuses.values()) > before + 200, 20 * SLOWNESS,
                           "the clients are served")
                begun = time.monotonic()
                is_kill = round_number % 2 == 1
                if is_kill:
                    server.kill()
                else:
                    self.assertEqual(server.stop()[0], 0)
                server.start()
                dead.append((begun, time.monotonic(), is_kill))
        finally:
            clients.stop()
        self.assertEqual(clients.bad_answers, [])
        self.assertEqual(set(clients.statuses), {200})
        for begun, seen, what in clients.troubles:
            covering = [is_kill for start, end, is_kill in dead if begun <= end and seen >= start]
            self.assertTrue(covering, f"{what} while a server lived")
            if what != "refused":
                self.assertIn(True, covering, f"{what} at an orderly stop")
        log = server.log()
        self.assertNotIn("cannot listen", log + server.output())


class Proxy:
    """A plain balancer: asks each server for /readyz every 100 ms, sends each request to a server
    that was ready when last asked, in turn, and never tries again."""

    def __init__(self, ports):
        self.ready = dict.fromkeys(ports, False)
        self.turn = 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        self.stopping = False
        for port in ports:
            threading.Thread(target=self._check, args=(port,), daemon=True).start()
        threading.Thread(target=self._accept, daemon=True).start()

    def _check(self, port):
        while not self.stopping:
            try:
                with Connection("127.0.0.1", port, timeout_s=2) as connection:
                    answer = connection.exchange("GET", "/readyz", [("Connection", "close")])
                self.ready[port] = answer.status == 200
            except (OSError, Closed):
                self.ready[port] = False
            time.sleep(0.1)  # The balancer's interval.

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _choose(self):
        with self.lock:
            ports = [port for port, ready in self.ready.items() if ready]
            self.turn += 1
            return ports[self.turn % len(ports)] if ports else None

    def _serve(self, client):
        with client:
            request = b""
            while b"\r\n\r\n" not in request:
                data = client.recv(65536)
                if not data:
                    return
                request += data
            answer = b""
            try:
                with socket.create_connection(("127.0.0.1", self._choose()), 10) as server:
                    server.sendall(request)
                    while data := server.recv(65536):
                        answer += data
            except (OSError, TypeError):
                answer = b""
            client.sendall(answer or b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n"
                                     b"Connection: close\r\n\r\n")

    def close(self):
        self.stopping = True
        self.listener.close()


@over(stores=("sqlite",), exclusive=True)
class RollingRestart(Suite):
    def test_a_rolling_restart_behind_plain_health_checks_breaks_no_answer(self):
        servers = [self.make_server(f"s{i}", LAME_DUCK_S=1) for i in range(2)]
        for server in servers:
            server.ctl("init")
            server.start().wait_for_databases()
            server.settings["PORT"] = str(server.port)
        proxy = Proxy([server.port for server in servers])
        self.addCleanup(proxy.close)
        wait_until(lambda: all(proxy.ready.values()), 10, "both are ready")
        clients = Clients(proxy.port, f"/partner{self.rector}", 8, keep_alive=False)
        try:
            for server in servers:
                status, seconds = server.stop()
                self.assertEqual(status, 0)
                self.assertGreater(seconds, 0.9)
                server.start()
                wait_until(lambda s=server: proxy.ready[s.port], 10, "it is ready again")
        finally:
            clients.stop()
        self.assertEqual((clients.bad_answers, clients.troubles), ([], []))
        self.assertGreater(clients.statuses[200], 100)

    def test_a_server_that_leaves_serves_and_says_that_it_is_not_ready(self):
        server = self.make_server("leaving", LAME_DUCK_S=30)
        server.ctl("init")
        server.start()
        self.assertEqual(server.get("/readyz").json, {"ready": True})
        with server.connect() as connection:
            connection.exchange("GET", "/health")
            server.process.terminate()
            wait_until(lambda: server.get("/readyz").status == 503, 5, "it is not ready")
            self.assertEqual(server.get("/readyz").json["reason"], "the server is stopping")
            self.assertIs(server.get("/health").json["ready"], False)
            answer = connection.exchange(
                "GET", f"/partner{self.rector}?{query({'conversion_id': 'late'})}")
            self.assertEqual((answer.status, answer.header("Connection")), (200, "close"))
        # A second signal ends the waiting.
        self.assertEqual(server.stop()[0], 0)


class Starting(StartCase):
    def test_a_postback_that_comes_during_the_start_waits_until_it_can_be_taken(self):
        port = free_port()
        server = self.server(PORT=port)
        server.ctl("init")
        control = server.folder / "data" / "control.db"
        away = control.with_name("away.db")
        control.rename(away)
        control.mkdir()  # It cannot be read; a missing one would be made.
        server.spawn()

        def connected():
            try:
                return Connection("127.0.0.1", port)
            except ConnectionRefusedError:
                return None

        with wait_until(connected, 5, "it listens") as connection:
            connection.send(f"GET /partner/rector/event?{query({'conversion_id': '1'})} HTTP/1.1\r\n"
                            "Host: a\r\n\r\n")
            control.rmdir()
            away.rename(control)
            answer = connection.read()
        self.assertEqual((answer.status, answer.json["status"]), (200, "success"))

    def test_without_partners_the_wait_is_bounded_and_health_tells(self):
        with hung_listener() as hung:
            server = self.server(
                DATABASE_URL=f"postgresql://u@127.0.0.1:{hung.getsockname()[1]}/control")
            started = time.monotonic()
            server.start()
            self.assertLess(time.monotonic() - started, 5 * SLOWNESS)
            self.assertEqual(server.get("/readyz").status, 503)
            health = server.get("/health")
            self.assertEqual((health.status, health.json["ready"]), (200, False))
            self.assertIn("not answered", health.json["control_database"]["error"])
            self.assertEqual(server.get("/partner/rector/event?conversion_id=1").status, 503)

    def test_a_stop_during_the_start_ends_the_process_at_once(self):
        with hung_listener() as hung:
            server = self.server(
                DATABASE_URL=f"postgresql://u@127.0.0.1:{hung.getsockname()[1]}/control").spawn()
            # It has come as far as the control database.
            wait_until(lambda: "event loop" in server.output(), 10, "it is starting")
            status, seconds = server.stop()
            self.assertEqual(status, 0)
            self.assertLess(seconds, 1 * SLOWNESS)
            self.assertNotIn("listening", server.output())

    def test_a_living_program_on_the_port_is_named_at_once(self):
        with hung_listener() as taken:
            port = taken.getsockname()[1]
            started = time.monotonic()
            server = self.server(PORT=port).spawn()
            self.assertGreater(server.process.wait(20), 0)
            self.assertLess(time.monotonic() - started, 2 * SLOWNESS)
            self.assertRegex(server.output(), r"Address already in use: python3.* \(process \d+\)")


@over(stores=("sqlite",), exclusive=True)
class FewDescriptors(Suite):
    settings = {"JOURNAL": "on"}

    @classmethod
    def make_server(cls, name, **settings):
        server = super().make_server(name, **settings)
        server.wrapper = ["prlimit", "--nofile=200:200"]
        return server

    def test_clients_that_send_nothing_keep_out_neither_others_nor_databases(self):
        idle = []
        self.addCleanup(lambda: [each.close() for each in idle])
        for _ in range(400):
            idle.append(socket.create_connection(("127.0.0.1", self.server.port)))
        started = time.monotonic()
        answer = self.server.postback(self.rector, {"conversion_id": self.new_id()})
        self.assertEqual(answer.status, 200)
        self.assertLess(time.monotonic() - started, 4 * SLOWNESS)
        # A partner that is new now: its database is made and opened all the same.
        partner = {"partner_code": "late", "partner_name": "Late", "endpoint_path": "/late/event",
                   "database_name": "late_db",
                   "parameter_mapping": {"conversion_id": "conversion_id"}}
        import json
        self.server.ctl("partner", "add", "-", stdin=json.dumps(partner))
        wait_until(lambda: self.server.postback("/late/event", {"conversion_id": "1"}).status == 200,
                   10 * SLOWNESS, "the new partner is served")
        self.server.process.send_signal(1)  # SIGHUP: the log file is opened anew.
        wait_until(lambda: "reloading" in self.server.log(), 5, "the log is written")
        warnings = self.server.log().count("cannot accept")
        self.assertLessEqual(warnings, 1)
