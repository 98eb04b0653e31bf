"""Two people who turn out to be one: what is not ordered yet waits for a person, what was given twice is shown.

A rule counts by person when it grants; merged later, each name may hold what only one was to get. The older grant
keeps its place; a younger one is held just before it would be ordered, and a person lets it go or declines it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hub.app.context import Hub
from hub.app.listings import Dict
from hub.app.reward_moves import kinds_of
from hub.app.reward_owing import leaves_out, rule_named
from hub.app.reward_providers import can_cancel
from hub.app.titles import cards
from hub.core.planted import PLANTED
from hub.core.rewards import EVENT, GIVEN, HELD_OUT, HOLDING, Entry, Rule, period_of, period_start
from hub.model import Grant
from hub.store import Tx

MANY = 100_000
COUNTED = HOLDING | GIVEN


def has_it_already(hub: Hub, tx: Tx, grant: Grant) -> str:
    """Why a grant that is about to be ordered must wait: its person has it, under another name. "" if he has not.

    Or the lot leaves the person out under a name that was not theirs when it was granted.
    """
    if _is_left_out_now(hub, tx, grant):
        return f"{HELD_OUT.code}: merged with somebody who is left out by lot"
    rule = hub.rewards.rules.get(grant.rule) if hub.rewards is not None else None
    if rule is None or "given_twice" in PLANTED or (rule.once_per == EVENT and rule.per_person is None):
        return ""
    root = tx.roots([grant.subject_id]).get(grant.subject_id, grant.subject_id)
    names = tx.alias_closure([root])[root]
    if len(names) == 1:
        return ""
    own = [each for name in names for each in tx.grants(rule=rule.name, subject_id=name) if each.state in COUNTED]
    older = [each for each in own if each.id < grant.id]
    if not surplus(hub, tx, rule, [*older, grant]) or Entry.APPROVED in kinds_of(tx, grant):
        return ""
    numbers = ", ".join(str(each.id) for each in older)
    return f"RWD-MERGED: the person has it already, under another name (grant {numbers})"


def _is_left_out_now(hub: Hub, tx: Tx, grant: Grant) -> bool:
    rule = rule_named(hub, grant.rule)
    if rule is None or not rule.hold_out or "lot_forgotten" in PLANTED:
        return False
    root = tx.roots([grant.subject_id]).get(grant.subject_id, grant.subject_id)
    names = tx.alias_closure([root])[root]
    return len(names) > 1 and leaves_out(tx, rule, names) and Entry.APPROVED not in kinds_of(tx, grant)


def surplus(hub: Hub, tx: Tx, rule: Rule, grants: Sequence[Grant]) -> list[Grant]:
    """Those of one person's grants of one rule that came over what the rule allows, the oldest first counted."""
    zone = hub.rewards.zone if hub.rewards is not None else None
    if zone is None:
        return []
    moments = _moments(tx, grants) if rule.once_per != EVENT else {}
    spans: dict[str, int] = {}
    periods: dict[float, int] = {}
    over: list[Grant] = []
    for grant in sorted(grants, key=lambda each: each.id):
        at = moments.get(grant.id, grant.created_at)
        span = f"{grant.id}" if rule.once_per == EVENT else period_of(rule.once_per, at, zone)
        spans[span] = spans.get(span, 0) + 1
        too_many = spans[span] > 1
        if rule.per_person is not None:
            start = period_start(rule.per_person.per, grant.created_at, zone)
            periods[start] = periods.get(start, 0) + 1
            too_many = too_many or periods[start] > rule.per_person.count
        if too_many:
            over.append(grant)
    return over


def _moments(tx: Tx, grants: Iterable[Grant]) -> dict[int, float]:
    """Grant -> when its event happened."""
    found = {}
    for grant in grants:
        event = next(iter(tx.events_page(after_id=grant.event_id - 1, limit=1)), None) if grant.event_id else None
        if event is not None and event.id == grant.event_id:
            found[grant.id] = event.at
    return found


def overspent(hub: Hub) -> list[Dict]:
    """What was given to people more often than its rule allows, because they were known under several names."""
    rows = []
    for rule in hub.rewards.rules.values() if hub.rewards is not None else ():
        with hub.store.reading() as tx:
            roots = set(tx.roots(tx.merged_subjects(rule.name)).values())  # who has one name only got nothing twice
            people = {
                root: [each for name in names for each in tx.grants(rule=rule.name, subject_id=name, limit=MANY)]
                for root, names in tx.alias_closure(roots).items()
            }
            people = {root: [each for each in own if each.state in COUNTED] for root, own in people.items()}
            found = [
                (root, grant)
                for root, own in sorted(people.items())
                if len({each.subject_id for each in own}) > 1
                for grant in surplus(hub, tx, rule, own)
            ]
            named = cards(tx, {root for root, _ in found})
        rows += [
            {
                "grant": grant.id, "rule": rule.name, "person": named[root]["title"] if root in named else str(root),
                "entity": root, "state": str(grant.state), "amount": grant.amount, "currency": grant.currency,
                "spent": grant.state in GIVEN, "can_cancel": grant.state in GIVEN and can_cancel(hub, grant.connection),
            }
            for root, grant in found
        ]  # fmt: skip
    return rows
