"""Projects of two CSV files, made in a test's folder: everything a real project has, and no network."""

from __future__ import annotations

from pathlib import Path

HUB = """\
hub: {name: test, currency: EUR, country: DE, public_url: "https://hub.example.org"}
defaults: {mode: live}
connections:
  left:
    connector: csv
    mapping: left.yaml
    streams: {people: {file: data/left.csv, key: [Id], write: in_place, marker: Hub}}
  right:
    connector: csv
    mapping: right.yaml
    streams: {people: {file: data/right.csv, key: [No], write: in_place, marker: Hub}}
"""

CANONICAL = """\
language: 1
sources: [left, right, salesforce, hubspot]
entities:
  contact:
    text: A person.
    keys: [{on: [email], strength: strong}]
    fields:
      email: {type: email}
      name: {type: text}
      phone: {type: phone}
"""

LEFT = """\
connector: csv
language: 1
streams:
  people:
    entity: contact
    fields:
      email: {remote: Email}
      name: {remote: Name}
      phone: {remote: Phone, transforms: [{phone: {region: DE}}]}
"""
RIGHT = LEFT.replace("remote: Email", "remote: Mail")

LEFT_ROWS = "Id,Email,Name,Phone,Hub\n1,ann@example.org,Ann,030 1234567,\n2,bob@example.org,Bob,,\n"
RIGHT_ROWS = "No,Mail,Name,Phone,Hub\n9,ann@example.org,Anne,,\n8,cy@example.org,Cy,,\n"


def make_project(folder: Path, *, hub: str = HUB, **files: str) -> Path:
    """A project in a folder of its own; `files` replaces texts by name: left_yaml, canonical_yaml, left_csv."""
    project = folder / "project"
    for name, text in {
        "hub.yaml": hub,
        "mappings/canonical.yaml": CANONICAL,
        "mappings/left.yaml": LEFT,
        "mappings/right.yaml": RIGHT,
        "data/left.csv": LEFT_ROWS,
        "data/right.csv": RIGHT_ROWS,
    }.items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files.get(path.name.replace(".", "_"), text), "utf-8")
    return project


def edit(project: Path, name: str, old: str, new: str) -> None:
    """Change a file of the project; the old text must be there."""
    path = project / name
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
