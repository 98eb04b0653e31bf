"""The door to a mail server: one connection per message, encrypted, and an honest word about what became of it.

A message is certainly not sent until the server was told that it ends; from then on only the server's answer tells.
Without that answer nobody knows (OutcomeUnknown), and whoever asks for another try may send it twice.
"""

from __future__ import annotations

import contextlib
import re
import smtplib
import socket
import ssl
from collections.abc import Iterator

from hub.connector import Connector, Settings
from hub.errors import ConfigFault, Fault, HubError, OutcomeUnknown, RecordRejected, RetryLater, SignInExpired
from hub.runtime.addresses import refuse, resolve
from hub.runtime.budgets import Budgets
from hub.runtime.clock import Clock
from hub.runtime.qr import qr_png

TIMEOUT_S = 30.0  # of one step: connect, command, answer
PATIENCE_S = 20.0  # for a turn in the budget
STEPS = 8  # connect, hello, TLS, hello, sign-in, sender, receiver, message
SECURITIES = ("starttls", "tls", "none")


def open_mail(connector: Connector, settings: Settings, *, account: str, clock: Clock) -> MailServer:
    """The door of a connection. Raises ConfigFault with all that is wrong about host, port and security."""
    values, faults = settings.values, []

    def wrong(name: str, message: str, fix: str) -> None:
        faults.append(Fault(code="MAIL-SETTING", where=f"{account}: settings.{name}", message=message, fix=fix))

    host, security = values.get("host"), values.get("security") or "starttls"
    try:
        given = values.get("port")
        port = int(given if given is not None else 465 if security == "tls" else 587)
    except (TypeError, ValueError):
        port = 0
    if not isinstance(host, str) or not host or any(mark in host for mark in " /:@"):
        wrong("host", "is no name of a server", "such as smtp.example.com")
    if not 0 < port < 65_536:
        wrong("port", "is no port", "587, or 465 for tls")
    if security not in SECURITIES:
        wrong("security", f"is none of {', '.join(SECURITIES)}", "default: starttls")
    elif security == "none" and not settings.local:
        wrong(
            "security", "passwords and messages are not sent in the open", "starttls or tls, or mark it `local: true`"
        )
    if faults:
        raise ConfigFault(faults)
    budgets = Budgets(connector.limits, clock=clock, where=account)
    return MailServer(str(host), port, str(security), settings, account=account, clock=clock, budgets=budgets)


class MailServer:
    """A `MailDoor`."""

    def __init__(
        self, host: str, port: int, security: str, settings: Settings, *, account: str, clock: Clock, budgets: Budgets
    ) -> None:
        self.account = account
        self._host, self._port, self._security = host, port, security
        self._auth, self._local = settings.auth, settings.local
        self._clock, self._budgets = clock, budgets

    @property
    def longest_write_s(self) -> float:
        """From the call of `send` until nothing of it can be under way any more."""
        return PATIENCE_S + STEPS * TIMEOUT_S

    def now(self) -> float:
        return self._clock.now()

    def qr_code(self, text: str) -> bytes:
        return qr_png(text)

    def try_sign_in(self) -> str:
        with self._session() as session:
            return (session.ehlo_resp or session.helo_resp or b"").split(b"\n")[0].decode("utf-8", "replace")[:100]

    def send(self, sender: str, recipient: str, message: bytes) -> None:
        with self._budgets.using("send", cost=1, patience_s=PATIENCE_S), self._session() as session:
            self._address(session, sender, recipient)
            ready, said = session.docmd("DATA")
            if ready != 354:
                raise self._refused(ready, said)
            try:
                session.send(_as_data(message))
                code, said = session.getreply()
            except (OSError, smtplib.SMTPException):
                words = "the message was sent, and the server's answer was lost"
                raise OutcomeUnknown(words, where=self.account) from None
            if code != 250:
                raise self._refused(code, said)

    def _address(self, session: smtplib.SMTP, sender: str, recipient: str) -> None:
        plain = sender.isascii() and recipient.isascii()
        if not plain and not session.has_extn("smtputf8"):
            raise RecordRejected(
                "the server takes no such address", code="MAIL-ADDRESS", field="email", where=self.account
            )
        if "@" not in recipient or any(mark in f"{sender}{recipient}" for mark in "\r\n<> "):
            raise RecordRejected("an address with a character that none has", code="MAIL-ADDRESS", field="email")
        for code, said in (
            session.mail(sender, [] if plain else ["SMTPUTF8"]), session.rcpt(recipient),
        ):  # fmt: skip
            if code not in (250, 251):
                raise self._refused(code, said)

    def _refused(self, code: int, said: bytes) -> HubError:
        """4xx may pass later, 5xx never. The server's words may hold the address: its code is enough for messages."""
        told = said[:5].decode("ascii", "replace")
        told = told if told[:1] in "45" and told[1:2] == "." else ""
        words = f"the server refuses the message: {code} {told}".strip()
        if 400 <= code < 500:
            return RetryLater(words, code="MAIL-LATER", where=self.account)
        return RecordRejected(words, code="MAIL-REFUSED", where=self.account, field="email")

    @contextlib.contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        """A server that has let us in. Whatever breaks before a message ends has sent nothing."""
        try:
            session = self._connect()
        except (OSError, smtplib.SMTPException) as error:
            raise RetryLater(
                f"the mail server cannot be reached: {type(error).__name__}", code="MAIL-LATER", where=self.account
            ) from None
        try:
            self._sign_in(session)
            yield session
        except (OSError, smtplib.SMTPException) as error:
            raise RetryLater(
                f"the mail server broke off: {type(error).__name__}", code="MAIL-LATER", where=self.account
            ) from None
        finally:
            with contextlib.suppress(OSError, smtplib.SMTPException):
                session.quit()
            session.close()

    def _connect(self) -> smtplib.SMTP:
        if self._security == "tls":
            return _Tls(self._local, self._host, self._port)
        session = _Plain(self._local, self._host, self._port)
        session.ehlo_or_helo_if_needed()
        if self._security == "starttls":
            if not session.has_extn("starttls"):
                session.close()
                raise refuse("the mail server knows no encryption", self.account, "ask who runs it; nothing was sent")
            session.starttls(context=ssl.create_default_context())
            session.ehlo()
        return session

    def _sign_in(self, session: smtplib.SMTP) -> None:
        session.ehlo_or_helo_if_needed()
        if self._auth.get("kind", "none") == "none":
            return
        offered = str(session.esmtp_features.get("auth", "")).upper().split()
        way = next((each for each in ("PLAIN", "LOGIN") if each in offered), "")
        if not way:
            fix = "auth: {kind: none}, or another server"
            raise SignInExpired("the mail server knows no sign-in of ours", where=self.account, fix=fix)
        session.user, session.password = self._auth.get("username", ""), self._auth.get("password", "")
        try:  # once: a second wrong try may shut the account
            session.auth(way, session.auth_plain if way == "PLAIN" else session.auth_login)
        except smtplib.SMTPAuthenticationError as error:
            if 400 <= error.smtp_code < 500:
                raise RetryLater("the mail server lets nobody in now", code="MAIL-LATER", where=self.account) from None
            fix = "renew the connection's password"
            raise SignInExpired("the mail server refuses the password", where=self.account, fix=fix) from None


def _as_data(message: bytes) -> bytes:
    """The message with its end (RFC 5321, 4.5.2): a dot at the start of a line is doubled."""
    stuffed = re.sub(rb"(?m)^\.", b"..", message)
    return stuffed + (b"" if stuffed.endswith(b"\r\n") else b"\r\n") + b".\r\n"


def _open(local: bool, host: str, port: int, timeout: float) -> socket.socket:
    """A socket to a checked address, as in hub.runtime.addresses."""
    failure: OSError = OSError("no address")
    for address in resolve(host, port, local=local):
        try:
            return socket.create_connection((address, port), timeout)
        except OSError as error:
            failure = error
    raise failure


class _Plain(smtplib.SMTP):
    def __init__(self, local: bool, host: str, port: int) -> None:
        self._local = local
        super().__init__(host, port, timeout=TIMEOUT_S)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return _open(self._local, host, port, timeout)


class _Tls(smtplib.SMTP_SSL):
    def __init__(self, local: bool, host: str, port: int) -> None:
        self._local = local
        super().__init__(host, port, timeout=TIMEOUT_S, context=ssl.create_default_context())

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return self.context.wrap_socket(_open(self._local, host, port, timeout), server_hostname=host)
