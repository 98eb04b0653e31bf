"""The laws can fail: each planted fault, one mechanism out of the real engine, is noticed."""

from __future__ import annotations

import pytest

from hub.core.planted import PLANTED
from hub.verify.planted import PLANTABLE, SURVIVORS
from hub.verify.proofs import catch
from hub.verify.rewards import PLANTABLE as OF_REWARDS


def test_there_are_enough_of_them_and_none_is_planted_unasked() -> None:
    assert len(PLANTABLE) + len(OF_REWARDS) >= 25
    assert not SURVIVORS.keys() & PLANTABLE.keys()
    assert set() == PLANTED


@pytest.mark.timeout(900)
@pytest.mark.parametrize("fault", PLANTABLE)
def test_a_planted_fault_is_noticed(fault: str) -> None:
    assert catch("convergence", fault), f"{fault}: {PLANTABLE[fault].text}, and no law noticed"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("fault", OF_REWARDS)
def test_a_planted_fault_of_rewards_is_noticed(fault: str) -> None:
    assert catch("rewards", fault), f"{fault}: {OF_REWARDS[fault].text}, and no law noticed"
