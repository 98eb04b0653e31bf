"""Twilio: messages that one account sends. Its book, ``snapshot("messages")``, says what really left.

Every accepted call is another message: there are no keys. What becomes of one is told to its `StatusCallback`, signed
with the account's token: ``user_action("tell", message=…, status=…, code=…)``; `carry` is a message that somebody else
sends, all the way. Options of `make` beside the kit's: `account`
("AC00000000000000000000000000000001"), `opted_out` (numbers that said STOP).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import urlencode

import orjson

from hub.twins.kit import Fields, HookEvent, Request, Response, Target, Twin

Json = Any
ACCOUNT = "AC00000000000000000000000000000001"
CONNECTION = {
    "auth": {"kind": "basic", "username": ACCOUNT, "password": "twin-token"},
    "settings": {
        "account": ACCOUNT, "sender": "+15005550006", "link": "https://shop.example/claim/{reference}",
        "templates": {"thanks": {"text": "{amount} {currency} for you, {name}: {link}"}},
    },
}  # fmt: skip
E164 = re.compile(r"\+[1-9]\d{6,14}")
WORDS = {
    21211: "Invalid 'To' Phone Number: {to}",
    21602: "Message body is required.",
    21603: "A 'From' phone number is required.",
    21610: "Attempt to send to unsubscribed recipient",
    21617: "The concatenated message body exceeds the 1600 character limit",
    21656: "The Content Variables parameter is invalid.",
}


class TwinTwilio(Twin):
    """One account."""

    name = "twilio"
    streams: ClassVar[Sequence[str]] = ("messages", "arrivals")

    def __init__(self, **options: Json) -> None:
        super().__init__(**{"account": ACCOUNT, "opted_out": (), **options})
        self._made = 0

    def new_id(self, stream: str) -> str:
        self._made += 1
        return f"SM{self._made:032}"

    def authorise(self, request: Request) -> Response | None:
        pair = f"{self.settings['account']}:{self.settings['token']}"
        wanted = "Basic " + base64.b64encode(pair.encode()).decode()
        return None if request.headers.get("authorization") == wanted else self.unauthorised(request)

    def unauthorised(self, request: Request) -> Response:
        return _error(20003, "Authenticate", 401)

    def throttled(self, request: Request, retry_after_s: float | None) -> Response:
        answer = _error(20429, "Too Many Requests", 429)
        if retry_after_s is not None:
            answer.headers["Retry-After"] = f"{retry_after_s:g}"
        return answer

    def failed(self, request: Request) -> Response:
        return _error(20500, "Internal Server Error", 500)

    def route(self, request: Request) -> Response:
        base = f"/2010-04-01/Accounts/{self.settings['account']}"
        if (request.method, request.path) == ("GET", f"{base}.json"):
            return Response.json({"sid": self.settings["account"], "friendly_name": "Twin", "status": "active"})
        if (request.method, request.path) == ("POST", f"{base}/Messages.json"):
            return self._send({name: values[0] for name, values in request.form().items()})
        return _error(20404, "The requested resource was not found", 404)

    def _send(self, form: dict[str, str]) -> Response:
        to, body = form.get("To", ""), form.get("Body", "")
        code = None
        if not E164.fullmatch(to.removeprefix("whatsapp:")):
            code = 21211
        elif not form.get("From") and not form.get("MessagingServiceSid"):
            code = 21603
        elif to in self.settings["opted_out"]:
            code = 21610
        elif not body and not form.get("ContentSid"):
            code = 21602
        elif len(body) > 1600:
            code = 21617
        elif form.get("ContentVariables") and not _is_object(form["ContentVariables"]):
            code = 21656
        if code is not None:
            return _error(code, WORDS[code].format(to=to), 400)
        made = self.records.create("messages", dict(form), by="api", id=self.new_id("messages"))
        callback = form.get("StatusCallback")
        if callback and callback not in {target.url for target in self.hooks.targets.values()}:
            self.set_webhook(callback, self.settings["token"])
        told = {"sid": made.id, "status": "queued", "to": to, "from": form.get("From"), "body": body}
        return Response.json({**told, "error_code": None}, 201)

    # --- what becomes of messages ------------------------------------------------------------------------------

    def act_tell(self, message: str, status: str, code: str = "") -> None:
        """One call to the message's callback; in which order several come is nobody's promise."""
        form = self.records.get("messages", message).fields
        told: Fields = {
            "AccountSid": self.settings["account"], "From": form.get("From") or "", "MessageSid": message,
            "MessageStatus": status, "SmsSid": message, "SmsStatus": status, "To": form["To"],
            **({"ErrorCode": code} if code else {}),
        }  # fmt: skip
        event = HookEvent(topic=status, payload=told, at=self.now(), stream="messages", record_id=message)
        self.hooks.emit([event])

    def act_carry(self) -> None:
        """A message of another program of this account, from its queue to its receiver."""
        form = {"To": "+4930123456", "From": "+15005550006", "Body": "Hello"}
        made = self.records.create("messages", form, by="user:1", id=self.new_id("messages"))
        for status in ("sent", "delivered"):
            self.act_tell(made.id, status)

    def hook_request(self, target: Target, events: Sequence[HookEvent], attempt: int) -> tuple[bytes, dict[str, str]]:
        """Signed by name and value, one after another, behind the address ("Webhooks security")."""
        form = events[0].payload
        text = target.url + "".join(f"{name}{form[name]}" for name in sorted(form))
        mac = hmac.new(target.secret.encode(), text.encode(), hashlib.sha1).digest()
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Twilio-Signature": base64.b64encode(mac).decode(),
        }
        return urlencode(form).encode(), headers


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False


def _error(code: int, message: str, status: int) -> Response:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return Response.json({"code": code, "message": message, "more_info": more, "status": status}, status)


PEOPLE: dict[str, Json] = {"arrivals": {"add": {"action": "carry"}}}


def make(**options: Json) -> TwinTwilio:
    return TwinTwilio(**options)


TWIN = make
