"""Hosts and the shared disk: what is written is durable or an error, and publishing can be done again."""

from __future__ import annotations

import pytest

from mrcore.testing.simulation.cluster import Cluster
from mrcore.testing.simulation.disk import PowerCutError
from mrcore.testing.simulation.machines import FINAL, SHARED, read_file, write_durably
from mrcore.testing.simulation.scenario import draw_scenario


@pytest.fixture
def cluster():
    made = Cluster(draw_scenario(4))
    made.shared.disk.calm()
    for host in made.hosts.values():
        host.disk.calm()
    return made


def test_what_was_written_survives_a_loss_of_power(cluster):
    host = next(iter(cluster.hosts.values()))
    host.write("/w0", "a", b"text")
    host.disk.crash()
    assert read_file(host.disk, "/w0", "a", 100) == b"text"
    assert read_file(host.disk, "/w0", "b", 100) is None and not host.disk.holds("/w0/b")
    host.remove("/w0", "a")
    host.remove("/w0", "a")
    assert read_file(host.disk, "/w0", "a", 100) is None


@pytest.mark.parametrize("operations", range(4))
def test_a_cut_while_writing_is_the_hosts_death_and_an_error_of_the_shared_disk(cluster, operations):
    host = next(iter(cluster.hosts.values()))
    host.disk.cut_power_after(operations)
    cluster.shared.disk.cut_power_after(operations)
    with pytest.raises(PowerCutError):
        host.write("/w0", "a", b"text")
    with pytest.raises(OSError, match="Input/output error"):
        cluster.shared.write(SHARED, "a", b"text")
    cluster.shared.write(SHARED, "a", b"text")
    assert read_file(cluster.shared.disk, SHARED, "a", 100) == b"text"
    assert cluster.coverage["shared.power_cut"] == 1


@pytest.mark.parametrize("operations", [None, 0, 1])
def test_publishing_is_done_again_until_it_is_durable(cluster, operations):
    shared = cluster.shared
    shared.write(FINAL, "source", b"text")
    if operations is not None:
        shared.disk.cut_power_after(operations)
        with pytest.raises(OSError, match="Input/output error"):
            shared.publish("source", "target")
    shared.publish("source", "target")
    shared.publish("source", "target")
    shared.disk.crash()
    assert read_file(shared.disk, FINAL, "target", 100) == b"text"
    assert read_file(shared.disk, FINAL, "source", 100) is None


def test_a_committed_output_that_is_gone_ends_the_story(cluster):
    with pytest.raises(AssertionError, match="was committed, and is gone"):
        cluster.shared.publish("source", "target")


def test_a_cut_while_removing_is_no_error(cluster):
    write_durably(cluster.shared.disk, SHARED, "a", b"text")
    cluster.shared.disk.cut_power_after(0)
    cluster.shared.remove("a")
    cluster.shared.remove("a")
    assert not cluster.shared.disk.holds(f"{SHARED}/a")
