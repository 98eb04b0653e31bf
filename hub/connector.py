"""What a connector is: a record of functions and facts. What is absent is a capability it lacks.

A connector file holds `CONNECTOR = Connector(...)`. Its functions are handed everything they need: an `Api` that
`connect` built on the HTTP door of its connection. No connector sleeps, retries, reads the clock or the environment,
logs or opens a socket; budgets, time-outs, Retry-After, sign-in and redaction live in the door.

Invariant: a connector never decides what is true or due; it reads, writes exactly what it is told, and says what the
vendor now holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

import orjson

from hub.errors import RetryLater
from hub.model import ChangeSet, Json, PushResult, SourceRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """One budget of a connection; several hold at once."""

    name: str  # "burst", "daily", "search" …
    calls: int  # calls (or points) that may be used …
    per_s: float  # … in so many seconds; with unit at_once: 0
    operations: Sequence[str] = ()  # operation labels it covers; empty: all
    shared: bool = False  # with other apps of the same account: the people's reserve is kept of it
    unit: str = "calls"  # calls; points, rows (a call takes its `cost`); at_once (calls under way)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """A whole answer; bodies are bounded and decoded by the door."""

    status: int
    headers: Mapping[str, str]  # lower-case names
    body: bytes
    at: float  # vendor's Date header as epoch seconds, else the hub's time of the answer

    def json(self) -> Json:
        """Decoded body. Raises RetryLater with code NET-NOT-JSON for HTML or cut bodies: never "0 records".

        A value that strict JSON forbids (half a surrogate, NaN) spoils its record and not its page: Python's more
        patient reader gives it, and the mapping refuses it field by field.
        """
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            pass
        try:
            return json.loads(self.body, parse_int=_whole)
        except (ValueError, RecursionError):
            raise RetryLater(
                "the answer is no JSON (a login or maintenance page?)", code="NET-NOT-JSON", where=f"HTTP {self.status}"
            ) from None


def _whole(digits: str) -> Json:
    """Python refuses to read numbers of thousands of digits; as a float such a one is out of all proportion, too."""
    return int(digits) if len(digits) < 100 else float(digits)


CALL_HEADER = "X-Hub-Call"  # says what an SDK's call is for; the door removes it before anything leaves


def call_label(operation: str, *, writes: bool = False, cost: int = 1) -> dict[str, str]:
    """Header for one call through `Door.session` or `Door.pool`: its budget label, and whether it writes.

    Without it a call counts under its HTTP method, and everything but GET and HEAD as a write.
    """
    return {CALL_HEADER: f"{operation};{'write' if writes else 'read'};{cost}"}


class Door(Protocol):
    """The one way out of a connection. Every call is budgeted, timed, counted and redacted.

    A non-2xx answer is turned into an error of hub.errors by the connector's `classify` and `statuses`, unless its
    status is in `expect`. A time-out, cut connection or 5xx on a call with ``writes=True`` raises OutcomeUnknown; on
    a read it is retried within the run's retry budget, then RetryLater. A write that certainly was not done (429,
    connection refused, unknown host) raises RetryLater and is not repeated here: the caller knows its deadline.

    An SDK gets `session` (requests) or `pool` (urllib3). Through them answers about the record itself (400, 403, 404,
    409, 412, 422 …) go back to the SDK, which raises its own errors; all other trouble comes out as hub errors,
    possibly as the `__cause__` of an error of the SDK.
    """

    base_url: str
    account: str  # connection name, for messages

    def request(
        self,
        method: str,
        path: str,  # appended to base_url, or an absolute URL on the same host
        *,
        operation: str,  # label for budgets and counts: "query", "batch_update"
        params: Mapping[str, Any] | None = None,
        json: Json = None,
        form: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        writes: bool = False,
        expect: Sequence[int] = (),
        cost: int = 1,
        signed: bool = True,  # False: without the sign-in, for a host that takes another proof, or none
    ) -> HttpResponse: ...

    def session(self) -> Any:
        """A requests.Session whose every call passes the same door, for SDKs that accept a session.

        The scheme and the Authorization header of a call are replaced by those of the connection (simple-salesforce
        knows only https, and would log in again by itself, dropping preconditions).
        """
        ...

    def pool(self) -> Any:
        """What `session` is, in the shape of urllib3's PoolManager.request, for generated SDKs (HubSpot)."""
        ...

    def count(self, operation: str, *, writes: bool = False, cost: int = 1) -> Any:
        """Context manager around one call made by an SDK with a transport of its own: budget before, count after."""
        ...

    def now(self) -> float:
        """The hub's clock, epoch seconds UTC."""
        ...

    def vendor_now(self) -> float:
        """The vendor's clock, epoch seconds UTC, as the Date of its last answer showed it; before any: the hub's."""
        ...

    def token(self) -> str:
        """The current access token (single-flight refresh); for SDKs that set the header themselves."""
        ...

    def signed_in_as(self) -> Mapping[str, str]:
        """What the vendor's token answer said beside the tokens (Salesforce: `id`); empty for a fixed token."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFormat:
    """How a text file is written, so that what is added to it looks like the rest."""

    encoding: str  # Python's name of the codec, without a byte-order mark of its own
    bom: bytes  # as found; b"" without
    line_end: str  # "\n", "\r\n" or "\r"
    delimiter: str  # between cells
    quoting: str  # minimal: only where needed; all: every cell


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSnapshot:
    """A whole file as it was at one moment."""

    path: str  # as configured, below the project's directory
    data: bytes = field(repr=False)
    digest: str  # SHA-256 of `data`, hex
    modified_at: float  # epoch seconds; never later than `read_at`
    read_at: float  # the hub's clock
    format: TextFormat


class FileDoor(Protocol):
    """The one way to files, for connectors with `local_files`: nothing outside the project's directory."""

    account: str  # connection name, for messages

    def read(self, path: str, *, encoding: str = "", delimiter: str = "") -> FileSnapshot:
        """The file, whole. Raises ConfigFault (not there, not allowed, too big), RetryLater (being written)."""
        ...

    def replace(self, read: FileSnapshot, data: bytes) -> FileSnapshot:
        """Put `data` in the place of what was read, at once or not at all; the format stays as it was.

        Raises PreconditionFailed if the file is no longer the one that was read.
        """
        ...

    def now(self) -> float:
        """The hub's clock, epoch seconds UTC."""
        ...


class Program(Protocol):
    """A program of somebody else's that runs as a child of the hub."""

    def line(self, *, patience_s: float) -> bytes | None:
        """The next line of its output, without its end; None at the end. Of an endless line only the beginning.

        Raises RetryLater PROG-SILENT, and the program is stopped, if nothing comes for so long.
        """
        ...

    def end(self) -> int:
        """Its exit code; waits a little for it, then stops it."""
        ...

    def complaint(self) -> str:
        """The last that it said on stderr, without secrets."""
        ...

    def stop(self) -> None:
        """End it and whatever it started; harmless if it has ended."""
        ...


class ProgramDoor(Protocol):
    """The one way to other people's programs, for connectors with `local_programs`."""

    account: str  # connection name, for messages

    def start(self, command: Sequence[str], *, files: Mapping[str, bytes]) -> Program:
        """Run a program in the project's directory, without a shell and without the hub's environment.

        Args:
            command: the program and its arguments; "{name}" stands for the path of that file.
            files: written for this run only, readable by nobody else.

        Raises ConfigFault PROG-NOT-THERE: it is not there, or may not be run.
        """
        ...

    def now(self) -> float:
        """The hub's clock, epoch seconds UTC."""
        ...


class MailDoor(Protocol):
    """The one way to a mail server, for connectors with `mail`."""

    account: str  # connection name, for messages

    def send(self, sender: str, recipient: str, message: bytes) -> None:
        """Hand one message to the server, once. It is accepted then, which is not yet delivered.

        Raises RetryLater (certainly not sent), RecordRejected (never again unchanged), SignInExpired, OutcomeUnknown
        (the server had all of it, and its answer got lost).
        """
        ...

    def qr_code(self, text: str) -> bytes:
        """A PNG of a link. Raises ConfigFault DLV-QR if there is nothing to draw it with."""
        ...

    def try_sign_in(self) -> str:
        """Connect, sign in, say goodbye; what the server calls itself."""
        ...

    def now(self) -> float:
        """The hub's clock, epoch seconds UTC."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a stream as the live system describes it."""

    name: str  # remote path as mappings name it
    label: str
    type: str  # text, email, phone, url, enum, set, boolean, integer, decimal, money, date, instant, ref, object
    readable: bool = True
    writable: bool = True
    required: bool = False  # on create
    unique: bool = False
    custom: bool = False
    max_length: int | None = None
    options: Sequence[str] = ()  # live enum values
    restricted: bool = False  # other values are refused
    ref_to: str = ""  # stream it names


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a stream. `next_cursor` None with complete False is a bug and refused by the engine."""

    records: Sequence[SourceRecord]
    next_cursor: Json  # where the next call goes on (also the resting cursor when complete)
    complete: bool  # nothing more for now
    listing_complete: bool = False  # the stream was listed whole, counted, without drift
    faults: Sequence[Mapping[str, str]] = ()  # rows that could not be read: {"external_id", "code", "message", "fix"}
    read_at: float | None = None  # vendor's time at the start of the read


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRequest:
    """An inbound call, untouched."""

    method: str
    url: str  # as configured (public_url + path), not as a proxy rewrote it
    headers: Mapping[str, str]  # lower-case names
    body: bytes
    received_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEvent:
    """What one entry of a delivery says: read this record. Values are never taken from it.

    Only where the system has nothing that could be read is the delivery itself the record: then `record` holds it. It
    is stored first, under its key, and taken in from there like a page; the same key again changes nothing.
    """

    key: str  # unique per event at this vendor; used to drop repeats
    stream: str
    external_id: str
    at: float | None = None  # vendor's time of the change: the hint's not-before stamp
    kind: str = "changed"  # changed, deleted, merged
    record: SourceRecord | None = None  # of a connector without `fetch`, or of a stream that is `delivered`, only
    fault: Mapping[str, Json] | None = None  # an entry that is unfit: {"code", "message", "fix", "value"}, quarantined


class Idempotency(StrEnum):
    """What may follow an unknown answer to a create (reliability.md §4.9)."""

    UNIQUE_REFERENCE = "A"  # unique for ever, enforced
    KEY_WITH_LIFE = "B"  # the same key within its life is one effect
    SEARCHABLE_REFERENCE = "C"  # stored and searchable, not enforced
    NONE = "D"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One kind of record at a connection, and the facts that the engine must know about it."""

    name: str
    id_path: str = "id"  # where the id stands in `data`
    modified_path: str | None = None  # where the modification time stands; None: the stream has none
    cursor: str = "keyset"  # keyset, token, offset, events, snapshot (each read lists all), none (only webhooks tell)
    lookback_s: float = 0.0  # how far a read goes back behind its cursor
    sorted: bool = True  # ascending by stamp within one read
    consistency: str = "strong"  # strong, lagging
    lag_s: float = 0.0  # how far the list/search index may be behind
    fetch_lag_s: float = 0.0  # how far a read by id may be behind; 0: it always shows the last write
    completeness: str = "full"  # full, thin (needs fetch)
    deletes: str = "absent"  # tombstone, event, archived, absent, listing (what a complete listing lacks)
    writes: frozenset[str] = frozenset()  # of create, update, upsert, archive, delete
    max_batch: int = 1  # change sets in one push call
    precondition: str = "none"  # version, etag, unmodified-since, none
    stamp_tick_s: float = 0.001  # granularity of modification stamps
    idempotency: Idempotency = Idempotency.NONE
    key_life_s: float = 0.0  # class B: life of an idempotency key
    marker: str | None = None  # remote field that carries the hub's id
    answers_with_record: bool = True  # a write's answer holds what is now stored
    page_size: int = 100
    parents: Sequence[str] = ()  # streams whose records should exist first
    acts: bool = False  # records of acts (forms, orders): many per entity, never written for a contact
    delivered: bool = False  # only webhooks bring its records, whole; nothing of it can be read afterwards
    # of rewards. order: ordered here under our reference; code: a discount code that we make up is made here; goods:
    # lists what can be ordered. arrival: webhooks tell of what was ordered here whether it arrived, under the order's
    # id: {"status": delivered, read or failed, "code"}
    gives: str = ""
    minimum: Mapping[str, int] = field(default_factory=dict)  # records per call: read, write, fetch; for the report


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What `connect` is given of hub.yaml, secrets already resolved; repr never shows them."""

    values: Mapping[str, Json] = field(repr=False)
    auth: Mapping[str, str] = field(repr=False)
    webhooks: Mapping[str, str] = field(default_factory=dict, repr=False)
    streams: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    local: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting of a connection, for forms, checks and docs."""

    name: str
    text: str
    required: bool = False
    secret: bool = False
    default: Json = None


Api = Any  # what `connect` returns: the connector's own handle, opaque to the hub


def _door_itself(door: Any, settings: Settings) -> Api:
    """Enough for a connector that needs no settings: its functions are given the door."""
    return door


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """How a connection signs in; the door does it."""

    # token: `token`. basic: `username`, `password`. client_credentials: `client_id`, `client_secret`.
    # program: whatever the program wants to know that is secret
    # refresh_token: `client_id`, `client_secret`, `refresh_token` and, if known, `access_token`, `expires_at` (epoch s)
    # jwt_bearer: `client_id` (who signs: a service account's address), `private_key` (PEM)
    kind: str  # token, basic, client_credentials, refresh_token, jwt_bearer, program, none
    header: str = "Authorization"
    scheme: str = "Bearer"  # "": the bare token; one that ends in "=" has no blank before it
    token_is_user: bool = False  # kind token: sent as the user name of Basic, without a password
    query: str = ""  # kind token: sent as this query parameter, and in no header
    token_url: str = ""  # path below base_url, or absolute on an allowed host; "{name}" stands for a setting
    token_body: str = "form"  # form, json
    token_client: str = "body"  # where id and secret of the app stand: body, or basic (the Authorization header)
    scope: str = ""  # asked for by jwt_bearer, and by client_credentials where there is one
    rotates: bool = False  # each refresh kills the old refresh token


@dataclass(frozen=True, slots=True, kw_only=True)
class Connector:
    """A vendor. Functions take the `Api` that `connect` made; None means: this vendor cannot."""

    name: str
    title: str
    base_url: str  # default; "{name}" stands for a setting of the connection; "" when each account has its own
    # hosts it may speak to: exact ("api.hubapi.com"), or all below (".my.salesforce.com"). None, and nothing local: it
    # only listens, and `connect` is given no door
    hosts: Sequence[str]
    auth: Sequence[Auth]
    limits: Sequence[RateLimit]
    streams: Sequence[Stream]
    settings: Sequence[Setting] = ()
    # of a Door; with local_files, local_programs or mail of a door of that kind
    connect: Callable[[Any, Settings], Api] = _door_itself
    check: Callable[[Api], Mapping[str, Json]]  # {"account": id, "name": …, "warnings": […]}; raises on failure
    discover: Callable[[Api, str], Sequence[Field]]
    pull: Callable[[Api, str, Json], Page]  # (api, stream, cursor or None)
    # (api, stream, at most so many) -> cursors at which the parts of a first load begin; several workers pull them side
    # by side. A part's page is `complete` at the end of its range. Ranges are without a gap, and the last has no end;
    # reading goes on at its resting cursor, so what moves meanwhile must be in it, or come with the next read: ranges
    # are of the modification time, or that cursor lies before the parts were made. Fewer than two: not worth it
    split: Callable[[Api, str, int], Sequence[Json]] | None = None
    fetch: Callable[[Api, str, Sequence[str]], Sequence[SourceRecord]] | None = (
        None  # by ids; missing ones as op delete
    )
    find: Callable[[Api, str, str, str], Sequence[SourceRecord]] | None = (
        None  # (stream, remote field, value), strong read
    )
    push: Callable[[Api, str, Sequence[ChangeSet]], Sequence[PushResult]] | None = None
    # raises SignatureError. None beside a `parse`: the vendor signs nothing, and only the secret path proves anything
    verify: Callable[[Settings, WebhookRequest], None] | None = None
    parse: Callable[[Settings, WebhookRequest], Sequence[WebhookEvent]] | None = None
    # what is answered to a GET at the webhooks' address: vendors ask so whether it is ours. Raises SignatureError
    greet: Callable[[Settings, Mapping[str, str]], str] | None = None
    subscribe: Callable[[Api, str], Mapping[str, Json]] | None = (
        None  # (api, target url) -> what was set up, with secret
    )
    statuses: Mapping[int, str] = field(default_factory=dict)  # overrides of kit.statuses
    classify: Callable[[HttpResponse], str | None] | None = None  # kit.statuses.Kind from a body, also of a 200;
    # None: the status table decides
    wait_s: Callable[[HttpResponse], float | None] | None = None  # wait that a throttled answer's body names
    usage: Callable[[HttpResponse], Mapping[str, tuple[int, int]]] | None = (
        None  # limit name -> (used, of), everybody's
    )
    came_to: Callable[[HttpResponse], Mapping[str, int]] | None = (
        None  # limit name -> what the call has really cost, where its price before was an estimate (GraphQL)
    )
    streams_for: Callable[[Settings], Sequence[Stream]] | None = None  # streams that each connection declares (csv)
    # the connector as one connection describes it: address, hosts, sign-in, limits, streams, functions (rest). Pure;
    # given references in the place of secrets when a project is checked; raises ConfigFault with all that is wrong
    tailored: Callable[[Settings], Connector] | None = None
    local_files: bool = False  # `connect` is given a FileDoor instead of a Door (csv)
    mail: bool = False  # `connect` is given a MailDoor instead of a Door (mail)
    local_programs: bool = False  # `connect` is given a ProgramDoor instead of a Door (singer)
    inside: bool = False  # it is the hub's own, and speaks to nobody: `connect` is given no door (points)
    tracking: bool = False  # it only listens, and is sent to by the tracking API as well, under a write key (website)
    merging: str = ""  # what cannot be undone of a merge that people make over there, in a sentence; "": it has none
    docs: str = ""
    # stream -> where people see one of its records in the vendor's own pages: {id} stands for its id, {tail} for what
    # follows the last "/" in it, {name} for a setting, {/name} for "/" and a setting, or nothing where it is not given
    pages: Mapping[str, str] = field(default_factory=dict)

    @property
    def only_listens(self) -> bool:
        """Whether it never calls anybody: its records are what is sent to it."""
        return not self.hosts and not self.local_files and self.parse is not None

    def stream(self, name: str) -> Stream:
        """The stream of that name. Raises KeyError: callers check configuration first."""
        for stream in self.streams:
            if stream.name == name:
                return stream
        raise KeyError(name)
