"""What this machine takes from everybody while tests run.

Two threads do next to nothing, over and over, one sleeps and one syncs a small file, and note how much
longer that took than it should have. A disk that stands still for two seconds, or a processor that
others use, is then known, and a time limit that a test holds against the server is longer by it. What
the server does wrong by itself is not: these threads do not ask it for anything.
"""

import collections
import os
import tempfile
import threading
import time

PAUSE_S = 0.05
# What a sleep and a sync may take without being called a stall.
USUAL_S = 0.1


class Witness:
    def __init__(self):
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.stalls = collections.deque(maxlen=10_000)  # (what, when it ended, seconds over)
        self.begun = {}  # By thread: when what it does now was begun.
        for work in (self._sleep, self._sync):
            threading.Thread(target=self._run, args=(work,), daemon=True).start()

    def stalled_s(self, within_s):
        """Seconds that the machine stood still in the last so many, the worse of both threads."""
        now = time.monotonic()
        with self.lock:
            sums = collections.Counter()
            for name, ended, seconds in self.stalls:
                if ended > now - within_s:
                    sums[name] += seconds
            for name, begun in self.begun.items():
                sums[name] += max(0, now - begun - PAUSE_S - USUAL_S)
        return max(sums.values(), default=0)

    def _run(self, work):
        with tempfile.TemporaryFile() as file:
            while True:
                begun = time.monotonic()
                with self.lock:
                    self.begun[work.__name__] = begun
                work(file)
                ended = time.monotonic()
                over = ended - begun - PAUSE_S - USUAL_S
                if over > 0:
                    with self.lock:
                        self.stalls.append((work.__name__, ended, over))

    def _sleep(self, _):
        time.sleep(PAUSE_S)

    def _sync(self, file):
        time.sleep(PAUSE_S)
        os.pwrite(file.fileno(), b"x", 0)
        os.fdatasync(file.fileno())


_witness = None
_lock = threading.Lock()


def watch():
    """Begins to look, once for each process: threads do not come along in a fork."""
    global _witness
    with _lock:
        if _witness is None or _witness.pid != os.getpid():
            _witness = Witness()
    return _witness


def stalled_s(within_s=60):
    return watch().stalled_s(within_s)
