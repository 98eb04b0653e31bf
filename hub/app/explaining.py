"""Every value of the hub, decided again from what is stored (law L21): what differs has no reason on record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from hub.app.cases import PAGE, Case, all_cases
from hub.app.context import Hub
from hub.app.listings import Dict
from hub.core.computed import COMPUTED
from hub.core.derived import Derivation, add_to, derivations, movements
from hub.core.shadow import is_empty
from hub.model import Json
from hub.store import Tx


def explain_all(hub: Hub) -> Dict:
    """Recompute every field of every entity.

    Returns:
        {"entities", "fields": how many were looked at, "differs": one row per field whose stored value or winner is
         not what the evidence comes to (entity, field, stored, recomputed, decided_by)}
    """
    sums, seen, fields, differs = recomputed_sums(hub), 0, 0, []
    for cases in all_cases(hub):
        for case in cases:
            seen += 1
            found = [_explained(case, name, sums) for name in case.states if name in case.entity.fields]
            fields += len(found)
            differs += [row for row in found if row is not None]
    return {"entities": seen, "fields": fields, "differs": differs}


def _explained(case: Case, name: str, sums: Mapping[tuple[int, str], Json]) -> Dict | None:
    """A row if the field's value is not what its evidence comes to."""
    stored = case.states[name].value
    if case.entity.fields[name].derived == COMPUTED:
        return None  # hangs on the day: `hub why` computes it once more
    if case.entity.fields[name].derived:
        value, decided_by = sums.get((case.row.id, name)), f"derived:{case.entity.fields[name].derived}"
        same = value == stored or (is_nothing(value) and is_nothing(stored))
    else:
        found = case.recomputed(name)
        value, decided_by = found.value, found.decided_by
        same = found.same or (is_empty(stored) and is_empty(value))
    if same:
        return None
    return {"entity": case.name, "field": name, "stored": stored, "recomputed": value, "decided_by": decided_by}


def is_nothing(value: Json) -> bool:
    """A sum over nothing: none yet, or zero again."""
    return is_empty(value) or value in (0, "0") or (isinstance(value, dict) and value.get("minor") == 0)


def recomputed_sums(hub: Hub, only: Iterable[int] | None = None) -> dict[tuple[int, str], Json]:
    """(entity, derived field) -> its sum, over all entities that it is made of; of these entities, or of all."""
    wanted = None if only is None else set(only)
    sums: dict[tuple[int, str], Json] = {}
    for derivation in _derivations(hub):
        totals: dict[int, Decimal] = {}
        after_id: int | None = 0
        while after_id is not None:
            with hub.store.reading() as tx:
                after_id = _add_page(tx, derivation, totals, after_id)
        for owner, total in totals.items():
            if wanted is None or owner in wanted:
                sums[owner, derivation.field] = add_to(derivation, None, total)
    return sums


def _add_page(tx: Tx, derivation: Derivation, totals: dict[int, Decimal], after_id: int) -> int | None:
    rows = tx.entities_page(derivation.function.source, after_id=after_id, limit=PAGE)
    moved = movements(derivation, [(row.id, {}, row.values) for row in rows if row.alias_of is None])
    roots = tx.roots(moved)
    for owner, movement in moved.items():
        root = roots.get(owner, owner)
        totals[root] = totals.get(root, Decimal(0)) + movement.delta
    return rows[-1].id if len(rows) == PAGE else None


def _derivations(hub: Hub) -> tuple[Derivation, ...]:
    """Derived fields, if the hub is a project's: only that names a currency."""
    if hub.projects is None:
        return ()
    return derivations(hub.canonical, currency=hub.projects.settings.hub.currency)
