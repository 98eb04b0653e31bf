"""The lens laws (reliability.md L11) over every shipped mapping, on generated values.

Equality is the type's `~`. A vendor is played by the least it must do: it keeps what it is given, and shows it under
the names that it is read by. What a vendor changes on save is its twin's business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

import mappings
from hub.core.canonical import CanonicalField
from hub.core.canonical_file import read_canonical
from hub.core.document import Sheet
from hub.core.mapping import StreamMapping
from hub.core.mapping_file import Hub, read_mapping
from hub.core.paths import make_getter, make_setter
from hub.core.values import is_blank, plain_decimal
from hub.model import Json
from hub.runtime.yaml import load_yaml
from hub.verify.mapping import frame, get_put, honesty, put_get, put_put, stability
from tests.shipped import FILES

FOLDER = Path(mappings.__file__).parent
CANONICAL = read_canonical(Sheet(load_yaml(FOLDER / "canonical.yaml")))
EXAMPLES = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def shipped() -> Iterator[StreamMapping]:
    for name in FILES:
        sheet = Sheet(load_yaml(FOLDER / f"{name}.yaml"))
        yield from read_mapping(sheet, CANONICAL, Hub(country="DE")).streams.values()


ALL = tuple(shipped())
WRITTEN = tuple(mapping for mapping in ALL if mapping.out_fields)


def paths_read(mapping: StreamMapping) -> list[str]:
    """Where its fields come from, in plain records."""
    return [path for rule in mapping.rules for path in (rule.remote_in, *rule.extra_in) if path and ":" not in path]


READ = tuple(mapping for mapping in ALL if paths_read(mapping))


def ids(mapping: StreamMapping) -> str:
    return f"{mapping.connector}.{mapping.name}"


# Values in their normal form

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=50)
SCALARS: Mapping[str, st.SearchStrategy[Json]] = {
    "text": texts.filter(lambda text: not text.isspace()),
    "email": st.builds(
        lambda local, host: f"{local}@{host}", st.from_regex(r"[a-zA-Z0-9]{1,8}(\.[a-z]{1,4})?", fullmatch=True),
        st.sampled_from(["example.com", "mail.example.co.uk", "bücher.example"]),
    ),
    "phone": st.from_regex(r"\+49(30|171)[1-9][0-9]{6}|\+1202[2-9][0-9]{6}|\+39061[0-9]{6}", fullmatch=True),
    "host": st.from_regex(r"[a-z]{1,8}\.(com|example|co\.uk)", fullmatch=True),
    "url": st.from_regex(r"https?://[a-z]{1,8}\.com/[A-Za-z0-9/]{0,8}", fullmatch=True),
    "country": st.sampled_from(["DE", "US", "GB", "KR", "CI", "TR", "CZ", "MK", "BO"]),
    "boolean": st.booleans(),
    "integer": st.integers(-(10**9), 10**9),
    "decimal": st.decimals(-(10**9), 10**9, places=2).map(plain_decimal),
    "date": st.dates().map(lambda day: day.isoformat()),
    "instant": st.datetimes().map(lambda moment: moment.isoformat(timespec="seconds") + "Z"),
    "money": st.fixed_dictionaries(
        {"minor": st.integers(-(10**12), 10**12), "currency": st.sampled_from(["EUR", "USD", "JPY", "KWD", "ISK"])}
    ),
}  # fmt: skip
consents = st.fixed_dictionaries(
    {
        "state": st.sampled_from(["opted_in", "opted_out"]),
        "at": st.sampled_from(["2026-01-01T00:00:00Z", "2026-11-02T08:00:00Z"]),
        "source": st.just("form"),
    }
)


def values_of(declared: CanonicalField) -> st.SearchStrategy[Json]:
    match declared.type:
        case "enum":
            return st.sampled_from(declared.values)
        case "set":
            return st.lists(SCALARS[declared.of], min_size=1, max_size=4, unique=True).map(sorted)
        case "group":
            return st.fixed_dictionaries({part: st.none() | SCALARS[kind] for part, kind in declared.parts.items()})
        case "consent":
            return consents
        case "ref":
            return st.integers(1, 3)
    strategy = SCALARS[declared.type]
    longest = declared.max or 50
    return strategy.map(lambda value: value[:longest].strip() or "x") if declared.type == "text" else strategy


def entity_values(mapping: StreamMapping) -> st.SearchStrategy[dict[str, Json]]:
    names = [name for name in mapping.fields if name in mapping.out_fields]
    return st.fixed_dictionaries(
        {}, optional={name: values_of(mapping.entity_type.fields[name]) for name in names}
    ).map(lambda chosen: {name: value for name, value in chosen.items() if not is_blank(value)})


# The laws


@pytest.mark.parametrize("mapping", WRITTEN, ids=ids)
def test_put_get_what_was_sent_is_what_is_read(mapping: StreamMapping) -> None:
    @EXAMPLES
    @given(entity_values(mapping))
    def law(values: dict[str, Json]) -> None:
        assert put_get(mapping, values) == ""

    law()


@pytest.mark.parametrize("mapping", WRITTEN, ids=ids)
def test_get_put_writing_what_was_read_changes_nothing(mapping: StreamMapping) -> None:
    @EXAMPLES
    @given(entity_values(mapping))
    def law(values: dict[str, Json]) -> None:
        assert get_put(mapping, values) == ""

    law()


@pytest.mark.parametrize("mapping", WRITTEN, ids=ids)
def test_put_put_the_second_write_is_as_if_it_had_been_the_first(mapping: StreamMapping) -> None:
    @EXAMPLES
    @given(entity_values(mapping), entity_values(mapping))
    def law(first: dict[str, Json], second: dict[str, Json]) -> None:
        assert put_put(mapping, first, second) == ""

    law()


@pytest.mark.parametrize("mapping", WRITTEN, ids=ids)
def test_frame_a_write_touches_only_the_paths_of_its_fields(mapping: StreamMapping) -> None:
    @EXAMPLES
    @given(entity_values(mapping), st.data())
    def law(values: dict[str, Json], data: st.DataObject) -> None:
        if values:
            assert frame(mapping, values, data.draw(st.sampled_from(sorted(values)))) == ""

    law()


@pytest.mark.parametrize("mapping", WRITTEN, ids=ids)
def test_stability_five_generations_are_as_good_as_one(mapping: StreamMapping) -> None:
    @EXAMPLES
    @given(entity_values(mapping))
    def law(values: dict[str, Json]) -> None:
        assert stability(mapping, values) == ""

    law()


@pytest.mark.parametrize("mapping", READ, ids=ids)
def test_honesty_any_json_is_a_value_or_a_fault_and_never_an_exception(mapping: StreamMapping) -> None:
    rubbish = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=6,
    )
    names = st.sampled_from(["field", "type", "ref", "email", "choice", "results", "companies", "contacts", "id"])
    lists_and_objects = st.recursive(
        rubbish | names,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
        max_leaves=8,
    )
    paths = paths_read(mapping)

    @EXAMPLES
    @given(
        st.dictionaries(st.sampled_from(paths), rubbish, max_size=6),
        st.dictionaries(st.sampled_from(["answers", "associations"]), lists_and_objects, max_size=2),
    )
    def law(given_values: dict[str, Json], more: dict[str, Json]) -> None:
        record: dict[str, Json] = {}
        for path, value in given_values.items():
            if not isinstance(make_getter(path.rpartition(".")[0])(record), str | int | float | list):
                try:
                    make_setter(path)(record.setdefault(mapping.root, {}) if mapping.root else record, value)
                except (AttributeError, TypeError, ValueError, IndexError):
                    continue
        record |= more
        assert honesty(mapping, record) == ""

    law()
