"""What a connection gives: where rewards are ordered, what its provider guarantees, the codes that are made up here."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hub.app.context import Connection, Hub
from hub.app.push import BACKOFF_S, START_WITHIN_S
from hub.connector import Stream
from hub.core.rewards import Provider, Step, code_of
from hub.model import Grant
from hub.store import Tx
from hub.store.config import CODE_KEY

ORDER, CODE = "order", "code"  # kinds of `Stream.gives`: goods under our reference; a code of our own making


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long a call may take to start, and then to land; all waits after a lost answer count on it."""

    start_within_s: float = START_WITHIN_S
    request_life_s: float | None = None  # None: what the connection says (longest_write_s)
    backoff_s: float = BACKOFF_S


@dataclass(slots=True, kw_only=True)
class Desk:
    """Where one connection's orders are placed."""

    hub: Hub
    connection: Connection
    stream: Stream
    provider: Provider
    timing: Timing
    run_id: int | None
    code_key: str = ""  # where codes are given
    counts: Counter[str] = field(default_factory=Counter)
    closed: bool = False  # the provider asked for a pause: nothing more in this round


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One claim on a grant: a call that may leave, or a look-up."""

    step: Step
    grant: Grant  # as it was when claimed
    clean: bool  # no earlier attempt is in doubt
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an attempt came to."""

    kind: str  # issued, differs, rejected, throttled, unknown, not_found
    order_id: str | None = None
    text: str = ""  # for the ledger; never a voucher code, never personal data
    after_s: float | None = None


def desk_of(
    hub: Hub, connection: Connection, *, run_id: int | None = None, timing: Timing | None = None
) -> Desk | None:
    """Where a connection's rewards are ordered; None if it gives none."""
    stream = giving_stream(connection)
    if stream is None:
        return None
    with hub.store.reading() as tx:
        code_key = str(tx.setting(CODE_KEY) or "")
    return Desk(
        hub=hub, connection=connection, stream=stream, provider=provider_of(connection, stream),
        timing=timing or Timing(), run_id=run_id, code_key=code_key,
    )  # fmt: skip


def make_code_key(hub: Hub, tx: Tx, connection_name: str) -> None:
    """A grant of a code is about to be kept: what its code is made with is there from the same moment."""
    stream = _stream_of(hub, connection_name)
    if stream is not None and stream.gives == CODE:
        tx.code_key()


def giving_stream(connection: Connection) -> Stream | None:
    """The stream in which rewards are ordered at a connection."""
    able = (each for each in connection.streams.values() if each.gives in (ORDER, CODE) and "create" in each.writes)
    return next(able, None)


def _stream_of(hub: Hub, connection_name: str) -> Stream | None:
    """The same by name; None, too, where the connection is gone from the configuration."""
    connection = hub.connections.get(connection_name)
    return giving_stream(connection) if connection is not None else None


def can_cancel(hub: Hub, connection_name: str) -> bool:
    """Whether what was ordered there can be taken back."""
    stream = _stream_of(hub, connection_name)
    return stream is not None and "delete" in stream.writes


def provider_of(connection: Connection, stream: Stream) -> Provider:
    """The guarantees of a connection's orders stream."""
    return Provider(
        kind=stream.idempotency.value, key_life_s=stream.key_life_s, settle_s=stream.lag_s + stream.lookback_s,
        can_look_up=connection.connector.find is not None and stream.marker is not None,
    )  # fmt: skip


def shown_code(hub: Hub, tx: Tx, grant: Grant) -> str:
    """The code that a grant's receiver types; "" where it is no code. It is worth money: told to him, kept nowhere."""
    stream = _stream_of(hub, grant.connection)
    known = tx.setting(CODE_KEY) if stream is not None and stream.gives == CODE else None
    return code_of(str(known), grant.reference) if known else ""
