"""Machines of a simulated cluster: hosts with a disk and a clock, and the disk that all share."""

from __future__ import annotations

import contextlib
import errno
import os
import random
from typing import TYPE_CHECKING

from mrcore.testing.simulation.clock import NodeClock
from mrcore.testing.simulation.disk import PowerCutError, SimulatedDisk

if TYPE_CHECKING:
    from mrcore.testing.simulation.cluster import Cluster

SHARED, FINAL = "/shared", "/final"
"""Directories of the shared disk: of outputs that later stages read, and of those that nobody does."""

SMALL_BLOCKS = (4, 16)
"""Bytes that the disks of a story write whole: its files are small, and are to tear all the same."""


class Host:
    """A machine with workers.

    Attributes:
        name: of the host.
        disk: with a directory for each worker, by its name.
        clock: that drifts.
        is_up: whether its workers may run.
    """

    def __init__(self, cluster: Cluster, name: str) -> None:
        seed, faults = cluster.scenario.seed, cluster.scenario.faults
        self.name, self.is_up = name, True
        rng = random.Random(f"{seed} disk {name}")
        self.disk = SimulatedDisk(rng, cluster.coverage, faults.disk, block_bytes=SMALL_BLOCKS)
        self.clock = NodeClock(cluster.clock)
        self.clock.torment(faults.clock, random.Random(f"{seed} clock {name}"), cluster.coverage)

    def write(self, directory: str, name: str, data: bytes) -> None:
        """Writes a file durably.

        Raises:
            OSError: it is not durable.
            PowerCutError: power failed meanwhile.
        """
        write_durably(self.disk, directory, name, data)

    def remove(self, directory: str, name: str) -> None:
        """Takes a file away, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            self.disk.directory(directory.encode()).unlink(name)


class SharedDisk:
    """The disk that all machines share. When its power fails, whoever used it gets an error."""

    def __init__(self, cluster: Cluster) -> None:
        seed, faults = cluster.scenario.seed, cluster.scenario.faults
        self._coverage = cluster.coverage
        self.disk = SimulatedDisk(
            random.Random(f"{seed} disk shared"),
            cluster.coverage,
            faults.disk,
            rots=lambda path: path.startswith(SHARED),  # nobody reads final outputs again
            block_bytes=SMALL_BLOCKS,
        )

    def write(self, directory: str, name: str, data: bytes) -> None:
        """Writes a file durably.

        Raises:
            OSError: it is not durable.
        """
        try:
            write_durably(self.disk, directory, name, data)
        except PowerCutError:
            self._fall()

    def remove(self, name: str) -> None:
        """Takes an output away, if it is there."""
        for directory in (SHARED, FINAL):
            with contextlib.suppress(FileNotFoundError):
                try:
                    self.disk.directory(directory.encode()).unlink(name)
                except PowerCutError:
                    self.disk.crash()
                    self._coverage.add("shared.power_cut")

    def publish(self, source: str, target: str) -> None:
        """Gives a final output its name, durably; again, if it has it.

        Raises:
            OSError: it may not be durable.
            AssertionError: it is not there: a committed output is lost.
        """
        directory = self.disk.directory(FINAL.encode())
        try:
            if self.disk.holds(f"{FINAL}/{source}"):
                directory.rename(source, target)
            else:
                assert self.disk.holds(f"{FINAL}/{target}"), f"{source} was committed, and is gone"
            directory.sync_directory()
        except PowerCutError:
            self._fall()

    def _fall(self) -> None:
        self.disk.crash()
        self._coverage.add("shared.power_cut")
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def write_durably(disk: SimulatedDisk, directory: str, name: str, data: bytes) -> None:
    """Writes a file and its name.

    Raises:
        OSError: it is not durable.
        PowerCutError: power failed meanwhile.
    """
    opened = disk.directory(directory.encode())
    file = opened.open(name)
    file.write(0, data)
    file.sync()
    opened.sync_directory()


def read_file(disk: SimulatedDisk, directory: str, name: str, size_max: int) -> bytes | None:
    """The bytes of a file; None if there is none."""
    if not disk.holds(f"{directory}/{name}"):
        return None
    return disk.directory(directory.encode()).open(name).read(0, size_max)
