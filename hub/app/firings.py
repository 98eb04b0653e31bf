"""What fired, done: each firing of the ledger that is due, once.

What changes only the hub's own store (a grant, a field, a task) is done in the transaction that settles the firing:
exactly once. What leaves the hub (a notice to the team, a webhook) is announced in the ledger before it leaves and
settled after the answer; if the process dies between, it leaves again under the same id: at least once. No more can be
promised to somebody who does not keep what they have seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import orjson

from hub.app.context import Hub
from hub.app.ingest import finish
from hub.app.reward_owing import Owed, grant_row, leaves_out, owe, refuse
from hub.app.scene import Scene
from hub.app.transact import commit
from hub.core.canonical import SET_BY_TRIGGER
from hub.core.rewards import (
    HELD_OUT,
    NO_ADDRESS,
    TAKEN_BACK,
    Budget,
    Entry,
    GrantState,
    digest_of,
    over_budget,
    recipient_of,
    split_label,
)
from hub.core.triggers import (
    EVENT,
    FIELD,
    NOTICE,
    REWARD,
    TASK,
    WEBHOOK,
    FiringState,
    TriggerRule,
    after_failure,
)
from hub.errors import HubError, NeedsReview, RecordRejected
from hub.model import EntityRow, Firing, Json
from hub.runtime.log import logger
from hub.store import Tx

MOST = 500  # in one go
LEASE_S = 120.0  # what leaves is settled within that, or leaves again
TASK_TYPE = "task"
OPEN = (FiringState.DUE, FiringState.WAITING)
NO_BUDGET = "messages@ever"  # of notices to a person: they cost nothing


def do_due(hub: Hub, *, limit: int = MOST) -> Counter[str]:
    """Do what is due. One that fails delays no other. Gives counts per state. A copy of the database does nothing."""
    if hub.copied or not hub.triggers.rules:
        return Counter()
    with hub.store.reading() as tx:
        due = tx.due_firings(hub.clock.now(), limit)
    counts: Counter[str] = Counter()
    for firing in due:
        try:
            state = _do(hub, firing)
        except HubError as error:
            logger("triggers").warning("not done", firing=firing.id, code=error.code, error=str(error))
            continue
        counts[state] += state != ""
    return +counts


def _do(hub: Hub, firing: Firing) -> str:
    rule = hub.triggers.rules.get(firing.rule)
    if rule is None or rule.do.action != firing.action:
        return _settled(
            hub, firing, lambda tx, mine: _refuse(mine, "TRG-GONE: the rule is gone, or does something else")
        )
    if rule.do.action == WEBHOOK or (rule.do.action == NOTICE and rule.do.give is None):
        return _send(hub, rule, firing)
    work = {REWARD: _grant, NOTICE: _grant, FIELD: _set_fields, TASK: _make_task}[rule.do.action]
    return _settled(hub, firing, lambda tx, mine: work(hub, tx, rule, mine))


def _settled(hub: Hub, firing: Firing, work: Callable[[Tx, Firing], None]) -> str:
    """One transaction that does and settles; nothing if another process was first."""

    def once(tx: Tx) -> str:
        mine = tx.firing(firing.id, lock=True)
        if mine.state not in OPEN or mine.not_before > hub.clock.now():
            return ""
        mine.state, mine.reason, mine.done_at = FiringState.DONE, "", hub.clock.now()
        mine.attempts += 1
        work(tx, mine)
        tx.update_firings([mine])
        return str(mine.state)

    return commit(hub, once)


def _refuse(firing: Firing, reason: str) -> None:
    firing.state, firing.reason, firing.done_at = FiringState.REFUSED, reason, None


def _scene(hub: Hub, tx: Tx, firing: Firing) -> tuple[Scene, int]:
    """The person it is done for, as whoever speaks for them now: a merge since then is followed."""
    scene = Scene(hub=hub, tx=tx, now=hub.clock.now())
    subject = firing.subject_id if firing.subject_id is not None else firing.entity_id
    scene.load([subject])
    return scene, scene.root_of[subject]


# A reward, or a message to a person: handed over to the ledger of rewards


def _grant(hub: Hub, tx: Tx, rule: TriggerRule, firing: Firing) -> None:
    """A reward goes the way of all rewards; a message costs nothing, so it needs no budget."""
    give = rule.do.give
    if give is None:
        raise ValueError(f"{rule.name} gives nothing")
    scene, root = _scene(hub, tx, firing)
    owed = Owed(
        rule=rule.name, key=digest_of("grant", hub.instance, "trigger", firing.key),
        refusal_key=digest_of("refused", hub.instance, "trigger", firing.key), receiver=root,
        recipient=recipient_of(scene.values(root)), event_id=_event_id(tx, rule, firing), give=give,
        product=give.product, budget=rule.do.budget, approve_over=None, wait_s=0.0,
        why=f"firing {firing.id} of trigger {rule.name}",
    )  # fmt: skip
    if _is_taken_back(tx, scene, rule, firing):
        _refuse(firing, str(TAKEN_BACK))
    elif leaves_out(tx, rule, _names(scene, root)):
        refuse(hub, tx, owed, HELD_OUT, scene.now)
        _refuse(firing, str(HELD_OUT))
    elif "email" not in owed.recipient:
        _refuse(firing, str(NO_ADDRESS))
    elif rule.do.action == REWARD:
        _owe(hub, tx, rule, firing, owed)
    else:
        _owe_message(hub, tx, firing, owed)


def _event_id(tx: Tx, rule: TriggerRule, firing: Firing) -> int | None:
    event = tx.events_by_keys([firing.cause]).get(firing.cause) if rule.cause == EVENT else None
    return event.id if event is not None else None


def _names(scene: Scene, root: int) -> list[int]:
    return [each for each, of in scene.root_of.items() if of == root]


def _is_taken_back(tx: Tx, scene: Scene, rule: TriggerRule, firing: Firing) -> bool:
    """Whether what takes the reward back has happened already, to the cause's entity under any of its names."""
    if not rule.reverse_on:
        return False
    scene.load([firing.entity_id])
    events = tx.events(_names(scene, scene.root_of[firing.entity_id]))
    return any(event.name in rule.reverse_on and event.withdrawn_at is None for event in events)


def _owe(hub: Hub, tx: Tx, rule: TriggerRule, firing: Firing, owed: Owed) -> None:
    rewards, budget = hub.rewards, budget_of(hub, rule)
    if rewards is None or budget is None:
        _refuse(firing, "RWD-BUDGET: there is no such budget")
        return
    _, grant = owe(hub, tx, rewards, owed, hub.clock.now())
    if grant is None:
        _refuse(firing, str(over_budget(budget)))
    else:
        firing.result = f"grant {grant.id}"


def _owe_message(hub: Hub, tx: Tx, firing: Firing, owed: Owed) -> None:
    now = hub.clock.now()
    tx.reserve(*split_label(NO_BUDGET), 0, 0)
    grant = grant_row(hub, tx, owed, now, key=owed.key, state=GrantState.RESERVED, budget=NO_BUDGET)
    tx.add_grant(grant)
    tx.add_grant_entry(grant.id, Entry.RESERVED, grant.amount, now, owed.why)
    firing.result = f"grant {grant.id}"


def budget_of(hub: Hub, rule: TriggerRule) -> Budget | None:
    """What a rule's rewards are paid from; none for what has no price."""
    rewards, name = hub.rewards, rule.do.budget
    return rewards.budgets.get(name) if rewards is not None and name else None


# A field, a task


def _set_fields(hub: Hub, tx: Tx, rule: TriggerRule, firing: Firing) -> None:
    """Fields that no system speaks for: no claim and no ruling is overruled; the same value is no change."""
    scene, root = _scene(hub, tx, firing)
    declared = scene.entity_type(root).fields
    for name, value in rule.do.values.items():
        if name in declared and declared[name].derived == SET_BY_TRIGGER:
            scene.set_value(root, name, value)
    finish(scene)
    firing.result = f"entity {root}"


def _make_task(hub: Hub, tx: Tx, rule: TriggerRule, firing: Firing) -> None:
    """A task, wanted at every connection that takes tasks; it is created there by the push, once, like any record."""
    scene, root = _scene(hub, tx, firing)
    task = EntityRow(id=scene.new_id("entity"), type=TASK_TYPE, created_at=scene.now)
    scene.add_entity(task)
    known = scene.entity_type(task.id).fields
    for name, value in _task_values(rule, firing, scene, root).items():
        if name in known and value is not None:
            scene.set_value(task.id, name, value)
    scene.decide()
    for connection in hub.makers_of(TASK_TYPE):
        for mapping in connection.mappings.values():
            if mapping.entity == TASK_TYPE and scene.is_listed(connection, mapping):
                scene.new_wanted(task.id, connection, mapping)
                break
    finish(scene)
    firing.result = f"entity {task.id}"


def _task_values(rule: TriggerRule, firing: Firing, scene: Scene, root: int) -> dict[str, Json]:
    values, kind = scene.values(root), scene.entities[root].type
    due = datetime.fromtimestamp(scene.now + rule.do.due_s, scene.hub.triggers.zone).date().isoformat()
    about = {kind: root} if kind != "owner" else {}
    owner = root if kind == "owner" else values.get(rule.do.owner or "owner")
    contact = about.get("contact", values.get("contact"))
    return {
        **rule.do.values, "status": "open", "due_on": due, "owner": owner, **about, "contact": contact,
        "source": f"trigger {rule.name}",
    }  # fmt: skip


# What leaves the hub


def _send(hub: Hub, rule: TriggerRule, firing: Firing) -> str:
    mine = commit(hub, lambda tx: _claim(hub, tx, firing.id))
    if mine is None:
        return ""
    try:
        result = _post(hub, rule, mine) if rule.do.action == WEBHOOK else _tell(hub, rule)
    except HubError as error:
        final, reason = isinstance(error, RecordRejected), f"{error.code}: {error.message}"
        return commit(hub, lambda tx: _failed(hub, tx, mine, reason, final=final))
    return commit(hub, lambda tx: _done(hub, tx, mine, result))


def _claim(hub: Hub, tx: Tx, id: int) -> Firing | None:
    """That it leaves is on record before it does: a process that dies leaves it to be sent again."""
    mine, now = tx.firing(id, lock=True), hub.clock.now()
    if mine.state not in OPEN or mine.not_before > now:
        return None
    mine.state, mine.attempts, mine.not_before = FiringState.WAITING, mine.attempts + 1, now + LEASE_S
    tx.update_firings([mine])
    return mine


def _done(hub: Hub, tx: Tx, sent: Firing, result: str) -> str:
    mine = tx.firing(sent.id, lock=True)
    mine.state, mine.reason, mine.result, mine.done_at = FiringState.DONE, "", result, hub.clock.now()
    tx.update_firings([mine])
    return str(mine.state)


def _failed(hub: Hub, tx: Tx, sent: Firing, reason: str, *, final: bool) -> str:
    mine, now = tx.firing(sent.id, lock=True), hub.clock.now()
    if mine.state in OPEN and mine.attempts == sent.attempts:
        mine.state, mine.not_before = (FiringState.FAILED, now) if final else after_failure(mine, now)
        mine.reason = reason
        tx.update_firings([mine])
    return str(mine.state)


def _tell(hub: Hub, rule: TriggerRule) -> str:
    """A text of the rule's own, without anybody's data: it may go to a chat."""
    if hub.tell is None:
        raise NeedsReview("nobody is told notices", code="TRG-TEAM", fix="notices: {to: …} in hub.yaml")
    failed = hub.tell(f"{rule.name}: {rule.text}", rule.do.text)
    if failed:
        raise NeedsReview(f"not reached: {', '.join(failed)}", code="TRG-TEAM", fix="hub.yaml: notices")
    return "told"


def _post(hub: Hub, rule: TriggerRule, firing: Firing) -> str:
    if hub.post is None:
        raise NeedsReview("this hub opens no doors", code="TRG-WEBHOOK")
    with hub.store.reading() as tx:
        wanted = firing.subject_id if firing.subject_id is not None else firing.entity_id
        root = tx.roots([wanted])[wanted]
        row = tx.entities([root])[root]
    body = orjson.dumps(
        {
            "type": f"trigger.{rule.name}", "timestamp": _iso(firing.at),
            "data": {
                "rule": rule.name, "cause": firing.cause, "entity": root, "entity_type": row.type, "values": row.values
            },
        },
        option=orjson.OPT_SORT_KEYS,
    )  # fmt: skip
    do, key = rule.do, f"{hub.instance}-{firing.key[:32]}"
    return f"HTTP {hub.post(do.url, do.secret, local=do.local, key=key, at=hub.clock.now(), body=body)}"


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


# For people


def approve(hub: Hub, id: int, by: str) -> Firing:
    """Let a held firing go. Raises NotFound, NeedsReview TRG-STATE."""
    return _decide(hub, id, by, "approve", (FiringState.HELD,), FiringState.DUE, "")


def drop(hub: Hub, id: int, by: str) -> Firing:
    """Say no to what was not done yet. Raises NotFound, NeedsReview TRG-STATE."""
    return _decide(hub, id, by, "drop", (FiringState.HELD, *OPEN), FiringState.REFUSED, f"TRG-DROPPED: by {by}")


def _decide(
    hub: Hub, id: int, by: str, action: str, states: tuple[FiringState, ...], to: FiringState, reason: str
) -> Firing:
    def once(tx: Tx) -> Firing:
        mine, now = tx.firing(id, lock=True), hub.clock.now()
        if mine.state not in states:
            words = f"the firing is {mine.state}; this can be decided only while it is {' or '.join(states)}"
            raise NeedsReview(words, code="TRG-STATE", where=f"firing {id}", fix=f"hub trigger show {id}")
        before = str(mine.state)
        mine.state, mine.reason, mine.not_before = to, reason, now
        tx.update_firings([mine])
        tx.audit(by, f"trigger.{action}", f"firing {id}", {"state": before}, {"state": str(to)}, now)
        return mine

    return commit(hub, once)
