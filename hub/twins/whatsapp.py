"""WhatsApp's Cloud API: template messages of one number. Its book, ``snapshot("messages")``, says what really left.

Every accepted call is another message. What becomes of one is told to the app's webhook, signed with the app's secret:
``user_action("tell", message=…, status=…, code=…)``; `carry` is a message that somebody else sends, all the way.

Options of `make` beside the kit's: `sender` ("106540352242922"), `templates` (name -> number of slots;
{"reward_ready": 2}).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any, ClassVar

import orjson

from hub.twins.kit import BadJson, Fields, HookEvent, Request, Response, Target, Twin

Json = Any
SENDER = "106540352242922"
CONNECTION = {
    "auth": {"kind": "token", "token": "twin-token"},
    "settings": {
        "sender": SENDER, "version": "v23.0", "link": "https://shop.example/claim/{reference}",
        "templates": {"thanks": {"remote": "reward_ready", "language": "en_US", "parameters": ["{name}", "{link}"]}},
    },
}  # fmt: skip


class TwinWhatsapp(Twin):
    """One number."""

    name = "whatsapp"
    streams: ClassVar[Sequence[str]] = ("messages", "arrivals")

    def __init__(self, **options: Json) -> None:
        super().__init__(**{"sender": SENDER, "templates": {"reward_ready": 2}, **options})
        self._made = 0

    def new_id(self, stream: str) -> str:
        self._made += 1
        return f"wamid.{self._made:024}"

    def unauthorised(self, request: Request) -> Response:
        return _error(190, "Error validating access token", 401)

    def throttled(self, request: Request, retry_after_s: float | None) -> Response:
        answer = _error(130429, "Rate limit hit", 400)
        if retry_after_s is not None:
            answer.headers["Retry-After"] = f"{retry_after_s:g}"
        return answer

    def failed(self, request: Request) -> Response:
        return _error(131000, "Something went wrong", 500)

    def route(self, request: Request) -> Response:
        version, _, rest = request.path.lstrip("/").partition("/")
        if not version.startswith("v") or not rest.startswith(self.settings["sender"]):
            return _error(100, "Unsupported request", 400)
        if request.method == "GET":
            return Response.json({"id": self.settings["sender"], "verified_name": "Twin"})
        try:
            return self._send(request.json())
        except BadJson:
            return _error(100, "Invalid parameter", 400)

    def _send(self, body: Json) -> Response:
        if not isinstance(body, dict) or body.get("messaging_product") != "whatsapp" or body.get("type") != "template":
            return _error(131047, "Re-engagement message", 400)
        told = body.get("template") or {}
        wanted = self.settings["templates"].get(told.get("name"))
        if wanted is None or not (told.get("language") or {}).get("code"):
            return _error(132001, "Template name does not exist in the translation", 400)
        slots = [slot for part in told.get("components") or () for slot in part.get("parameters") or ()]
        if len(slots) != wanted or not all(slot.get("text") for slot in slots):
            return _error(132000, "Number of parameters does not match the expected number of params", 400)
        if not str(body.get("to") or "").isdigit():
            return _error(131026, "Message undeliverable", 400)
        made = self.records.create("messages", dict(body), by="api", id=self.new_id("messages"))
        contacts = [{"input": body["to"], "wa_id": body["to"]}]
        messages = [{"id": made.id, "message_status": "accepted"}]
        return Response.json({"messaging_product": "whatsapp", "contacts": contacts, "messages": messages})

    # --- what becomes of messages ------------------------------------------------------------------------------

    def act_tell(self, message: str, status: str, code: int = 0) -> None:
        """One status; in which order several come is nobody's promise."""
        sent = self.records.get("messages", message).fields
        told: Fields = {
            "id": message, "status": status, "timestamp": str(int(self.now())), "recipient_id": sent["to"],
            "biz_opaque_callback_data": sent.get("biz_opaque_callback_data"),
        }  # fmt: skip
        if status == "failed":
            told["errors"] = [{"code": code, "title": "Message undeliverable", "error_data": {"details": ""}}]
        event = HookEvent(topic=status, payload=told, at=self.now(), stream="messages", record_id=message)
        self.hooks.emit([event])

    def act_carry(self) -> None:
        """A message of another program with this number, from its queue to its receiver's eyes."""
        made = self.records.create("messages", {"to": "4930123456"}, by="user:1", id=self.new_id("messages"))
        for status in ("sent", "delivered", "read"):
            self.act_tell(made.id, status)

    def hook_request(self, target: Target, events: Sequence[HookEvent], attempt: int) -> tuple[bytes, dict[str, str]]:
        """Signed over the bytes of the body."""
        metadata = {"display_phone_number": "15550100", "phone_number_id": self.settings["sender"]}
        value = {"messaging_product": "whatsapp", "metadata": metadata, "statuses": [each.payload for each in events]}
        entry = {"id": "100", "changes": [{"field": "messages", "value": value}]}
        body = orjson.dumps({"object": "whatsapp_business_account", "entry": [entry]})
        mac = hmac.new(target.secret.encode(), body, hashlib.sha256).hexdigest()
        return body, {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={mac}"}


def _error(code: int, message: str, status: int) -> Response:
    told = {"message": f"(#{code}) {message}", "type": "OAuthException", "code": code, "fbtrace_id": "twin"}
    return Response.json({"error": told}, status)


PEOPLE: dict[str, Json] = {"arrivals": {"add": {"action": "carry"}}}


def make(**options: Json) -> TwinWhatsapp:
    return TwinWhatsapp(**options)


TWIN = make
