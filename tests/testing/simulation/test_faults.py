"""Profiles: a swarm switches kinds off and leaves the rest as it was."""

import dataclasses
import random

import pytest

from mrcore.testing.simulation.faults import CALM, SWITCHES, ClockFaults, DiskFaults, Faults, NetworkFaults
from mrcore.testing.simulation.network import DELIVERY_KINDS


@pytest.mark.parametrize("profile", [ClockFaults(), NetworkFaults(), DiskFaults()])
def test_every_rate_and_interval_can_be_switched_off(profile):
    names = {field.name for field in dataclasses.fields(profile)}
    assert set(SWITCHES[type(profile)]) <= names
    rates = {name for name in names if isinstance(getattr(profile, name), float) or name.endswith("interval_ns")}
    assert rates <= set(SWITCHES[type(profile)])


def test_what_befalls_deliveries_are_rates_of_the_profile():
    assert set(DELIVERY_KINDS) <= set(SWITCHES[NetworkFaults])


def test_a_swarm_has_each_kind_in_about_half_of_the_seeds():
    for part in ("clock", "network", "disk"):
        profile, calm = getattr(Faults(), part), getattr(CALM, part)
        drawn = [getattr(Faults().swarm(random.Random(seed)), part) for seed in range(200)]
        for field in dataclasses.fields(profile):
            values = [getattr(one, field.name) for one in drawn]
            if field.name in SWITCHES[type(profile)]:
                assert getattr(calm, field.name) == 0
                assert 60 < values.count(0) < 140
                values = [value for value in values if value]
            assert set(values) == {getattr(profile, field.name)}
