"""`milestones:` of rewards.yaml: every fault is noted with its place; what is not wholly understood gives nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal, InvalidOperation

from hub.core.canonical import Canonical
from hub.core.document import Sheet, nearest
from hub.core.kpis import PERIODS, Kpi, Kpis
from hub.core.milestones import EACH, TOGETHER, Milestone
from hub.core.rewards import PEOPLE, Budget
from hub.core.rewards_file import check_money, check_name, read_amount, read_give, read_moment, read_span

MILESTONE_KEYS = (
    "text", "kpi", "by", "who", "members", "per", "reach", "least", "grace", "give", "budget", "active_from",
    "approve_over",
)  # fmt: skip
_NEEDED = ("text", "kpi", "by", "per", "reach", "give", "budget", "active_from")


def parse_milestones(
    sheet: Sheet,
    canonical: Canonical,
    kpis: Kpis,
    budgets: Mapping[str, Budget],
    *,
    connections: Collection[str] | None = None,
) -> dict[str, Milestone]:
    """The milestones of a rewards.yaml; faults are noted in the sheet."""
    found = {}
    for name, place in sheet.at("milestones").entries():
        known = len(place.faults)
        made = _milestone(place, name, canonical, kpis, budgets, connections)
        if Sheet(sheet.document).at("rules").has(name):
            place.fault("RWD-009", f"{name} is a rule, too", "give one of them another name")
        if made is not None and len(place.faults) == known:
            found[name] = made
    return found


def _milestone(
    place: Sheet,
    name: str,
    canonical: Canonical,
    kpis: Kpis,
    budgets: Mapping[str, Budget],
    connections: Collection[str] | None,
) -> Milestone | None:
    check_name(place, name)
    if not place.closed(MILESTONE_KEYS, required=_NEEDED):
        return None
    wanted = place.text("kpi")
    kpi = kpis.kpis.get(wanted)
    if kpi is None:
        place.at("kpi").fault("RWD-009", f"no figure {wanted[:40]} in kpis.yaml", nearest(wanted, kpis.kpis))
    give, budget = read_give(place.at("give"), connections), place.text("budget")
    approve_over = read_amount(place, "approve_over") if place.has("approve_over") else None
    if give is not None:
        check_money(place, give.amount, approve_over, budget, budgets)
    reach = _number(place, "reach")
    if kpi is None or give is None or reach is None:
        return None
    return Milestone(
        name=name, text=place.text("text"), kpi=kpi, by=_by(place, kpi, canonical),
        who=place.choice("who", (EACH, TOGETHER), EACH), members=place.texts("members"),
        per=place.choice("per", PERIODS, "month"), reach=reach, at_most=kpi.direction == "down",
        least=place.integer("least", 1, least=1) or 1, grace_s=read_span(place, "grace", code="RWD-007"), give=give,
        budget=budget, active_from=read_moment(place, "active_from", code="RWD-007"), approve_over=approve_over,
        where=place.where,
    )  # fmt: skip


def _by(place: Sheet, kpi: Kpi, canonical: Canonical) -> str:
    """Whose a record is: a reference to somebody, or one through another record."""
    text = place.text("by")
    entity = kpi.entity
    via, _, rest = text.partition(".")
    if rest and via in entity.fields and entity.fields[via].to in canonical.entities:
        entity = canonical.entities[entity.fields[via].to]
    declared = entity.fields.get(rest or via)
    if declared is None or declared.kind != "ref" or declared.to not in PEOPLE:
        able = [each.name for each in kpi.entity.fields.values() if each.kind == "ref" and each.to in PEOPLE]
        place.at("by").fault("RWD-002", f"{text[:40]} is nobody that {kpi.entity.name} names", nearest(text, able))
    return text


def _number(place: Sheet, key: str) -> Decimal | None:
    value = place.at(key).value
    try:
        found = Decimal(str(value)) if isinstance(value, int | float | str) and not isinstance(value, bool) else None
    except InvalidOperation:
        found = None
    if found is None or not found.is_finite():
        place.at(key).fault("RWD-009", f"{key} is no number", "such as 0.5; shares are between 0 and 1")
        return None
    return found
