"""What customers will probably spend: models are fitted to everybody's purchases once a week, before the first sync of
a day, and kept with their date and what speaks for them. A customer's figure is then arithmetic (core.forecast).

Invariant: whatever stands in the way of a fit is kept in its place as the reason why there are no figures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal

from hub.app.context import Hub
from hub.app.facts import facts_of_all
from hub.app.listings import Dict
from hub.app.transact import commit
from hub.core.computed import Computed, Derived, Facts, Today, local_day, outlook_of
from hub.core.forecast import FIT_DAYS, MODEL, Fit, as_json, from_json, history_of, judged, tried_from
from hub.core.values import plain_decimal
from hub.errors import NotFound
from hub.runtime import fitting
from hub.store import Tx

FIT = "derived.fit"  # the setting that keeps it
Bought = Iterable[tuple[date, Decimal]]


def kept_fit(tx: Tx) -> Fit | None:
    kept = tx.setting(FIT)
    return from_json(kept) if kept else None


def fit_if_due(hub: Hub, derived: Derived, *, look: Callable[[], None] = lambda: None) -> None:
    """Fit the models if that was not done for a week, or gave nothing the last time."""
    if not derived.needs_fit or derived.zone is None:
        return
    day = local_day(hub.clock.now(), derived.zone)
    with hub.store.reading() as tx:
        kept = kept_fit(tx)
    tells = kept is not None and not kept.reason
    if kept is not None and tells and ((day - kept.day).days < FIT_DAYS or not fitting.is_installed()):
        return
    if kept is None or kept.day != day:
        fit_now(hub, look=look)


def fit_now(hub: Hub, *, look: Callable[[], None] = lambda: None) -> Fit:
    """Fit the models to the purchases of everybody, and keep what comes out.

    Raises:
        NotFound: derived.yaml has no expected value.
    """
    derived = hub.derived
    fields = [each for each in derived.fields if each.kind == "expected"] if derived is not None else []
    if derived is None or derived.zone is None or not fields:
        raise NotFound("derived.yaml has no field of the kind expected", where="derived.yaml", fix="declare one")
    day, least = local_day(hub.clock.now(), derived.zone), min(each.least for each in fields)
    fit = _fitted(hub, derived, day, least, look)
    fit = replace(fit, reason=judged(fit, least=least))
    commit(hub, lambda tx: tx.set_setting(FIT, as_json(fit)))
    return fit


def _fitted(hub: Hub, derived: Derived, day: date, least: int, look: Callable[[], None]) -> Fit:
    """Two walks over everybody, by pages: when the first of all purchases was, then every history."""
    first = min((bought[0][0] for bought in _purchases(hub, derived, day)), default=day)
    cut = tried_from(first, day)
    now: Counter[tuple[int, int, int, float]] = Counter()
    before: Counter[tuple[int, int, int]] = Counter()
    happened = 0
    for bought in _purchases(hub, derived, day):
        look()
        history, then = history_of(bought, day), history_of(bought, cut)
        if history is not None:
            now[history.again, history.last, history.age, history.mean] += 1
        if history is not None and then is not None:
            before[then.again, then.last, then.age] += 1
            happened += history.again - then.again
    counted = Fit(day=day, customers=now.total(), again=sum(number for key, number in now.items() if key[0]))
    if counted.again < least:
        return counted
    found = fitting.fit([(*key, number) for key, number in now.items()],
                        [(*key, number) for key, number in before.items()], (day - cut).days)  # fmt: skip
    if "reason" in found:
        return replace(counted, reason=found["reason"])
    return replace(counted, **found, happened=happened if found["told"] is not None else None)


def _purchases(hub: Hub, derived: Derived, day: date) -> Iterable[list[tuple[date, Decimal]]]:
    """Of every customer: day and amount of what was bought until then, by day."""
    zone = derived.zone
    for facts in facts_of_all(hub, derived):
        for known in facts.values():
            days = [(local_day(each.at, zone), each.amount) for each in known.events if zone and each.amount]
            bought = [(on, amount) for on, amount in days if amount is not None and amount > 0 and on <= day]
            if bought:
                yield sorted(bought)


# Told


def show_fit(hub: Hub, *, anew: bool = False) -> Dict:
    """The models as they stand. Raises NotFound: nothing of the kind is declared, or nothing was fitted yet."""
    fit: Fit | None = None
    if anew:
        fit = fit_now(hub)
    else:
        with hub.store.reading() as tx:
            fit = kept_fit(tx)
    if fit is None:
        raise NotFound("no model was fitted yet", where="forecast", fix="hub forecast --fit")
    return {
        "model": MODEL, "day": fit.day.isoformat(), "customers": fit.customers, "bought_again": fit.again,
        "tells": not fit.reason, "reason": fit.reason or None,
        "parameters": {name: getattr(fit, name) for name in ("r", "alpha", "a", "b", "p", "q", "v")},
        "unsure": round(fit.unsure, 4), "tried_on_the_past": _tried(fit),
    }  # fmt: skip


def _tried(fit: Fit) -> Mapping[str, float] | None:
    if fit.told is None or fit.happened is None:
        return None
    return {"told": round(fit.told, 1), "happened": fit.happened}


def explain_outlook(field: Computed, facts: Facts, today: Today) -> Dict:
    """What a customer's expected value is made of."""
    history, found, reason = outlook_of(field, facts, today)
    return {
        "model": MODEL, "fitted": today.fit.day.isoformat() if today.fit else None, "days_ahead": field.days,
        "purchases": history.again + 1 if history else 0, "days_since_first": history.age if history else None,
        "days_first_to_last": history.last if history else None,
        "mean_of_later_ones": round(history.mean, 2) if history and history.again else None,
        "still_a_customer": round(found.active, 4) if found else None,
        "purchases_expected": round(found.purchases, 3) if found else None,
        "each": round(found.each, 2) if found else None,
        "exactly": plain_decimal(found.value) if found else None, "reason": reason or None,
    }  # fmt: skip
