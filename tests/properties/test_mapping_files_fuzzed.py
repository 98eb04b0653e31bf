"""Whatever is written into a file, reading it gives faults with places, never an exception."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from hub.core.canonical_file import read_canonical
from hub.core.checks import check_file
from hub.core.derived import FUNCTIONS
from hub.core.document import Document, Path, Sheet
from hub.core.mapping_file import Hub, extend_canonical, read_mapping
from hub.errors import Fault
from hub.model import Json
from hub.runtime.registry import SHIPPED
from hub.runtime.settings_schema import read_settings
from hub.runtime.yaml import load_yaml
from tests.shipped import FILES

CANONICAL = read_canonical(Sheet(load_yaml(SHIPPED / "canonical.yaml")))
WORDS = ("contact", "email", "trim", "phone", "both", "in", "remote", "a.b", "/x", "", "lead", "env:X", "5m", "newest")
rubbish = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False)
    | st.sampled_from(WORDS)
    | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(value: Json, path: Path = ()) -> Iterator[Path]:
    if path:
        yield path
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in steps:
        yield from places(inner, (*path, key))


def spoiled(document: Document, path: Path, value: Json, *, renamed: str | None) -> Document:
    """The document with one place overwritten, or one key renamed."""
    data = deepcopy(document.data)
    holder = data
    for key in path[:-1]:
        holder = holder[key]
    if renamed is not None and isinstance(holder, dict):
        holder[renamed] = holder.pop(path[-1])
    else:
        holder[path[-1]] = value
    return Document(file=document.file, data=data, lines=document.lines)


def read_as_mapping(document: Document) -> list[Fault]:
    sheet = Sheet(document)
    file = read_mapping(sheet, extend_canonical(CANONICAL, [sheet]), Hub(country="DE"))
    return [*sheet.faults, *check_file(file)]


def read_as_canonical(document: Document) -> list[Fault]:
    sheet = Sheet(document)
    read_canonical(sheet, derived=FUNCTIONS)
    return sheet.faults


def read_as_settings(document: Document) -> list[Fault]:
    sheet = Sheet(document)
    read = read_settings(sheet)
    return [*sheet.faults, *(fault for faults in read.faults.values() for fault in faults)]


READERS: dict[str, Callable[[Document], list[Fault]]] = {
    **dict.fromkeys(FILES, read_as_mapping),
    "canonical": read_as_canonical,
    "hub": read_as_settings,
}


@pytest.mark.parametrize("name", READERS)
def test_a_spoiled_file_gives_faults_with_places_and_never_an_exception(name: str) -> None:
    document = load_yaml(SHIPPED / f"{name}.yaml")
    everywhere = list(places(document.data))

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.sampled_from(everywhere), rubbish, st.none() | st.sampled_from(WORDS))
    def law(path: Path, value: Json, renamed: str | None) -> None:
        for fault in READERS[name](spoiled(document, path, value, renamed=renamed)):
            assert fault.where.partition(":")[2].isdigit()
            assert fault.code
            assert fault.message

    law()
