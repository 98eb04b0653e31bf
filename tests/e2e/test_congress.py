"""docs/examples/congress from end to end: two exports of the same people become one set of entities and two CRMs.

With the real files where they are at hand (HUB_CONGRESS_DATA names their folder), and always with a small pair of the
same shape.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson
import pytest

from hub.app.bootstrap import opened
from hub.cli.app import run
from hub.model import ConflictRow, EntityRow
from hub.twins.client import TwinClient
from hub.verify.judge import compare
from tests.e2e.commands import CREDENTIALS, ROOT, copy_project, served

EXAMPLE = ROOT / "docs" / "examples" / "congress"
REAL = Path(os.environ.get("HUB_CONGRESS_DATA") or ROOT.parent / "shared" / "data" / "congress")

# Key, parts as CRM A has them, full name and nickname as CRM B has them, phones of A and B. Nobody here exists.
PEOPLE = (
    ("A000001", ("Ada", "", "Byron", ""), "Ada Byron", "", "202-224-3441", "973-526-5668"),
    ("B000002", ("Sam", "G.", "Davis", "Jr."), "Sam G. Davis, Jr.", "", "202-224-3244", "706-226-5320"),
    ("C000003", ("Robert", "C.", "Scott", ""), 'Robert C. "Bobby" Scott', "Bobby", "202-224-5141", "405-246-0025"),
    ("D000004", ("Mónica", "", "De La Cruz", ""), "Monica De La Cruz", "", "202-224-2921", "281-891-4899"),
    ("E000005", ("Jesús", "G.", "García", ""), 'Jesús G. "Chuy" García', "Chuy", "202-224-6441", ""),
    ("F000006", ("Katherine", "", "O'Hara", ""), "Kat O'Hara", "Kat", "202-224-6253", "520-622-6788"),
    ("G000007", ("Rudy", "", "Yakym", ""), "Rudy Yakym III", "", "", ""),
    ("H000008", ("Amy", "Jean", "Larsen", ""), "Amy Larsen", "", "202-224-2523", "703-256-3071"),
)
HEAD_A = (
    "Id,Bioguide__c,FirstName,MiddleName,LastName,Suffix,Birthdate,Title,Account.Name,Phone,Fax,MailingStreet,"
    "MailingCity,MailingState,MailingPostalCode,MailingCountry,Website__c,Party__c,TermStart__c,TermEnd__c"
)
HEAD_B = (
    "Record ID,Legislator Key,Full Name,Nickname,Phone Number,Street Address,City,State/Region,Postal Code,"
    "Website URL,Twitter Username,YouTube,Gender,Chamber"
)
# Whose names the two files really tell differently.
INVENTED_CONFLICTS = {"D000004", "F000006"}
REAL_CONFLICTS = {
    "R000122",
    "C000880",
    "G000386",
    "B001282",
    "V000139",
    "D000594",
    "H001103",
}  # Jack for John F. Reed …


def invented() -> dict[str, bytes]:
    """Two files as the real ones are written: B with a byte-order mark and in another order."""
    first, second = [HEAD_A], [HEAD_B]
    for number, (key, (given, middle, family, suffix), full, nickname, capitol, district) in enumerate(PEOPLE):
        place = f"{500 + number} Hart Senate Office Building,Washington,DC,20510,US"
        first.append(
            f"003C{number:014},{key},{given},{middle},{family},{suffix},1958-10-13,Senator,United States Senate,"
            f"{capitol},,{place},https://{key.lower()}.senate.gov,Independent,2025-01-03,2031-01-03"
        )
        quoted = '"' + full.replace('"', '""') + '"' if set(full) & {",", '"'} else full
        second.insert(
            1,
            f"9{number:010},{key},{quoted},{nickname},{district},Suite {number},Springfield,NJ,0703{number},"
            f"https://{key.lower()}.senate.gov,,,F,sen",
        )
    return {
        "crm_a_contacts.csv": "\n".join([*first, ""]).encode(),
        "crm_b_contacts.csv": "\ufeff".encode() + "\n".join([*second, ""]).encode(),
    }


@dataclass(frozen=True)
class Exports:
    """Both files, and whose names must be found to differ (at least)."""

    files: Mapping[str, bytes]
    conflicts: set[str]

    @cached_property
    def first(self) -> dict[str, dict[str, str]]:
        return self._rows("crm_a_contacts.csv", "Bioguide__c")

    @cached_property
    def second(self) -> dict[str, dict[str, str]]:
        return self._rows("crm_b_contacts.csv", "Legislator Key")

    def _rows(self, name: str, key: str) -> dict[str, dict[str, str]]:
        text = self.files[name].decode("utf-8-sig")
        return {row[key]: row for row in csv.DictReader(io.StringIO(text))}


@pytest.fixture(params=["invented", "real"])
def exports(request: pytest.FixtureRequest) -> Exports:
    if request.param == "invented":
        return Exports(invented(), INVENTED_CONFLICTS)
    if not (REAL / "crm_a_contacts.csv").exists():
        pytest.skip("the real files are not at hand; HUB_CONGRESS_DATA names their folder")
    names = ("crm_a_contacts.csv", "crm_b_contacts.csv")
    return Exports({name: (REAL / name).read_bytes() for name in names}, REAL_CONFLICTS)


@pytest.fixture
def twins() -> Iterator[Mapping[str, TwinClient]]:
    with served([str(EXAMPLE / "twins.py"), "0"]) as clients:
        yield clients


@pytest.fixture
def project(
    exports: Exports,
    twins: Mapping[str, TwinClient],
    migrated_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """The example with its data, its twins at the addresses that they were given."""
    folder = tmp_path / "congress"
    copy_project(EXAMPLE, folder, twins)
    (folder / "data").mkdir()
    for name, content in exports.files.items():
        (folder / "data" / name).write_bytes(content)
    for name, value in {**CREDENTIALS, "HUB_DATABASE_URL": migrated_url}.items():
        monkeypatch.setenv(name, value)
    return folder


Command = Callable[..., tuple[int, Any]]


@pytest.fixture
def command(project: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `hub …` on the project; gives the exit code and what it said."""

    def do(*arguments: str) -> tuple[int, Any]:
        code = run([*arguments, "--project", str(project), "--json"])
        return code, orjson.loads(capsys.readouterr().out)

    return do


def written(rows: list[dict[str, Any]]) -> int:
    return sum(row["created"] + row["updated"] for row in rows)


def international(national: str) -> str | None:
    return "+1" + national.replace("-", "") if national else None


def at(twin: TwinClient, key: str) -> dict[str, dict[str, Any]]:
    """Legislator key -> fields of the contact at a twin; a key that stands twice is a fault of its own."""
    rows = [row["fields"] for row in twin.snapshot("contacts").values() if not row["deleted"]]
    found = {row[key]: row for row in rows}
    assert len(found) == len(rows)
    return found


# The story. One load costs seconds, so what follows from it is asked in one test, rule by rule.


def test_two_exports_become_one_set_of_people_in_both_crms(
    exports: Exports, project: Path, command: Command, twins: Mapping[str, TwinClient]
) -> None:
    load_as_the_readme_tells(command, people=len(exports.first))
    with opened(project) as hub:
        with hub.store.reading() as tx:
            people = {row.values["legislator_key"]: row for row in tx.entities_page("contact", limit=10_000)}
            conflicts = tx.conflicts(limit=10_000)
        verdict = compare(hub, {(name, "contacts"): list(twins[name].snapshot("contacts")) for name in twins})
    no_row_is_lost_and_none_invented(exports, people, twins)
    names_survive_byte_for_byte(exports, people, twins)
    both_phones_have_their_own_fields(exports, people, twins)
    names_that_differ_are_put_on_record(exports, people, conflicts)
    assert (verdict.differences, verdict.unknown, verdict.records) == ([], [], 2 * len(people))
    a_second_run_writes_nothing(command, twins)


def load_as_the_readme_tells(command: Command, *, people: int) -> None:
    """A sync, a look at what the guard holds, a release, another sync."""
    _, first = command("sync")
    _, holds = command("holds", "list")
    assert sum(hold["count"] for hold in holds) == 2 * max(0, people - 100)  # hub.core.guards: creates over 100
    if holds:
        command("holds", "release", *(str(hold["hold"]) for hold in holds))
    code, second = command("sync")
    assert code == 0, second
    assert written(first) + written(second) == 2 * people
    assert command("quarantine", "list") == (0, [])


def no_row_is_lost_and_none_invented(
    exports: Exports, people: Mapping[str, EntityRow], twins: Mapping[str, TwinClient]
) -> None:
    assert people.keys() == exports.first.keys() == exports.second.keys()
    assert at(twins["salesforce"], "Bioguide__c").keys() == people.keys()
    assert at(twins["hubspot"], "legislator_key").keys() == people.keys()


def names_survive_byte_for_byte(
    exports: Exports, people: Mapping[str, EntityRow], twins: Mapping[str, TwinClient]
) -> None:
    org, portal = at(twins["salesforce"], "Bioguide__c"), at(twins["hubspot"], "legislator_key")
    columns = {"first_name": "FirstName", "middle_name": "MiddleName", "last_name": "LastName", "suffix": "Suffix"}
    properties = dict(zip(columns, ("firstname", "middle_name", "lastname", "name_suffix"), strict=True))
    for key, entity in people.items():
        values, there, here = entity.values, org[key], portal[key]
        full, nickname = exports.second[key]["Full Name"], exports.second[key]["Nickname"] or None
        assert values["full_name"] == there["Full_Name__c"] == here["full_name"] == full
        assert values.get("nickname") == there.get("Nickname__c") == here.get("nickname") == nickname
        for part, column in columns.items():
            given = exports.first[key][column]
            assert values["name"][part] == there.get(column) == here.get(properties[part])
            assert not given or values["name"][part] == given


def both_phones_have_their_own_fields(
    exports: Exports, people: Mapping[str, EntityRow], twins: Mapping[str, TwinClient]
) -> None:
    org, portal = at(twins["salesforce"], "Bioguide__c"), at(twins["hubspot"], "legislator_key")
    for key, entity in people.items():
        capitol = international(exports.first[key]["Phone"])
        district = international(exports.second[key]["Phone Number"])
        assert (entity.values.get("capitol_phone"), entity.values.get("district_phone")) == (capitol, district)
        assert (org[key].get("Phone"), org[key].get("OtherPhone")) == (capitol, district)
        assert (portal[key].get("phone"), portal[key].get("district_phone")) == (capitol, district)


def names_that_differ_are_put_on_record(
    exports: Exports, people: Mapping[str, EntityRow], conflicts: list[ConflictRow]
) -> None:
    keys = {entity.id: key for key, entity in people.items()}
    assert {(row.field, row.kind, row.decided_by, row.state) for row in conflicts} == {
        ("name", "first_contact", "rule:source", "closed")
    }
    found = {keys[row.entity_id] for row in conflicts}
    if exports.conflicts == INVENTED_CONFLICTS:
        assert found == INVENTED_CONFLICTS
        assert people["G000007"].values["name"]["suffix"] == "III"  # the same name with a suffix completes it
    assert exports.conflicts <= found
    assert len(found) < len(people) / 2  # a field that differs in most records would be a wrong mapping


def a_second_run_writes_nothing(command: Command, twins: Mapping[str, TwinClient]) -> None:
    before = {name: client.counts()["writes"] for name, client in twins.items()}
    code, rows = command("sync")
    assert (code, written(rows)) == (0, 0)
    assert {name: client.counts()["writes"] for name, client in twins.items()} == before


@pytest.mark.parametrize("exports", ["invented"], indirect=True)
@pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
def test_the_mappings_of_the_example_pass_against_the_live_systems(command: Command) -> None:
    assert command("mapping", "check", "--live") == (0, [])
