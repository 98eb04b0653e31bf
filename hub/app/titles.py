"""What people call an entity, and the least that tells two of a kind apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hub.app.context import Hub
from hub.app.listings import Dict
from hub.model import EntityRow, Json
from hub.store import Tx

NAMES = ("name", "title", "subject", "number", "domain", "email")  # fields that name an entity, the best first
BESIDE = ("email", "domain", "company_name", "phone", "number")  # what stands in small print below the name


def title_of(row: EntityRow) -> str:
    """A name that a person would say; never empty."""
    for field in NAMES:
        text = _said(row.values.get(field))
        if text:
            return text
    return f"{row.type.replace('_', ' ')} {row.id}"


def _said(value: Json) -> str:
    """A text, or the parts of a group in their order."""
    if isinstance(value, Mapping):
        return " ".join(str(part) for part in value.values() if isinstance(part, str) and part).strip()
    return value.strip() if isinstance(value, str) else ""


def card(row: EntityRow) -> Dict:
    """An entity in a list."""
    title = title_of(row)
    beside = next((text for field in BESIDE if (text := _said(row.values.get(field))) and text != title), "")
    return {"entity": f"{row.type}:{row.id}", "type": row.type, "id": row.id, "title": title, "beside": beside}


def cards(tx: Tx, ids: Iterable[int]) -> dict[int, Dict]:
    """Entity -> card of the one that speaks for it after all merges."""
    wanted = set(ids)
    roots = tx.roots(wanted) if wanted else {}
    rows = tx.entities(set(roots.values())) if roots else {}
    return {each: card(rows[root]) for each, root in roots.items() if root in rows}


def cards_of(hub: Hub, ids: Iterable[int]) -> dict[int, Dict]:
    """The same, for whoever is not reading yet."""
    with hub.store.reading() as tx:
        return cards(tx, ids)
