"""Around a whole run of the end-to-end tests: one initdb, which each test's cluster copies."""

import os
import resource
import shutil

from databases import Cluster

TEMPLATE_VARIABLE = "POSTBACK_TEST_PG_TEMPLATE"


def setUpRun():
    # Thousands of connections in some tests; the server inherits it.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.environ[TEMPLATE_VARIABLE] = str(Cluster().data)


def tearDownRun():
    shutil.rmtree(os.path.dirname(os.environ[TEMPLATE_VARIABLE]), ignore_errors=True)
