"""Records in, bodies out: cells, groups, references, blanks, what is sent and what is left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from hub.core.mapping import Outward, StreamMapping, blank_policy, external_id_of, held_form, to_canonical, to_external
from hub.core.mapping_file import Hub
from hub.model import Json, Reference, SourceRecord
from tests.core.language import people, people_text, read_file


def record(**data: Json) -> SourceRecord:
    return SourceRecord(external_id="1", data=data)


def out(
    mapping: StreamMapping,
    values: Mapping[str, Json],
    *,
    changed: Iterable[str] | None = None,
    ids: Mapping[tuple[str, int], str] | None = None,
    creating: bool = False,
) -> Outward:
    return to_external(
        mapping, values, changed=values if changed is None else changed, external_ids=ids or {}, creating=creating
    )


# Inward


def test_missing_blank_and_value_are_three_things() -> None:
    mapping = people("fields: {note: {remote: Note}, vip: {remote: Vip}, visits: {remote: Visits}}")
    read = to_canonical(mapping, record(Note="  ", Vip=False))
    assert read.values == {"note": None, "vip": False}
    assert to_canonical(mapping, record(Note="", Visits=0)).values == {"note": None, "visits": 0}


def test_a_null_on_the_way_is_blank_and_a_hole_is_missing() -> None:
    mapping = people("fields: {note: {remote: a.b.c}}")
    assert to_canonical(mapping, record(a=None)).values == {"note": None}
    assert to_canonical(mapping, record(a={"b": {}})).values == {}
    assert to_canonical(mapping, record(a={"b": {"c": "x"}})).values == {"note": "x"}
    assert to_canonical(mapping, record(a="text")).values == {}


def test_a_bad_value_is_a_fault_of_its_cell_and_the_rest_goes_on() -> None:
    mapping = people("fields: {email: {remote: Email}, note: {remote: Note}}")
    read = to_canonical(mapping, record(Email="nobody", Note="hello"))
    assert read.values == {"note": "hello"}
    (fault,) = read.faults
    assert (fault.code, fault.field, fault.value) == ("MAP-110", "email", "nobody")
    assert fault.fix


def test_a_group_is_given_with_the_parts_that_are_there() -> None:
    mapping = people("fields: {first_name: {remote: First}, last_name: {remote: Last, transforms: [trim]}}")
    assert to_canonical(mapping, record(First="Ann", Last=" Byron ")).values == {
        "name": {"first_name": "Ann", "last_name": "Byron"}
    }
    assert to_canonical(mapping, record(Last=None)).values == {"name": {"last_name": None}}
    assert to_canonical(mapping, record()).values == {}


def test_a_bad_part_keeps_its_whole_group_out() -> None:
    flat = people("fields: {city: {remote: City}, country: {remote: Country}}")
    nested = people("fields: {city: {remote: a.City}, country: {remote: a.Country}}")
    for mapping, data in (
        (flat, {"City": "Rom", "Country": "Atlantis"}),
        (nested, {"a": {"City": "Rom", "Country": "Atlantis"}}),
    ):
        read = to_canonical(mapping, record(**data))
        assert read.values == {}
        assert [fault.code for fault in read.faults] == ["MAP-140"]


def test_a_phone_waits_for_the_country_of_its_record_wherever_that_stands() -> None:
    mapping = people(
        """
        fields:
          phone: {remote: Phone, transforms: [{phone: {region_from: country}}]}
          country: {remote: deep.Country}
        """
    )
    assert to_canonical(mapping, record(Phone="01 58858", deep={"Country": "AT"})).values["phone"] == "+43158858"
    assert to_canonical(mapping, record(Phone="030 1234567")).values == {"phone": "+49301234567"}  # the hub's country


def test_a_reference_is_given_not_resolved() -> None:
    mapping = people("fields: {company: {remote: FirmId, to: firms}}")
    assert to_canonical(mapping, record(FirmId=7)).references == {"company": Reference("firms", "7")}
    assert to_canonical(mapping, record(FirmId="")).references == {"company": None}
    read = to_canonical(mapping, record())
    assert (read.references, read.values) == ({}, {})
    read = to_canonical(mapping, record(FirmId={"id": 7}))
    assert (read.references, [fault.code for fault in read.faults]) == ({}, ["MAP-170"])


def test_words_the_mapping_does_not_know_are_refused_or_left_alone_as_it_says() -> None:
    strict = people("fields: {stage: {remote: Stage, values: {lead: L, mql: M, customer: C}}}")
    lenient = people("fields: {stage: {remote: Stage, values: {lead: L, mql: M}, unknown: {in: skip, out: skip}}}")
    assert [fault.code for fault in to_canonical(strict, record(Stage="X")).faults] == ["MAP-116"]
    read = to_canonical(lenient, record(Stage="X"))
    assert (read.values, read.faults) == ({}, ())
    assert to_canonical(lenient, record(Stage="M")).values == {"stage": "mql"}
    assert out(strict, {"stage": "customer"}).body == {"Stage": "C"}
    assert out(lenient, {"stage": "customer"}).skipped["stage"].code == "MAP-OUT-SKIPPED"


def test_many_words_for_one_value_are_all_read_and_the_preferred_one_is_written() -> None:
    mapping = people(
        """
        fields:
          stage: {remote: Stage, values: {lead: [Cold, Warm], mql: Hot, customer: Hot}, prefer: [Warm, customer]}
        """
    )
    assert [to_canonical(mapping, record(Stage=word)).values["stage"] for word in ("Cold", "Warm", "Hot")] == [
        "lead", "lead", "customer",
    ]  # fmt: skip
    assert out(mapping, {"stage": "lead"}).body == {"Stage": "Warm"}
    assert out(mapping, {"stage": "mql"}).body == {"Stage": "Hot"}
    assert held_form(mapping, "stage", "mql") == "customer"


def test_words_may_be_true_and_false_and_numbers() -> None:
    mapping = people(
        """
        fields:
          vip: {remote: Vip, values: {true: 1, false: 0}}
          stage: {remote: S, values: {lead: false, mql: true}}
        """
    )
    assert to_canonical(mapping, record(Vip=1, S=False)).values == {"vip": True, "stage": "lead"}
    assert to_canonical(mapping, record(Vip="0", S="true")).values == {"vip": False, "stage": "mql"}
    assert out(mapping, {"vip": True, "stage": "lead"}).body == {"Vip": 1, "S": False}


def test_a_set_of_words_is_translated_one_by_one() -> None:
    mapping = people('fields: {tags: {remote: Tags, wire: {join: ";"}, values: {Golf: g, Tennis: t}}}')
    assert to_canonical(mapping, record(Tags="t;g")).values == {"tags": ["Golf", "Tennis"]}
    assert out(mapping, {"tags": ["Golf", "Tennis"]}).body == {"Tags": "g;t"}


def test_blanks_around_an_element_of_a_set_do_not_count() -> None:
    mapping = people('fields: {email: {remote: E}, tags: {remote: Tags, wire: {join: ";"}}}')
    sent = out(mapping, {"tags": ["a ", "b"]})
    assert (sent.body, sent.sent) == ({"Tags": "a;b"}, {"tags": ["a", "b"]})


def test_an_answer_is_found_by_its_ref_or_type_and_a_skipped_question_is_missing() -> None:
    mapping = people(
        """
        direction: in
        fields:
          email: {remote: {answer_type: email}}
          first_name: {remote: {answer: first}}
          tags: {remote: {answer: likes}}
          note: {remote: {answer: size, take: ref}}
          visits: {remote: {answer: count}}
        """
    )
    answers = [
        {"field": {"ref": "x", "id": "1"}, "type": "email", "email": "ann@example.com"},
        {"field": {"ref": "first", "id": "2"}, "type": "text", "text": "Ann"},
        {"field": {"ref": "likes", "id": "3"}, "type": "choices", "choices": {"labels": ["b", "a"], "other": "c"}},
        {"field": {"ref": "s", "id": "size"}, "type": "choice", "choice": {"id": "i", "ref": "r", "label": "Small"}},
    ]
    assert to_canonical(mapping, record(answers=answers)).values == {
        "email": "ann@example.com", "name": {"first_name": "Ann"}, "tags": ["a", "b", "c"], "note": "r",
    }  # fmt: skip
    assert to_canonical(mapping, record(token="t")).values == {}
    answers[2]["choices"] = {"labels": True}  # no list, as a hostile sender might have it
    assert [each.field for each in to_canonical(mapping, record(answers=answers)).faults] == ["tags"]


def test_an_association_is_read_by_its_name() -> None:
    mapping = people("fields: {company: {remote: {association: person_to_firm}, to: firms}}")
    results = [{"id": "8", "type": "old_firm"}, {"id": "9", "type": "person_to_firm"}]
    associations = {"firms": {"results": results}}
    assert to_canonical(mapping, record(associations=associations)).references == {"company": Reference("firms", "9")}
    assert to_canonical(mapping, record(associations={})).references == {"company": None}
    assert to_canonical(mapping, record(x=1)).references == {}
    assert out(mapping, {"company": 5}, ids={("firms", 5): "9"}).body == {"associations": {"person_to_firm": "9"}}
    assert mapping.associations == ("firms",)


def test_a_root_stands_for_every_path_and_a_slash_leaves_it() -> None:
    mapping = people(
        "{root: properties, fields: {note: {remote: note}, visits: {remote: /meta.visits, direction: in}}}"
    )
    read = to_canonical(mapping, record(properties={"note": "a"}, meta={"visits": 3}))
    assert read.values == {"note": "a", "visits": 3}
    assert to_canonical(mapping, record(properties=None)).values == {}
    assert to_canonical(mapping, record(properties="text")).values == {}
    assert out(mapping, {"note": "b"}).body == {"note": "b"}


def test_headers_of_a_table_are_keys_dots_and_all() -> None:
    text = people_text("fields: {note: {remote: Account.Name}, city: {remote: State/Region}}").replace(
        "connector: crm", "connector: csv"
    )
    file, faults = read_file(text)
    assert faults == []
    mapping = file.streams["people"]
    assert to_canonical(mapping, record(**{"Account.Name": "x", "State/Region": "y"})).values == {
        "note": "x", "address": {"city": "y"},
    }  # fmt: skip
    assert out(mapping, {"note": "z"}).body == {"Account.Name": "z"}


def test_a_deleted_record_says_nothing_about_its_fields() -> None:
    mapping = people("fields: {note: {remote: Note}, stage: {constant: lead, direction: in}}")
    assert to_canonical(mapping, SourceRecord(external_id="1", data={}, op="delete")).values == {}
    assert to_canonical(mapping, record(Note="x")).values == {"note": "x", "stage": "lead"}


def test_a_second_reading_has_its_own_id_and_moment() -> None:
    file, faults = read_file(
        """
connector: crm
language: 1
streams:
  forms: {entity: company, direction: in, fields: {name: {remote: form}, head: {remote: token, to: people}}}
  people: {from: forms, entity: contact, id: token, claims_at: sent, fields: {email: {remote: mail}}}
"""
    )
    assert faults == []
    mapping = file.streams["people"]
    sent = record(token="t1", mail="ann@example.com", sent="2026-11-02T08:00:00Z")
    assert (mapping.source, mapping.acts, mapping.direction) == ("forms", True, "in")
    assert external_id_of(mapping, sent) == "t1"
    assert external_id_of(mapping, record(mail="x")) is None
    assert to_canonical(mapping, sent).acted_at == 1793606400.0
    assert to_canonical(mapping, record(sent=1793606400)).acted_at == 1793606400.0
    assert to_canonical(mapping, record(sent="soon")).acted_at is None


def test_what_to_ask_the_system_for_is_known() -> None:
    mapping = people(
        """
        fields:
          note: {remote: a.b}
          spent: {remote: Amount, wire: {major_decimal: {currency_from: Code}}}
          first_name: {remote: {in: First, out: first}}
          street: {remote: L1, wire: {lines: L2}, lossy: accept}
        """
    )
    assert mapping.remote_fields == ("a.b", "Amount", "Code", "First", "L1", "L2")
    assert mapping.in_fields == mapping.out_fields == {"note", "spent", "name", "address"}


# Outward


def test_only_what_changed_is_written_and_a_group_is_written_whole() -> None:
    mapping = people("fields: {note: {remote: Note}, first_name: {remote: First}, last_name: {remote: Last}}")
    values = {"note": "n", "name": {"first_name": "Ann", "last_name": None}}
    assert out(mapping, values, changed=["name"]).body == {"First": "Ann", "Last": None}
    assert out(mapping, values, changed=["name"]).sent == {"name": {"first_name": "Ann", "last_name": None}}
    assert out(mapping, values, changed=[]).body == {}


def test_a_changed_field_that_is_blank_is_cleared_and_a_create_clears_nothing() -> None:
    mapping = people("fields: {note: {remote: a.Note}, city: {remote: a.City}, country: {remote: a.Country}}")
    values = {"note": None, "address": {"city": "Rom", "country": None}}
    assert out(mapping, values).body == {"a": {"Note": None, "City": "Rom", "Country": None}}
    assert out(mapping, values, creating=True).body == {"a": {"City": "Rom"}}


def test_lists_are_made_on_the_way_out() -> None:
    mapping = people(
        """
        fields:
          city: {remote: {in: main.city, out: addresses.0.city}}
          country: {remote: {in: main.cc, out: addresses.0.cc}}
        """
    )
    assert out(mapping, {"address": {"city": "Rom", "country": "IT"}}).body == {
        "addresses": [{"city": "Rom", "cc": "IT"}]
    }


def test_a_value_that_cannot_be_written_is_left_out_and_listed() -> None:
    mapping = people("fields: {note: {remote: Note, max: 3}, email: {remote: Email}}")
    sent = out(mapping, {"note": "abcd", "email": "a@b.de"})
    assert (sent.body, sent.sent) == ({"Email": "a@b.de"}, {"email": "a@b.de"})
    assert sent.skipped["note"].code == "MAP-103"
    assert held_form(mapping, "note", "abcd") == "abcd"


def test_what_is_sent_is_what_the_system_will_be_able_to_say() -> None:
    mapping = people(
        """
        fields:
          note: {remote: Note, transforms: [{cut: 3}], lossy: accept}
          country: {remote: C, transforms: [{country: name}]}
        """
    )
    sent = out(mapping, {"note": "abcdef", "address": {"city": "Rom", "country": "IT"}})
    assert sent.body == {"Note": "abc", "C": "Italy"}
    assert sent.sent == {"note": "abc", "address": {"country": "IT"}}


def test_a_parent_without_a_link_waits_or_is_left_out_as_the_mapping_says() -> None:
    mapping = people("fields: {company: {remote: Firm, to: firms, missing: create}, boss: {remote: Boss, to: people}}")
    sent = out(mapping, {"company": 7, "boss": 8})
    assert sent.body == {}
    assert {name: fault.code for name, fault in sent.skipped.items()} == {
        "company": "MAP-PARENT-WAITS", "boss": "MAP-PARENT-NONE",
    }  # fmt: skip
    sent = out(mapping, {"company": 7, "boss": None}, ids={("firms", 7): "F7"})
    assert sent.body == {"Firm": "F7", "Boss": None}
    assert mapping.references == {"company": ("firms", "create"), "boss": ("people", "skip")}


def test_an_id_may_be_that_of_one_of_several_streams() -> None:
    text = people_text("fields: {boss: {remote: Boss, to: [people, leads]}}")
    file, faults = read_file(text + "  leads: {entity: contact, fields: {note: {remote: Note}}}\n")
    assert faults == []
    mapping = file.streams["people"]
    assert mapping.named == {"boss": ("people", "leads")}
    for told, meant in (
        ("7", Reference("people", "7")),
        ("leads:7", Reference("leads", "7")),
        ("firms:7", Reference("people", "firms:7")),  # no stream that may be named here
    ):
        assert to_canonical(mapping, record(Boss=told)).references == {"boss": meant}
    assert out(mapping, {"boss": 8}, ids={("leads", 8): "L8"}).body == {"Boss": "L8"}
    assert out(mapping, {"boss": 8}, ids={("leads", 8): "L8", ("people", 8): "P8"}).body == {"Boss": "P8"}
    assert out(mapping, {"boss": 8}).skipped["boss"].code == "MAP-PARENT-NONE"


def test_nothing_is_created_without_what_it_needs() -> None:
    mapping = people(
        """
        create: always
        fields:
          email: {remote: Email, required: create}
          last_name: {remote: Last, required: create}
        """
    )
    lacking = out(mapping, {"email": None, "name": {"first_name": "Ann", "last_name": None}}, creating=True)
    assert lacking.blocked
    assert {name: fault.code for name, fault in lacking.skipped.items()} == {
        "email": "MAP-REQUIRED",
        "name": "MAP-REQUIRED",
    }
    assert not out(mapping, {"email": "a@b.de", "name": {"last_name": "B"}}, creating=True).blocked
    assert not out(mapping, {"email": None}, creating=False).blocked


def test_money_writes_its_currency_beside_it() -> None:
    mapping = people("fields: {spent: {remote: amount, wire: {minor_units: {currency_from: currency}}}}")
    value = {"minor": 1250, "currency": "EUR"}
    assert to_canonical(mapping, record(amount=1250, currency="eur")).values == {"spent": value}
    assert out(mapping, {"spent": value}).body == {"amount": 1250, "currency": "eur"}
    assert held_form(mapping, "spent", value) == value


def test_unknown_consent_is_never_written_and_an_opt_out_goes_with_the_create() -> None:
    mapping = people(
        "{create: always, fields: {consent.email: {remote: OptOut, wire: opt_out_flag}, email: {remote: Email}}}"
    )
    gone = {"state": "opted_out", "at": "2026-01-01T00:00:00Z", "source": "form"}
    assert out(mapping, {"consent.email": None}).body == {}
    assert out(mapping, {"consent.email": gone, "email": "a@b.de"}, creating=True).body == {
        "OptOut": True,
        "Email": "a@b.de",
    }
    assert held_form(mapping, "consent.email", gone) == {"state": "opted_out", "at": None, "source": None}
    assert held_form(mapping, "consent.email", {"state": "opted_in", "at": None, "source": None}) is None


def test_what_is_computed_goes_along_when_what_it_looks_at_changed() -> None:
    mapping = people(
        """
        create: always
        fields:
          note: {remote: Note}
          tier:
            direction: out
            remote: Tier
            cases: [{when: "total >= 1000 and stage == 'customer'", set: gold}, {otherwise: none}]
          label: {direction: out, remote: Label, expr: "first_name + ' ' + last_name"}
        on_create: {Source: hub}
        """
    )
    values = {"note": "n", "total": "1000", "stage": "customer", "name": {"first_name": "Ann", "last_name": "Byron"}}
    assert out(mapping, values, changed=["note"]).body == {"Note": "n"}
    assert out(mapping, values, changed=["total"]).body == {"Tier": "gold"}
    assert out(mapping, {**values, "total": "999"}, changed=["stage"]).body == {"Tier": "none"}
    assert out(mapping, values, changed=["note"], creating=True).body == {
        "Note": "n", "Tier": "gold", "Label": "Ann Byron", "Source": "hub",
    }  # fmt: skip
    assert out(mapping, {**values, "name": None}, changed=["name"]).body == {"Label": None}


def test_what_is_only_read_is_never_written() -> None:
    mapping = people(
        """
        fields:
          note: {remote: Note, direction: in}
          first_name: {remote: First}
          last_name: {remote: Last, direction: in}
        """
    )
    assert out(mapping, {"note": "n", "name": {"first_name": "A", "last_name": "B"}}).body == {"First": "A"}
    assert mapping.out_fields == {"name"}


# Policies


@pytest.mark.parametrize(
    ("body", "values", "creates", "inside"),
    [
        ("{create: always, fields: {note: {remote: N}}}", {}, True, True),
        ("{fields: {note: {remote: N}}}", {}, False, True),
        ("{create: {when: \"stage in ('lead',)\"}, fields: {note: {remote: N}}}", {"stage": "lead"}, True, True),
        ("{create: {when: \"stage in ('lead',)\"}, fields: {note: {remote: N}}}", {}, False, True),
        (
            "{scope: {when: \"country == 'DE'\"}, fields: {note: {remote: N}}}",
            {"address": {"country": "DE"}},
            False,
            True,
        ),
        ("{scope: {when: \"country == 'DE'\"}, fields: {note: {remote: N}}}", {"address": None}, False, False),
    ],
)
def test_what_cannot_be_told_is_out_of_scope_and_not_created(
    body: str, values: Json, creates: bool, inside: bool
) -> None:
    mapping = people(body)
    assert mapping.allows_create(values) is creates
    assert mapping.in_scope(values) is inside


def test_a_mapping_may_narrow_what_a_blank_means() -> None:
    mapping = people(
        """
        fields:
          note: {remote: N, blank: {in: erase, out: clear}}
          email: {remote: E, blank: {in: {erase_if_from: [crm]}}}
          vip: {remote: V}
        """
    )
    assert (blank_policy(mapping, "note").inward, blank_policy(mapping, "note").outward) == ("erase", "clear")
    assert blank_policy(mapping, "email").erase_from == ("crm",)
    assert blank_policy(mapping, "vip").inward == "ignore"


def test_a_custom_field_joins_the_entity_type_with_its_bounds() -> None:
    mapping = people(
        "{fields: {note: {remote: N}}, custom: {shoe_size: {remote: Shoe, type: integer, min: 15, max: 60}}}"
    )
    assert mapping.entity_type.fields["shoe_size"].custom
    assert to_canonical(mapping, record(Shoe="42")).values == {"shoe_size": 42}
    assert [fault.code for fault in to_canonical(mapping, record(Shoe=420)).faults] == ["MAP-117"]
    assert out(mapping, {"shoe_size": 42}).body == {"Shoe": 42}


def test_the_hubs_currency_and_country_fill_what_the_file_leaves_open() -> None:
    text = people_text(
        "fields: {spent: {remote: Amount, wire: major_decimal}, phone: {remote: Phone, transforms: [phone]}}"
    )
    file, faults = read_file(text, hub=Hub(currency="CHF", country="CH"))
    assert faults == []
    read = to_canonical(file.streams["people"], record(Amount="12.50", Phone="044 668 18 00"))
    assert read.values == {"spent": {"minor": 1250, "currency": "CHF"}, "phone": "+41446681800"}
