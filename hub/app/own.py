"""Four eyes: nobody approves what he brought about himself, as long as somebody else could.

Brought about: a plan by whoever had it made, a plan and a hold by whoever published the mapping that they come from, a
reward and a firing by whoever published their rule. In a hub with a single approver there is nobody to ask.
"""

from __future__ import annotations

from collections.abc import Iterable

from hub.app.context import Hub
from hub.app.people import Person, Right
from hub.app.publishing import stem_of
from hub.errors import NotAllowed
from hub.store import Tx

REWARDS, TRIGGERS = "rewards", "triggers"


def own_grant(hub: Hub, grant_id: int, *, by: str) -> None:
    """Raises NotFound; NotAllowed AUTH-OWN: the rules are his, or the reward itself is, whoever else could approve."""
    with hub.store.reading() as tx:
        grant, where = tx.grant(grant_id), f"grant {grant_id}"
        if by.casefold() == str(grant.recipient.get("email", "")).casefold():
            raise NotAllowed("this reward is for you", code="AUTH-OWN", where=where, fix="ask another approver")
        if by in _publishers(tx, [REWARDS]):
            _refuse(tx, by, "you published the rules that this reward comes from", where)


def own_firing(hub: Hub, firing_id: int, *, by: str) -> None:
    """Raises NotFound; NotAllowed AUTH-OWN: the trigger is his, or it is for him, whoever else could approve."""
    with hub.store.reading() as tx:
        firing, where = tx.firing(firing_id), f"firing {firing_id}"
        subject = firing.subject_id if firing.subject_id is not None else firing.entity_id
        root = tx.roots([subject]).get(subject, subject)
        row = tx.entities([root]).get(root)
        if row is not None and by.casefold() == str(row.values.get("email") or "").casefold():
            raise NotAllowed("this is for you", code="AUTH-OWN", where=where, fix="ask another approver")
        if by in _publishers(tx, [TRIGGERS]):
            _refuse(tx, by, "you published the triggers that this comes from", where)


def own_plan(hub: Hub, plan_id: int, *, by: str) -> None:
    """Raises NotFound; NotAllowed AUTH-OWN: he had it made, or the mapping is his."""
    with hub.store.reading() as tx:
        row = tx.plan_head(plan_id)
        if row.made_by == by:
            _refuse(tx, by, "you had this plan made", f"plan {plan_id}")
        if by in _publishers(tx, _mappings(hub, [each["connection"] for each in row.summary or ()])):
            _refuse(tx, by, "you published the mapping that this plan comes from", f"plan {plan_id}")


def own_hold(hub: Hub, hold_id: int, *, by: str) -> None:
    """Raises NotFound; NotAllowed AUTH-OWN: the mapping whose changes are held is his."""
    with hub.store.reading() as tx:
        row = tx.hold(hold_id)
        if by in _publishers(tx, _mappings(hub, [row.connection])):
            _refuse(tx, by, "you published the mapping whose changes are held", f"hold {hold_id}")


def _mappings(hub: Hub, connections: Iterable[str]) -> list[str]:
    """Names under which the mappings of connections are published."""
    settings = hub.projects.settings.connections if hub.projects is not None else {}
    return [stem_of(settings[name].mapping) for name in connections if name in settings]


def _publishers(tx: Tx, names: Iterable[str]) -> set[str]:
    """Who published the versions that are in force."""
    return {rows[0].by for name in names if (rows := tx.mapping_versions(name))}


def _refuse(tx: Tx, by: str, why: str, where: str) -> None:
    """Unless nobody else could."""
    others = [Person(name=name, role=row.role) for name, row in tx.users().items() if name != by and row.active]
    if any(each.may(Right.APPROVE) for each in others):
        raise NotAllowed(why, code="AUTH-OWN", where=where, fix="ask another approver")
