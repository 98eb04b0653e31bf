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

from hub.core.canonical import SET_BY_TRIGGER, Canonical, EntityType
from hub.core.computed import COMPUTED
from hub.core.conditions import Condition, condition_of
from hub.core.values import currency_exponent, number_of, plain_decimal, to_instant
from hub.errors import ConfigFault, Fault
from hub.model import Json

Values = Mapping[str, Json]  # canonical field -> value of one entity


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedFunction:
    """One registered function: what one entity of type `source` adds to the field of the entity that it refers to."""

    text: str
    source: str  # entity type whose records are summed
    counts: str  # event of the source: a record adds something while that event's condition holds …
    unless: str  # … and this one's, if declared, does not
    needs: tuple[str, ...]  # further fields of the source that it looks at
    adds: Callable[[Values, str], Decimal]  # (values of a record that counts, the hub's currency) -> what it adds
    types: tuple[str, ...]  # canonical types that can hold the sum


def _total(order: Values, currency: str) -> Decimal:
    """An order's total, from which canonical.yaml has partial refunds taken off already.

    Money of another currency than the hub's is null: it adds nothing.
    """
    return Decimal(number_of("money", order.get("total"), currency=currency) or 0)


FUNCTIONS: Mapping[str, DerivedFunction] = {
    "paid_orders_total": DerivedFunction(
        text="Sum of the orders that were paid, less refunds, in the hub's currency.",
        source="order", counts="paid", unless="refunded", needs=("total",), adds=_total, types=("decimal", "money"),
    ),
    "paid_orders_count": DerivedFunction(
        text="Number of the orders that were paid and not refunded.",
        source="order", counts="paid", unless="refunded", needs=(), adds=lambda order, currency: Decimal(1),
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
    counts: Condition
    unless: Condition | None
    moment: str  # field of the source that says when it came to count; "" if none does
    currency: str  # the hub's

    @property
    def uses(self) -> frozenset[str]:
        """Fields of the source whose change may move the sum."""
        unless = self.unless.uses if self.unless else frozenset()
        return frozenset({self.via, *self.function.needs}) | self.counts.uses | unless

    def number(self, value: Json) -> Decimal:
        """A value of the field as a number, in the hub's currency."""
        return Decimal(number_of(self.type, value, currency=self.currency) or 0)

    def share(self, values: Values) -> Decimal:
        """What one record of the source adds now."""
        if not self.counts(values) or (self.unless is not None and self.unless(values)):
            return Decimal(0)
        return self.function.adds(values, self.currency)


@dataclass(slots=True, kw_only=True)
class Movement:
    """What one transaction adds to one entity's derived field."""

    delta: Decimal = Decimal(0)
    moment: float | None = None  # newest moment among its causes, epoch seconds
    causes: tuple[int, ...] = ()  # source entities that moved it


def derivations(canonical: Canonical, *, currency: str) -> tuple[Derivation, ...]:
    """Every derived field of canonical.yaml, ready to be moved.

    Raises:
        ConfigFault: MAP-045 unknown function, MAP-046 a function that cannot work on what is declared; all at once.
    """
    found, faults = [], []
    for owner in canonical.entities.values():
        for declared in owner.fields.values():
            if declared.derived in ("", COMPUTED, SET_BY_TRIGGER):
                continue
            fault = _fault(canonical, owner, declared.derived, declared.type)
            if fault is None:
                found.append(_derivation(canonical, owner, declared.name, currency))
                continue
            code, message, fix = fault
            where = declared.survivorship.where or f"{owner.name}.{declared.name}"
            faults.append(Fault(code=code, where=where, message=message, fix=fix))
    if faults:
        raise ConfigFault(faults)
    return tuple(found)


def _derivation(canonical: Canonical, owner: EntityType, name: str, currency: str) -> Derivation:
    declared = owner.fields[name]
    function = FUNCTIONS[declared.derived]
    source = canonical.entities[function.source]
    counts, unless = source.events[function.counts], source.events.get(function.unless)
    return Derivation(
        owner=owner.name, field=name, type=declared.type, via=_reference(source, owner.name), function=function,
        counts=condition_of(counts.when, source, currency=currency),
        unless=condition_of(unless.when, source, currency=currency) if unless else None,
        moment=counts.at, currency=currency,
    )  # fmt: skip


def _fault(canonical: Canonical, owner: EntityType, name: str, type_: str) -> tuple[str, str, str] | None:
    """(code, message, fix): why a function cannot fill a field of this type; None if it can."""
    function = FUNCTIONS.get(name)
    if function is None:
        return "MAP-045", f"unknown function {name}", f"known are {', '.join(sorted(FUNCTIONS))}"
    source = canonical.entities.get(function.source)
    if source is None:
        return "MAP-046", f"{name} sums entities of type {function.source}", f"declare {function.source}"
    lacking = [each for each in function.needs if each not in source.fields]
    if lacking or function.counts not in source.events:
        wanted = ", ".join([*lacking, *([] if function.counts in source.events else [f"event {function.counts}"])])
        return "MAP-046", f"{name} needs more of {source.name}", f"declare {wanted} at {source.name}"
    if not _reference(source, owner.name):
        return "MAP-046", f"{source.name} does not refer to {owner.name}", f"declare a ref to {owner.name}"
    if type_ not in function.types:
        return "MAP-046", f"a {type_} cannot hold {name}", f"say type: {' or '.join(function.types)}"
    return None


def _reference(source: EntityType, to: str) -> str:
    """The ref field of `source` that names an entity of type `to`: the one of that very name, else the first."""
    names = [each.name for each in source.fields.values() if each.kind == "ref" and each.to == to]
    return to if to in names else next(iter(names), "")


def movements(derivation: Derivation, changes: Iterable[tuple[int, Values, Values]]) -> dict[int, Movement]:
    """Owner entity id (as the reference names it) -> how far its sum moves.

    Args:
        changes: (entity id, values before, values after) of changed source entities; a new one has no values before.
    """
    moved: dict[int, Movement] = defaultdict(Movement)
    for source_id, before, after in changes:
        for values, sign in ((before, -1), (after, 1)):
            owner = values.get(derivation.via)
            share = derivation.share(values) if owner is not None else Decimal(0)
            if owner is None or not share:
                continue
            movement = moved[owner]
            movement.delta += sign * share
            if source_id not in movement.causes:
                movement.causes += (source_id,)
            moment = values.get(derivation.moment)
            if moment is not None:
                movement.moment = max(to_instant(moment), movement.moment or 0.0)
    return dict(moved)


def add_to(derivation: Derivation, value: Json, delta: Decimal) -> Json:
    """A derived field's value, moved on; in the normal form of its type."""
    currency, total = derivation.currency, derivation.number(value) + delta
    if derivation.type == "money":
        return {"minor": int(total.scaleb(currency_exponent(currency))), "currency": currency}
    return int(total) if derivation.type == "integer" else plain_decimal(total)
