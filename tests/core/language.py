"""Small canonical and mapping files, written inside the tests that read them."""

from __future__ import annotations

from textwrap import dedent

from hub.core.canonical import Canonical
from hub.core.canonical_file import read_canonical
from hub.core.document import Sheet
from hub.core.mapping import StreamMapping
from hub.core.mapping_file import Hub, MappingFile, extend_canonical, read_mapping
from hub.errors import Fault
from hub.runtime.yaml import parse_yaml

CANONICAL = """
language: 1
sources: [crm, shop]
entities:
  contact:
    text: A person.
    keys: [{on: [email]}]
    fields:
      email: {type: email}
      name: {type: group, parts: {first_name: text, last_name: text}}
      address: {type: group, parts: {street: text, city: text, country: country}}
      phone: {type: phone}
      birthday: {type: date}
      stage: {type: enum, values: [lead, mql, customer]}
      tags: {type: set, of: text}
      note: {type: text, max: 20}
      vip: {type: boolean}
      visits: {type: integer}
      spent: {type: money}
      seen_at: {type: instant}
      consent: {type: consent, channels: [email]}
      company: {type: ref, to: company}
      boss: {type: ref, to: contact}
      total: {type: decimal, derived: paid_orders_total}
  company:
    text: A firm.
    keys: [{on: [domain]}]
    fields: {name: {type: text}, domain: {type: host}, head: {type: ref, to: contact}}
"""

HEAD = """
connector: crm
language: 1
streams:
  firms: {entity: company, fields: {name: {remote: Name}, domain: {remote: Domain}}}
  people:
    entity: contact
"""


def canonical(text: str = CANONICAL) -> Canonical:
    sheet = Sheet(parse_yaml(text, "canonical.yaml"))
    read = read_canonical(sheet, derived=("paid_orders_total",))
    assert sheet.faults == []
    return read


def read_file(text: str, *, hub: Hub | None = None) -> tuple[MappingFile, list[Fault]]:
    """A whole mapping file, and what is wrong with it."""
    sheet = Sheet(parse_yaml(text, "crm.yaml"))
    known = extend_canonical(canonical(), [sheet])
    return read_mapping(sheet, known, hub or Hub(country="DE")), sheet.faults


def people_text(body: str) -> str:
    """A file whose stream `people` has this body: lines, or one mapping in braces."""
    if body.startswith("{"):
        return HEAD.replace("people:\n    entity: contact\n", f"people: {{entity: contact, {body[1:]}\n")
    return HEAD + "\n".join(f"    {line}" if line else "" for line in dedent(body).strip().splitlines()) + "\n"


def people(body: str) -> StreamMapping:
    """The stream `people` with this body, which must have no fault."""
    file, faults = read_file(people_text(body))
    assert [str(fault) for fault in faults] == []
    return file.streams["people"]


def codes(faults: list[Fault]) -> list[str]:
    return [fault.code for fault in faults]
