"""Rows as CSV, for people who go on with a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import orjson

from hub.app.listings import Dict

FORMULA_MARKS = ("=", "+", "-", "@", "\t", "\r")  # text that a spreadsheet would carry out
OF_PEOPLE = ("segment", "title")  # columns of text from the outside world


def as_csv(rows: Sequence[Dict], columns: Sequence[str]) -> str:
    """One line per row, and one of names above them."""
    page = io.StringIO()
    writer = csv.writer(page)
    writer.writerow(columns)
    writer.writerows([_cell(column, row.get(column)) for column in columns] for row in rows)
    return page.getvalue()


def _cell(column: str, value: object) -> str:
    """Text of the outside world gets a quote before what a spreadsheet would take for a formula."""
    text = "" if value is None else value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
    return f"'{text}" if column in OF_PEOPLE and text.startswith(FORMULA_MARKS) else text
