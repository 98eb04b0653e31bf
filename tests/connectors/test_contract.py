"""Every connector passes one suite (hub/verify/certify), each on its own twin, all over real HTTP.

Each is asked what is quick to ask, a few are asked everything, and with `long` all are.
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from itertools import count
from types import ModuleType
from typing import Any

import pytest

from hub.cli.app import run
from hub.kit.contract import NotShown
from hub.runtime.registry import connector_names, load_connector
from hub.verify.certify import hands, suite
from hub.verify.certify.stand import Candidate, candidate, stand_of
from hub.verify.certify.suite import FAILED, NOT_OFFERED, SUITE, Certificate, certify

NAMES = connector_names()
WHOLE = ("google_sheets", "plum", "quickbooks")  # a table, a shop that rewards, one that signs and rotates
QUICK = (
    "what it says of itself fits together", "every record once", "a page handed out for ever is found out",
    "a bad row does not stop its page", "a field nobody documented is kept", "a record by id is that of the list",
    "an update is what is stored", "a lost answer is unknown", "a lost create is settled to one record",
    "a named wait is kept", "every call is counted once", "genuine: accepted", "forged: refused", "altered: refused",
    "two secrets: both good", "incremental = full",
)  # fmt: skip


def failures(certificate: Certificate) -> list[str]:
    return [f"{row.check.name}: {row.detail}" for row in certificate.rows if row.status == FAILED]


def named(*names: str) -> list[suite.Check]:
    return [check for check in SUITE if check.name in names]


@pytest.mark.parametrize("name", NAMES)
def test_a_connector_keeps_the_rules_that_are_quick_to_ask(name: str) -> None:
    certificate = certify(candidate(name), named(*QUICK))
    assert failures(certificate) == []
    assert len(certificate.rows) == len(QUICK)


@pytest.mark.parametrize("name", WHOLE)
def test_a_connector_passes_every_check(name: str) -> None:
    assert failures(certify(candidate(name))) == []


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", NAMES)
def test_every_connector_passes_every_check(name: str) -> None:
    certificate = certify(candidate(name))
    assert failures(certificate) == []
    assert all(row.detail for row in certificate.rows if row.status == NOT_OFFERED), "it does not say why"


def test_the_suite_asks_enough_and_every_check_has_a_name_of_its_own() -> None:
    names = [check.name for check in SUITE]
    assert len(names) == len(set(names)) >= 40


def test_every_vendor_has_a_twin_to_rehearse_on() -> None:
    vendors = {name for name in NAMES if load_connector(name).hosts}
    assert len(vendors) > 15
    assert vendors <= {name for name in NAMES if importlib.util.find_spec(f"hub.twins.{name}")}


def test_what_people_do_at_a_twin_is_told_of_streams_and_in_words_that_are_known() -> None:
    for name in NAMES:
        given = candidate(name)
        for stream, told in getattr(given.twin, "PEOPLE", {}).items():
            assert stream in {facts.name for facts in given.connector.streams}, f"{name}: {stream}"
            assert set(told) <= set(hands.WORDS), f"{name}.{stream}: {set(told) - set(hands.WORDS)}"


@pytest.mark.parametrize("argv", [(), ("plum", "--all")])
def test_one_connector_or_all(argv: tuple[str, ...]) -> None:
    assert run(["connector", "certify", *argv]) == 2


def test_the_command_tells_what_it_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["connector", "certify", "inbound"]) == 0
    said = capsys.readouterr().out
    assert "not offered by the vendor: the vendor signs nothing" in said
    assert run(["connector", "certify", "inbound", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["connector"], found["ok"], len(found["checks"])) == ("inbound", True, len(SUITE))
    assert run(["connector", "certify", "inbuond"]) == 2


def test_a_failed_check_is_an_exit_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    failing = replace(SUITE[0], run=lambda stand: str(1 / 0))
    monkeypatch.setattr(suite, "SUITE", (failing,))
    assert run(["connector", "certify", "plum"]) == 1
    assert "a bug: ZeroDivisionError" in capsys.readouterr().out


# A suite that cannot fail proves nothing: each of these connectors breaks one rule, and is found out


def broken(name: str, **functions: Any) -> Candidate:
    given = candidate(name)
    return replace(given, connector=replace(given.connector, **functions))


def test_a_lost_record_is_found_out() -> None:
    real = candidate("quickbooks").connector

    def pull(api: Any, stream: str, cursor: Any) -> Any:
        page = real.pull(api, stream, cursor)
        return replace(page, records=page.records[:-1])

    (found,) = failures(certify(broken("quickbooks", pull=pull), named("every record once", "genuine: accepted")))
    assert "49 records of 50" in found


def test_a_result_that_lies_is_found_out() -> None:
    real = candidate("quickbooks").connector
    assert real.push is not None

    def push(api: Any, stream: str, changes: Any) -> Any:
        results = real.push(api, stream, changes)  # type: ignore[misc]
        return [replace(each, outcome="applied") for each in results]

    names = ("a bad row in a batch fails alone", "a lost answer is unknown", "a write over an edit is refused",
             "a lost create is settled to one record", "a write turned away did not happen")  # fmt: skip
    assert len(failures(certify(broken("quickbooks", push=push), named(*names)))) >= 4


def test_a_door_that_believes_everybody_is_found_out() -> None:
    found = failures(certify(broken("quickbooks", verify=lambda settings, request: None), named(
        "genuine: accepted", "unsigned: refused", "altered: refused", "forged: refused", "another's secret: refused",
        "no secret set: refused", "two secrets: both good",
    )))  # fmt: skip
    assert len(found) == 6


REWARDS = (
    "what is offered can be named in a rule", "the same number again is one order",
    "what cannot be ordered fails alone", "what becomes of an order is told", "the balance is told",
    "a lost create is settled to one record",
)  # fmt: skip


def test_a_provider_of_rewards_is_asked_for_orders_balance_catalogue_and_what_becomes_of_them() -> None:
    certificate = certify(candidate("plum"), named(*REWARDS))
    assert [row.status for row in certificate.rows] == ["passed"] * len(REWARDS)


def test_a_provider_that_gives_twice_or_tells_nothing_is_found_out() -> None:
    real = candidate("plum").connector
    assert real.push is not None
    assert real.parse is not None
    numbers = count()

    def push(api: Any, stream: str, changes: Any) -> Any:
        others = [replace(each, reference=f"{each.reference}-{next(numbers)}") for each in changes]
        return real.push(api, stream, others)  # type: ignore[misc]

    names = ("the same number again is one order", "what cannot be ordered fails alone",
             "a lost create is settled to one record")  # fmt: skip
    assert len(failures(certify(broken("plum", push=push), named(*names)))) == 3
    deaf = broken("plum", parse=lambda settings, request: ())
    (found,) = failures(certify(deaf, named("what becomes of an order is told")))
    assert "none tells of it" in found
    poor = broken("plum", check=lambda api: {**real.check(api), "balance": {"value": "7", "currency": "EUR"}})
    (found,) = failures(certify(poor, named("the balance is told")))
    assert "7 are left of 7" in found


def test_a_bug_is_a_failed_check_and_no_end_of_the_table() -> None:
    def pull(api: Any, stream: str, cursor: Any) -> Any:
        raise ZeroDivisionError("of the connector")

    certificate = certify(broken("quickbooks", pull=pull), named("every record once", "genuine: accepted"))
    assert [row.status for row in certificate.rows] == ["failed", "passed"]
    assert "a bug: ZeroDivisionError" in certificate.rows[0].detail


def test_files_are_no_vendor() -> None:
    given: ModuleType | None = candidate("csv").twin
    assert given is None
    with pytest.raises(NotShown, match="files"), stand_of(candidate("csv")):
        pass
