"""The scenarios of the benchmark. Those of one group are measured next to each other in each round,
because ratios hold only between neighbours in time."""

import dataclasses
from typing import Callable, Tuple

import clients
from beds import LOOPS, PEERS


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    client: Callable
    store: str = "postgresql"  # Or sqlite, or none: nothing is stored.
    subjects: Tuple[str, ...] = LOOPS
    connections: int = 64
    arguments: Tuple[str, ...] = ()  # Of the wrk script.
    page: str = ""                   # For clients.page: what to get instead of a repeat.
    rates: Tuple[int, ...] = ()      # For clients.rates: postbacks per second.
    partners: int = 0                # Registered beside the two that are shipped.
    over_partners: bool = False      # Their endpoints are called, one after the other.
    cores: int = 0                   # Threads of the server; 0: as many as CPUs.
    copy: bool = False               # Measures COPY of the same rows beside it.
    commit: bool = False             # Measures single commits beside it.

    @property
    def page_like(self):
        return self.client is clients.page


def both_stores(name, client, subjects=LOOPS, **options):
    """Peers know PostgreSQL only."""
    loops = tuple(subject for subject in subjects if subject in LOOPS)
    return (Scenario(name, client, "postgresql", subjects, **options),
            Scenario(name, client, "sqlite", loops, **options))


ALL = LOOPS + PEERS

GROUPS = (
    *(both_stores(f"unique-{connections}", clients.unique, ALL, connections=connections, copy=True,
                  commit=connections == 1) for connections in (1, 64, 256, 1024)),
    (Scenario("all-repeats", clients.page, "sqlite", (*LOOPS, "nginx"), cores=1),),
    both_stores("repeats-1%", clients.unique, arguments=("repeat=100",)),
    both_stores("repeats-50%", clients.unique, arguments=("copies=2",)),
    (*both_stores("close", clients.unique, ALL, arguments=("close",)),
     Scenario("close", clients.page, "none", ("nginx",), arguments=("close",))),
    both_stores("pipelined", clients.unique, arguments=("pipeline=16",)),
    both_stores("post-json", clients.unique, ALL, arguments=("post",)),
    both_stores("half-rate", clients.half, connections=256),
    (Scenario("rates", clients.rates, subjects=ALL, connections=256,
              rates=(500, 1000, 2000, 4000, 8000, 16000, 24000, 32000, 40000, 48000)),
     Scenario("rates", clients.rates, "sqlite", connections=256,
              rates=(500, 1000, 2000, 4000, 8000, 16000, 24000, 32000, 40000, 48000))),
    (*both_stores("partners-1", clients.unique, connections=1024),
     *both_stores("partners-100", clients.unique, connections=1024, partners=100,
                  over_partners=True, arguments=("partners=100",)),
     # What there is to gain when each partner has more than ten connections.
     *both_stores("partners-1 crowded", clients.unique, ("io_uring",), connections=4096),
     *both_stores("partners-100 crowded", clients.unique, ("io_uring",), connections=4096,
                  partners=100, over_partners=True, arguments=("partners=100",)),
     Scenario("partners-1000", clients.unique, "sqlite", connections=256, partners=998)),
    (Scenario("idle-10000", clients.idle, "sqlite", connections=10_000),),
    (Scenario("health", clients.page, "sqlite", (*LOOPS, "nginx"), page="/health"),),
)
