"""All laws, and a story that is told before them."""

from __future__ import annotations

from mrcore.scheduler import attempt, job, stage, task
from mrcore.scheduler import worker as worker_of
from mrcore.testing.simulation import disk, network, office, stranger, worker
from mrcore.testing.simulation.checkers.bookkeeping import Bookkeeping
from mrcore.testing.simulation.checkers.charged_rightly import ChargedRightly
from mrcore.testing.simulation.checkers.committed_once import CommittedOnce
from mrcore.testing.simulation.checkers.ends_in_time import EndsInTime
from mrcore.testing.simulation.checkers.exact_counters import ExactCounters
from mrcore.testing.simulation.checkers.fenced import Fenced
from mrcore.testing.simulation.checkers.journaled_first import JournaledFirst
from mrcore.testing.simulation.checkers.law import BrokenLawError, Law
from mrcore.testing.simulation.checkers.lost_for_a_reason import LostForAReason
from mrcore.testing.simulation.checkers.nothing_lost import NothingLost
from mrcore.testing.simulation.checkers.replay import Replay
from mrcore.testing.simulation.checkers.room import Room
from mrcore.testing.simulation.checkers.same_output import SameOutput
from mrcore.testing.simulation.cluster import play
from mrcore.testing.simulation.coverage import Coverage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mrcore.testing.simulation.cluster import Story
    from mrcore.testing.simulation.trace import Trace

LAWS: tuple[type[Law], ...] = (
    Bookkeeping, ChargedRightly, CommittedOnce, EndsInTime, Fenced, JournaledFirst, LostForAReason, NothingLost, Replay,
    Room, SameOutput, ExactCounters,
)  # fmt: skip


def try_seed(seed: int, trace: Trace | None = None) -> Story:
    """Plays the story of a seed under all laws, of which the first is that nothing raises.

    Raises:
        BrokenLawError: one did not hold.
    """
    try:
        return play(seed, [law() for law in LAWS], trace)
    except BrokenLawError:
        raise
    except office.LostRecordsError as error:
        raise BrokenLawError("nothing_lost", str(error)) from error
    except Exception as error:  # whatever it is, it is a defect, and the seed has to be said
        raise BrokenLawError("never_raises", f"{type(error).__name__}: {error}") from error


def declared() -> Coverage:
    """Counts from zero of all that can happen: kinds of faults, and rows of the scheduler's tables."""
    kinds = {
        "clock": ("skew", "drift"),
        "coordinator": office.KINDS,
        "disk": disk.KINDS,
        # 64 MiB under way in one direction do not come about in small stories; tests of the network have them.
        "network": tuple(kind for kind in network.KINDS if kind != "overflow"),
        "shared": ("power_cut",),
        "stranger": stranger.KINDS,
        "worker": worker.KINDS,
    }
    names = [f"{where}.{kind}" for where, some in kinds.items() for kind in some]
    tables = [kind.TABLE for kind in (attempt, job, stage, task, worker_of)]
    return Coverage([*names, *(f"row.{table.name}.{row.source}.{row.event}" for table in tables for row in table.rows)])
