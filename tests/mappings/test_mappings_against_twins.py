"""The shipped mappings on the vendors' wire: live schema, real records of an invented company, writes and read-backs.

Each system is a twin behind real HTTP, spoken to through its connector, as in production.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest

from hub.connector import Connector, Settings
from hub.core.canonical_file import read_canonical
from hub.core.checks import check_file, check_sample, stops
from hub.core.document import Sheet
from hub.core.mapping import StreamMapping, held_form, to_canonical, to_external
from hub.core.mapping_file import Hub, MappingFile, read_mapping
from hub.core.values import is_blank, same
from hub.model import Json, MappedRecord, SourceRecord
from hub.runtime.registry import SHIPPED
from hub.runtime.yaml import load_yaml
from hub.twins.company import PRESENCE, Company, fill, generate
from tests.connectors.doors import Desk, change, desk, messages_of, twin_clock
from tests.shipped import FILES, connection_to

NAMES = tuple(name for name, connector in FILES.items() if name == connector and find_spec(f"hub.twins.{name}"))
AUTH = {"salesforce": {"kind": "client_credentials", "client_id": "twin-client", "client_secret": "twin-secret"}}
NOT_ASKED = {"typeform": {"nps", "csat"}}  # fields that nothing in the company has a value for
TOKEN = {"kind": "token", "token": "twin-token"}
# Codes that the company's shops have, beside what is generated: (stream, fields)
CODES: dict[str, list[tuple[str, dict[str, Json]]]] = {
    "shopify": [
        ("discounts", {"title": "Spring", "code": "SPRING10", "percentage": 0.1, "endsAt": "2027-01-01T00:00:00Z"}),
        ("discounts", {"title": "Thanks", "code": "THANKS25", "amount": "25.0", "usageLimit": 1}),
    ],
    "stripe": [
        ("coupons", {"id": "spring", "name": "Spring", "percent_off": 12.5, "redeem_by": 1_800_000_000}),
        ("coupons", {"id": "thanks", "name": "Thanks", "amount_off": 2500, "currency": "eur", "max_redemptions": 9}),
        ("promotion_codes", {"promotion": {"type": "coupon", "coupon": "spring"}, "code": "SPRING"}),
        ("promotion_codes", {"promotion": {"type": "coupon", "coupon": "thanks"}, "code": "THANKS25",
                             "expires_at": 1_800_000_000, "max_redemptions": 1,
                             "restrictions": {"minimum_amount": 5000, "minimum_amount_currency": "eur"}}),
    ],
}  # fmt: skip
# What the company's records hold on purpose that a mapping must refuse; anything else is a fault of the mapping.
EXPECTED = {"MAP-110", "MAP-116", "MAP-120", "MAP-121", "MAP-122"}


def shipped(name: str) -> MappingFile:
    canonical = read_canonical(Sheet(load_yaml(SHIPPED / "canonical.yaml")))
    return read_mapping(Sheet(load_yaml(SHIPPED / f"{name}.yaml")), canonical, Hub(country="DE"))


@pytest.fixture(scope="module")
def company() -> Company:
    return generate(7, 120, also=sorted(set(NAMES) - set(PRESENCE)))


@pytest.fixture(scope="module", params=NAMES)
def system(request: pytest.FixtureRequest, company: Company) -> Iterator[tuple[MappingFile, Desk]]:
    """A filled twin, and the mapping for it; the connector asks for the fields that the mapping reads."""
    name: str = request.param
    twin: Any = import_module(f"hub.twins.{name}").make(clock=twin_clock(), auto_hooks=False, limit_scale=1000.0)
    fill(company, {each: twin if each == name else _Nobody() for each in company.rows})
    for stream, fields in CODES.get(name, ()):
        twin.user_create(stream, fields)
    file = shipped(name)
    told = connection_to(name)
    streams: dict[str, dict[str, Json]] = {each: dict(options) for each, options in told.get("streams", {}).items()}
    for mapping in file.streams.values():
        wanted = streams.setdefault(mapping.source, {})
        wanted["fields"] = [*wanted.get("fields", ()), *mapping.remote_fields]
        wanted["associations"] = [*wanted.get("associations", ()), *mapping.associations]
    connector: Connector = import_module(f"connectors.{name}").CONNECTOR
    auth = told.get("auth") or AUTH.get(name, TOKEN)
    if connector.tailored is not None:
        connector = connector.tailored(Settings(values=told["settings"], auth=auth, streams=streams))
    with desk(connector, twin, streams=streams, auth=auth, values=dict(told.get("settings", {}))) as made:
        yield file, made


class _Nobody:
    def load(self, stream: str, rows: Any) -> int:
        return 0


def records(made: Desk, mapping: StreamMapping) -> list[SourceRecord]:
    if made.connector.only_listens:
        return received(made, mapping.source)
    found, _, _ = made.pull_all(mapping.source)
    return [record for record in found if record.op == "upsert"]


def received(made: Desk, source: str) -> list[SourceRecord]:
    """What somebody sends who cannot be asked."""
    assert made.connector.parse is not None
    made.twin.set_webhook("http://127.0.0.1:9/hooks", "")
    made.twin.act_send_all()
    events = [event for each in messages_of(made.twin) for event in made.connector.parse(made.settings, each)]
    told = [event for event in events if event.record is not None and event.stream == source]
    return list({event.external_id: event.record for event in told if event.record is not None}.values())


def agree(mapping: StreamMapping, name: str, left: Json, right: Json) -> bool:
    return same(mapping.entity_type.fields[name], left, right)


def test_the_live_schema_fits(system: tuple[MappingFile, Desk]) -> None:
    file, made = system
    schema = {each.source: made.connector.discover(made.api, each.source) for each in file.streams.values()}
    declared = made.connector.streams_for(made.settings) if made.connector.streams_for else made.connector.streams
    streams = {stream.name: stream for stream in declared}
    found = check_file(file, streams=streams, schema=schema)
    assert [str(fault) for fault in found if stops(fault)] == []


def test_every_field_is_read_and_only_garbage_is_refused(system: tuple[MappingFile, Desk]) -> None:
    file, made = system
    for mapping in file.streams.values():
        if any((each.name, each.cursor) == (mapping.source, "none") for each in made.connector.streams):
            continue  # nothing lists these
        mapped = [to_canonical(mapping, record) for record in records(made, mapping)]
        assert mapped, mapping.name
        seen = Counter(name for each in mapped for name in (*each.values, *each.references))
        assert mapping.in_fields - seen.keys() - NOT_ASKED.get(mapping.connector, set()) == set()
        faults = [fault for each in mapped for fault in each.faults]
        assert {fault.code for fault in faults} <= EXPECTED, [str(fault) for fault in faults]
        assert len(faults) <= len(mapped) * 0.05


def test_what_was_read_would_not_be_written_differently(system: tuple[MappingFile, Desk]) -> None:
    file, made = system
    for mapping in file.streams.values():
        found = [fault for fault in check_sample(mapping, records(made, mapping)) if fault.code == "MAP-030"]
        assert [str(fault) for fault in found] == []


def test_what_is_written_is_what_the_vendor_then_holds(system: tuple[MappingFile, Desk]) -> None:
    file, made = system
    for mapping in file.streams.values():
        if not mapping.out_fields:
            continue
        for record in records(made, mapping)[:4]:
            mapped = to_canonical(mapping, record)
            values = {name: value for name, value in changed(mapping, mapped).items() if name in mapping.out_fields}
            body = to_external(mapping, values, changed=values, external_ids={}, creating=False)
            assert body.skipped == {}
            found = write(made, mapping, record, body.body)
            for name, expressed in body.sent.items():
                assert agree(mapping, name, found.values.get(name), expressed), f"{mapping.name}.{name}"
                assert agree(mapping, name, held_form(mapping, name, values[name]), expressed)


def changed(mapping: StreamMapping, mapped: MappedRecord) -> dict[str, Json]:
    """New values for what the record says, of the kinds that no system refuses."""
    found: dict[str, Json] = {}
    for name, value in mapped.values.items():
        declared = mapping.entity_type.fields[name]
        match declared.type:
            case "group" if name == "name" and not is_blank(value):
                found[name] = {**value, "first_name": "Zoë", "last_name": "Ångström"}
            case "group" if not is_blank(value):
                found[name] = {**value, "city": "Łódź", "country": "PL"}
            case "phone":
                found[name] = (
                    f"+4930{9_000_000 + int(''.join(filter(str.isdigit, mapped.source.external_id))[-6:] or 0)}"
                )
            case "date":
                found[name] = "2026-12-31"
            case "money":
                found[name] = {"minor": 123456, "currency": "EUR"}
            case "integer":
                found[name] = 4711
            case "decimal":
                found[name] = "4711.5"
            case "set":
                found[name] = ["Pricing", "Training"]
    return found


def write(made: Desk, mapping: StreamMapping, record: SourceRecord, body: dict[str, Json]) -> MappedRecord:
    """The record in canonical terms, as the vendor shows it after the write."""
    assert made.connector.push is not None
    sent = change("update", body, record.external_id, stamp=record.stamp, idempotency_key=f"k-{record.external_id}")
    (result,) = made.connector.push(made.api, mapping.source, [sent])
    assert result.outcome == "applied", result
    assert made.connector.fetch is not None
    held = result.held or made.connector.fetch(made.api, mapping.source, [record.external_id])[0]
    return to_canonical(mapping, held)
