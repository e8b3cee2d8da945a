"""PostgreSQL's certificate is not to be trusted: no connection, the journal takes the postbacks.

Row 42 of the table in tests/fault/README.md. The certificates are this test's own.
"""

import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile
import unittest

from databases import Cluster
from harness import SLOWNESS, wait_until
from journal_suite import JournalSuite
from support import TEMPLATE_VARIABLE

YEAR_DAYS = 365


class Authority:
    """Signs certificates for localhost."""

    def __init__(self, folder, name):
        self.folder = folder
        self.certificate = folder / f"{name}.crt"
        self.key = folder / f"{name}.key"
        self._run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", YEAR_DAYS,
                  "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.certificate)

    def sign(self, key, certificate, days):
        """`days` from now; negative: over already."""
        request = self.folder / "request"
        extension = self.folder / "extension"
        extension.write_text("subjectAltName=DNS:localhost")
        self._run("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost",
                  "-keyout", key, "-out", request)
        self._run("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key,
                  "-CAcreateserial", "-days", days, "-extfile", extension, "-out", certificate)

    @staticmethod
    def _run(*words):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


class Certificates(JournalSuite, unittest.TestCase):
    weight = 2

    @classmethod
    def make_cluster(cls, **options):
        if not shutil.which("openssl"):
            raise unittest.SkipTest("openssl is not installed")
        cls.keys = pathlib.Path(tempfile.mkdtemp(prefix="postback-keys-"))
        cls.addClassCleanup(shutil.rmtree, cls.keys, ignore_errors=True)
        cls.keys.chmod(0o755)
        cls.authority = Authority(cls.keys, "authority")
        cls.stranger = Authority(cls.keys, "stranger")
        cluster = Cluster(template=os.environ.get(TEMPLATE_VARIABLE), **options)
        cls.addClassCleanup(cluster.destroy)
        cls.key, cls.certificate = cluster.folder / "server.key", cluster.folder / "server.crt"
        cls.certify(YEAR_DAYS)
        cluster.start("ssl=on", f"ssl_cert_file={cls.certificate}", f"ssl_key_file={cls.key}",
                      "log_connections=on")
        return cluster

    @classmethod
    def certify(cls, days):
        cls.authority.sign(cls.key, cls.certificate, days)
        cls.key.chmod(0o600)
        if os.getuid() == 0:
            os.chown(cls.key, *pwd.getpwnam("postgres")[2:4])

    def begin_verifying(self, trusted):
        """The server trusts what `trusted` signs."""
        self.begin(start=False)
        self.trusted = self.server.folder / "trusted.crt"
        shutil.copy(trusted.certificate, self.trusted)
        self.server.ctl("partner", "set", "--yes", "rector", "database_url="
                        f"postgresql://postgres@localhost:{self.gate.port}/{self.database_name()}"
                        f"?sslmode=verify-full&sslrootcert={self.trusted}")
        self.server.start()

    def error(self):
        return next(database.get("error", "") for database in
                    self.server.get("/health").json["databases"]
                    if database["partner"] == "rector")

    def expect_journal(self, why):
        """Nobody talks to the database, not without encryption either."""
        wait_until(lambda: why in self.error(), 10 * SLOWNESS, f"the error says {why!r}")
        acknowledged = [self.until(200, "accepted"), *self.expect_accepted(3)]
        self.expect_neighbour_unharmed()
        log = (self.away.folder / "postgres.log").read_text(errors="replace")
        self.assertNotIn(f"database={self.database_name()}", log)
        return acknowledged

    def assert_encrypted(self):
        self.assertEqual(self.away.sql(
            "SELECT DISTINCT s.ssl FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid)"
            f" WHERE a.datname = '{self.database_name()}'"
            " AND a.application_name <> 'test'").split(), ["t"])

    def test_an_authority_that_is_not_trusted(self):
        self.begin_verifying(self.stranger)
        acknowledged = self.expect_journal("certificate verify failed")
        shutil.copy(self.authority.certificate, self.trusted)
        self.assert_all_well(acknowledged)
        self.assert_encrypted()

    def test_a_certificate_that_has_expired(self):
        self.certify(-1)
        self.away.process.send_signal(signal.SIGHUP)
        self.begin_verifying(self.authority)
        acknowledged = self.expect_journal("certificate verify failed")
        self.certify(YEAR_DAYS)
        self.away.process.send_signal(signal.SIGHUP)
        self.assert_all_well(acknowledged)
        self.assert_encrypted()
