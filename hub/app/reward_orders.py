"""Placing the orders that grants are owed, exactly one each, whatever crashes (law L12, reliability.md §4.9).

The story of one grant: that it is being sent, since when, and how long that can still land, is committed before the
call leaves, always with the same reference. The answer settles it; a lost answer leaves it `unknown`, with its money
set aside. What may follow then is the provider's class: the same reference again where a repeat is refused (A, B), a
look-up once nothing can land any more (C), a person (D). An answer that certainly means "no" counts only if no earlier
attempt is in doubt.

The story of two workers, and of one that slept: whoever claims a grant raises its `attempts`; an answer settles only
the attempt that it belongs to. A sender that wakes up after its deadline does not start its call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hub.app.context import Hub
from hub.app.reward_cancel import ask_back, settle_cancel
from hub.app.reward_messages import owe_message
from hub.app.reward_moves import kinds_of, locked, move, note
from hub.app.reward_providers import CODE, Answer, Attempt, Desk, Timing, can_cancel, desk_of, shown_code
from hub.app.reward_twice import has_it_already
from hub.app.transact import commit
from hub.core.planted import PLANTED
from hub.core.rewards import (
    GIVEN,
    Entry,
    GrantState,
    Step,
    code_of,
    is_held,
    is_reversed,
    next_step,
    order_body,
    order_differences,
)
from hub.errors import HubError, NeedsReview, OutcomeUnknown, RecordRejected, RetryLater, SignInExpired
from hub.model import ChangeSet, Grant, Json, PushResult, SourceRecord
from hub.store import Tx

PAGE = 200


def issue_due(hub: Hub, connection_name: str, *, run_id: int | None, timing: Timing | None = None) -> Counter[str]:
    """Settle what is in doubt at a connection, then send what is due.

    Returns:
        Counts: rewards_issued, rewards_rejected, rewards_unknown, rewards_throttled, rewards_needs_person,
        rewards_not_found (looked up, not there), rewards_reversed.

    Raises:
        SignInExpired: credentials refused; what was to be sent waits.
        NeedsReview: grants wait for a connection that cannot place orders.
        HubError: the connection's fault, if it cannot be used at all.
    """
    connection = hub.connections[connection_name]
    if not connection.writes or connection.asks:
        return Counter()
    connection.require()
    desk = desk_of(hub, connection, run_id=run_id, timing=timing)
    if desk is None:
        _nothing_waits_for(hub, connection_name)
        return Counter()
    for state in (GrantState.SENDING, GrantState.UNKNOWN, GrantState.RESERVED, GrantState.CANCELLING):
        _issue_all(desk, state)
    return +desk.counts


def _nothing_waits_for(hub: Hub, connection_name: str) -> None:
    with hub.store.reading() as tx:
        waiting = tx.grants(GrantState.RESERVED, connection_name, limit=1)
    if waiting:
        raise NeedsReview(
            "grants wait for a connection that cannot place orders", code="RWD-CONNECTION", where=connection_name,
            fix="name a rewards provider in `give:` of rewards.yaml",
        )  # fmt: skip


def _issue_all(desk: Desk, state: GrantState) -> None:
    after_id = 0
    while not desk.closed:
        with desk.hub.store.reading() as tx:
            page = tx.grants(state, desk.connection.name, limit=PAGE, after_id=after_id)
        if not page:
            return
        after_id = page[-1].id
        now = desk.hub.clock.now()
        for grant in page:
            if not desk.closed and grant.not_before <= now:
                _advance(desk, grant.id)


def _advance(desk: Desk, grant_id: int) -> None:
    """One grant, one step nearer to its end."""
    attempt = _claim(desk, grant_id)
    if attempt.step is Step.SEND:
        _settle(desk, attempt, _send(desk, attempt))
    elif attempt.step is Step.LOOK_UP:
        _settle(desk, attempt, _look_up(desk, attempt.grant))
    elif attempt.step is Step.CANCEL:
        settle_cancel(desk, attempt, ask_back(desk, attempt))


# Claiming


def _claim(desk: Desk, grant_id: int) -> Attempt:
    """What is next for a grant, decided and committed under its lock before anything leaves."""

    def claim(tx: Tx) -> Attempt:
        grant, now = locked(tx, grant_id), desk.hub.clock.now()
        step = next_step(grant, kinds_of(tx, grant), desk.provider, now)
        clean = grant.state == GrantState.RESERVED
        twice = has_it_already(desk.hub, tx, grant) if clean and step is Step.SEND else ""
        if twice:
            step = Step.WAIT
            move(tx, grant, GrantState.WAITING_APPROVAL, Entry.HELD, at=now, detail=twice)
        elif step is Step.SEND:
            _mark_sent(desk, tx, grant, now, clean=clean)
        elif step is Step.PERSON:
            text = "RWD-UNKNOWN: an order may or may not exist, and the provider cannot tell"
            move(tx, grant, GrantState.NEEDS_PERSON, Entry.NEEDS_PERSON, at=now, detail=text)
        return Attempt(step=step, grant=grant, clean=clean, at=now)

    attempt = commit(desk.hub, claim)
    desk.counts["rewards_needs_person"] += attempt.step is Step.PERSON
    return attempt


def _mark_sent(desk: Desk, tx: Tx, grant: Grant, now: float, *, clean: bool) -> None:
    """A call may leave from now on, and land until `last_possible`. The key's life counts from its first use."""
    grant.attempts += 1
    grant.first_sent = now if clean or "key_of_last_try" in PLANTED else grant.first_sent
    life_s = desk.timing.request_life_s
    latest = now + desk.timing.start_within_s + (desk.connection.longest_write_s if life_s is None else life_s)
    grant.last_possible = max(latest, grant.last_possible or 0.0)
    text = f"attempt {grant.attempts}" + (f", run {desk.run_id}" if desk.run_id is not None else "")
    move(tx, grant, GrantState.SENDING, Entry.SENT, at=now, detail=text)


# Calling


def _send(desk: Desk, attempt: Attempt) -> Answer:
    push = desk.connection.connector.push
    late = desk.hub.clock.now() > attempt.at + desk.timing.start_within_s
    if push is None or (late and "late_order" not in PLANTED):
        return Answer(kind="throttled", text="too late to start")  # the waits count on the deadline being kept
    try:
        results = push(desk.connection.api, desk.stream.name, [change_of(desk, attempt.grant)])
    except SignInExpired as error:
        _settle(desk, attempt, Answer(kind="throttled", text=error.code))
        raise
    except RetryLater as error:
        return Answer(kind="throttled", text=error.code, after_s=error.after_s)
    except RecordRejected as error:
        return Answer(kind="rejected", text=f"{error.code}: {error.message}")
    except HubError as error:
        return Answer(kind="unknown", text=error.code)
    return _answer(desk, attempt, next((each for each in results if each.index == 0), None))


def change_of(desk: Desk, grant: Grant) -> ChangeSet:
    """The order as a change set; sent again, it is the same to the byte."""
    reference = f"{grant.reference}-{grant.attempts}" if "new_reference" in PLANTED else grant.reference
    return ChangeSet(
        link_id=0, entity_id=grant.subject_id, op="create", external_id=None, values=_told(desk, grant), before={},
        body=_body(desk, grant, reference), reference=reference, idempotency_key=reference,
    )  # fmt: skip


def _body(desk: Desk, grant: Grant, reference: str) -> dict[str, Json]:
    return order_body(grant, code_of(desk.code_key, reference) if desk.stream.gives == CODE else "")


def _told(desk: Desk, grant: Grant) -> dict[str, Json]:
    """What messages may name beside the order itself. A message about another grant tells of that one."""
    known = {"name": grant.recipient.get("name"), "phone": grant.recipient.get("phone")}
    if grant.parent_id is None:
        return {**known, "amount": grant.amount, "currency": grant.currency}
    with desk.hub.store.reading() as tx:
        about = tx.grant(grant.parent_id)
        code = shown_code(desk.hub, tx, about)
    return {**known, "amount": about.amount, "currency": about.currency, "code": code, "about": about.reference}


def _answer(desk: Desk, attempt: Attempt, result: PushResult | None) -> Answer:
    if result is None:
        return Answer(kind="unknown", text="the answer says nothing of it")
    told = f"{result.code}: {result.message}" if result.code else result.message
    match result.outcome:
        case "applied":
            return Answer(kind="issued", order_id=result.external_id)
        case "duplicate":
            if result.held is not None:
                return _compared(desk, attempt.grant, [result.held])
            return _look_up(desk, attempt.grant, order_id=result.existing_id, exists=True)
        case "rejected":
            return Answer(kind="rejected", text=told)
        case "throttled":
            return Answer(kind="throttled", text=told, after_s=result.retry_after_s)
        case "auth_expired":
            _settle(desk, attempt, Answer(kind="throttled", text=told))
            raise SignInExpired("credentials refused while ordering", where=desk.connection.name)
        case _:
            return Answer(kind="unknown", text=told or result.outcome)


def _look_up(desk: Desk, grant: Grant, *, order_id: str | None = None, exists: bool = False) -> Answer:
    """Ask the provider for the order with our reference; it is ours only if it is the order that we want.

    Args:
        order_id: its number, where the provider told it.
        exists: the provider says that there is one; then "not found" is no proof.
    """
    try:
        found = _orders_of(desk, grant, order_id)
    except SignInExpired:
        raise
    except HubError as error:
        return Answer(kind="unknown", text=f"look-up: {error.code}")
    if not found:
        return Answer(kind="unknown", text="said to exist, not to be read yet") if exists else Answer(kind="not_found")
    return _compared(desk, grant, found)


def _compared(desk: Desk, grant: Grant, found: Sequence[SourceRecord]) -> Answer:
    """What is there under our reference, held against what we want."""
    ids = sorted({record.external_id for record in found})
    if len(ids) > 1:
        return Answer(kind="differs", order_id=ids[0], text=f"RWD-DOUBLE: orders {', '.join(ids)} have this reference")
    told = {name: value for record in found for name, value in record.data.items() if value is not None}
    wrong = order_differences(_body(desk, grant, grant.reference), told)
    if wrong:
        return Answer(
            kind="differs", order_id=ids[0], text=f"RWD-DIFFERS: order {ids[0]} differs in {', '.join(wrong)}"
        )
    return Answer(kind="issued", order_id=ids[0])


def _orders_of(desk: Desk, grant: Grant, order_id: str | None) -> list[SourceRecord]:
    """By its number, or by our reference."""
    connector, api = desk.connection.connector, desk.connection.api
    if order_id is not None and connector.fetch is not None:
        return [record for record in connector.fetch(api, desk.stream.name, [order_id]) if record.op != "delete"]
    if connector.find is None or desk.stream.marker is None:
        raise OutcomeUnknown("the provider cannot be asked by reference", code="RWD-NO-LOOK-UP")
    wanted = code_of(desk.code_key, grant.reference) if desk.stream.gives == CODE else grant.reference
    return list(connector.find(api, desk.stream.name, desk.stream.marker, wanted))


# Settling


def _settle(desk: Desk, attempt: Attempt, answer: Answer) -> None:
    """One transaction: what the answer proves. To an attempt that is no longer the newest it proves only success."""

    def settle(tx: Tx) -> str:
        grant, now = locked(tx, attempt.grant.id), desk.hub.clock.now()
        ours = (grant.state, grant.attempts) == (attempt.grant.state, attempt.grant.attempts)
        return _apply(desk, tx, grant, attempt, answer, now) if ours else _belated(desk, tx, grant, answer, now)

    desk.counts[commit(desk.hub, settle)] += 1
    desk.closed = desk.closed or answer.kind == "throttled"


def _apply(desk: Desk, tx: Tx, grant: Grant, attempt: Attempt, answer: Answer, now: float) -> str:
    """Returns the name to count it under."""
    kinds = kinds_of(tx, grant)
    match answer.kind:
        case "issued":
            _issued(desk.hub, tx, grant, kinds, answer, now)
            return "rewards_issued"
        case "differs":
            grant.order_id = answer.order_id
            move(tx, grant, GrantState.NEEDS_PERSON, Entry.NEEDS_PERSON, at=now, detail=answer.text)
            return "rewards_needs_person"
        case "rejected" if attempt.clean or "rejected_is_all" in PLANTED:
            move(tx, grant, GrantState.REJECTED, Entry.REJECTED, at=now, detail=answer.text)
            return "rewards_rejected"
        case "throttled" if attempt.clean:
            return _sent_nothing(desk, tx, grant, kinds, Entry.THROTTLED, answer, now)
        case "not_found":
            return _sent_nothing(desk, tx, grant, kinds, Entry.NOT_FOUND, answer, now)
    entry = {"rejected": Entry.DOUBTFUL, "throttled": Entry.THROTTLED}.get(answer.kind, Entry.UNKNOWN)
    repeats = 0 if attempt.clean else min(2**grant.attempts, 64)
    grant.not_before = now + max(answer.after_s or 0.0, desk.timing.backoff_s * repeats)
    move(tx, grant, GrantState.UNKNOWN, entry, at=now, detail=answer.text)
    return f"rewards_{'throttled' if answer.kind == 'throttled' else 'unknown'}"


def _issued(hub: Hub, tx: Tx, grant: Grant, kinds: Sequence[str], answer: Answer, now: float) -> None:
    """The provider has the order. Who is to be told of it, is; who was taken back meanwhile, is taken back."""
    grant.order_id = answer.order_id
    text = f"order {answer.order_id}"
    reversed_ = is_reversed(kinds)
    if reversed_ and not can_cancel(hub, grant.connection):
        text = f"RWD-TAKE-BACK: {text} exists, and the hub cannot cancel it at {grant.connection}"
    move(tx, grant, GrantState.ISSUED, Entry.ISSUED, at=now, detail=text)
    if reversed_ and can_cancel(hub, grant.connection):
        move(tx, grant, GrantState.CANCELLING, Entry.CANCELLING, at=now, detail=text)
    elif not reversed_:
        owe_message(hub, tx, grant, now)


def _sent_nothing(
    desk: Desk, tx: Tx, grant: Grant, kinds: Sequence[str], entry: Entry, answer: Answer, now: float
) -> str:
    """Certain: no order exists, none can land. Back to where it was, or taken back if that was asked meanwhile."""
    if is_reversed(kinds):
        move(tx, grant, GrantState.REVERSED, Entry.REVERSAL, at=now, detail="taken back before it was ordered")
        return "rewards_reversed"
    start = GrantState.WAITING_APPROVAL if is_held(kinds) else GrantState.RESERVED
    grant.first_sent = grant.last_possible = None
    wait_s = answer.after_s if answer.after_s is not None else desk.timing.backoff_s
    grant.not_before = now + (wait_s if answer.kind == "throttled" else 0.0)
    move(tx, grant, start, entry, at=now, detail=answer.text)
    return f"rewards_{answer.kind}"


def _belated(desk: Desk, tx: Tx, grant: Grant, answer: Answer, now: float) -> str:
    """The grant moved on meanwhile. That an order exists stays true; everything else is out of date."""
    if answer.kind == "issued" and grant.state in (GrantState.SENDING, GrantState.UNKNOWN, GrantState.NEEDS_PERSON):
        _issued(desk.hub, tx, grant, kinds_of(tx, grant), answer, now)
        return "rewards_issued"
    settled_so = grant.state in GIVEN and grant.order_id == answer.order_id
    if answer.kind in ("issued", "differs") and not settled_so:
        note(tx, grant, Entry.CONTRADICTION, at=now, detail=f"RWD-CONTRADICTION: order {answer.order_id} exists, too")
        return "rewards_contradicted"
    return "rewards_belated"
