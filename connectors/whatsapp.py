"""WhatsApp messages by Meta's Cloud API, for rewards.

Docs: WhatsApp Business Platform, Cloud API, "Messages", "Message templates", "Error codes".

    whatsapp:
      connector: whatsapp
      mode: live
      auth: {kind: token, token: env:WHATSAPP_TOKEN}
      settings:
        sender: "106540352242922"                 # the id of the sending number
        link: "https://acme.example/claim/{reference}"
        templates: {thanks: {remote: reward_ready, language: en_US, parameters: ["{name}", "{link}"]}}

A conversation that we begin needs a template that Meta has approved; its text stands there, its slots are `parameters`
in order. The receiver needs a telephone number, and must have agreed: `when: "contact.consent.whatsapp == 'opted_in'"`.

There are no idempotency keys. If an answer is lost a person decides; nothing is sent twice by itself.

Whether a message arrived is told by webhooks of the field `messages`. They are set up at the app's page, with the
address of `hub connections hooks` and a word of your choice: `webhooks: {secret: env:META_APP_SECRET, verify_token:
secret:whatsapp_verify}`.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import orjson

from hub.connector import (
    Auth,
    Connector,
    Door,
    HttpResponse,
    RateLimit,
    Setting,
    Settings,
    WebhookEvent,
    WebhookRequest,
)
from hub.errors import ConfigFault, Fault, OutcomeUnknown, RecordRejected, SignatureError
from hub.kit.messages import (
    Template,
    arrival,
    facts_of,
    filled,
    message_fields,
    message_pull,
    message_streams,
    one_by_one,
    phone_of,
    template_for,
    templates_of,
)
from hub.kit.signing import require_signature, secrets_of
from hub.kit.statuses import Kind
from hub.model import ChangeSet, Json, PushResult

TAKES = ("remote", "language", "parameters")
THROTTLED = (4, 80007, 130429, 131048, 131056)  # "Error codes": limits of app, account, number, pair
SIGN_IN = (0, 190)
ARRIVED = ("delivered", "read", "failed")  # "Webhooks", statuses; `sent` is a step on the way. Any order
WHERE = "whatsapp webhook"
LONGEST_ID = 200


@dataclass(frozen=True, slots=True)
class WhatsAppApi:
    """What `connect` hands out."""

    door: Door
    settings: Settings
    templates: Mapping[str, Template]
    path: str  # of the sending number


def connect(door: Door, settings: Settings) -> WhatsAppApi:
    """Raises ConfigFault."""
    sender, version = str(settings.values.get("sender") or ""), str(settings.values.get("version") or "v23.0")
    faults = []
    if not sender.isdigit():
        fix = "the phone number id of the app's page, digits only"
        faults.append(Fault(code="DLV-SETTING", where="settings.sender", message="is no id of a number", fix=fix))
    if not version.startswith("v") or not version[1:].replace(".", "").isdigit():
        faults.append(Fault(code="DLV-SETTING", where="settings.version", message="is no version", fix="such as v23.0"))
    if faults:
        raise ConfigFault(faults)
    return WhatsAppApi(door, settings, templates_of(settings, needs=("remote",), takes=TAKES), f"/{version}/{sender}")


def check(api: WhatsAppApi) -> dict[str, Json]:
    found = api.door.request("GET", api.path, operation="check").json()
    return {"account": str(found.get("id") or ""), "name": str(found.get("verified_name") or ""), "warnings": []}


def _send(api: WhatsAppApi, stream: str, index: int, change: ChangeSet) -> list[PushResult]:
    template = template_for(change, api.templates, stream)
    answer = api.door.request(
        "POST", f"{api.path}/messages", operation="send", writes=True, json=_body(api, template, change), expect=(400,)
    )
    if answer.status == 400:
        code = f"WA-{_error(answer) or 400}"  # its words may quote the number
        return [PushResult(index=index, outcome="rejected", code=code, message="WhatsApp refuses the message")]
    try:
        sent = str(orjson.loads(answer.body)["messages"][0]["id"])
    except (orjson.JSONDecodeError, KeyError, IndexError, TypeError):
        raise OutcomeUnknown("the answer names no message", where=api.door.account) from None
    return [PushResult(index=index, outcome="applied", external_id=sent)]


def _body(api: WhatsAppApi, template: Template, change: ChangeSet) -> dict[str, Json]:
    facts = facts_of(change, api.settings)
    slots = [{"type": "text", "text": filled(text, facts)} for text in template.parameters]
    told = {
        "name": template.remote, "language": {"code": template.language or "en_US"},
        "components": [{"type": "body", "parameters": slots}] if slots else [],
    }  # fmt: skip
    return {
        "messaging_product": "whatsapp", "recipient_type": "individual", "to": phone_of(change).removeprefix("+"),
        "type": "template", "template": told, "biz_opaque_callback_data": change.reference,
    }  # fmt: skip


def _error(answer: HttpResponse) -> int | None:
    try:
        return int(orjson.loads(answer.body)["error"]["code"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None


def classify(response: HttpResponse) -> str | None:
    """By Meta's code: its statuses are 400 for nearly everything."""
    if response.status < 400:
        return None
    code = _error(response)
    return Kind.THROTTLED if code in THROTTLED else Kind.SIGN_IN if code in SIGN_IN else None


# --- what became of it ----------------------------------------------------------------------------------------------


def verify(settings: Settings, request: WebhookRequest) -> None:
    """``X-Hub-Signature-256: sha256=<hex>`` over the body, by the app's secret ("Webhooks", validating payloads)."""
    given = request.headers.get("x-hub-signature-256", "")
    found = given.removeprefix("sha256=") if given.startswith("sha256=") else ""
    require_signature([found], request.body, secrets_of(settings.webhooks, where=WHERE), where=WHERE)


def greet(settings: Settings, query: Mapping[str, str]) -> str:
    """The challenge, if whoever asks knows our word ("Webhooks", verification requests)."""
    wanted, given = str(settings.webhooks.get("verify_token") or ""), query.get("hub.verify_token", "")
    known = bool(wanted) and hmac.compare_digest(wanted.encode(), given.encode("utf-8", "surrogatepass"))
    challenge = query.get("hub.challenge", "")
    if query.get("hub.mode") != "subscribe" or not known or not challenge.isalnum() or len(challenge) > LONGEST_ID:
        fix = "webhooks.verify_token of the connection is the word that stands at the app's page"
        raise SignatureError("the word is wrong", where=WHERE, fix=fix)
    return challenge


def parse(settings: Settings, request: WebhookRequest) -> Sequence[WebhookEvent]:
    """Whether messages arrived; what people write to the number is not for the hub."""
    try:
        body = orjson.loads(request.body)
        return tuple(_arrivals(body["entry"]))
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
        message = f"the body cannot be read ({type(error).__name__})"
        raise RecordRejected(message, code="HOOK-BODY", where=WHERE) from None


def _arrivals(entries: Sequence[Mapping[str, Json]]) -> Iterator[WebhookEvent]:
    values = [change.get("value") or {} for entry in entries for change in entry.get("changes") or ()]
    for status in (each for value in values for each in value.get("statuses") or ()):
        message, word = str(status["id"]), status.get("status")
        if word in ARRIVED and 0 < len(message) <= LONGEST_ID:
            errors = status.get("errors") or [{}]
            code = errors[0].get("code") if word == "failed" else None
            at = float(status["timestamp"]) if str(status.get("timestamp") or "").isdigit() else None
            yield arrival(message, str(word), code=f"WA-{code}" if code else "", at=at)


push = one_by_one(_send)

CONNECTOR = Connector(
    name="whatsapp",
    title="WhatsApp (Meta Cloud API)",
    base_url="https://graph.facebook.com",
    hosts=("graph.facebook.com",),
    auth=(Auth(kind="token"),),
    limits=(RateLimit(name="messages", calls=80, per_s=1.0),),  # "Messages", throughput of a number
    streams=message_streams(told=True),
    settings=(
        Setting(name="sender", text="Id of the sending number, digits only", required=True),
        Setting(name="version", text="Version of the interface", default="v23.0"),
        Setting(name="link", text="Address of a claim, with {reference} in it"),
        Setting(name="templates", text="What can be sent: name: {remote, language, parameters}"),
    ),
    connect=connect,
    check=check,
    discover=message_fields,
    pull=message_pull,
    push=push,
    verify=verify,
    greet=greet,
    parse=parse,
    classify=classify,
    docs="https://developers.facebook.com/docs/whatsapp/cloud-api",
)
