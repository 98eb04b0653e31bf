"""Each named pair: what it reads, what it writes, what it refuses; and that all of them are documented."""

from __future__ import annotations

import pytest

from hub.core.canonical import CanonicalField, EntityType
from hub.core.formats import MappingFault
from hub.core.mapping import View
from hub.core.transforms import PLUG_INS, Place, Step, Transform, bind, register, table
from hub.core.transforms_texts import join_name, split_name
from hub.model import Json

ADDRESS = CanonicalField(
    name="address", type="group", kind="group", parts={"street": "text", "city": "text", "country": "country"}
)
NAME = CanonicalField(
    name="name",
    type="group",
    kind="group",
    parts={"first_name": "text", "middle_name": "text", "last_name": "text", "suffix": "text"},
)
PHONE = CanonicalField(name="phone", type="phone")
CONTACT = EntityType(name="contact", fields={"address": ADDRESS, "name": NAME, "phone": PHONE})


def step(name: str, options: Json = None, *, kind: str = "text", field: CanonicalField | None = None) -> Step:
    field = field or CanonicalField(name="f", type=kind)
    return bind(table()[name], options, Place(type=kind, field=field, entity=CONTACT, remote="remote", currency="EUR"))


def read(bound: Step, value: Json, record: Json = None, values: Json = None) -> Json:
    if bound.inward_in is not None:
        return bound.inward_in(value, View(record or {}, values or {}))
    return bound.inward(value) if bound.inward is not None else value


def write(bound: Step, value: Json) -> Json:
    return bound.outward(value) if bound.outward is not None else value


@pytest.mark.parametrize(
    ("name", "options", "kind", "there", "here", "back"),
    [
        ("trim", None, "text", " a  b ", "a  b", "a  b"),
        ("collapse", None, "text", " a  b ", "a b", "a b"),
        ("lower", None, "text", "Ann", "ann", "ann"),
        ("upper", None, "text", "Ann", "ANN", "ANN"),
        ("title", None, "text", "ANN d'arc", "Ann D'arc", "Ann D'arc"),
        ("cut", 3, "text", "abcdef", "abcdef", "abc"),
        ("blank_words", ["N/A", "-"], "text", " n/a", None, None),
        ("blank_words", "none", "phone", "12", "12", "12"),
        ("replace", {"M": "male", "F": "female"}, "text", "M", "male", "M"),
        ("replace", {"M": "male"}, "text", "x", "x", "x"),
        ("country", "name", "country", "Germany", "DE", "Germany"),
        ("country", "alpha3", "country", "DEU", "DE", "DEU"),
        ("join", ";", "set", "b; a;;", ["b", "a"], "b;a"),
        ("number", {"decimal_mark": ",", "group_mark": "."}, "decimal", "1.234,50", "1234.50", "1234,50"),
        ("number", {"group_mark": ","}, "decimal", "1,234.50", "1234.50", "1234.50"),
        ("json_number", None, "decimal", "12.5", "12.5", 12.5),
        ("json_number", None, "decimal", "12", "12", 12),
        ("text", None, "integer", "12", "12", "12"),
        ("text", None, "boolean", "true", "true", "true"),
        ("bool_words", {"true": ["Yes", "Y"], "false": "No"}, "boolean", "y", True, "Yes"),
        ("bool_words", {"true": "Ja", "false": "Nein"}, "boolean", "NEIN", False, "Nein"),
        ("epoch_s", None, "instant", 1793606400, "2026-11-02T08:00:00Z", 1793606400),
        ("epoch_ms", None, "instant", "1793606400123", "2026-11-02T08:00:00.123Z", 1793606400123),
        ("epoch_ms", None, "instant", -1, "1969-12-31T23:59:59.999Z", -1),
        ("epoch_ms_utc_midnight", None, "date", 1793577600000, "2026-11-02", 1793577600000),
        ("epoch_ms_utc_midnight", {"as": "text"}, "date", "2026-11-02", "2026-11-02", "1793577600000"),
        ("day_of_moment", None, "date", "2026-11-02T15:30:00.000Z", "2026-11-02", "2026-11-02T00:00:00Z"),
        ("day_of_moment", "Europe/Berlin", "date", "2026-11-02T23:30:00Z", "2026-11-03", "2026-11-02T23:00:00Z"),
        ("local", "Asia/Kolkata", "instant", "2026-11-02 13:30:00", "2026-11-02T08:00:00Z", "2026-11-02 13:30:00"),
        ("local", {"zone": "Europe/Berlin", "sep": "T"}, "instant", "2026-07-01T10:00:00", "2026-07-01T08:00:00Z",
         "2026-07-01T10:00:00"),
        ("iso", None, "instant", "2026-11-02T08:00:00Z", "2026-11-02T08:00:00Z", "2026-11-02T08:00:00Z"),
        ("date", "DD.MM.YYYY", "date", "2.11.2026", "2026-11-02", "02.11.2026"),
        ("date", "YYYYMMDD", "date", "20261102", "2026-11-02", "20261102"),
        ("date", "MM/DD/YYYY", "date", "11/02/2026", "2026-11-02", "11/02/2026"),
    ],
)  # fmt: skip
def test_a_pair_reads_and_writes(name: str, options: Json, kind: str, there: Json, here: Json, back: Json) -> None:
    bound = step(name, options, kind=kind)
    assert read(bound, there) == here
    if here is not None:
        assert write(bound, here if kind != "boolean" or isinstance(here, bool) else here == "true") == back


@pytest.mark.parametrize(
    ("name", "options", "kind", "there", "code"),
    [
        ("number", {"decimal_mark": ",", "group_mark": "."}, "decimal", "12.50", "MAP-106"),
        ("number", {"decimal_mark": ","}, "decimal", "12.50", "MAP-106"),
        ("bool_words", {"true": "Yes", "false": "No"}, "boolean", "perhaps", "MAP-104"),
        ("epoch_s", None, "instant", "10" * 10, "MAP-109"),
        ("epoch_s", None, "instant", "soon", "MAP-106"),
        ("epoch_ms_utc_midnight", None, "date", 1793606400000, "MAP-108"),
        ("local", "Europe/Berlin", "instant", "2026-10-25 02:30:00", "MAP-109"),
        ("local", "Europe/Berlin", "instant", "2026-03-29 02:30:00", "MAP-109"),
        ("local", "Europe/Berlin", "instant", "soon", "MAP-109"),
        ("date", "DD.MM.YYYY", "date", "31.02.2026", "MAP-108"),
        ("date", "DD.MM.YYYY", "date", "02.11.26", "MAP-108"),
        ("date", "YYYYMMDD", "date", "2026112", "MAP-108"),
        ("opt_out_flag", None, "consent", "perhaps", "MAP-104"),
        ("marketing_state", None, "consent", "SUBSCRIBED", "MAP-160"),
    ],
)
def test_what_a_pair_cannot_read_it_refuses(name: str, options: Json, kind: str, there: Json, code: str) -> None:
    with pytest.raises(MappingFault) as refusal:
        read(step(name, options, kind=kind), there)
    assert refusal.value.code == code


@pytest.mark.parametrize(
    ("name", "options", "kind", "here", "code"),
    [
        ("join", ";", "set", ["a;b"], "MAP-115"),
        ("json_number", None, "decimal", "0.12345678901234567890", "MAP-107"),
        ("blank_words", "none", "text", "None", "MAP-114"),
        ("replace", {"M": "male"}, "text", "M", "MAP-114"),
        ("local", "Europe/Berlin", "instant", "2026-10-25T00:30:00Z", "MAP-109"),
        ("major_decimal", None, "money", {"minor": 100, "currency": "USD"}, "MAP-154"),
    ],
)
def test_what_a_pair_cannot_write_it_refuses(name: str, options: Json, kind: str, here: Json, code: str) -> None:
    with pytest.raises(MappingFault) as refusal:
        write(step(name, options, kind=kind), here)
    assert refusal.value.code == code


@pytest.mark.parametrize(
    ("name", "options", "kind", "code"),
    [
        ("lower", None, "phone", "MAP-005"),
        ("full_name", None, "text", "MAP-005"),
        ("cut", None, "text", "MAP-004"),
        ("cut", 0, "text", "MAP-004"),
        ("cut", "3", "text", "MAP-004"),
        ("cut", True, "text", "MAP-004"),
        ("trim", "x", "text", "MAP-004"),
        ("join", "", "set", "MAP-004"),
        ("country", "long", "country", "MAP-004"),
        ("phone", {"region": "XX"}, "phone", "MAP-004"),
        ("phone", {"regoin": "DE"}, "phone", "MAP-004"),
        ("phone", {"region_from": "city"}, "phone", "MAP-025"),
        ("local", "Mars/Base", "instant", "MAP-004"),
        ("local", "../../etc", "instant", "MAP-004"),
        ("date", "DD.MM.YY", "date", "MAP-004"),
        ("date", "DDxMMxYYYYx", "date", "MAP-004"),
        ("number", {"decimal_mark": ",", "group_mark": ","}, "decimal", "MAP-004"),
        ("bool_words", {"true": "Yes"}, "boolean", "MAP-004"),
        ("bool_words", {"true": "Yes", "false": "YES"}, "boolean", "MAP-004"),
    ],
)
def test_wrong_options_and_types_are_found_at_load(name: str, options: Json, kind: str, code: str) -> None:
    with pytest.raises(MappingFault) as refusal:
        step(name, options, kind=kind)
    assert refusal.value.code == code


def test_a_phone_is_read_by_the_country_of_its_own_record() -> None:
    bound = step("phone", {"region_from": "country"}, kind="phone", field=PHONE)
    assert read(bound, "030 1234567", values={"address": {"country": "DE"}}) == "+49301234567"
    assert read(bound, "01 58858", values={"address": {"country": "AT"}}) == "+43158858"
    with pytest.raises(MappingFault) as refusal:
        read(bound, "030 1234567", values={"address": {"country": None}})
    assert refusal.value.code == "MAP-121"


def test_an_extension_is_dropped_only_where_that_is_said() -> None:
    keeps, drops = step("phone", kind="phone"), step("phone", {"extension": "drop"}, kind="phone")
    assert read(drops, "+1 202 224 3441 ext. 5") == "+12022243441"
    assert drops.loses == "extensions of phone numbers"
    assert keeps.loses == ""
    with pytest.raises(MappingFault) as refusal:
        read(keeps, "+1 202 224 3441 ext. 5")
    assert refusal.value.code == "MAP-123"


@pytest.mark.parametrize(
    ("text", "first", "last", "suffix"),
    [
        ("Ada Byron", "Ada", "Byron", None),
        ("Ada Maria  Byron", "Ada Maria", "Byron", None),
        ("Byron, Ada", "Ada", "Byron", None),
        ("Sammy Davis Jr.", "Sammy", "Davis", "Jr."),
        ("Sammy Davis, Jr.", "Sammy", "Davis", "Jr."),
        ("李小龙", None, "李小龙", None),
        ("Robert “Bobby” Scott", "Robert “Bobby”", "Scott", None),
        ("María de la Cruz", "María de la", "Cruz", None),
    ],
)
def test_a_full_name_is_split_and_settles_when_joined(
    text: str, first: str | None, last: str, suffix: str | None
) -> None:
    parts = split_name(text)
    assert parts == {"first_name": first, "middle_name": None, "last_name": last, "suffix": suffix}
    assert split_name(join_name(parts)) == parts


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Amy Klobuchar", {"first_name": "Amy", "last_name": "Klobuchar"}),
        ("Roger F. Wicker", {"first_name": "Roger", "middle_name": "F.", "last_name": "Wicker"}),
        (
            'Henry C. "Hank" Johnson, Jr.',
            {"first_name": "Henry", "middle_name": "C.", "last_name": "Johnson", "suffix": "Jr."},
        ),
        ("Robert “Bobby” Scott", {"first_name": "Robert", "last_name": "Scott"}),
        ("Matt Van Epps", {"first_name": "Matt", "middle_name": "Van", "last_name": "Epps"}),
        ("Byron, Ada Maria", {"first_name": "Ada", "middle_name": "Maria", "last_name": "Byron"}),
        ("Cher", {"last_name": "Cher"}),
        ('"Chuy"', {"last_name": '"Chuy"'}),
    ],
)
def test_a_full_name_with_its_own_middle_name_says_only_what_is_there(text: str, parts: Json) -> None:
    bound = step("full_name", {"middle": "own"}, kind="group", field=NAME)
    assert read(bound, text) == parts


def test_a_joined_name_has_all_its_parts_once() -> None:
    parts = {"salutation": "Dr.", "first_name": "Amy", "middle_name": "Jean", "last_name": "Klobuchar", "suffix": None}
    assert join_name(parts) == "Amy Jean Klobuchar"


def test_two_lines_stand_in_two_fields() -> None:
    bound = step("lines", "address.line2")
    assert read(bound, "Weg 1", {"address": {"line2": "Hof"}}) == "Weg 1\nHof"
    assert read(bound, "Weg 1", {"address": {"line2": None}}) == "Weg 1"
    body: dict[str, Json] = {}
    assert bound.put is not None
    bound.put(body, "Weg 1\nHof\nlinks")
    assert (write(bound, "Weg 1\nHof\nlinks"), body) == ("Weg 1", {"address": {"line2": "Hof, links"}})


@pytest.mark.parametrize(
    ("options", "record", "there", "here"),
    [
        ({"currency_from": "currency"}, {"currency": "eur"}, 1250, {"minor": 1250, "currency": "EUR"}),
        ({"currency_from": "currency"}, {"currency": "jpy"}, 1250, {"minor": 1250, "currency": "JPY"}),
        (
            {"currency_from": "currency", "exponents": {"UGX": 2}},
            {"currency": "ugx"},
            500,
            {"minor": 5, "currency": "UGX"},
        ),
        ({"currency": "USD"}, {}, 99, {"minor": 99, "currency": "USD"}),
        (None, {}, 99, {"minor": 99, "currency": "EUR"}),
    ],
)
def test_money_in_minor_units_keeps_every_unit(options: Json, record: Json, there: int, here: Json) -> None:
    bound = step("minor_units", options, kind="money")
    assert read(bound, there, record) == here
    assert write(bound, here) == there


def test_money_in_whole_units_is_exact_and_never_rounded() -> None:
    bound = step("major_decimal", {"currency_from": "code"}, kind="money")
    assert read(bound, "0.1", {"code": "EUR"}) == {"minor": 10, "currency": "EUR"}
    assert read(bound, 1250.5, {"code": "EUR"}) == {"minor": 125050, "currency": "EUR"}
    assert read(bound, "12.345", {"code": "KWD"}) == {"minor": 12345, "currency": "KWD"}
    for amount, code, fault in (
        ("0.001", "EUR", "MAP-155"),
        ("1.5", "JPY", "MAP-155"),
        ("1", None, "MAP-153"),
        ("1", "XXZ", "MAP-152"),
    ):
        with pytest.raises(MappingFault) as refusal:
            read(bound, amount, {"code": code})
        assert refusal.value.code == fault
    body: dict[str, Json] = {}
    assert bound.put is not None
    bound.put(body, {"minor": 10, "currency": "EUR"})
    assert (write(bound, {"minor": 10, "currency": "EUR"}), body) == ("0.1", {"code": "EUR"})


OUT = {"state": "opted_out", "at": None, "source": None}


def test_a_ticked_box_is_an_opt_out_and_an_unticked_one_says_nothing() -> None:
    flag, text = step("opt_out_flag", kind="consent"), step("opt_out_flag", {"as": "text"}, kind="consent")
    assert [read(flag, each) for each in (True, "true", False, "false")] == [OUT, OUT, None, None]
    assert [write(flag, each) for each in (OUT, {"state": "opted_in", "at": None, "source": None})] == [True, False]
    assert write(text, OUT) == "true"


def test_an_opt_in_without_its_moment_is_no_evidence() -> None:
    bound = step("marketing_state", kind="consent")
    at = "2026-11-02T08:00:00Z"
    assert read(bound, {"marketingState": "SUBSCRIBED", "marketingUpdatedAt": at}) == {
        "state": "opted_in", "at": at, "source": "shopify",
    }  # fmt: skip
    assert read(bound, {"marketingState": "SUBSCRIBED", "marketingUpdatedAt": None}) is None
    assert read(bound, {"marketingState": "PENDING", "marketingUpdatedAt": at}) is None
    assert read(bound, {"marketingState": "UNSUBSCRIBED"})["state"] == "opted_out"


def test_an_answer_that_agrees_opts_in_at_its_moment_and_one_that_does_not_withdraws_nothing() -> None:
    bound = step("consent_answer", {"at": "submitted_at", "source": "quiz"}, kind="consent")
    record = {"submitted_at": "2026-11-02T08:00:00Z"}
    assert read(bound, True, record) == {"state": "opted_in", "at": "2026-11-02T08:00:00Z", "source": "quiz"}
    assert read(bound, "Yes", record)["state"] == "opted_in"
    assert read(bound, False, record) is None
    assert read(bound, True, {}) is None
    assert not bound.two_way


def test_every_pair_says_what_it_does_and_what_its_options_are() -> None:
    assert len(table()) >= 25
    for name, entry in table().items():
        assert entry.name == name
        assert entry.text.endswith(".")
        assert entry.types
        assert all(option.text for option in entry.options.values())
        assert not entry.alone or entry.alone in entry.options


def test_a_plug_in_joins_under_a_name_of_its_own() -> None:
    reverse = Transform(
        name="reverse", wire=False, types=("text",), text="Reverses.",
        make=lambda options, place: Step(inward=lambda v: v[::-1], outward=lambda v: v[::-1]),
    )  # fmt: skip
    with pytest.raises(ValueError, match="trim"):
        register(Transform(name="trim", wire=False, types=("text",), text="Mine.", make=reverse.make))
    register(reverse)
    try:
        assert read(step("reverse"), "abc") == "cba"
    finally:
        PLUG_INS.remove(reverse)
