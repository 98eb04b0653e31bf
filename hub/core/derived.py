"""Fields that are computed from other entities: what a customer has spent, how often.

Such a field has no claims; nobody can edit it. It is kept up to date by differences: each registered function says what
*one* entity adds, and a change of that entity moves the sum by what it adds now less what it added before. So a change
costs what changed, never a walk over all orders, and the sum is exact as long as every change passes through here
(hub.app.rewards does it in the transaction of the change).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from hub.core.canonical import Canonical, EntityType
from hub.core.values import currency_exponent, number_of, plain_decimal, to_instant
from hub.errors import ConfigFault, Fault
from hub.model import Json

Values = Mapping[str, Json]  # canonical field -> value of one entity


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedFunction:
    """One registered function: what one entity of type `source` adds to the field of the entity that it refers to."""

    text: str
    source: str  # entity type whose records are summed
    needs: tuple[str, ...]  # fields of the source without which it means nothing
    uses: tuple[str, ...]  # fields of the source that it looks at, where declared
    moment: str  # field of the source that says when what it adds came about
    adds: Callable[[Values, str], Decimal]  # (the source's values, the hub's currency) -> what it adds
    types: tuple[str, ...]  # canonical types that can hold the sum


def _paid_total(order: Values, currency: str) -> Decimal:
    """Total of a paid order less what was refunded. Money of another currency than the hub's is null: it adds nothing.

    `refunded_total` says how much went back; an order that only says `refunded_at` was refunded whole.
    """
    total = number_of("money", order.get("total"), currency=currency)
    if order.get("paid_at") is None or total is None:
        return Decimal(0)
    refunded = number_of("money", order.get("refunded_total"), currency=currency)
    if refunded is None:
        refunded = Decimal(0) if order.get("refunded_at") is None else total
    return Decimal(total) - Decimal(refunded)


def _paid_count(order: Values, currency: str) -> Decimal:
    paid = order.get("paid_at") is not None and order.get("refunded_at") is None
    return Decimal(int(paid))


FUNCTIONS: Mapping[str, DerivedFunction] = {
    "paid_orders_total": DerivedFunction(
        text="Sum of paid orders less refunds, in the hub's currency.",
        source="order", needs=("total", "paid_at"), uses=("total", "paid_at", "refunded_at", "refunded_total"),
        moment="paid_at", adds=_paid_total, types=("decimal", "money"),
    ),
    "paid_orders_count": DerivedFunction(
        text="Number of orders that were paid and not refunded.",
        source="order", needs=("paid_at",), uses=("paid_at", "refunded_at"), moment="paid_at", adds=_paid_count,
        types=("integer", "decimal"),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """A derived field as declared: which function fills it, and through which reference."""

    owner: str  # entity type that has the field
    field: str
    type: str  # canonical type of the field
    via: str  # ref field of the source that names the owner
    function: DerivedFunction
    uses: frozenset[str]  # fields of the source whose change may move the sum


@dataclass(slots=True, kw_only=True)
class Movement:
    """What one transaction adds to one entity's derived field."""

    delta: Decimal = Decimal(0)
    moment: float | None = None  # newest moment among its causes, epoch seconds
    causes: tuple[int, ...] = ()  # source entities that moved it


def derivations(canonical: Canonical) -> tuple[Derivation, ...]:
    """Every derived field of canonical.yaml, with its reference found.

    Raises:
        ConfigFault: MAP-045 unknown function, MAP-046 a function that cannot work on what is declared; all at once.
    """
    found, faults = [], []
    for owner in canonical.entities.values():
        for declared in owner.fields.values():
            if not declared.derived:
                continue
            where = f"canonical.yaml: {owner.name}.{declared.name}"
            function = FUNCTIONS.get(declared.derived)
            if function is None:
                known = f"known are {', '.join(sorted(FUNCTIONS))}"
                message = f"unknown function {declared.derived}"
                faults.append(Fault(code="MAP-045", where=where, message=message, fix=known))
                continue
            source = canonical.entities.get(function.source)
            wrong = _cannot(function, source, owner, declared.type)
            if wrong or source is None:
                faults.append(Fault(code="MAP-046", where=where, message=wrong, fix="declare what it needs"))
                continue
            via = _reference(source, owner.name)
            uses = frozenset({via, *(name for name in function.uses if name in source.fields)})
            found.append(
                Derivation(
                    owner=owner.name, field=declared.name, type=declared.type, via=via, function=function, uses=uses
                )
            )  # fmt: skip
    if faults:
        raise ConfigFault(faults)
    return tuple(found)


def _cannot(function: DerivedFunction, source: EntityType | None, owner: EntityType, type_: str) -> str:
    """Why a function cannot fill a field; empty if it can."""
    if source is None:
        return f"it sums entities of type {function.source}, which is not declared"
    lacking = [name for name in function.needs if name not in source.fields]
    if lacking:
        return f"{source.name} lacks {', '.join(lacking)}"
    if not _reference(source, owner.name):
        return f"{source.name} has no reference to {owner.name}"
    if type_ not in function.types:
        return f"a field of type {type_} cannot hold it; {' or '.join(function.types)} can"
    return ""


def _reference(source: EntityType, to: str) -> str:
    """The ref field of `source` that names an entity of type `to`: the one of that very name, else the first."""
    names = [each.name for each in source.fields.values() if each.kind == "ref" and each.to == to]
    return to if to in names else next(iter(names), "")


def movements(
    derivation: Derivation, changes: Iterable[tuple[int, Values, Values]], *, currency: str
) -> dict[int, Movement]:
    """Owner entity id (as the reference names it) -> how far its sum moves.

    Args:
        changes: (entity id, values before, values after) of changed source entities; a new one has no values before.
    """
    moved: dict[int, Movement] = defaultdict(Movement)
    for source_id, before, after in changes:
        for values, sign in ((before, -1), (after, 1)):
            owner, share = values.get(derivation.via), derivation.function.adds(values, currency)
            if owner is None or not share:
                continue
            movement = moved[owner]
            movement.delta += sign * share
            if source_id not in movement.causes:
                movement.causes += (source_id,)
            moment = values.get(derivation.function.moment)
            if moment is not None:
                movement.moment = max(to_instant(moment), movement.moment or 0.0)
    return dict(moved)


def add_to(type_: str, value: Json, delta: Decimal, *, currency: str) -> Json:
    """A derived field's value, moved on; in the normal form of its type."""
    present = number_of(type_, value, currency=currency)
    total = Decimal(present or 0) + delta
    if type_ == "money":
        return {"minor": int(total.scaleb(currency_exponent(currency))), "currency": currency}
    return int(total) if type_ == "integer" else plain_decimal(total)
