"""The one way out of a connection: every call is addressed, signed, budgeted, timed, counted and redacted here.

What happens to one call: its turn in the budgets → one send → whole body, bounded → what kind of answer is it
(connector's word first, then the status table) → a read may be tried again within the run's retry budget, a refused
token is renewed once and the call repeated with the same headers, everything else is returned or raised.

Invariant: a write leaves at most once per call of the door (a second time only after a 401, which proves that the
first did nothing), and whoever gets OutcomeUnknown must look before repeating.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson
import requests
import urllib3
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from hub.connector import Auth, Connector, HttpResponse, RateLimit, Settings
from hub.errors import ConfigFault, Fault, HubError, OutcomeUnknown, QuotaUsedUp, RecordRejected, RetryLater
from hub.kit.statuses import Kind, error_of, kind_of
from hub.model import Json
from hub.runtime import addresses
from hub.runtime.budgets import Budgets
from hub.runtime.calls import Bounds, Call, CallCounts, RetryBudget, is_tls, never_left
from hub.runtime.clock import Clock, SystemClock
from hub.runtime.fronts import DoorPool, door_session
from hub.runtime.sign_in import SignIn, TokenShelf

_CHUNK = 64 * 1024
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_LABEL = re.compile(r"^[a-z0-9-]+(\.[a-z0-9-]+)*$")
_HEADER = re.compile(r"(?![\t ])[\t\x20-\x7e\xa0-\xff]*")  # field-value (RFC 9110, section 5.5)
_MAIL = re.compile(r"[^/\s@]+(@|%40)[^/\s?&]+")


class HttpDoor:
    """The door of one connection; safe to share among its threads.

    Args:
        connector: whose hosts, limits, statuses and classify hold.
        account: connection name, for messages.
        base_url: of this connection, checked.
        auth: kind of sign-in.
        credentials: for it, secrets resolved.
        local: the connection is marked `local: true`.
        clock, rng: the world, as arguments.
        shelf: where rotated tokens are kept.
        budgets: made from the connector's limits unless handed in (shared ones for several workers).
        retries: the run's retry budget; `new_run` starts another.
        bounds: time-outs and sizes.
    """

    def __init__(
        self,
        connector: Connector,
        *,
        account: str,
        base_url: str,
        auth: Auth,
        credentials: Mapping[str, str],
        local: bool = False,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        shelf: TokenShelf | None = None,
        budgets: Budgets | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        self.account = account
        self.base_url = addresses.check_url(base_url, hosts=connector.hosts, local=local, where=account)
        self.counts = CallCounts()
        self._connector = connector
        self._local = local
        self._clock = clock or SystemClock()
        self._rng = rng or random.Random()  # noqa: S311  (jitter)
        self._bounds = bounds or Bounds()
        self._budgets = budgets or Budgets(connector.limits, clock=self._clock, where=account)
        self._retries = RetryBudget()
        self._transport = addresses.checked_session(local=local)
        self._sign_in = SignIn(auth, credentials, clock=self._clock, ask=self._ask_token, shelf=shelf, where=account)
        self._ahead_s = 0.0  # vendor's clock less ours, by the last answer that carried a Date
        self._unreachable = 0  # connections in a row that could not be made
        self._closed_until = 0.0  # monotonic; circuit open until then

    # what connectors use -------------------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        path: str,
        *,
        operation: str,
        params: Mapping[str, Any] | None = None,
        json: Json = None,
        form: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        writes: bool = False,
        expect: Sequence[int] = (),
        cost: int = 1,
        signed: bool = True,
    ) -> HttpResponse:
        """One call; see `hub.connector.Door`."""
        sent = dict(headers or {})
        if json is not None:
            body = orjson.dumps(json)
            sent.setdefault("Content-Type", "application/json")
        elif form is not None:
            body = urlencode(form, doseq=True).encode()
            sent.setdefault("Content-Type", "application/x-www-form-urlencoded")
        call = Call(
            method=method.upper(),
            url=self.url_of(path, params),
            operation=operation,
            headers=sent,
            body=body,
            writes=writes,
            cost=cost,
            expect=frozenset(expect),
            signed=signed,
        )
        return self.exchange(call)

    def session(self) -> requests.Session:
        """A requests.Session whose every call passes this door."""
        return door_session(self)

    def pool(self) -> DoorPool:
        """The same in the shape of urllib3's PoolManager."""
        return DoorPool(self)

    @contextmanager
    def count(self, operation: str, *, writes: bool = False, cost: int = 1) -> Iterator[None]:
        """Around one call of an SDK with a transport of its own: budget before, count after, errors translated."""
        call = Call(method="", url=self.base_url, operation=operation, headers={}, writes=writes, cost=cost)
        with self._budgets.using(operation, cost=cost, patience_s=self._patience(call)):
            self._count_call(call)
            try:
                yield
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                raise self._no_answer(call, error) from None
        self._budgets.went_through()

    def now(self) -> float:
        """The hub's clock, epoch seconds UTC."""
        return self._clock.now()

    def vendor_now(self) -> float:
        """The vendor's clock by its last answer's Date; before any answer the hub's."""
        return self._clock.now() + self._ahead_s

    def token(self) -> str:
        """The current access token."""
        return self._sign_in.token()

    def signed_in_as(self) -> Mapping[str, str]:
        """What the vendor's token answer said beside the tokens; signs in first if need be."""
        self._sign_in.token()
        return self._sign_in.notes

    # what the engine uses ------------------------------------------------------------------------------------------

    def new_run(self) -> None:
        """A new run starts with a full retry budget, and knows of pauses that another process was told."""
        self._retries = RetryBudget()
        self._budgets.new_run()

    @property
    def longest_write_s(self) -> float:
        """From the call of `request` until a write can certainly no longer be under way from here."""
        bounds = self._bounds
        return 2 * (bounds.write_patience_s + bounds.connect_s + bounds.read_s) + bounds.total_s

    def redact(self, text: str) -> str:
        """The text without this connection's secrets and without e-mail addresses in paths."""
        for secret in self._sign_in.secrets():
            if len(secret) >= 4:
                text = text.replace(secret, "…")
        return _MAIL.sub("…", text)

    def url_of(self, path: str, params: Mapping[str, Any] | None = None) -> str:
        """Absolute URL of a path below the base URL, or of an absolute URL on a host of this connection."""
        if path.startswith("/"):
            url = self.base_url + path
        elif path.startswith(self.base_url + "/") or (self._local and self.same_host(path)):
            url = path
        elif self._local and addresses.is_allowed(urlsplit(path).hostname or "", self._connector.hosts):
            parts = urlsplit(path)  # a rehearsal's one server stands for every host of the vendor
            url = self.base_url + parts.path + (f"?{parts.query}" if parts.query else "")
        elif self._local:
            raise addresses.refuse("the URL leaves the local server", self.account, "use paths")
        else:
            url = addresses.check_url(path, hosts=self._connector.hosts, local=False, where=self.account)
        if not params:
            return url
        query = urlencode({name: value for name, value in params.items() if value is not None}, doseq=True)
        return f"{url}{'&' if '?' in url else '?'}{query}"

    def same_host(self, url: str) -> bool:
        """Whether a URL names the host and port of the base URL, whatever its scheme."""
        return urlsplit(url).netloc == urlsplit(self.base_url).netloc

    # one call, from top to bottom ----------------------------------------------------------------------------------

    def exchange(self, call: Call) -> HttpResponse:
        """Carry out a call: at once for a write, with repeats for a read."""
        if call.writes:
            return self._attempt(call)
        retrying = Retrying(
            stop=stop_after_attempt(self._bounds.tries),
            wait=self._wait_before_repeat,
            retry=retry_if_exception(self._may_repeat),
            sleep=self._clock.sleep,
            before_sleep=lambda _: self.counts.add(call.operation, repeats=1),
            reraise=True,
        )
        return retrying(self._attempt, call)

    def _attempt(self, call: Call) -> HttpResponse:
        answer, token = self._send_once(call)
        kind = self._kind(answer)
        if kind is Kind.SIGN_IN and call.signed and answer.status not in call.expect and self._sign_in.renew(token):
            self.counts.add(call.operation, repeats=1)
            answer, token = self._send_once(call)
            kind = self._kind(answer)
        if kind in (Kind.THROTTLED, Kind.QUOTA, Kind.BUSY, Kind.TROUBLE, Kind.STRANGE):
            return self._turned_away(call, answer, kind)
        self._budgets.went_through()
        if kind in call.leave or answer.status in call.expect:
            return answer
        raise error_of(kind, self._describe(call, answer), writes=call.writes, where=self._where(call))

    def _send_once(self, call: Call) -> tuple[HttpResponse, str]:
        self._check_form(call)
        signature, token = self._sign_in.headers() if call.signed else ({}, "")
        self._check_circuit(call)
        with self._budgets.using(call.operation, cost=call.cost, patience_s=self._patience(call)):
            self._count_call(call)
            try:
                url = self._sign_in.signed(call.url, token) if call.signed else call.url
                answer = self._send(call, url, {**call.headers, **signature})
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                raise self._no_answer(call, error) from None
        self._unreachable = 0
        if self._connector.usage is not None:
            for name, (used, of) in self._connector.usage(answer).items():
                self._budgets.told(name, used, of)
        if self._connector.came_to is not None:
            for name, cost in self._connector.came_to(answer).items():
                self._budgets.give_back(name, call.cost - cost)
        return answer, token

    def _check_form(self, call: Call) -> None:
        """What data brings into an address or a header must fit there: nothing of it leaves, and nothing is in doubt.

        Raises RecordRejected NET-HEADER.
        """
        if not all(_HEADER.fullmatch(value) for value in call.headers.values()):
            raise RecordRejected(
                f"a header of {self._line(call)} has characters that no header has", code="NET-HEADER",
                where=self._where(call), fix="correct the value at its source",
            )  # fmt: skip

    def _send(self, call: Call, url: str, headers: Mapping[str, str]) -> HttpResponse:
        answer = self._transport.request(
            call.method,
            url,
            data=call.body,
            headers=dict(headers),
            stream=True,
            allow_redirects=False,
            timeout=(self._bounds.connect_s, self._bounds.read_s),
        )
        try:
            body = self._read(call, answer.raw)
        finally:
            answer.close()
        sent = {name.lower(): value for name, value in answer.headers.items()}
        at = self._time_of(sent)
        self._ahead_s = at - self._clock.now()
        return HttpResponse(status=answer.status_code, headers=sent, body=body, at=at)

    def _read(self, call: Call, raw: Any) -> bytes:
        """The decoded body; gives up when it grows or drips beyond the bounds."""
        deadline = self._clock.monotonic() + self._bounds.total_s
        chunks: list[bytes] = []
        size = 0
        while chunk := raw.read1(_CHUNK, decode_content=True):
            chunks.append(chunk)
            size += len(chunk)
            if size > self._bounds.body_bytes or self._clock.monotonic() > deadline:
                self.counts.add(call.operation, failed=1)
                raise self._unfinished(call, f"too big or too slow an answer to {self._line(call)}", "NET-TOO-BIG")
        return b"".join(chunks)

    def _time_of(self, headers: Mapping[str, str]) -> float:
        try:
            return parsedate_to_datetime(headers["date"]).timestamp()
        except (KeyError, ValueError, TypeError):
            return self._clock.now()

    # what an answer means ------------------------------------------------------------------------------------------

    def _kind(self, answer: HttpResponse) -> Kind:
        if self._connector.classify is not None:
            word = self._connector.classify(answer)
            if word is not None:
                return Kind(word)
        return kind_of(answer.status, self._connector.statuses)

    def _turned_away(self, call: Call, answer: HttpResponse, kind: Kind) -> HttpResponse:
        """Note the throttling or failure for the whole connection, then raise; an expected 5xx goes to the caller."""
        after_s = self._named_wait(answer)
        if kind in (Kind.THROTTLED, Kind.QUOTA, Kind.BUSY):
            self.counts.add(call.operation, throttled=1)
            if after_s is None and kind is Kind.THROTTLED:
                self._budgets.slow_down()
            elif after_s is not None and kind is not Kind.BUSY:
                self._budgets.pause(after_s)
        else:
            self.counts.add(call.operation, failed=1)
            if answer.status in call.expect:
                return answer
        message = self._describe(call, answer)
        raise error_of(kind, message, writes=call.writes, where=self._where(call), after_s=after_s)

    def _named_wait(self, answer: HttpResponse) -> float | None:
        """Seconds to wait as the body and Retry-After say, the longer of the two."""
        told = [self._connector.wait_s(answer) if self._connector.wait_s is not None else None, _retry_after(answer)]
        waits = [wait for wait in told if wait is not None]
        return min(max(*waits, 0.0), self._bounds.longest_pause_s) if waits else None

    def _no_answer(self, call: Call, error: Exception) -> HubError:
        """The error for a call without a whole answer."""
        self.counts.add(call.operation, failed=1)
        message = f"{type(error).__name__} in {self._line(call)}"
        if not never_left(error):
            self._unreachable = 0
            return self._unfinished(call, message, "NET-CUT")
        self._unreachable += 1
        if self._unreachable >= self._bounds.failures_to_open:
            self._closed_until = self._clock.monotonic() + self._bounds.open_s
        code = "NET-TLS" if is_tls(error) else "NET-CONNECT"
        return RetryLater(message, code=code, where=self._where(call), fix="is the host up, and its name right?")

    def _unfinished(self, call: Call, message: str, code: str) -> HubError:
        if call.writes:
            return OutcomeUnknown(self.redact(message), where=self._where(call))
        return RetryLater(self.redact(message), code=code, where=self._where(call))

    # repeats -------------------------------------------------------------------------------------------------------

    def _may_repeat(self, error: BaseException) -> bool:
        if not isinstance(error, RetryLater) or isinstance(error, QuotaUsedUp) or error.code == "NET-CIRCUIT":
            return _is_strange(error) and self._retries.may_repeat()
        if (error.after_s or 0.0) > self._bounds.read_patience_s:
            return False
        return self._retries.may_repeat()

    def _wait_before_repeat(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        named = getattr(error, "after_s", None)
        if named is not None:
            return float(named) + self._rng.uniform(0.0, min(1.0, 0.1 * named))  # jitter only upwards
        # full jitter: uniform in [0, min(cap, base * 2^n)] ("Exponential Backoff And Jitter", AWS architecture notes)
        top = min(self._bounds.longest_wait_s, self._bounds.first_wait_s * 2.0 ** (state.attempt_number - 1))
        return self._rng.uniform(0.0, top)

    def _check_circuit(self, call: Call) -> None:
        left = self._closed_until - self._clock.monotonic()
        if left > 0:
            message = f"the host could not be reached {self._unreachable} times in a row"
            raise RetryLater(message, after_s=left, code="NET-CIRCUIT", where=self._where(call))

    def _patience(self, call: Call) -> float:
        return self._bounds.write_patience_s if call.writes else self._bounds.read_patience_s

    # small change --------------------------------------------------------------------------------------------------

    def _ask_token(self, path: str, headers: Mapping[str, str], body: bytes) -> HttpResponse:
        call = Call(
            method="POST",
            url=self._token_url(path),
            operation="token",
            headers={"Accept": "application/json", **headers},
            body=body,
            signed=False,
            leave=frozenset(Kind),
        )
        return self._send_once(call)[0]

    def _token_url(self, path: str) -> str:
        """The token endpoint; a local stand-in answers for that host, too."""
        if self._local and not path.startswith("/") and not self.same_host(path):
            here = urlsplit(self.base_url)
            return f"{here.scheme}://{here.netloc}{urlsplit(path).path}"
        return self.url_of(path)

    def _count_call(self, call: Call) -> None:
        self._retries.called()
        self.counts.add(call.operation, calls=1, **({"writes": 1} if call.writes else {"reads": 1}))

    def _where(self, call: Call) -> str:
        return f"{self.account}/{call.operation}"

    def _line(self, call: Call) -> str:
        return self.redact(f"{call.method} {urlsplit(call.url).path}")

    def _describe(self, call: Call, answer: HttpResponse) -> str:
        return f"{self._line(call)} answered {answer.status}"


def _retry_after(answer: HttpResponse) -> float | None:
    """Seconds of Retry-After; a date counts from the answer's own Date, whatever our clock says."""
    text = answer.headers.get("retry-after", "")
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(text).timestamp() - answer.at
    except (ValueError, TypeError):
        return None


def _is_strange(error: BaseException) -> bool:
    return isinstance(error, HubError) and error.code == "NET-STRANGE"


def fill_base_url(template: str, settings: Mapping[str, Json], where: str) -> str:
    """A connector's base URL with `{name}` filled from the connection's settings. Raises ConfigFault."""

    def fill(match: re.Match[str]) -> str:
        value = settings.get(match[1])
        if not isinstance(value, str) or not _LABEL.match(value):
            message, fix = f"the setting {match[1]} is missing or no host name", f"set settings.{match[1]}, or base_url"
            raise ConfigFault([Fault(code="CFG-BASE-URL", where=where, message=message, fix=fix)])
        return value

    return _PLACEHOLDER.sub(fill, template)


def _limits(connector: Connector, settings: Settings) -> list[RateLimit]:
    """The connector's limits, with the figures of `settings.limits` ({name: calls}) for accounts that have others."""
    own = settings.values.get("limits") or {}
    return [replace(limit, calls=int(own.get(limit.name, limit.calls))) for limit in connector.limits]


def open_door(
    connector: Connector,
    settings: Settings,
    *,
    account: str,
    base_url: str = "",
    reserve: float = 0.2,
    clock: Clock | None = None,
    make_budgets: Callable[..., Budgets] = Budgets,
    **more: Any,
) -> HttpDoor:
    """The door of a connection as hub.yaml describes it.

    Args:
        connector: its connector.
        settings: resolved settings; `auth` names the kind (the connector's first, if it names none).
        account: connection name.
        base_url: of hub.yaml; empty: the connector's, filled from settings.
        reserve: share of shared quotas left to people.
        clock: the clock.
        make_budgets: `Budgets`, or a maker of budgets shared with other workers.
        more: passed on to `HttpDoor`: rng, shelf, bounds.

    Raises:
        ConfigFault: unknown kind of sign-in, missing host, or a host that is not the vendor's.
    """
    clock = clock or SystemClock()
    kind = settings.auth.get("kind") or (connector.auth[0].kind if connector.auth else "none")
    chosen = [auth for auth in connector.auth if auth.kind == kind]
    if not chosen and kind != "none":
        known = ", ".join(auth.kind for auth in connector.auth)
        fault = Fault(
            code="CFG-AUTH", where=account, message=f"{connector.name} has no sign-in {kind}", fix=f"one of: {known}"
        )
        raise ConfigFault([fault])
    auth = chosen[0] if chosen else Auth(kind="none")
    if not settings.local:
        auth = replace(auth, token_url=fill_base_url(auth.token_url, settings.values, account))
    return HttpDoor(
        connector,
        account=account,
        base_url=fill_base_url(base_url or connector.base_url, settings.values, account),
        auth=auth,
        credentials=settings.auth,
        local=settings.local,
        clock=clock,
        budgets=make_budgets(_limits(connector, settings), clock=clock, reserve=reserve, where=account),
        **more,
    )
