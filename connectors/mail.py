"""E-mail by any mail server (SMTP): messages for rewards, with a claim link and its QR code.

Docs: RFC 5321 (SMTP), RFC 5322 (messages), RFC 8058 (one-click unsubscribing).

    mail:
      connector: mail
      mode: live
      auth: {kind: basic, username: hub@acme.example, password: env:SMTP_PASSWORD}
      settings:
        host: smtp.acme.example
        sender: Acme <thanks@acme.example>
        link: "https://acme.example/claim/{reference}"
        templates:
          thanks: {subject: "Thank you, {name}", text: "{amount} {currency} for you: {link}", qr: true}

A rule of rewards.yaml orders one: `give: {connection: mail, product: thanks, amount: 25 EUR}`. The message's id is made
of the grant's number, so a mail that came twice is one in most mailboxes. That the server took it is what is known;
whether it arrived is not. If the server's last answer is lost, a person decides: nothing is sent twice by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.errors import MessageError
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr

from hub.connector import Auth, Connector, MailDoor, RateLimit, Setting, Settings
from hub.errors import ConfigFault, Fault, RecordRejected
from hub.kit.messages import (
    Template,
    facts_of,
    filled,
    message_fields,
    message_pull,
    message_streams,
    one_by_one,
    template_for,
    templates_of,
)
from hub.model import ChangeSet, Json, PushResult

TAKES = ("subject", "text", "html", "qr")
PICTURE = '<p><img src="cid:qr" alt="QR code of the link" width="222" height="222"></p>'


@dataclass(frozen=True, slots=True)
class MailApi:
    """What `connect` hands out."""

    door: MailDoor
    settings: Settings
    templates: Mapping[str, Template]


def connect(door: MailDoor, settings: Settings) -> MailApi:
    """Raises ConfigFault."""
    templates = templates_of(settings, needs=("text",), takes=TAKES)
    if "@" not in parseaddr(str(settings.values.get("sender") or ""))[1]:
        fix = "such as Acme <thanks@acme.example>"
        raise ConfigFault([Fault(code="DLV-TEMPLATE", where="settings.sender", message="is no address", fix=fix)])
    if any(each.qr for each in templates.values()):
        door.qr_code("https://example.com")  # what is missing is told at the start
    return MailApi(door, settings, templates)


def check(api: MailApi) -> dict[str, Json]:
    return {"account": "", "name": api.door.try_sign_in(), "warnings": []}


def _send(api: MailApi, stream: str, index: int, change: ChangeSet) -> list[PushResult]:
    template = template_for(change, api.templates, stream)
    recipient = str(change.body.get("email") or "")
    try:
        message = message_of(api, template, change)
        data = message.as_bytes(policy=SMTP)
    except (MessageError, ValueError, UnicodeError):  # a line break in an address, a text that no charset has
        raise RecordRejected("no message can be made of it", code="MAIL-MESSAGE", field="email") from None
    api.door.send(parseaddr(str(api.settings.values["sender"]))[1], recipient, data)
    return [PushResult(index=index, outcome="applied", external_id=str(message["Message-ID"]).strip("<>"))]


def message_of(api: MailApi, template: Template, change: ChangeSet) -> EmailMessage:
    """The whole message; the same order makes the same message but for its date."""
    facts, values = facts_of(change, api.settings), api.settings.values
    sender = str(values["sender"])
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"] = sender, str(change.body.get("email") or "")
    message["Subject"] = filled(template.subject, facts)
    message["Date"] = format_datetime(datetime.fromtimestamp(api.door.now(), UTC))
    message["Message-ID"] = f"<{change.reference}@{parseaddr(sender)[1].rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    if values.get("reply_to"):
        message["Reply-To"] = str(values["reply_to"])
    if values.get("unsubscribe"):
        message["List-Unsubscribe"] = f"<{values['unsubscribe']}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(filled(template.text, facts))
    if template.html or template.qr:
        written = template.html or "".join(f"<p>{line}</p>" for line in template.text.splitlines() if line.strip())
        body = filled(written, facts, as_html=True) + (PICTURE if template.qr else "")
        message.add_alternative(body, subtype="html")
    if template.qr:
        picture = message.get_payload()[1]  # type: ignore[index]
        picture.add_related(api.door.qr_code(facts["link"]), "image", "png", cid="<qr>")  # type: ignore[union-attr]
    return message


push = one_by_one(_send)

CONNECTOR = Connector(
    name="mail",
    title="E-mail (SMTP)",
    base_url="",
    hosts=(),
    auth=(Auth(kind="basic"), Auth(kind="none")),
    limits=(RateLimit(name="messages", calls=60, per_s=60.0),),
    streams=message_streams(),
    settings=(
        Setting(name="host", text="Mail server: smtp.example.com", required=True),
        Setting(name="port", text="Its port; 587 unless given, for tls 465"),
        Setting(name="security", text="starttls, tls (port 465), or none (only if local)", default="starttls"),
        Setting(name="sender", text="Who writes: Acme <thanks@acme.example>", required=True),
        Setting(name="reply_to", text="Where answers go"),
        Setting(name="unsubscribe", text="https address that takes people off the list by one click"),
        Setting(name="link", text="Address of a claim, with {reference} in it"),
        Setting(name="templates", text="What can be sent: name: {subject, text, html, qr}"),
    ),
    connect=connect,
    check=check,
    discover=message_fields,
    pull=message_pull,
    push=push,
    mail=True,
)
