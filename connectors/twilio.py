"""SMS and WhatsApp messages by Twilio, for rewards.

Docs: Twilio, "Message resource", "Send WhatsApp messages", "Error and warning dictionary".

    sms:
      connector: twilio
      mode: live
      auth: {kind: basic, username: AC…, password: env:TWILIO_TOKEN}
      settings:
        account: AC…
        sender: "+15005550006"                    # or a messaging service: MG…
        link: "https://acme.example/claim/{reference}"
        templates: {thanks: {text: "{amount} {currency} for you, {name}: {link}"}}

With `channel: whatsapp` the messages go there; a conversation that we begin needs an approved template, named as
`remote` (its ContentSid) with its `parameters` in order. The receiver needs a telephone number, and must have agreed:
say so in the rule, `when: "contact.consent.sms == 'opted_in'"`.

Twilio knows no idempotency keys. If an answer is lost a person decides; nothing is sent twice by itself.

Whether a message arrived is told to the address that `hub connections hooks` shows, if Twilio is given it, letter by
letter, since Twilio signs it: `webhooks: {secret: env:TWILIO_TOKEN, callback: env:TWILIO_CALLBACK}`. The secret is the
account's primary token.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, parse_qsl, urlsplit

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

TAKES = ("text", "remote", "parameters")
LONGEST = 1600  # characters of a body ("Message resource")
CHANNELS = ("sms", "whatsapp")
WHERE = "twilio webhook"
LONGEST_SID = 34  # characters of a message's id ("Message resource")
MOST_FIELDS = 100  # of a callback; documented are some twenty
# "Message resource", status values; the others are steps on the way. Their order is not promised
ARRIVED = {
    "delivered": "delivered", "read": "read", "failed": "failed", "undelivered": "failed", "canceled": "failed",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TwilioApi:
    """What `connect` hands out."""

    door: Door
    settings: Settings
    templates: Mapping[str, Template]
    account: str
    sender: str
    channel: str


def connect(door: Door, settings: Settings) -> TwilioApi:
    """Raises ConfigFault."""
    values, faults = settings.values, list[Fault]()

    def wrong(name: str, message: str, fix: str) -> None:
        faults.append(Fault(code="DLV-SETTING", where=f"settings.{name}", message=message, fix=fix))

    account, sender = str(values.get("account") or ""), str(values.get("sender") or "")
    channel = str(values.get("channel") or "sms")
    if not account.startswith("AC") or not account.isalnum():
        wrong("account", "is no account", "its SID, which begins with AC")
    if not sender.startswith(("+", "MG")):
        wrong("sender", "is no sender", "a number in international form, or a messaging service (MG…)")
    if channel not in CHANNELS:
        wrong("channel", f"is none of {', '.join(CHANNELS)}", "default: sms")
    if faults:
        raise ConfigFault(faults)
    templates = templates_of(settings, needs=("text", "remote"), takes=TAKES)
    return TwilioApi(door, settings, templates, account, sender, channel)


def check(api: TwilioApi) -> dict[str, Json]:
    found = api.door.request("GET", f"/2010-04-01/Accounts/{api.account}.json", operation="check").json()
    warnings = [] if found.get("status") == "active" else [f"the account is {found.get('status')}"]
    return {"account": str(found.get("sid") or ""), "name": str(found.get("friendly_name") or ""), "warnings": warnings}


def _send(api: TwilioApi, stream: str, index: int, change: ChangeSet) -> list[PushResult]:
    template = template_for(change, api.templates, stream)
    answer = api.door.request(
        "POST", f"/2010-04-01/Accounts/{api.account}/Messages.json", operation="send", writes=True,
        form=_form(api, template, change), expect=(400,),
    )  # fmt: skip
    told = _body(answer)
    if answer.status == 400:
        code = f"TWILIO-{told.get('code') or 400}"  # its words quote the number
        return [PushResult(index=index, outcome="rejected", code=code, message="Twilio refuses the message")]
    if not told.get("sid"):
        raise OutcomeUnknown("the answer names no message", where=api.door.account)
    return [PushResult(index=index, outcome="applied", external_id=str(told["sid"]))]


def _form(api: TwilioApi, template: Template, change: ChangeSet) -> dict[str, str]:
    facts, prefix = facts_of(change, api.settings), "whatsapp:" if api.channel == "whatsapp" else ""
    service = api.sender.startswith("MG")
    form = {"To": prefix + phone_of(change)}
    form |= {"MessagingServiceSid": api.sender} if service else {"From": prefix + api.sender}
    if api.settings.webhooks.get("callback"):
        form["StatusCallback"] = str(api.settings.webhooks["callback"])
    if template.remote:
        slots = {str(number): filled(text, facts) for number, text in enumerate(template.parameters, 1)}
        return form | {"ContentSid": template.remote, "ContentVariables": orjson.dumps(slots).decode()}
    return form | {"Body": filled(template.text, facts)[:LONGEST]}


def _body(answer: HttpResponse) -> Mapping[str, Json]:
    try:
        found = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def classify(response: HttpResponse) -> str | None:
    """20429: too many requests, whatever the status ("Error and warning dictionary")."""
    return Kind.THROTTLED if b"20429" in response.body[:200] and response.status >= 400 else None


# --- what became of it ----------------------------------------------------------------------------------------------


def verify(settings: Settings, request: WebhookRequest) -> None:
    """``X-Twilio-Signature``: HMAC-SHA1 of the address, and of a form's names and values in the order of the names.

    A body that is no form is signed by its hash, which stands in the address ("Webhooks security").
    """
    query = parse_qs(urlsplit(request.url).query)
    if "bodySHA256" in query:
        told = hashlib.sha256(request.body).hexdigest()
        if not hmac.compare_digest(query["bodySHA256"][0].encode(), told.encode()):
            raise SignatureError("the body is not the one that was signed", where=WHERE)
        signed = request.url
    else:
        try:
            signed = request.url + "".join(name + value for name, value in sorted(_form_of(request)))
        except RecordRejected:
            raise SignatureError("the body is no form, so nothing of it is signed", where=WHERE) from None
    given = [request.headers.get("x-twilio-signature", "")]
    secrets = secrets_of(settings.webhooks, where=WHERE)
    require_signature(
        given, signed.encode("utf-8", "surrogatepass"), secrets, where=WHERE, encoding="base64", algorithm="sha1"
    )


def _form_of(request: WebhookRequest) -> list[tuple[str, str]]:
    """Raises RecordRejected: the body is no form."""
    try:
        return parse_qsl(request.body.decode("utf-8"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except (UnicodeDecodeError, ValueError) as error:
        message = f"the body cannot be read ({type(error).__name__})"
        raise RecordRejected(message, code="HOOK-BODY", where=WHERE) from None


def parse(settings: Settings, request: WebhookRequest) -> Sequence[WebhookEvent]:
    """Whether a message arrived; what is said of the way there leaves nothing."""
    form = dict(_form_of(request))
    message, status = form.get("MessageSid") or "", form.get("MessageStatus") or ""
    if not message or not status:
        raise RecordRejected("no message, or no status of it", code="HOOK-BODY", where=WHERE)
    if status not in ARRIVED or len(message) > LONGEST_SID:
        return ()
    code = form.get("ErrorCode") or ("canceled" if status == "canceled" else "")
    return (arrival(message, ARRIVED[status], code=f"TWILIO-{code}" if code else ""),)


push = one_by_one(_send)

CONNECTOR = Connector(
    name="twilio",
    title="Twilio (SMS, WhatsApp)",
    base_url="https://api.twilio.com",
    hosts=("api.twilio.com",),
    auth=(Auth(kind="basic"),),
    limits=(RateLimit(name="messages", calls=10, per_s=1.0),),  # senders differ; what is too much Twilio queues
    streams=message_streams(told=True),
    settings=(
        Setting(name="account", text="SID of the account: AC…", required=True),
        Setting(name="sender", text="Number in international form, or a messaging service: MG…", required=True),
        Setting(name="channel", text="sms or whatsapp", default="sms"),
        Setting(name="link", text="Address of a claim, with {reference} in it"),
        Setting(name="templates", text="What can be sent: name: {text}, or {remote, parameters}"),
    ),
    connect=connect,
    check=check,
    discover=message_fields,
    pull=message_pull,
    push=push,
    verify=verify,
    parse=parse,
    classify=classify,
    docs="https://www.twilio.com/docs/messaging/api/message-resource",
)
