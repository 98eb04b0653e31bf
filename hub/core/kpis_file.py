"""`kpis.yaml` into `Kpis`. Every fault is noted with its place; a figure that is not wholly understood is left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, tzinfo
from typing import TypeVar

from hub.core.canonical import Canonical, EntityType
from hub.core.canonical_file import check_language
from hub.core.conditions import condition_of
from hub.core.document import Sheet, nearest
from hub.core.expressions import compile_for_entity
from hub.core.formats import MappingFault
from hub.core.kpis import (
    CHANGED,
    DIRECTIONS,
    FORMULAS,
    HAPPENED,
    KNOWN,
    QUOTIENT,
    QUOTIENT_UNITS,
    UNITS,
    Kpi,
    Kpis,
)
from hub.core.rewards_file import check_name, read_span

KPI_KEYS = ("text", "unit", "direction", "of", "at", "when", "formula")
_NEEDED = ("text", "unit", "direction", "of", "formula")
_T = TypeVar("_T")


def parse_kpis(sheet: Sheet, canonical: Canonical, *, currency: str = "EUR", zone: tzinfo = UTC) -> Kpis:
    """The figures of a kpis.yaml; faults are noted in the sheet.

    Args:
        currency: the hub's; money in another is not counted.
        zone: where days begin.
    """
    sheet.closed(("language", "kpis"), required=("language", "kpis"))
    check_language(sheet)
    found: dict[str, Kpi] = {}
    entries = list(sheet.at("kpis").entries())
    divided = {name for name, place in entries if _is_quotient(place)}
    for name, place in entries:
        kpi = None if name in divided else _kpi(place, name, canonical, currency)
        if kpi is not None:
            found[name] = kpi
    parts = dict(found)
    for name, place in entries:
        quotient = _quotient(place, name, parts) if name in divided else None
        if quotient is not None:
            found[name] = quotient
    found = {name: found[name] for name, _ in entries if name in found}
    return Kpis(kpis=found, zone=zone, currency=currency)


def _kpi(place: Sheet, name: str, canonical: Canonical, currency: str) -> Kpi | None:
    known = len(place.faults)
    check_name(place, name)
    if not place.closed(KPI_KEYS, required=_NEEDED):
        return None
    kind, of = place.at("formula").text("kind"), place.text("of")
    entity, formula = canonical.entities.get(of), FORMULAS.get(kind)
    inner, direction = place.at("formula"), place.choice("direction", DIRECTIONS, "up")
    if entity is None and of:
        place.at("of").fault("KPI-001", f"no entity type {of} in canonical.yaml", nearest(of, canonical.entities))
    if formula is None:
        inner.fault("KPI-002", f"no kind of formula {kind}", nearest(kind, FORMULAS))
    if entity is None or formula is None:
        return None
    inner.closed(("kind", *formula.takes), required=("kind", *formula.needs))
    unit = place.choice("unit", UNITS, UNITS[0])
    if unit not in formula.units:
        place.at("unit").fault("KPI-002", f"a {kind} is not told in {unit}", f"say {' or '.join(formula.units)}")
    begins, ends = (_moment(inner, key, entity, exact=True) for key in ("from", "to"))
    at = _moment(place, "at", entity)
    if not at and kind != "retention":
        place.fault("KPI-003", "it is not said when a record counts", "add at: with one of its moments")
    elif at and kind == "retention":
        place.at("at").fault("KPI-003", "a retention counts what runs, not what happens", "leave at: out")
    when = _compiled(place, "when", lambda text: condition_of(text, entity, currency=currency))
    part = _compiled(inner, "part", lambda text: condition_of(text, entity, currency=currency))
    value = _compiled(inner, "value", lambda text: compile_for_entity(text, entity, currency=currency))
    per = _per(inner, entity)
    only = inner.choice("only", ("first", "later"), "")
    if only and not per:
        inner.at("only").fault("KPI-002", f"{only} of whom?", "add per: with the reference to the person")
    bound_s, older_s = read_span(inner, "bound", code="KPI-003"), read_span(inner, "older", code="KPI-003")
    if len(place.faults) > known:
        return None
    return Kpi(
        name=name, text=place.text("text"), unit=unit, direction=direction,
        entity=entity, at=at or begins, kind=kind, per=per, only=only, begins=begins, ends=ends, bound_s=bound_s,
        older_s=older_s, lost=inner.boolean("lost"), where=place.where, when=when, part=part, value=value,
    )  # fmt: skip


def _is_quotient(place: Sheet) -> bool:
    formula = place.value.get("formula") if isinstance(place.value, Mapping) else None
    return isinstance(formula, Mapping) and formula.get("kind") == QUOTIENT


def _quotient(place: Sheet, name: str, parts: Mapping[str, Kpi]) -> Kpi | None:
    """One figure of the file divided by another; neither is a quotient itself."""
    known = len(place.faults)
    check_name(place, name)
    inner = place.at("formula")
    told = place.closed(("text", "unit", "direction", "formula"), required=("text", "unit", "direction", "formula"))
    if not told or not inner.closed(("kind", "above", "below"), required=("kind", "above", "below")):
        return None
    for key in ("above", "below"):
        if inner.text(key) not in parts:
            fix = nearest(inner.text(key), parts)
            inner.at(key).fault("KPI-004", f"no figure {inner.text(key)} that is no quotient", fix)
    unit = place.choice("unit", QUOTIENT_UNITS, QUOTIENT_UNITS[0])
    direction = place.choice("direction", DIRECTIONS, "up")
    if len(place.faults) > known:
        return None
    above, below = parts[inner.text("above")], parts[inner.text("below")]
    return Kpi(
        name=name, text=place.text("text"), unit=unit, direction=direction, entity=above.entity, at=above.at,
        when=None, kind=QUOTIENT, above=above, below=below, where=place.where,
    )  # fmt: skip


def _moment(place: Sheet, key: str, entity: EntityType, *, exact: bool = False) -> str:
    """The name of a moment. `exact`: to the second, so no date."""
    name = place.text(key)
    if not name:
        return ""
    types = ("instant",) if exact else ("instant", "date")
    able = [KNOWN, *(each.name for each in entity.fields.values() if each.type in types)]
    able += [f"{CHANGED}{each}" for each in entity.fields] + [f"{HAPPENED}{each}" for each in happenings(entity)]
    if name not in able:
        place.at(key).fault("KPI-001", f"{name} is no moment of {entity.name}", nearest(name, able))
    return name


def happenings(entity: EntityType) -> dict[str, tuple[str, str]]:
    """Name -> (event, value): each event, and of one that happens once per value (`each`) every value of its enum."""
    found: dict[str, tuple[str, str]] = {}
    for name, event in entity.events.items():
        values = entity.fields[event.each].values if event.each else ()
        found |= {f"{name}.{value}": (name, value) for value in values} if values else {name: (name, "")}
    return found


def _per(place: Sheet, entity: EntityType) -> str:
    name = place.text("per")
    able = [each.name for each in entity.fields.values() if each.kind == "ref"]
    if name and name not in able:
        place.at("per").fault("KPI-001", f"{name} is no reference of {entity.name}", nearest(name, able))
    return name


def _compiled(place: Sheet, key: str, compile_: Callable[[str], _T]) -> _T | None:
    text = place.text(key)
    if not text:
        return None
    try:
        return compile_(text)
    except MappingFault as fault:
        place.at(key).fault(fault.code, fault.message, fault.fix)
        return None
