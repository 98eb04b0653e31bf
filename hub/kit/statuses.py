"""What an HTTP status means, as a table, and which error that is.

A connector overrides entries (`Connector.statuses`) or reads the body first (`Connector.classify`), because throttling
hides in 200, 400, 403 and 405 at some vendors. A status in no table is STRANGE: a few tries, then a person; never
silence and never endless retry.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from hub.errors import (
    HubError,
    NeedsReview,
    NotFound,
    OutcomeUnknown,
    PreconditionFailed,
    QuotaUsedUp,
    RecordRejected,
    RetryLater,
    SignInExpired,
)


class Kind(StrEnum):
    """What an answer says about the call, whatever the vendor calls it."""

    OK = "ok"
    THROTTLED = "throttled"  # too fast: certainly not done; wait as told
    QUOTA = "quota"  # a longer budget is used up: a planned pause
    BUSY = "busy"  # record locked, account moving: certainly not done; the same again soon
    TROUBLE = "trouble"  # the server failed: a write may have landed
    SIGN_IN = "sign_in"  # token refused: refresh once
    FORBIDDEN = "forbidden"  # signed in, not allowed
    NOT_FOUND = "not_found"
    STALE = "stale"  # precondition failed: nothing written
    CONFLICT = "conflict"  # taken, or in the way of another record
    REJECTED = "rejected"  # never again unchanged
    REDIRECT = "redirect"  # not followed: credentials stay with the host they are for
    STRANGE = "strange"  # in no table


STATUSES: Mapping[int, Kind] = {
    400: Kind.REJECTED,
    401: Kind.SIGN_IN,
    402: Kind.FORBIDDEN,
    403: Kind.FORBIDDEN,
    404: Kind.NOT_FOUND,
    405: Kind.REJECTED,
    406: Kind.REJECTED,
    408: Kind.TROUBLE,
    409: Kind.CONFLICT,
    410: Kind.NOT_FOUND,
    412: Kind.STALE,
    413: Kind.REJECTED,
    414: Kind.REJECTED,
    415: Kind.REJECTED,
    422: Kind.REJECTED,
    423: Kind.BUSY,
    429: Kind.THROTTLED,
    431: Kind.REJECTED,
    451: Kind.FORBIDDEN,
    500: Kind.TROUBLE,
    502: Kind.TROUBLE,
    503: Kind.TROUBLE,
    504: Kind.TROUBLE,
    # answers of content networks in front of the vendor (unknown origin, time-out, TLS, DNS at the edge)
    **dict.fromkeys((520, 521, 522, 523, 524, 525, 526, 530), Kind.TROUBLE),
}

ABOUT_THE_RECORD = frozenset({Kind.OK, Kind.FORBIDDEN, Kind.NOT_FOUND, Kind.STALE, Kind.CONFLICT, Kind.REJECTED})
"""Kinds that an SDK may turn into its own errors; all others are the door's business."""


def kind_of(status: int, overrides: Mapping[int, str] | None = None) -> Kind:
    """The kind of a status: the connector's word, else the table's, else by hundreds, else STRANGE."""
    if overrides and status in overrides:
        return Kind(overrides[status])
    if status in STATUSES:
        return STATUSES[status]
    if 200 <= status < 300:
        return Kind.OK
    if 300 <= status < 400:
        return Kind.REDIRECT
    return Kind.STRANGE


def error_of(kind: Kind, message: str, *, writes: bool, where: str, after_s: float | None = None) -> HubError:
    """The error a caller gets for an answer of this kind.

    Args:
        kind: anything but OK.
        message: what was asked and answered, already without secrets.
        writes: the call could change something at the vendor.
        where: connection and operation.
        after_s: wait that the answer named.
    """
    if kind is Kind.THROTTLED:
        return RetryLater(message, after_s=after_s, code="NET-429", where=where)
    if kind is Kind.QUOTA:
        return QuotaUsedUp(message, after_s=after_s, where=where, fix="goes on by itself when the budget comes back")
    if kind is Kind.BUSY:
        return RetryLater(message, after_s=after_s, code="NET-BUSY", where=where)
    if kind is Kind.TROUBLE and writes:
        return OutcomeUnknown(message, where=where)
    if kind is Kind.TROUBLE:
        return RetryLater(message, after_s=after_s, code="NET-TROUBLE", where=where)
    if kind is Kind.SIGN_IN:
        return SignInExpired(message, where=where, fix="sign in again: the credentials of the connection are refused")
    return _about_the_record(kind, message, where)


def _about_the_record(kind: Kind, message: str, where: str) -> HubError:
    if kind is Kind.NOT_FOUND:
        return NotFound(message, code="NET-404", where=where)
    if kind is Kind.STALE:
        return PreconditionFailed(message, where=where)
    if kind is Kind.CONFLICT:
        return RecordRejected(message, code="REC-CONFLICT", where=where)
    if kind is Kind.REJECTED:
        return RecordRejected(message, where=where)
    if kind is Kind.FORBIDDEN:
        return NeedsReview(message, code="NET-FORBIDDEN", where=where, fix="give the connection's user this permission")
    if kind is Kind.REDIRECT:
        return NeedsReview(message, code="NET-REDIRECT", where=where, fix="check the connection's base_url")
    return NeedsReview(message, code="NET-STRANGE", where=where, fix="look up this status at the vendor")
