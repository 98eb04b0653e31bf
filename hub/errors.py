"""Every error raised on purpose, grouped by what the caller does next.

    HubError
    ├── RetryLater          wait `after_s`, then the same again; it certainly did not happen
    │   └── QuotaUsedUp     a planned pause: the budget comes back at `resets_at`
    ├── OutcomeUnknown      it may or may not have happened: settle by a look-up, never by repeating
    ├── RecordRejected      this record, never again unchanged
    ├── NeedsReview         a person must look
    ├── SignInExpired       stop this connection, tell the admin
    ├── ConfigFault         stop at start; carries every fault found, each with its place
    ├── PreconditionFailed  read again, decide again
    ├── SignatureError      an inbound call that is not what it says it is
    ├── NotFound            the thing a person named does not exist
    ├── NotAllowed          whoever asks may not do this
    └── Drifted             what was approved is not what is there now

A bug is none of these and is not caught. Each error has a stable code, a text for staff, and what to do; secrets and
personal data are never in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong in configuration or input, with its place. Collected, then raised together."""

    code: str  # stable: CFG-…, MAP-…, CSV-…, SIG-…, NET-…
    where: str  # file:line, or connection/stream/external id
    message: str  # what was wrong
    fix: str  # what to do

    def __str__(self) -> str:
        return f"{self.where}: {self.code}: {self.message} ({self.fix})" if self.fix else self.message


class HubError(Exception):
    """Root of everything raised on purpose.

    Args:
        message: what was wrong, for staff.
        code: stable code.
        where: connection, stream, external id or file:line.
        fix: what to do about it.
    """

    default_code = "HUB-000"

    def __init__(self, message: str, *, code: str = "", where: str = "", fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        remedy = f" ({self.fix})" if self.fix else ""
        return f"{place}{self.code}: {self.message}{remedy}"


class RetryLater(HubError):
    """It certainly did not happen; the same call may go through after `after_s` seconds (None: back off)."""

    default_code = "NET-RETRY"

    def __init__(self, message: str, *, after_s: float | None = None, **where: str) -> None:
        super().__init__(message, **where)
        self.after_s = after_s


class QuotaUsedUp(RetryLater):
    """A budget is empty; not an error of the run but a pause."""

    default_code = "NET-QUOTA"


class OutcomeUnknown(HubError):
    """A write may have landed. Only a look-up may decide (time-out, cut connection, 5xx on a write)."""

    default_code = "NET-UNKNOWN"


class RecordRejected(HubError):
    """The system refuses this record as it is."""

    default_code = "REC-REJECTED"

    def __init__(self, message: str, *, field: str = "", **where: str) -> None:
        super().__init__(message, **where)
        self.field = field


class NeedsReview(HubError):
    """No machine may decide this."""

    default_code = "REV-PERSON"


class SignInExpired(HubError):
    """The connection's credentials are refused; others go on."""

    default_code = "AUTH-EXPIRED"


class PreconditionFailed(HubError):
    """The record moved since it was read."""

    default_code = "REC-MOVED"


class SignatureError(HubError):
    """An inbound call failed its signature, age or account check."""

    default_code = "SIG-REFUSED"


class NotFound(HubError):
    """What was asked for does not exist."""

    default_code = "HUB-404"


class NotAllowed(HubError):
    """Whoever asks may not do this, or could not show who they are."""

    default_code = "AUTH-ROLE"


class Drifted(HubError):
    """An approved plan no longer fits what is there."""

    default_code = "PLAN-DRIFT"


class ConfigFault(HubError):
    """Configuration or mapping cannot be used; `faults` lists everything found, not the first thing."""

    default_code = "CFG-000"

    def __init__(self, faults: Sequence[Fault]) -> None:
        first = faults[0]
        super().__init__(first.message, code=first.code, where=first.where, fix=first.fix)
        self.faults = tuple(faults)

    def __str__(self) -> str:
        return "\n".join(str(fault) for fault in self.faults)
