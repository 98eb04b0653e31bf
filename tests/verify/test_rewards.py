"""Reward histories over the real issuing and a ledger in memory; the same laws over the whole engine are in
tests/properties/test_reward_laws.py."""

from __future__ import annotations

import pytest

from hub.verify.convergence import Report
from hub.verify.report import Proof
from hub.verify.rewards import verify_rewards

COUNTED = (
    "class A", "class B", "class C", "class D", "crash", "store restored", "orders", "needs a person", "merged",
    "decided by a person", "taken back by the provider", "codes",
)  # fmt: skip


@pytest.mark.timeout(300)
def test_one_order_per_grant_and_never_over_the_budget() -> None:
    report = verify_rewards(range(2000), jobs=1)
    assert [(each.seed, each.errors[0]) for each in report.failures] == []
    for thing in COUNTED:
        assert report.counts[thing] > 0, thing


def test_a_proof_prints_its_zeros_and_what_broke_them() -> None:
    calm = Proof(name="rewards", report=Report(seeds=3))
    assert calm.ok
    assert calm.lines()[-1] == "lost=0 diverged=0 echo_writes=0 resurrected=0 double_grants=0 duplicates=0"
    unnoticed = Proof(name="rewards", report=Report(seeds=3), planted={"blind_resend": ""})
    assert not unnoticed.ok
