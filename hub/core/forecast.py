"""What a customer will probably spend: BG/NBD with Gamma-Gamma, two published models. Pure functions of what was found.

BG/NBD (Fader, Hardie and Lee 2005, Marketing Science 24:275) says how often: while a customer is one, purchases come at
random at a rate of their own; after each purchase they leave for good with a chance of their own. Rates are gamma
distributed over customers (r, alpha), chances beta (a, b). Gamma-Gamma (Fader and Hardie 2013, "The Gamma-Gamma model
of monetary value") says how much: purchases scatter around a customer's own mean, which is spread over customers (p, q,
v), independently of how often they buy.

A library finds the parameters (hub.runtime.fitting); here stands what follows from them for one customer. A fit that
says nothing worth telling is refused with the reason: no figure is better than one that looks like a fact.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from hub.model import Json

MODEL = "BG/NBD with Gamma-Gamma"
FIT_DAYS = 7  # a fit is made anew when it is so old
TRIED_SHARE = 0.25  # the last part of the time known, which a fit to the time before has to tell
TRIED_LEAST = 20.0  # so many purchases must have happened in it to judge by
OFF_BY = 2.0  # a fit that tells twice or half of what happened is none
UNSURE = 0.5  # standard error of r and alpha, as a share of them
TERMS = 200_000  # of a series; what has not settled by then has no value
SETTLED = 1e-13


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A customer's purchases, summed up. Purchases of one day are one."""

    again: int  # days of purchase after the first: x
    last: int  # days from the first purchase to the last: t_x
    age: int  # days from the first purchase to the day of counting: T
    mean: float = 0.0  # what a day of purchase after the first comes to on average; 0: there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Parameters of both models, found for one day, with what speaks for them; or why there are none."""

    day: date  # as of which customers were counted
    customers: int = 0
    again: int = 0  # of them bought on a second day
    reason: str = ""  # why nothing is told; "" if something is
    r: float = 0.0
    alpha: float = 0.0  # days
    a: float = 0.0
    b: float = 0.0
    p: float = 0.0
    q: float = 0.0
    v: float = 0.0  # the hub's currency
    unsure: float = 0.0  # the greater of the standard errors of r and alpha, as a share of them
    told: float | None = None  # purchases of the last part of the time known that a fit to the time before expected …
    happened: float | None = None  # … and that there were; None: there was too little time or too little before


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What is expected of one customer within so many days."""

    active: float  # chance that they still are a customer
    purchases: float
    each: float  # what one comes to
    value: Decimal  # together, to the cent


def history_of(bought: Iterable[tuple[date, Decimal]], until: date) -> History | None:
    """Purchases (day, what it came to) until a day; None if there was none. What came to nothing is no purchase."""
    days: dict[date, Decimal] = {}
    for day, amount in bought:
        if amount > 0 and day <= until:
            days[day] = days.get(day, Decimal(0)) + amount
    if not days:
        return None
    first, *others = sorted(days)
    mean = float(sum(days[each] for each in others) / len(others)) if others else 0.0
    last = others[-1] if others else first
    return History(again=len(others), last=(last - first).days, age=(until - first).days, mean=mean)


def tried_from(first: date, until: date) -> date:
    """The day after which a fit is tried: it is made from what was known until then."""
    return until - timedelta(days=int((until - first).days * TRIED_SHARE))


def judged(fit: Fit, *, least: int) -> str:
    """Why a fit tells nothing; "" if it does.

    Args:
        least: customers who bought again, below which chance decides.
    """
    if fit.again < least:
        return f"only {fit.again} customers bought on a second day; {least} are needed"
    if fit.reason:
        return fit.reason
    if not all(math.isfinite(each) and each > 0 for each in (fit.r, fit.alpha, fit.a, fit.b, fit.p, fit.q, fit.v)):
        return "the models have no parameters for these purchases"
    if fit.q <= 1:
        return "what purchases come to is spread too widely: its mean is not finite"
    if not fit.unsure <= UNSURE:
        return f"the parameters are uncertain by {fit.unsure:.0%}"
    told, happened = fit.told, fit.happened
    if told is not None and happened is not None and happened >= TRIED_LEAST:
        if not happened / OFF_BY <= told <= happened * OFF_BY:
            return f"tried on the past, the models told {told:.0f} purchases where {happened:.0f} happened"
    return ""


def outlook(fit: Fit, history: History, days: int) -> Outlook | None:
    """What is expected of a customer within the next days, counted from the end of their history.

    None: no finite number comes out.
    """
    purchases = expected_purchases(fit, history, days)
    weight = fit.p * history.again / (fit.p * history.again + fit.q - 1)  # own mean against everybody's
    each = weight * history.mean + (1 - weight) * fit.p * fit.v / (fit.q - 1)
    if purchases is None or not math.isfinite(purchases * each):
        return None
    value = Decimal(purchases * each).quantize(Decimal("0.01"))
    return Outlook(active=_active(fit, history), purchases=purchases, each=each, value=value)


def expected_purchases(fit: Fit, history: History, days: int) -> float | None:
    """Fader, Hardie and Lee 2005, equation 10; in their letters: x, t_x, T, and t for the days ahead."""
    r, alpha, a, b = fit.r, fit.alpha, fit.a, fit.b
    x, age = history.again, history.age
    series = _hypergeometric(r + x, b + x, a + b + x - 1, days / (alpha + age + days))
    if series is None or a == 1:
        return None
    fades = math.exp((r + x) * math.log((alpha + age) / (alpha + age + days)) + math.log(series)) if series > 0 else 0.0
    expected = (a + b + x - 1) / (a - 1) * (1 - fades) * _active(fit, history)
    return expected if math.isfinite(expected) and expected >= 0 else None


def _active(fit: Fit, history: History) -> float:
    """The chance that a customer has not left: 1 / (1 + odds). Who bought once cannot have left, says the model."""
    x = history.again
    if not x:
        return 1.0
    longer = math.log((fit.alpha + history.age) / (fit.alpha + history.last))
    odds = math.log(fit.a / (fit.b + x - 1)) + (fit.r + x) * longer
    return 1 / (1 + math.exp(odds)) if odds < 700 else 0.0


def _hypergeometric(a: float, b: float, c: float, z: float) -> float | None:
    """Gauss's series 2F1(a, b; c; z) for 0 <= z < 1; None if it does not settle, or grows beyond all numbers."""
    term = total = 1.0
    for k in range(TERMS):
        if c + k == 0:
            return None
        term *= (a + k) * (b + k) / ((c + k) * (k + 1)) * z
        total += term
        if not math.isfinite(total):
            return None
        if abs(term) <= SETTLED * abs(total) and (a + k) * (b + k) * z < abs((c + k) * (k + 1)):
            return total
    return None


def as_json(fit: Fit) -> Json:
    """A fit as it is kept."""
    names = (each for each in Fit.__dataclass_fields__ if each != "day")
    return {"day": fit.day.isoformat(), **{name: getattr(fit, name) for name in names}}


def from_json(kept: Json) -> Fit:
    return Fit(**{**kept, "day": date.fromisoformat(kept["day"])})
