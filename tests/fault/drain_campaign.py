"""Kills of the server while the partners' databases are away, and while its journal drains."""

import collections
import pathlib
import signal
import sqlite3

from campaign import Campaign
from generator import PARTNERS
from harness import SLOWNESS, wait_until
from metrics import waiting

# By then the server has a connection again and has drained something.
DRAIN_BEGINS_S_MAX = 10


class DrainCampaign(Campaign):
    """`during`: "outage", "drain" or both. The control database stays: it is a SQLite file."""

    def __init__(self, *arguments, during):
        super().__init__(*arguments)
        self.during = during
        self.steps = collections.deque()
        self.outage = None       # A function that ends it.
        self.outage_count = 0
        self.interrupted = 0     # Starts that found records of the process before.

    def settings(self):
        return {}

    def register(self):
        self.server.ctl("init")
        if self.cluster:
            for code, _ in PARTNERS:
                self.server.ctl("partner", "set", code,
                                f"database_url={self.cluster.url(f'{code}_db')}")

    def choose(self):
        if not self.steps:
            for name, kill in (("outage", self.kill_in_outage), ("drain", self.kill_in_drain)):
                if name in self.during:
                    self.steps += [kill] * self.dice.randint(1, 2)
        return self.steps.popleft()

    def end(self):
        self.end_outage()
        super().end()

    def destroy(self):
        self.end_outage()
        super().destroy()

    def summary(self):
        return (f"; {self.outage_count} outages, {self.interrupted} starts with records of the "
                f"process before")

    def is_recovery(self, status):
        return True  # In an outage nothing else is to be had, and a drain is to be met early.

    # Faults.

    def kill_in_outage(self):
        """SIGKILL while the databases are away."""
        self.begin_outage()
        self.pause(0.05, 0.5)
        self.kill_and_start()

    def kill_in_drain(self):
        """SIGKILL while the journal drains."""
        if not self.outage and waiting(self.server) == 0:
            self.begin_outage()
        if self.outage:
            wait_until(lambda: waiting(self.server) > 0, 10 * SLOWNESS, "something is journaled")
            self.pause(0.1, 1)
            self.end_outage()
        # The moment is any until the drain is over, and in every other case one shortly behind its
        # first batch, which is hit too rarely otherwise.
        if self.dice.random() < 0.5:
            self.pause(0, 1.5)
        else:
            before = waiting(self.server)
            wait_until(lambda: waiting(self.server) < before or before == 0,
                       DRAIN_BEGINS_S_MAX * SLOWNESS, "the drain begins")
            self.pause(0, 0.05)
        self.kill_and_start()

    def kill_and_start(self):
        self.lose_server()
        self.start_server()
        self.interrupted += waiting(self.server) > 0

    # Outages.

    def begin_outage(self):
        if self.outage:
            return
        self.outage_count += 1
        if not self.cluster:
            self.outage = self.lock_files()
        elif (how := self.dice.choice((signal.SIGINT, signal.SIGQUIT, signal.SIGSTOP))) \
                == signal.SIGSTOP:
            self.cluster.hang()
            self.outage = self.cluster.unhang
        else:
            self.cluster.stop(how)
            self.outage = lambda: wait_until(self.postgres_starts, 30 * SLOWNESS,
                                             "PostgreSQL starts")

    def end_outage(self):
        if self.outage:
            end, self.outage = self.outage, None
            end()

    def lock_files(self):
        """Another process that writes for a long time. Returns what gives the files back."""
        holders = []
        for code, _ in PARTNERS:
            path = pathlib.Path(self.server.settings["DATA_DIR"]) / f"{code}_db.db"
            holder = sqlite3.connect(path, timeout=10, isolation_level=None)
            holder.execute("BEGIN IMMEDIATE")
            holders.append(holder)

        def give_back():
            for holder in holders:
                holder.execute("ROLLBACK")
                holder.close()

        return give_back
