"""The start: settings, engines, what stops it and what it says."""

import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

from harness import (BUILD, SLOWNESS, STORES, Server, Suite, io_uring_works, over,
                     wait_until)

REFUSE = pathlib.Path(__file__).resolve().parent / "refuse_io_uring.py"


class StartCase(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postback-e2e-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def server(self, wrapper=(), arguments=(), **settings):
        server = Server(self.folder / "server", wrapper, arguments,
                        **{"CORES": 1, **settings})
        self.addCleanup(server.destroy)
        return server


class Settings(StartCase):
    short = True

    def expect_one_line(self, *words, arguments=(), **settings):
        """The start fails soon, with one line on which the words stand."""
        with self.subTest(arguments=arguments, settings=settings):
            server = self.server(arguments=arguments, **settings).spawn()
            status = server.process.wait(20)
            output = server.output(this_run=True)
            self.assertNotIn(status, (0, None), output)
            self.assertGreater(status, 0, f"ended by a signal: {output}")
            self.assertEqual(len(output.strip().splitlines()), 1, output)
            for word in words:
                self.assertIn(word, output)

    def test_wrong_settings_stop_the_start_with_one_line(self):
        self.expect_one_line("PORT", "65535", PORT="70000")
        self.expect_one_line("PORT", PORT="http")
        self.expect_one_line("IO_ENGINE", "epoll", IO_ENGINE="kqueue")
        self.expect_one_line("CORES", CORES="-1")
        self.expect_one_line("CORES", CORES="1000")
        self.expect_one_line("LOG_LEVEL", "DEBUG", LOG_LEVEL="loud")
        self.expect_one_line("LOG_FORMAT", "json", LOG_FORMAT="xml")
        self.expect_one_line("HOST", HOST="not an address")
        self.expect_one_line("DATABASE_URL", "sqlite:", DATABASE_URL="mysql://localhost/x")
        self.expect_one_line("DEDUPE_IDS_MAX", DEDUPE_IDS_MAX="1")
        self.expect_one_line("JOURNAL", "auto", JOURNAL="maybe")
        self.expect_one_line("JOURNAL_SEGMENT_MIB", "1024", JOURNAL_SEGMENT_MIB="0")
        self.expect_one_line("ACK_BUDGET_MS", "1500", ACK_BUDGET_MS="99")
        self.expect_one_line("--prot", arguments=["--prot", "1"])
        self.expect_one_line("config", arguments=["--config", "/no/such/file"])

    def test_port_in_use_is_told_in_one_line(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            server = self.server(PORT=port).spawn()
            self.assertGreater(server.process.wait(20), 0)
            self.assertIn(str(port), server.output())

    def test_password_of_a_wrong_url_is_not_shown(self):
        server = self.server(DATABASE_URL="postgresq://u:hunter2@h/x").spawn()
        self.assertGreater(server.process.wait(20), 0)
        self.assertNotIn("hunter2", server.output())

    def test_flag_beats_environment_beats_file(self):
        config = self.folder / "config"
        config.write_text("# comment\nlog_level = WARNING\nCORES=2\nIO_ENGINE=epoll\n")
        server = self.server(arguments=["--config", str(config), "--log-level", "DEBUG"],
                             LOG_LEVEL="ERROR", CORES=1)
        # At ERROR or WARNING the line that tells the port would not be written.
        server.start()
        info = server.get("/info").json
        self.assertEqual(info["settings"]["LOG_LEVEL"], "DEBUG")
        self.assertEqual(str(info["settings"]["CORES"]), "1")
        self.assertEqual(info["settings"]["IO_ENGINE"], "epoll")

    def test_help_and_version(self):
        for program in ("postbackd", "postbackctl"):
            for flag, word in (("--help", "--port"), ("--version", "0.")):
                done = subprocess.run([BUILD / program, flag], capture_output=True, text=True,
                                      check=False, timeout=20)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn(word, done.stdout)
                for line in done.stdout.splitlines():
                    if "--data-dir" in line:
                        self.assertNotIn("journal", line, "the server keeps none there")

    def test_starts_without_init(self):
        # The log shows a relative path whole: another folder means another database.
        server = self.server(DATABASE_URL="sqlite:data/control.db").start()
        self.assertEqual(server.get("/health").status, 200)
        for target in ("/partner/involve/event?conversion_id=1", "/partner/involve/event/stats"):
            answer = server.get(target)
            self.assertEqual((answer.status, answer.json["error"]["code"]),
                             (503, "registry_empty"), answer)
            self.assertTrue(answer.header("Retry-After"))
        self.assertRegex(server.log(), r"WARNING partner: no partner is registered in control "
                         rf"database sqlite:{server.folder}/data/control.db, .*"
                         r"postbackctl init.*postbackctl partner add")
        server.ctl("init")
        wait_until(lambda: server.get("/partner/involve/event/stats").status == 200, 3,
                   "the partners are served")
        self.assertEqual(server.get("/partner/nobody/event").status, 404)

    def test_what_is_made_is_not_readable_by_everybody(self):
        # umask 0, as the strictest test of it: nothing is taken away by the shell.
        server = self.server(["/bin/sh", "-c", 'umask 0; exec "$@"', "sh"])
        server.ctl("init", umask=0)
        control = server.folder / "data" / "control.db"
        self.assertEqual(control.stat().st_mode & 0o027, 0, "made by postbackctl")
        server.start()
        self.assertEqual(server.postback("/rector/event", {"conversion_id": "1"}).status, 200)
        made = [path for name in ("data", "logs")
                for path in (server.folder / name, *(server.folder / name).iterdir())]
        self.assertIn(server.folder / "data" / "rector_db.db", made)
        for path in made:
            self.assertEqual(path.stat().st_mode & 0o027, 0, path)

    def test_starts_while_the_control_database_is_away(self):
        server = self.server(DATABASE_URL="postgresql://postgres@127.0.0.1:1/control").start()
        self.assertIn(server.get("/health").status, (200, 503))
        self.assertIn(server.get("/partner/involve/event?conversion_id=1").status, (404, 503))
        self.assertEqual(server.stop()[0], 0)


class Engines(StartCase):
    def engine(self, server):
        """(name, reason) as /info tells."""
        info = server.get("/info").json
        return info["event_loop"]["engine"], info["event_loop"]["reason"]

    def refusing(self, action):
        return ["/usr/bin/python3", str(REFUSE), action]

    def serves(self, server):
        server.ctl("init")
        wait_until(lambda: server.get("/partner/rector/event/stats").status == 200, 10, "partners")
        self.assertEqual(server.postback("/rector/event", {"conversion_id": "1"}).json["status"],
                         "success")

    def test_refused_io_uring_falls_back_to_epoll_and_says_why(self):
        server = self.server(self.refusing("errno"), IO_ENGINE="auto").start()
        self.serves(server)
        name, reason = self.engine(server)
        self.assertEqual(name, "epoll")
        self.assertRegex(reason, "EPERM|not permitted")
        self.assertRegex(server.output(), "epoll")

    def test_io_uring_that_is_demanded_and_refused_stops_the_start(self):
        server = self.server(self.refusing("errno"), IO_ENGINE="io_uring").spawn()
        self.assertGreater(server.process.wait(20), 0)
        self.assertRegex(server.output(), "io_uring")

    def test_epoll_makes_no_io_uring_call(self):
        server = self.server(self.refusing("kill"), IO_ENGINE="epoll").start()
        self.serves(server)
        self.assertEqual(self.engine(server)[0], "epoll")
        self.assertEqual(server.stop()[0], 0)

    def test_the_filter_of_the_test_before_would_have_killed(self):
        if not io_uring_works():
            self.skipTest("this machine refuses io_uring")
        server = self.server(self.refusing("kill"), IO_ENGINE="io_uring").spawn()
        self.assertLess(server.process.wait(20), 0)

    def test_io_uring_is_chosen_where_it_works(self):
        if not io_uring_works():
            self.skipTest("this machine refuses io_uring")
        server = self.server(IO_ENGINE="auto").start()
        self.serves(server)
        self.assertEqual(self.engine(server)[0], "io_uring")


@over(stores=STORES, exclusive=True)
class Readiness(Suite):
    def test_first_request_after_the_listening_line_is_served(self):
        for _ in range(10):
            # On every core: the kernel spreads connections over them.
            for _ in range(8):
                answer = self.server.postback(self.rector, {"conversion_id": self.new_id()})
                self.assertEqual((answer.status, answer.json["status"]), (200, "success"), answer)
            self.server.kill()
            self.server.start()

    def test_idle_server_uses_no_processor_time(self):
        for endpoint in (self.rector, self.involve):
            self.server.postback(endpoint, {"conversion_id": self.new_id()})
            self.server.get(f"/partner{endpoint}/stats")
        with self.server.connect() as connection:
            connection.exchange("GET", "/health")  # And stays, idle.
            before = self.cpu_seconds()
            time.sleep(2)  # The idleness that is measured.
            self.assertLess(self.cpu_seconds() - before, 0.1 * SLOWNESS)

    def cpu_seconds(self):
        stat = pathlib.Path(f"/proc/{self.server.process.pid}/stat").read_text()
        return sum(map(int, stat.rpartition(")")[2].split()[11:13])) / os.sysconf("SC_CLK_TCK")
