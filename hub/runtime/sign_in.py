"""Signing in for a connection: one token for all its workers, refreshed by one of them at a time.

Two workers, one refresh: worker A and B both get 401 with token t1. A takes the lock, sees that t1 is still the
current token, refreshes to t2, saves it, and lets go. B takes the lock, sees t2 instead of the t1 it failed with,
and simply uses it. With workers on several machines the lock and `load` of the shelf do the same across them.

A vendor that rotates refresh tokens kills the old one with the answer, so the new pair is saved before it is used.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from urllib.parse import urlencode

import orjson

from hub.connector import Auth, HttpResponse
from hub.errors import RetryLater, SignInExpired
from hub.kit.statuses import Kind, kind_of
from hub.runtime.clock import Clock
from hub.runtime.jwt import sign_jwt

_NOTES = ("id", "instance_url", "scope")  # of a token answer, kept beside the tokens
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"  # RFC 7523
JWT_LIFE_S = 3600  # of an assertion; Google takes no longer one
_EARLY_S = 60.0  # a token is renewed this long before it runs out, so that none expires under way

Tokens = Mapping[str, str]
Ask = Callable[[str, Mapping[str, str], bytes], HttpResponse]  # (url or path, headers, body) -> any answer


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenShelf:
    """Where tokens are kept between runs, and what keeps two machines from refreshing at once."""

    save: Callable[[Tokens], None] = field(default=lambda tokens: None)  # all of them, in one transaction
    load: Callable[[], Tokens] = field(default=dict)  # newest saved ones; empty: none yet
    exclusive: Callable[[], AbstractContextManager[object]] = field(default=nullcontext)


class SignIn:
    """The current token of a connection.

    Args:
        auth: the kind of sign-in, with its token URL.
        credentials: as `Auth` lists them per kind, secrets resolved.
        clock: for expiry.
        ask: sends one POST through the connection's transport, without signing in.
        shelf: where rotated tokens are kept.
        where: connection, for messages.
    """

    def __init__(
        self,
        auth: Auth,
        credentials: Mapping[str, str],
        *,
        clock: Clock,
        ask: Ask,
        shelf: TokenShelf | None = None,
        where: str = "",
    ) -> None:
        self._auth = auth
        self._credentials = dict(credentials)
        self._clock = clock
        self._ask = ask
        self._shelf = shelf or TokenShelf()
        self._where = where
        self._lock = threading.Lock()
        self.notes: dict[str, str] = {}  # what else the token answer said; no secrets
        self._token = ""
        self._expires_at: float | None = None
        self._refused = ""  # why the vendor refuses the credentials; set once, so that nobody storms it
        self._take_in(self._shelf.load() or credentials)

    @property
    def renewable(self) -> bool:
        """Whether a refused token can be exchanged for a new one."""
        return self._auth.kind in ("client_credentials", "refresh_token", "jwt_bearer")

    def secrets(self) -> list[str]:
        """Everything that must not appear in a message."""
        public = {"client_id", "username", "kind", "expires_at"}
        hidden = [value for name, value in self._credentials.items() if name not in public and value]
        return [*hidden, self._token] if self._token else hidden

    def headers(self) -> tuple[dict[str, str], str]:
        """The header that signs a call, and the token in it (to say later which one was refused)."""
        if self._auth.kind == "none":
            return {}, ""
        token = self.token()
        if self._auth.query:
            return {}, token
        scheme = "Basic" if self._auth.kind == "basic" else self._auth.scheme
        blank = "" if scheme.endswith("=") else " "
        return {self._auth.header: f"{scheme}{blank}{token}".strip()}, token

    def signed(self, url: str, token: str) -> str:
        """The URL as it is called: with the token, for vendors that want it there."""
        if not self._auth.query:
            return url
        return f"{url}{'&' if '?' in url else '?'}{urlencode({self._auth.query: token})}"

    def token(self) -> str:
        """The token to use now. Raises SignInExpired if the vendor refuses the credentials."""
        if self._auth.kind == "token":
            token = self._credentials.get("token", "")
            return base64.b64encode(f"{token}:".encode()).decode() if self._auth.token_is_user else token
        if self._auth.kind == "basic":
            pair = f"{self._credentials.get('username', '')}:{self._credentials.get('password', '')}"
            return base64.b64encode(pair.encode()).decode()
        if self._is_spent():
            self.renew(self._token)
        return self._token

    def _is_spent(self) -> bool:
        return not self._token or (self._expires_at is not None and self._clock.now() > self._expires_at - _EARLY_S)

    def renew(self, refused: str) -> bool:
        """Exchange the token if it is still the refused one. False: this kind of sign-in cannot.

        Raises SignInExpired if the vendor refuses the credentials, RetryLater if it does not answer properly.
        """
        if not self.renewable:
            return False
        with self._lock:
            if self._token != refused:
                return True
            with self._shelf.exclusive():
                self._renew_alone(refused)
        return True

    def _renew_alone(self, refused: str) -> None:
        if self._refused:
            raise self._expired(self._refused)
        self._take_in(self._shelf.load())
        if self._token not in ("", refused) and not self._is_spent():
            return
        tokens = self._fetch()
        self._credentials.update(tokens)
        self._shelf.save(tokens)
        self._take_in(tokens)

    def _take_in(self, tokens: Tokens) -> None:
        self.notes.update((name, tokens[name]) for name in _NOTES if name in tokens)
        if "refresh_token" in tokens:
            self._credentials["refresh_token"] = tokens["refresh_token"]
        if tokens.get("access_token"):
            self._token = tokens["access_token"]
            self._expires_at = float(tokens["expires_at"]) if tokens.get("expires_at") else None

    def _fetch(self) -> dict[str, str]:
        names = ("client_id", "client_secret", "refresh_token")
        wanted = names if self._auth.kind == "refresh_token" else names[:2]
        body = {"grant_type": self._auth.kind, **{name: self._credentials.get(name, "") for name in wanted}}
        if self._auth.scope:
            body["scope"] = self._auth.scope
        headers = {}
        if self._auth.kind == "jwt_bearer":
            body = {"grant_type": JWT_BEARER, "assertion": self._assertion()}
        elif self._auth.token_client == "basic":
            pair = f"{body.pop('client_id')}:{body.pop('client_secret')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        if self._auth.token_body == "json":
            headers["Content-Type"] = "application/json"
            answer = self._ask(self._auth.token_url, headers, orjson.dumps(body))
        else:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            answer = self._ask(self._auth.token_url, headers, urlencode(body).encode())
        self._check(answer)
        return self._read(answer)

    def _assertion(self) -> str:
        """Who asks, for what, signed with the account's key. Raises SignInExpired for a key that is none."""
        now = int(self._clock.now())
        claims = {"iss": self._credentials.get("client_id", ""), "scope": self._auth.scope, "aud": self._auth.token_url}
        try:
            return sign_jwt({**claims, "iat": now, "exp": now + JWT_LIFE_S}, self._credentials.get("private_key", ""))
        except ValueError:
            raise self._expired("the private key cannot be read") from None

    def _check(self, answer: HttpResponse) -> None:
        kind = kind_of(answer.status)
        if kind is Kind.OK and not _is_oauth_refusal(answer):  # Zoho refuses with 200
            return
        if kind in (Kind.REJECTED, Kind.SIGN_IN) or (answer.status < 500 and _is_oauth_refusal(answer)):
            self._refused = f"the token endpoint answers {answer.status}"
            raise self._expired(self._refused)
        raise RetryLater(f"the token endpoint answers {answer.status}", code="AUTH-LATER", where=self._where)

    def _read(self, answer: HttpResponse) -> dict[str, str]:
        found = answer.json()
        if not isinstance(found, dict) or not found.get("access_token"):
            raise RetryLater("the token endpoint gave no token", code="AUTH-LATER", where=self._where)
        tokens = {"access_token": str(found["access_token"])}
        if found.get("refresh_token"):
            tokens["refresh_token"] = str(found["refresh_token"])
        tokens |= {name: str(found[name]) for name in _NOTES if found.get(name)}
        if found.get("expires_in"):  # Salesforce names none; Plum may send it as text
            tokens["expires_at"] = str(self._clock.now() + float(found["expires_in"]))
        return tokens

    def _expired(self, why: str) -> SignInExpired:
        return SignInExpired(why, where=self._where, fix="renew the connection's credentials")


def _is_oauth_refusal(answer: HttpResponse) -> bool:
    """{"error": …} as RFC 6749, 5.2 has it; a 403 without is a limit or a firewall, not a wrong secret."""
    try:
        found = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return False
    # Codes have no blanks; Zoho's "Access Denied" is a limit
    return isinstance(found, dict) and isinstance(found.get("error"), str) and " " not in found["error"]
