"""WhatsApp's Cloud API: template messages of one number. Its book, ``snapshot("messages")``, says what really left.

Every accepted call is another message. Options of `make` beside the kit's: `sender` ("106540352242922"), `templates`
(name -> number of slots; {"reward_ready": 2}).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from hub.twins.kit import BadJson, Request, Response, Twin

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
    streams: ClassVar[Sequence[str]] = ("messages",)

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


def _error(code: int, message: str, status: int) -> Response:
    told = {"message": f"(#{code}) {message}", "type": "OAuthException", "code": code, "fbtrace_id": "twin"}
    return Response.json({"error": told}, status)


def make(**options: Json) -> TwinWhatsapp:
    return TwinWhatsapp(**options)


TWIN = make
