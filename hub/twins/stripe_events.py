"""Stripe's event log and the webhooks that carry it.

Every change of an object becomes an event that holds the object as it was then; nothing rewrites an event later. A
webhook is one event, signed anew at each attempt over its time and its bytes.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from hub.twins.hooks import HookEvent, Target
from hub.twins.records import Change, Fields, Record
from hub.twins.stripe_objects import RESOURCES, show
from hub.twins.stripe_params import invalid, missing

if TYPE_CHECKING:
    from hub.twins.stripe import TwinStripe

Json = Any

RETENTION_S = 30 * 86_400  # vendor docs, "List all events": 30 days back only
TYPES_AT_ONCE = 20
_SHOWN_DATE_FIELDS = {"updated"}  # move by themselves; never a reason for an event


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    event: Fields
    visible_at: float  # a late commit shows up late in the log


class Events:
    """The log of one account, oldest first."""

    def __init__(self, twin: TwinStripe) -> None:
        self._twin = twin
        self._log: list[LoggedEvent] = []
        self._place: dict[str, int] = {}

    def record(self, record: Record, change: Change) -> list[HookEvent]:
        """Log what a change means; returns the same for the webhooks."""
        shown = show(record.stream, record)
        return [self._add(kind, shown, record, change) for kind in event_types(record, change)]

    def newest_first(self, given: Fields, after: str | None = None) -> Iterator[Fields]:
        """Events that a reader may see now, behind `after`, narrowed by `type` or `types`. Raises Refused."""
        wanted = _type_filter(given)
        now, end = self._twin.now(), len(self._log)
        if after is not None:
            if after not in self._place:
                raise missing("event", after, "starting_after", 400)
            end = self._place[after]
        for position in range(end - 1, -1, -1):
            logged = self._log[position]
            if logged.event["created"] < now - RETENTION_S:
                return
            if logged.visible_at <= now and wanted(logged.event["type"]):
                yield logged.event

    def find(self, event_id: str) -> Fields | None:
        place = self._place.get(event_id)
        if place is None:
            return None
        logged, now = self._log[place], self._twin.now()
        is_seen = logged.visible_at <= now and logged.event["created"] >= now - RETENTION_S
        return logged.event if is_seen else None

    def _add(self, kind: str, shown: Fields, record: Record, change: Change) -> HookEvent:
        data: Fields = {"object": shown}
        if change.kind == "update":
            data["previous_attributes"] = previous_attributes(change)
        event = {
            "id": self._twin.make_id("evt_"),
            "object": "event",
            "api_version": self._twin.settings["api_version"],
            "created": int(self._twin.now()),
            "data": data,
            "livemode": False,
            "pending_webhooks": sum(1 for t in self._twin.hooks.targets.values() if not t.topics or kind in t.topics),
            "request": self._twin.caller_of(change.by),
            "type": kind,
        }
        self._place[event["id"]] = len(self._log)
        self._log.append(LoggedEvent(event, change.visible_at))
        return HookEvent(topic=kind, payload=event, at=change.at, stream=record.stream, record_id=record.id)


def _type_filter(given: Fields) -> Any:
    one, several = given.get("type"), given.get("types")
    if one and several:
        raise invalid("You may only specify one of these parameters: type, types.", "types")
    if several:
        if len(several) > TYPES_AT_ONCE:
            raise invalid(f"You may specify at most {TYPES_AT_ONCE} types.", "types")
        return set(several).__contains__
    if one and one.endswith("*"):
        return lambda kind: kind.startswith(one[:-1])
    return (lambda kind: kind == one) if one else (lambda kind: True)


def previous_attributes(change: Change) -> Fields:
    """What was there before, of an object only the parts that changed; an absent part was null."""
    before: Fields = {}
    for name, (old, new) in change.changed.items():
        if isinstance(old, dict) and isinstance(new, dict):
            parts = {key: old.get(key) for key in {*old, *new} if old.get(key) != new.get(key)}
            before[name] = dict(sorted(parts.items()))
        else:
            before[name] = old
    return before


def event_types(record: Record, change: Change) -> list[str]:
    """The names of the events that a change gives, in the order they are logged."""
    kind = "customer.subscription" if record.stream == "subscriptions" else RESOURCES[record.stream].kind
    if change.kind == "create":
        return _creation(kind, record)
    if change.kind == "delete":
        return [f"{kind}.deleted"]
    if not set(change.changed) - _SHOWN_DATE_FIELDS:
        return []
    more = _MORE.get(record.stream)
    return more(record, change) if more is not None else [f"{kind}.updated"]


def _creation(kind: str, record: Record) -> list[str]:
    if kind == "charge":
        return ["charge.succeeded" if record.fields["status"] == "succeeded" else "charge.failed"]
    if kind == "payment_intent":
        return ["payment_intent.created", "payment_intent.succeeded"]
    return [f"{kind}.created"]


def _of_subscription(record: Record, change: Change) -> list[str]:
    status = change.changed.get("status", (None, None))[1]
    return ["customer.subscription.deleted" if status == "canceled" else "customer.subscription.updated"]


_INVOICE_STEPS = {
    "open": ["invoice.finalized"],
    "paid": ["invoice.paid", "invoice.payment_succeeded"],
    "void": ["invoice.voided"],
    "uncollectible": ["invoice.marked_uncollectible"],
}


def _of_invoice(record: Record, change: Change) -> list[str]:
    status = change.changed.get("status", (None, None))[1]
    return ["invoice.updated", *_INVOICE_STEPS.get(str(status), [])]


def _of_charge(record: Record, change: Change) -> list[str]:
    return ["charge.refunded" if "amount_refunded" in change.changed else "charge.updated"]


_MORE: dict[str, Callable[[Record, Change], list[str]]] = {
    "subscriptions": _of_subscription,
    "invoices": _of_invoice,
    "charges": _of_charge,
}


# --- webhooks ----------------------------------------------------------------------------------------------------


def message(target: Target, events: Sequence[HookEvent], at: float) -> tuple[bytes, dict[str, str]]:
    """One event, pretty-printed as the vendor sends it, signed now with the endpoint's secret or secrets."""
    body = orjson.dumps(events[0].payload, option=orjson.OPT_INDENT_2)
    return body, {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        "Stripe-Signature": signature_header(body, [target.secret, *target.options.get("old_secrets", [])], int(at)),
    }


def signature_header(body: bytes, secrets: Sequence[str], at: int) -> str:
    """``t=..,v1=..``, one v1 for each secret that is good during a roll (vendor docs, "Webhook signatures")."""
    parts = [hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest() for secret in secrets]
    return ",".join([f"t={at}", *(f"v1={part}" for part in parts)])
