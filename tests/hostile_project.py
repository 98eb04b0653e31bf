"""A project of two files that are full of hostile text: every string in every text field of some person.

Both files know the same people. Of their notes they say different things, so each is a conflict that waits.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from tests.hostile import HOSTILE
from tests.projects import make_project

FIELDS = tuple(f"text_{number:02}" for number in range(100))
ROWS = -(-len(HOSTILE) // len(FIELDS))
NOTE = "note"

CANONICAL = f"""\
language: 1
sources: [left, right, hubspot]
entities:
  contact:
    text: A person.
    keys: [{{on: [email], strength: strong}}]
    fields:
      email: {{type: email}}
      {NOTE}: {{type: text, survivorship: manual}}
{"".join(f"      {name}: {{type: text}}{chr(10)}" for name in FIELDS)}"""

MAPPING = f"""\
connector: csv
language: 1
streams:
  people:
    entity: contact
    fields:
      email: {{remote: Mail}}
      {NOTE}: {{remote: Note}}
{"".join(f"      {name}: {{remote: {name}}}{chr(10)}" for name in FIELDS)}"""


def text_of(row: int, place: int) -> str:
    """The text in one field of one row; over all rows each text is in some field, over all turns in each."""
    return HOSTILE[(row * len(FIELDS) + place) % len(HOSTILE)]


def texts_of(row: int) -> dict[str, str]:
    return {name: text_of(row, place) for place, name in enumerate(FIELDS)}


def note_of(row: int, *, other: bool = False) -> str:
    """Of their notes the two files say different things."""
    return HOSTILE[(row * 11 + (7 if other else 0)) % len(HOSTILE)]


def email_of(row: int) -> str:
    return f"person{row}@example.org"


def table(key: str, rows: Sequence[Sequence[str]]) -> str:
    """A file as spreadsheets write it."""
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\n")
    writer.writerow([key, "Mail", "Note", *FIELDS, "Hub"])
    writer.writerows(rows)
    return made.getvalue()


def full_table(key: str, *, other: bool = False) -> str:
    """Everybody: all texts on the left, on the right nothing but another note."""
    texts = [[""] * len(FIELDS) if other else list(texts_of(row).values()) for row in range(ROWS)]
    return table(key, [[str(n), email_of(n), note_of(n, other=other), *each, ""] for n, each in enumerate(texts)])


def make_hostile_project(folder: Path, **files: str) -> Path:
    """The project; hostile on the left, and on the right as well where it differs."""
    given = {
        "canonical_yaml": CANONICAL, "left_yaml": MAPPING, "right_yaml": MAPPING, "left_csv": full_table("Id"),
        "right_csv": full_table("No", other=True), **files,
    }  # fmt: skip
    return make_project(folder, **given)
