"""What every twin is made of: time, requests, the order in which a call is dealt with, and people's actions.

A vendor module subclasses `Twin` and overrides what its vendor does its own way (listed at the class). Store, faults,
limits and webhooks live in `records`, `faults`, `hooks` and are offered here under one name.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar
from urllib.parse import parse_qs

import orjson

from hub.twins.faults import Bucket, Call, Faults, RequestLog, Window
from hub.twins.hooks import HookDelivery, HookEvent, Hooks, Target
from hub.twins.records import Change, Clock, Fields, Record, RecordNotFound, Records, Rollback, id_order

__all__ = [
    "Bucket",
    "Call",
    "Change",
    "Clock",
    "Faults",
    "Fields",
    "HookDelivery",
    "HookEvent",
    "Hooks",
    "Json",
    "RealClock",
    "Record",
    "RecordNotFound",
    "Records",
    "Request",
    "RequestLog",
    "Response",
    "Rollback",
    "Target",
    "Tokens",
    "Twin",
    "VirtualClock",
    "Window",
    "id_order",
]

Json = Any
JSON_TYPE = "application/json;charset=UTF-8"


class RealClock:
    """The machine's clock, shifted by `skew_s` (a vendor whose clock is wrong)."""

    def __init__(self, skew_s: float = 0.0) -> None:
        self.skew_s = skew_s

    def now(self) -> float:
        return time.time() + self.skew_s


class VirtualClock:
    """Time that moves only when told to."""

    def __init__(self, start: float = 1_793_606_400.0) -> None:  # 2026-11-02 08:00 UTC
        self._now = start

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> float:
        self._now += seconds
        return self._now


class BadJson(ValueError):
    """The request's body is not JSON; a twin answers with its vendor's own message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request. Header names are lower-case; the path is decoded and has no query."""

    method: str
    path: str
    query: dict[str, list[str]] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    target: str = ""  # path and query as sent, still encoded
    fault: str | None = None  # the fault chosen for this call, if any

    def json(self) -> Json:
        """The body decoded; an empty body is {}. Raises BadJson."""
        try:
            return orjson.loads(self.body) if self.body.strip() else {}
        except orjson.JSONDecodeError as fault:
            raise BadJson(str(fault)) from None

    def form(self) -> dict[str, list[str]]:
        """The body as application/x-www-form-urlencoded, blank values kept, order kept."""
        return parse_qs(self.body.decode("utf-8", "replace"), keep_blank_values=True)

    def first(self, name: str, default: str = "") -> str:
        """First value of a query parameter."""
        return self.query.get(name, [default])[0]

    def bearer(self) -> str:
        """The token after "Bearer", or "" if there is none."""
        kind, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if kind.lower() == "bearer" else ""


@dataclass(slots=True, kw_only=True)
class Response:
    """One HTTP answer, or the lack of one."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    rows: int = 0  # rows brought or taken, for the log
    drop: bool = False  # close the socket without an answer
    cut_after: int | None = None  # send only so many bytes of the body, then close
    delay_s: float = 0.0

    @classmethod
    def json(cls, obj: Json, status: int = 200, headers: dict[str, str] | None = None, rows: int = 0) -> Response:
        body = orjson.dumps(obj)
        return cls(status=status, headers={"Content-Type": JSON_TYPE, **(headers or {})}, body=body, rows=rows)

    def data(self) -> Json:
        """The body decoded, for tests and composite calls; None if empty."""
        return orjson.loads(self.body) if self.body else None


class Tokens:
    """Access tokens: fixed ones that never end, and issued ones with a life."""

    def __init__(self, fixed: Iterable[str], seed: int = 0) -> None:
        self.fixed = set(fixed)
        self._ends: dict[str, float] = {}
        self._refresh: set[str] = set()
        self._seed, self._count = seed, 0

    def issue(self, now: float, lifetime_s: float, prefix: str = "at-") -> str:
        token = self._new(prefix)
        self._ends[token] = now + lifetime_s
        return token

    def issue_refresh(self) -> str:
        token = self._new("rt-")
        self._refresh.add(token)
        return token

    def take_refresh(self, token: str, *, rotate: bool) -> bool:
        """True if the refresh token was good; with `rotate` it is used up by this."""
        good = token in self._refresh
        if rotate:
            self._refresh.discard(token)
        return good

    def add_refresh(self, token: str) -> None:
        self._refresh.add(token)

    def revoke_refresh(self) -> None:
        self._refresh.clear()

    def is_valid(self, token: str, now: float) -> bool:
        return token in self.fixed or self._ends.get(token, -1.0) > now

    def ended_at(self, token: str) -> float | None:
        """When an issued token ended or will end; None for a token we never issued."""
        return self._ends.get(token)

    def expire_all(self, now: float) -> None:
        for token, end in self._ends.items():
            self._ends[token] = min(end, now)

    def _new(self, kind: str) -> str:
        self._count += 1
        return kind + hashlib.sha256(f"{self._seed}/{kind}/{self._count}".encode()).hexdigest()[:32]


class Twin:
    """One simulated account at one vendor.

    A vendor overrides: `streams`, `route` (always); where its own way differs, `describe`, `authorise`, `limit`,
    `throttled`, `failed`, `finish`, `normalise`, `completed`, `new_id`, `stamp` and the `hook_` methods.
    A call is dealt with in this order: authorise, limit, faults before, route, faults after, finish, log.
    """

    name = ""
    streams: ClassVar[Sequence[str]] = ()
    hook_batch = 1
    hook_attempts = 5
    hook_backoff_s = 0.05

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        seed: int = 0,
        token: str = "twin-token",
        client_id: str = "twin-client",
        client_secret: str = "twin-secret",
        limit_scale: float = 10.0,
        auto_hooks: bool = True,
        **settings: Json,
    ) -> None:
        """`limit_scale` multiplies the vendor's rate limits (1: as the vendor's, 0: none)."""
        self.clock: Clock = clock or RealClock()
        self.faults = Faults(seed=seed)
        self.log = RequestLog()
        self.tokens = Tokens([token], seed)
        self.settings: dict[str, Json] = {
            "seed": seed,
            "token": token,
            "client_id": client_id,
            "client_secret": client_secret,
            "limit_scale": limit_scale,
            **settings,
        }
        self.records = Records(self.clock, delays=self, stamp=self.stamp, on_change=self._changed)
        self.lock = self.records.lock
        self.hooks = Hooks(self, auto=auto_hooks)
        self.base_url = "http://127.0.0.1:0"  # set by `serve`
        self.throttled_until = 0.0
        self._lag_s = 0.0
        self._calls = 0
        self._late: list[tuple[float, Request]] = []
        self._flows: list[tuple[str, str, Fields]] = []

    # --- what a vendor does its own way ------------------------------------------------------------------------

    def route(self, request: Request) -> Response:
        """Answer an authorised call. Runs under the twin's lock."""
        raise NotImplementedError

    def describe(self, request: Request) -> tuple[str, bool]:
        """The operation's name for the log, and whether it writes."""
        return f"{request.method} {request.path}", request.method not in ("GET", "HEAD")

    def authorise(self, request: Request) -> Response | None:
        """The refusal, or None if the caller may come in."""
        return None if self.tokens.is_valid(request.bearer(), self.now()) else self.unauthorised(request)

    def unauthorised(self, request: Request) -> Response:
        return Response.json({"error": "unauthorized"}, 401)

    def is_metered(self, request: Request) -> bool:
        """Whether the vendor's rate limit counts this call."""
        return True

    def limit(self, request: Request) -> Response | None:
        """The vendor's own rate limit: the refusal, or None."""
        return None

    def throttled(self, request: Request, retry_after_s: float | None) -> Response:
        """The answer to a call over the limit."""
        headers = {} if retry_after_s is None else {"Retry-After": f"{retry_after_s:g}"}
        return Response.json({"error": "rate limit"}, 429, headers)

    def failed(self, request: Request) -> Response:
        """The answer when the vendor itself fails."""
        return Response.json({"error": "internal error"}, 500)

    def finish(self, request: Request, response: Response) -> Response:
        """Add the headers that every answer carries."""
        return response

    def normalise(self, stream: str, fields: Fields) -> Fields:
        """What this vendor makes of values when it saves them."""
        return fields

    def completed(self, stream: str, fields: Fields) -> Fields:
        """What the vendor adds to a new row: defaults, owner, derived values."""
        return fields

    def new_id(self, stream: str) -> str | None:
        """The id of the next row; None: one more than the greatest."""
        return None

    def stamp(self, at: float) -> float:
        """A time as exact as this vendor keeps it."""
        return at

    def hook_events(self, record: Record, change: Change) -> list[HookEvent]:
        """What the vendor tells its subscribers about a change."""
        return []

    def hook_request(self, target: Target, events: Sequence[HookEvent], attempt: int) -> tuple[bytes, dict[str, str]]:
        """Body and headers of one message, signed now."""
        return orjson.dumps([event.payload for event in events]), {"Content-Type": "application/json"}

    def hook_accepted(self, status: int, body: bytes) -> bool:
        return 200 <= status < 300

    # --- one call ----------------------------------------------------------------------------------------------

    def now(self) -> float:
        return self.clock.now()

    def handle(self, request: Request) -> Response:
        """Answer one call as the vendor would, and note it."""
        operation, is_write = self.describe(request)
        now = self.now()
        early = now < self.throttled_until
        with self.lock:
            metered = self.is_metered(request)
            fault = self.faults.choose(request.method, request.path, is_write, metered=metered)
            call = replace(request, fault=fault)
            self._begin(now)
            response = self._answer(call)
        response.delay_s += self.faults.latency_s
        self.log.add(
            Call(
                at=now,
                method=request.method,
                path=request.path,
                status=0 if response.drop else response.status,
                operation=operation,
                is_write=is_write,
                fault=call.fault,
                early=early,
                rows=response.rows,
            )
        )
        return response

    def see(self, record: Record, *, index: bool = False) -> Record | None:
        """The record as the call under way sees it: late commits, replica age and index lag applied."""
        return self.records.seen(record, now=self.now(), lag_s=self._lag_s, index=index)

    def refuse_for(self, request: Request, wait_s: float | None) -> Response:
        """Throttle a call and remember until when calls count as early."""
        answer = self.throttled(request, wait_s)
        if wait_s and "Retry-After" in answer.headers:
            self.throttled_until = max(self.throttled_until, self.now() + wait_s)
        return answer

    def late_visible(self) -> float:
        return self.faults.late_visible()

    def index_lag(self) -> float:
        return self.faults.index_lag()

    def act_automate(self, stream: str, field: str, sets: Fields) -> None:
        """An admin adds a flow: whenever the API changes `field`, the vendor itself then sets `sets`."""
        self._flows.append((stream, field, sets))

    def _changed(self, record: Record, change: Change) -> None:
        for stream, name, sets in self._flows:
            if change.by == "api" and record.stream == stream and name in change.changed:
                self.records.update(stream, record.id, self.normalise(stream, dict(sets)), by="system")
        if self.hooks.targets:
            self.hooks.emit(self.hook_events(record, change))

    def _begin(self, now: float) -> None:
        self._calls += 1
        self._lag_s = self.faults.replica_lag()
        if self.faults.expire_token_after and self._calls % self.faults.expire_token_after == 0:
            self.tokens.expire_all(now)
        due = [request for at, request in self._late if at <= now]
        self._late = [(at, request) for at, request in self._late if at > now]
        for request in due:
            self.route(request)

    def _answer(self, request: Request) -> Response:
        refused = self.authorise(request) or self.limit(request) or self._before(request)
        if refused is not None:
            return self.finish(request, refused)
        response = self.finish(request, self.route(request))
        if request.fault == "error_after":
            return self.finish(request, self.failed(request))
        if request.fault == "timeout_after":
            response.drop = True
        elif request.fault == "cut":
            response.cut_after = len(response.body) // 2
        return response

    def _before(self, request: Request) -> Response | None:
        match request.fault:
            case "throttle":
                return self.refuse_for(request, self.faults.throttle_retry_after)
            case "error_before":
                return self.failed(request)
            case "timeout_before":
                return Response(drop=True)
            case "lands_late":
                self._late.append((self.now() + self.faults.late_apply_s, request))
                return Response(drop=True)
            case "expire_token":
                self.tokens.expire_all(self.now())
                return self.unauthorised(request)
            case "html":
                page = b"<!doctype html><title>Maintenance</title><p>We will be back soon."
                return Response(headers={"Content-Type": "text/html; charset=utf-8"}, body=page)
            case "redirect":
                return Response(status=307, headers={"Location": "https://elsewhere.example.net" + request.path})
        return None

    # --- what people do in the vendor's own pages --------------------------------------------------------------

    def user_create(self, stream: str, fields: Fields, by: str = "user:1") -> str:
        """A person adds a record. Returns its id."""
        with self.lock:
            kept = self.completed(stream, self.normalise(stream, dict(fields)))
            return self.records.create(stream, kept, by=by, id=self.new_id(stream)).id

    def user_edit(self, stream: str, record_id: str, fields: Fields, by: str = "user:1") -> None:
        with self.lock:
            self.records.update(stream, record_id, self.normalise(stream, dict(fields)), by=by)

    def user_delete(self, stream: str, record_id: str, by: str = "user:1") -> None:
        with self.lock:
            self.records.delete(stream, record_id, by=by)

    def user_restore(self, stream: str, record_id: str, by: str = "user:1") -> None:
        with self.lock:
            self.records.restore(stream, record_id, by=by)

    def user_merge(self, stream: str, winner: str, loser: str, by: str = "user:1") -> str:
        """Two records become one; the winner's blanks are filled from the loser. Returns the survivor's id."""
        with self.lock:
            kept, lost = self.records.get(stream, winner).fields, self.records.get(stream, loser).fields
            taken = {k: v for k, v in lost.items() if v not in (None, "") and kept.get(k) in (None, "")}
            return self.records.merge(stream, winner, loser, taken, by).id

    def user_action(self, action: str, **arguments: Json) -> Json:
        """Something people can do only at this vendor: runs the vendor's method ``act_<action>``.

        Raises ValueError if the vendor has no such action.
        """
        method = getattr(self, f"act_{action}", None)
        if method is None:
            raise ValueError(f"{self.name} has no action {action}")
        with self.lock:
            return method(**arguments)

    # --- looking in, from outside the vendor's API -------------------------------------------------------------

    def load(self, stream: str, rows: Iterable[dict[str, Json]]) -> int:
        """Fill with history, without webhooks or limits.

        A row is ``{"id": str | None, "created": epoch s, "modified": epoch s, "fields": {vendor field: value}}``,
        optionally with ``"deleted": True``. Values are normalised as on save. Returns the number of rows.
        """
        number = 0
        with self.lock:
            for row in rows:
                kept = self.completed(stream, self.normalise(stream, dict(row["fields"])))
                created = row.get("created", self.now())
                record = self.records.create(
                    stream,
                    kept,
                    by="load",
                    id=row.get("id") or self.new_id(stream),
                    created=created,
                    modified=row.get("modified", created),
                )
                record.deleted = bool(row.get("deleted", False))
                number += 1
        return number

    def snapshot(self, stream: str) -> dict[str, dict[str, Json]]:
        """{id: {"fields": {vendor field: value}, "deleted": bool, "merged_into": id | None, "modified": epoch s}}"""
        return {
            record.id: {
                "fields": record.fields,
                "deleted": record.deleted,
                "merged_into": record.merged_into,
                "created": record.created,
                "modified": record.modified,
                "by": record.by,
            }
            for record in self.records.all(stream)
        }

    def set_faults(self, **values: Json) -> dict[str, Json]:
        """Change faults by name (see Faults). Returns all of them."""
        self.faults.set(**values)
        return self.faults.as_dict()

    def calls(self) -> list[dict[str, Json]]:
        """Every call so far, in order of arrival."""
        return [asdict(call) for call in list(self.log.calls)]

    def counts(self) -> dict[str, Json]:
        """Calls, writes, early calls, and calls by operation and status."""
        return self.log.counts()

    def set_webhook(self, url: str, secret: str, **options: Json) -> str:
        """Subscribe `url`; `topics` limits what is sent, the rest is the vendor's own. Returns the target's id."""
        topics = tuple(options.pop("topics", ()))
        return self.hooks.add(Target(url=url, secret=secret, topics=topics, options=options)).id

    def remove_webhook(self, target_id: str) -> bool:
        return self.hooks.remove(target_id)

    def pump(self) -> int:
        """Send the webhooks that are due, once. Returns how many attempts were made."""
        return self.hooks.pump()

    def drain_hooks(self) -> list[dict[str, Json]]:
        """Send every queued webhook now, with its retries. Returns the attempts."""
        return [asdict(delivery) for delivery in self.hooks.drain()]

    def hook_log(self) -> list[dict[str, Json]]:
        """Every webhook attempt so far."""
        return [asdict(delivery) for delivery in list(self.hooks.log)]

    def advance(self, seconds: float) -> float:
        """Move a virtual clock on. Returns the new time. Raises ValueError with a real clock."""
        if not isinstance(self.clock, VirtualClock):
            raise ValueError("this twin runs on the real clock")
        return self.clock.advance(seconds)

    def reset(self) -> None:
        """Forget everything but the settings."""
        with self.lock:
            self.records.clear()
            self.faults.set(**asdict(Faults(seed=self.settings["seed"])))
            self.log.clear()
            self.throttled_until, self._calls, self._late = 0.0, 0, []
            self._flows.clear()
        self.hooks.clear()

    def stop(self) -> None:
        """End the background thread, if there is one."""
        self.hooks.stop()


Maker = Callable[..., Twin]
