"""Who is who, before any store: what keys decide, what is compared, and a consent that binds both."""

from __future__ import annotations

import pytest

from hub.core.canonical import CanonicalField, EntityType, Key, Limits, Survivorship
from hub.core.identity import Match, decide_match
from hub.core.likeness import blocks_of, features_of, folded, prior, row_of
from hub.core.merge import Decision, Voice, after_split, decide_field, heard_since
from hub.core.plan import is_due
from hub.core.shadow import pack_fields, unpack_fields
from hub.core.values import keys_of
from hub.model import NO_VERSION, WHOLE, Cell, Claim, FieldState, Json
from tests.core.language import people

TEXT = CanonicalField(name="phone", type="text")
CONTACT = EntityType(
    name="contact", limits=Limits(links=2, sharing=3),
    keys=(Key(on=("email",)), Key(on=("phone",), strength="weak")),
    fields={
        "email": CanonicalField(name="email", type="email"),
        "phone": CanonicalField(name="phone", type="phone"),
        "name": CanonicalField(
            name="name", type="group", kind="group", parts={"first_name": "text", "last_name": "text"}
        ),
        "address": CanonicalField(
            name="address", type="group", kind="group",
            parts={"street": "text", "postal_code": "text", "city": "text"},
        ),
        "birthday": CanonicalField(name="birthday", type="date"),
        "note": CanonicalField(name="note", type="text"),
    },
)  # fmt: skip
ANN = {"email": "ann@example.org", "phone": "+4930111"}
EMAIL, PHONE = ("email", "ann@example.org"), ("phone", "+4930111")


def matched(found: dict[tuple[str, str], list[int]], **more: Json) -> Match:
    return decide_match(CONTACT, keys_of(CONTACT, ANN), found, **more)


def test_a_strong_key_links_and_a_weak_one_asks() -> None:
    one = matched({EMAIL: [1], PHONE: [1, 2]})
    assert (one.outcome, one.entity_id, one.by, one.weak) == ("one", 1, "email", {2: "phone"})
    new = matched({PHONE: [2]})
    assert (new.outcome, new.entity_id, new.weak) == ("new", None, {2: "phone"})
    assert matched({EMAIL: [2, 1]}).candidates == (1, 2)


def test_whom_a_person_ruled_out_is_no_candidate() -> None:
    assert matched({EMAIL: [1]}, apart={1}).outcome == "new"
    assert matched({EMAIL: [1, 2]}, apart={1}).entity_id == 2


def test_a_strong_key_that_brought_enough_records_of_one_stream_is_not_believed() -> None:
    full = matched({EMAIL: [1]}, here={1: 2})
    assert (full.outcome, [(each.name, each.value) for each in full.crowded]) == ("new", [EMAIL])
    assert matched({EMAIL: [1]}, here={1: 1}).entity_id == 1


def test_a_key_that_too_many_share_says_nothing_whatever_its_strength() -> None:
    strong, weak = matched({EMAIL: [1, 2, 3, 4]}), matched({PHONE: [1, 2, 3, 4]})
    assert (strong.outcome, len(strong.crowded)) == ("new", 1)
    assert (weak.weak, len(weak.crowded)) == ({}, 1)
    assert len(matched({PHONE: [1, 2, 3]}).weak) == 3


# What is compared


def test_features_follow_from_the_fields_and_a_type_without_a_name_has_none() -> None:
    assert [each.name for each in features_of(CONTACT)] == [
        "email", "phone", "first_name", "last_name", "address", "birthday"
    ]  # fmt: skip
    assert features_of(EntityType(name="order", fields={"phone": CONTACT.fields["phone"]})) == ()
    assert features_of(EntityType(name="note", fields={"name": CONTACT.fields["name"]})) == ()


def test_a_row_has_no_case_no_accents_and_no_runs_of_blanks() -> None:
    values = {
        "email": "Ann@Example.org", "name": {"first_name": " José  Maria", "last_name": "MÜLLER"},
        "address": {"street": "Am Weg 1", "postal_code": "10115", "city": None}, "phone": None,
    }  # fmt: skip
    row = row_of(CONTACT, features_of(CONTACT), values)
    assert (row["first_name"], row["last_name"], row["email"]) == ("jose maria", "muller", "ann@example.org")
    assert (row["address"], row["address_place"], row["address_town"], row["phone"]) == (
        "am weg 1 10115", "10115", None, None,
    )  # fmt: skip
    assert folded("  ") is None


def test_nobody_is_compared_for_having_the_address_of_an_office() -> None:
    features = features_of(CONTACT)
    blocks = blocks_of(features, {"email": "info@example.org", "first_name": "ann", "last_name": "lee"})
    assert (blocks["email_stem"], blocks["email"], blocks["named"]) == (None, "info@example.org", "lee|ann")
    assert blocks.keys() == blocks_of(features, {}).keys(), "the same rules for every row"


def test_levels_are_shares_of_all_pairs() -> None:
    for feature in features_of(CONTACT):
        for total in (sum(level.m for level in feature.levels), sum(level.u for level in feature.levels)):
            assert abs(total - 1.0) < 0.001, feature.name
    assert prior(0) == prior(1) == 0.01
    assert prior(1_000_000) == pytest.approx(2e-7)


# A split, field by field


def decision(value: Json, *, changed: bool = False, version: int = 3) -> Decision:
    state = FieldState(value=value, version=version)
    return Decision(state=state, changed=changed, losers=(), winner=None, open=False, decided_by="rule:newest")


def test_what_differs_from_the_joint_value_is_a_new_version_blanks_too() -> None:
    joint = FieldState(value="joint", version=8)
    other = after_split(decision("own"), joint, version=9, given=True)
    assert (other.state.version, other.changed, other.state.withdrawn) == (9, True, False)
    blank = after_split(decision(None), joint, version=9, given=True)
    assert (blank.state.version, blank.state.withdrawn) == (9, True)
    same = after_split(decision("joint"), joint, version=9, given=True)
    assert (same.state.version, same.changed) == (8, False)


def test_what_no_system_was_given_needs_no_writing_back() -> None:
    quiet = after_split(decision("own"), FieldState(value="joint", version=8), version=9, given=False)
    assert (quiet.state.version, quiet.changed) == (3, True)


def test_a_withdrawn_blank_is_written_where_blanks_are_kept_and_is_kept_in_the_store() -> None:
    stream = people("fields: {phone: {remote: Phone, transforms: [{phone: {region: DE}}]}}")
    field = stream.entity_type.fields["phone"]
    cell = Cell(held="+4930111", agreed=5)
    assert is_due(field, cell, FieldState(value=None, version=9), stream, None) == ""
    gone = FieldState(value=None, version=9, withdrawn=True)
    assert is_due(field, cell, gone, stream, None) == "due"
    assert unpack_fields(pack_fields({"phone": gone}), {"phone": None}) == {"phone": gone}


def test_a_consent_heard_while_they_were_one_binds_both() -> None:
    field = CanonicalField(
        name="consent.email", type="consent", kind="consent", survivorship=Survivorship(rule="consent")
    )
    out = {"state": "opted_out", "at": None, "source": None}
    joint = FieldState(value=out, version=8, memory={WHOLE: Claim(1, out, 5.0, 6.0, NO_VERSION, 8)})
    assert heard_since(field, joint, 7)
    assert not heard_since(field, joint, 9), "heard before they were one"
    assert not heard_since(TEXT, joint, 7)
    voices = {2: Voice(link=2, connection="crm", connector="crm", rank=0, speaks=True)}
    for own in (
        FieldState(),
        FieldState(value={**out, "state": "opted_in", "at": "1970-01-01T00:00:01Z", "source": "f"}),
    ):
        assert decide_field(field, {}, own, voices, version=9, also=[joint]).state.value == out
