"""A partner's database is not the one it was: restored from a backup, gone, or a standby that was
promoted. What it has lost is taken again; what it still has stays a duplicate."""

import os
import signal
import sqlite3
import subprocess
import unittest

from databases import Cluster
from harness import SLOWNESS, Suite, over, wait_until
from metrics import read_metrics
from support import TEMPLATE_VARIABLE


class Identity(Suite):
    def send(self, conversion_id):
        answer = self.server.postback(self.rector, {"conversion_id": conversion_id})
        return answer.json["status"] if answer.status == 200 else answer.status

    def send_new(self, count, stem):
        ids = [self.new_id(stem) for _ in range(count)]
        self.assertEqual({self.send(name) for name in ids}, {"success"})
        return ids

    def wait_until_stored(self):
        wait_until(lambda: self.send(self.new_id("probe")) == "success", 15 * SLOWNESS,
                   "the database takes postbacks")

    def health(self):
        return next(database for database in self.server.get("/health").json["databases"]
                    if database["partner"] == "rector")

    def forgotten(self):
        return read_metrics(self.server).sum("postback_memory_forgotten_total")


@over(loops=("epoll",), stores=("sqlite", "postgresql"))
class Restored(Identity):
    """By hand, beside a server that runs."""

    def path(self):
        return str(self.database("rector_db").path)

    def back_up(self):
        copy = str(self.folder / "backup")
        if self.cluster:
            subprocess.run([self.cluster.programs / "pg_dump", "-h", "127.0.0.1", "-p",
                            str(self.cluster.port), "-U", "postgres", "-f", copy, "rector_db"],
                           check=True, capture_output=True)
        else:
            connection = sqlite3.connect(f"file:{self.path()}?mode=ro", uri=True)
            connection.execute("VACUUM INTO ?", (copy,))
            connection.close()
        return copy

    def take_away(self):
        if self.cluster:
            self.cluster.sql("DROP DATABASE rector_db WITH (FORCE)")
        else:
            for suffix in ("", "-wal", "-shm"):
                os.remove(self.path() + suffix)

    def is_there(self):
        if self.cluster:
            return "rector_db" in self.cluster.databases()
        return os.path.exists(self.path())

    def restore(self, copy):
        if self.cluster:
            self.cluster.sql("CREATE DATABASE rector_db")
            subprocess.run([self.cluster.programs / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1",
                            "-h", "127.0.0.1", "-p", str(self.cluster.port), "-U", "postgres",
                            "-d", "rector_db", "-f", copy], check=True, capture_output=True)
        else:
            os.rename(copy, self.path())

    def test_ids_that_a_restored_database_has_lost_are_new_again(self):
        kept = self.send_new(5, "kept")
        copy = self.back_up()
        lost = self.send_new(5, "lost")
        self.assertEqual(self.send(lost[0]), "duplicate")
        self.take_away()
        wait_until(lambda: self.send(self.new_id()) == 503
                   and "does not make it anew" in self.health().get("error", ""),
                   10 * SLOWNESS, "the server waits for the restore and says so")
        self.assertFalse(self.is_there())
        self.restore(copy)
        self.wait_until_stored()
        self.assertEqual([self.send(name) for name in kept], ["duplicate"] * 5)
        self.assertEqual([self.send(name) for name in lost], ["success"] * 5)
        for name in [*kept, *lost]:
            self.conversion(name, "rector_db")
        self.assertGreater(self.forgotten(), 0)

    def test_what_an_operator_forgets_a_running_server_hears_within_two_seconds(self):
        name = self.send_new(1, "deleted")[0]
        if self.cluster:
            self.cluster.sql("DELETE FROM partner_conversions", "rector_db")
        else:
            connection = sqlite3.connect(self.path(), timeout=10, isolation_level=None)
            connection.execute("DELETE FROM partner_conversions")
            connection.close()
        self.server.ctl("forget", "rector")
        wait_until(lambda: self.send(name) == "success", 2 * SLOWNESS, "the id is new again")
        self.conversion(name, "rector_db")


class WithStandby(Identity):
    """A primary with an asynchronous standby; the partner's URL names both."""

    @classmethod
    def prepare(cls):
        cls.primary = Cluster(template=os.environ.get(TEMPLATE_VARIABLE))
        cls.addClassCleanup(cls.primary.destroy)
        cls.primary.start()
        cls.standby = Cluster(primary=cls.primary)
        cls.addClassCleanup(cls.standby.destroy)
        cls.standby.start()
        hosts = ",".join(f"127.0.0.1:{cluster.port}" for cluster in (cls.primary, cls.standby))
        cls.server.ctl("partner", "set", "rector", "--yes",
                       f"database_url=postgresql://postgres@{hosts}/rector_db")

    def conversions_on(self, cluster):
        try:
            return set(cluster.sql("SELECT conversion_id FROM partner_conversions",
                                   "rector_db").split())
        except RuntimeError:  # The standby has not heard of the database yet, or of its tables.
            return set()

    def fail_over(self):
        """Returns the ids that the standby has, and those that it lost."""
        kept = self.send_new(8, "kept")
        wait_until(lambda: set(kept) <= self.conversions_on(self.standby), 10 * SLOWNESS,
                   "the standby has caught up")
        self.standby.sql("ALTER SYSTEM SET primary_conninfo = ''")
        self.standby.sql("SELECT pg_reload_conf()")
        wait_until(lambda: self.primary.sql("SELECT count(*) FROM pg_stat_replication") == "0\n",
                   10 * SLOWNESS, "the standby hears no more")
        lost = self.send_new(8, "lost")
        self.primary.stop(signal.SIGKILL)
        self.standby.promote()
        return kept, lost


class Failover(WithStandby, unittest.TestCase):
    def test_what_a_failover_lost_is_taken_again_and_the_old_primary_never(self):
        self.wait_until_stored()
        self.assertIs(self.health()["waits_for_standby"], False)
        self.assertIn("waits for no standby", self.server.ctl("doctor").stdout)
        kept, lost = self.fail_over()
        self.wait_until_stored()
        self.assertEqual([self.send(name) for name in kept], ["duplicate"] * 8)
        self.assertEqual([self.send(name) for name in lost], ["success"] * 8)
        self.assertIn("timeline 1 before, 2 now", self.server.log())
        self.assertGreater(self.forgotten(), 0)
        self.expect_old_primary_unused()

    def expect_old_primary_unused(self):
        (self.primary.data / "postmaster.pid").unlink(missing_ok=True)
        self.primary.start()
        before = self.conversions_on(self.primary)
        self.standby.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                         " WHERE application_name = 'postbackd'")
        self.wait_until_stored()
        wait_until(lambda: (self.folder / "server" / "data" / "databases.known").exists(),
                   5 * SLOWNESS, "the timeline is kept")
        self.server.stop()
        self.server.start()
        self.wait_until_stored()
        after = self.send_new(3, "after")
        self.assertTrue(set(after) <= self.conversions_on(self.standby))
        self.assertEqual(self.conversions_on(self.primary), before)
        self.assertIn("primary of before a failover", self.server.log())


class FailoverWithTail(WithStandby, unittest.TestCase):
    settings = {"FAILOVER_TAIL_S": 30, "JOURNAL": "on"}

    def test_what_a_failover_lost_comes_back_by_itself(self):
        self.wait_until_stored()
        kept, lost = self.fail_over()
        wait_until(lambda: self.send(self.new_id("probe")) in ("success", "accepted")
                   and set(lost) <= self.conversions_on(self.standby),
                   20 * SLOWNESS, "the tail is replayed")
        for name in [*kept, *lost]:
            self.assertEqual(self.send(name), "duplicate")
        rows = self.standby.sql("SELECT count(*) - count(DISTINCT conversion_id)"
                                " FROM partner_conversions", "rector_db")
        self.assertEqual(rows, "0\n")


if __name__ == "__main__":
    unittest.main()
