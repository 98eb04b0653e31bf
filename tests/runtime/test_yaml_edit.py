"""A change to a file that somebody wrote touches the lines that it is about, and no other."""

from __future__ import annotations

import difflib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from hub.model import Json
from hub.runtime.registry import SHIPPED
from hub.runtime.yaml_edit import edit_yaml

# Laid out as no editor would: sequences further in, a list over two lines, spaces before comments, a long text folded.
TEXT = """\
# What it is.
sources: [salesforce, hubspot,   # the CRMs
          stripe]

entities:
  contact:
    keys:
      - {on: [email], strength: strong}
      - {on:   [phone, last_name], strength: weak}      # goes to review
    fields:
      email: {type: email,   text: "An address."}
      name:  {type: text}                                # as it is said
      title: {type: text,
              text: What they do}
"""


def changed_lines(old: str, new: str) -> list[str]:
    told = difflib.ndiff(old.splitlines(), new.splitlines())
    return [line for line in told if line[0] in "+-"]


def test_one_key_more_is_one_line_that_differs() -> None:
    def put(data: Json) -> None:
        data["entities"]["contact"]["fields"]["email"]["survivorship"] = "manual"

    assert changed_lines(TEXT, edit_yaml(TEXT, put)) == [
        '-       email: {type: email,   text: "An address."}',
        '+       email: {type: email, text: "An address.", survivorship: manual}',
    ]


def test_what_lies_over_several_lines_is_written_anew_only_if_it_is_what_changes() -> None:
    def put(data: Json) -> None:
        data["entities"]["contact"]["fields"]["title"]["max"] = 40

    told = changed_lines(TEXT, edit_yaml(TEXT, put))
    assert told == [
        "+       title: {type: text, text: What they do, max: 40}",
        "-       title: {type: text,", "-               text: What they do}",
    ]  # fmt: skip


def test_nothing_changed_is_the_same_text_and_a_new_section_is_only_added() -> None:
    assert edit_yaml(TEXT, lambda data: None) == TEXT
    added = edit_yaml(TEXT, lambda data: data.update(defaults={"blank": "keep"}))
    assert added.startswith(TEXT)
    assert changed_lines(TEXT, added) == ["+ defaults:", "+   blank: keep"]
    assert edit_yaml("", lambda data: data.update(a=1)) == "a: 1\n"


def test_the_policy_of_one_field_of_the_shipped_file_is_one_line() -> None:
    text = (SHIPPED / "canonical.yaml").read_text("utf-8")

    def put(data: Json) -> None:
        data["entities"]["contact"]["fields"]["job_title"]["survivorship"] = {"source": ["salesforce"]}

    told = changed_lines(text, edit_yaml(text, put))
    assert [line[0] for line in told] == ["-", "+"]
    assert all("job_title" in line for line in told)


@pytest.mark.parametrize("name", ["canonical.yaml", "hubspot.yaml", "triggers.yaml", "hub.yaml"])
def test_no_shipped_file_is_laid_out_anew(name: str) -> None:
    text = (SHIPPED / name).read_text("utf-8")
    assert edit_yaml(text, lambda data: None) == text


NAMES = ["email", "name", "title", "new", "sources", "keys"]
WAYS = st.lists(st.tuples(st.sampled_from(NAMES), st.booleans()), max_size=5)


@settings(max_examples=25, deadline=None)
@given(WAYS)
def test_the_data_is_what_the_changes_make_it(ways: list[tuple[str, bool]]) -> None:
    def put(data: Json) -> None:
        contact = data["entities"]["contact"]
        for number, (name, away) in enumerate(ways):
            place = data if name == "sources" else contact if name == "keys" else contact["fields"]
            if away:
                place.pop(name, None)
            else:
                place[name] = {"type": "text", "text": f"{number}"}

    reader = YAML(typ="safe", pure=True)
    wanted = reader.load(TEXT)
    put(wanted)
    assert reader.load(edit_yaml(TEXT, put)) == wanted
