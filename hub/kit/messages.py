"""Messages that a connection sends for a reward: templates of its settings, filled with what the grant says.

A connection that sends messages is a provider like any other: what it takes stands in its stream `templates`, and a
message is an order of one. The grant's own number makes each message one; who opens its claim link has the reward, so a
message that came twice gives nothing twice.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol
from urllib.parse import quote

from hub.connector import Field, Idempotency, Page, Settings, Stream, WebhookEvent
from hub.errors import ConfigFault, Fault, RecordRejected
from hub.kit.pushing import send_in_turn
from hub.model import ChangeSet, Json, PushResult, SourceRecord

TEMPLATES, ORDERS, ARRIVALS = "templates", "orders", "arrivals"
NAMES = ("name", "amount", "currency", "link", "reference", "rule", "template", "code")  # that a text may name
_SLOT = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One message, before it is filled."""

    name: str
    subject: str = ""
    text: str = ""
    html: str = ""
    qr: bool = False  # the claim link also as a picture
    remote: str = ""  # its name, or id, where the provider keeps the text
    language: str = ""
    parameters: tuple[str, ...] = ()  # texts for the provider's slots, in order


def templates_of(settings: Settings, *, needs: Sequence[str], takes: Sequence[str]) -> Mapping[str, Template]:
    """The templates of a connection. Raises ConfigFault with all that is wrong.

    Args:
        needs: keys of a template of which one must be there.
        takes: keys that mean something here.
    """
    faults: list[Fault] = []
    given = settings.values.get("templates")
    if not isinstance(given, Mapping) or not given:
        faults.append(_fault("templates", "no template is named", f"add templates: {{thanks: {{{needs[0]}: …}}}}"))
        given = {}
    link = settings.values.get("link") or ""
    if link and (not isinstance(link, str) or not link.startswith("https://") or "{reference}" not in link):
        faults.append(_fault("link", "is no address of a claim", "such as https://example.com/claim/{reference}"))
    found = {str(name): _template(str(name), each, needs, takes, bool(link), faults) for name, each in given.items()}
    if faults:
        raise ConfigFault(faults)
    return found


def _fault(where: str, message: str, fix: str) -> Fault:
    return Fault(code="DLV-TEMPLATE", where=f"settings.{where}", message=message, fix=fix)


def _template(
    name: str, given: Json, needs: Sequence[str], takes: Sequence[str], has_link: bool, faults: list[Fault]
) -> Template:
    where = f"templates.{name}"
    if not isinstance(given, Mapping):
        faults.append(_fault(where, "is no mapping", f"its keys: {', '.join(takes)}"))
        return Template(name=name)
    unknown = sorted(set(given) - set(takes))
    if unknown:
        faults.append(_fault(where, f"{', '.join(unknown)} means nothing here", f"its keys: {', '.join(takes)}"))
    if not any(given.get(key) for key in needs):
        faults.append(_fault(where, f"lacks {' or '.join(needs)}", "say what is sent"))
    texts = {key: given.get(key) or "" for key in ("subject", "text", "html", "remote", "language")}
    parameters = given.get("parameters") or ()
    words = [*texts.values(), *(parameters if isinstance(parameters, list) else (parameters or "",))]
    if not all(isinstance(each, str) for each in words):
        faults.append(_fault(where, "holds something that is no text", "write texts in quotes"))
        return Template(name=name)
    slots = {slot for text in words for slot in _SLOT.findall(text)}
    if slots - set(NAMES):
        names = ", ".join(sorted(slots - set(NAMES)))
        faults.append(_fault(where, f"names {names}, which nobody knows", f"known are {', '.join(NAMES)}"))
    if ("link" in slots or given.get("qr")) and not has_link:
        faults.append(_fault(where, "names the link, and there is none", "add the setting link"))
    return Template(
        name=name, qr=given.get("qr") is True, parameters=tuple(parameters) if isinstance(parameters, list) else (),
        **texts,
    )  # fmt: skip


# --- one message -------------------------------------------------------------------------------------------------


def facts_of(change: ChangeSet, settings: Settings) -> dict[str, str]:
    """What a message may name, of the order that it is sent for."""
    link = str(settings.values.get("link") or "")
    told = {name: str(change.values.get(name) or "") for name in ("name", "amount", "currency", "code")}
    reference = str(change.values.get("about") or change.reference)  # of the reward, where the message is about one
    return {
        **told, "reference": reference, "rule": str(change.body.get("tag") or ""),
        "template": str(change.body.get("productId") or ""),
        "link": link.replace("{reference}", quote(reference)),
    }  # fmt: skip


def template_for(change: ChangeSet, templates: Mapping[str, Template], stream: str) -> Template:
    """Raises RecordRejected: no order of a template that is there, or one without a number."""
    if stream != ORDERS or change.op != "create":
        raise RecordRejected(f"{stream}: no {change.op}", code="DLV-OP")
    if not change.reference:
        raise RecordRejected("a message without a number", code="DLV-NO-REFERENCE")
    name = str(change.body.get("productId") or "")
    if name not in templates:
        known = ", ".join(templates)
        raise RecordRejected("there is no such template", code="DLV-NO-TEMPLATE", fix=f"`product:` is one of: {known}")
    return templates[name]


def filled(text: str, facts: Mapping[str, str], *, as_html: bool = False) -> str:
    """A text with its slots filled; nothing of what fills them is read as a slot, or as markup."""
    return _SLOT.sub(lambda slot: html.escape(facts[slot[1]]) if as_html else facts[slot[1]], text)


def phone_of(change: ChangeSet) -> str:
    """E.164. Raises RecordRejected: the receiver has none."""
    phone = change.values.get("phone")
    if not isinstance(phone, str) or not phone:
        raise RecordRejected("the receiver has no telephone number", code="DLV-PHONE", fix="say when: … in the rule")
    return phone


# --- what all such connections are -------------------------------------------------------------------------------


def message_streams(*, told: bool = False) -> tuple[Stream, ...]:
    """What can be sent, what was, and where webhooks tell of it (`told`) whether it arrived.

    Nobody can tell afterwards whether a message left, so a lost answer is a person's to settle (class D).
    """
    listed = Stream(name=TEMPLATES, cursor="snapshot", sorted=False, page_size=1000)
    sent = Stream(
        name=ORDERS, cursor="none", sorted=False, writes=frozenset({"create"}), idempotency=Idempotency.NONE, acts=True,
        answers_with_record=False, gives="order",
    )  # fmt: skip
    if not told:
        return (listed, sent)
    return (
        listed,
        sent,
        Stream(name=ARRIVALS, cursor="none", sorted=False, acts=True, delivered=True, gives="arrival"),
    )


def arrival(message: str, status: str, *, code: str = "", at: float | None = None) -> WebhookEvent:
    """What a provider says of a message that it took: status delivered, read or failed. Said twice, it is said once."""
    data = {"id": message, "status": status, "code": code}
    record = SourceRecord(external_id=message, data=data, stamp=at)
    return WebhookEvent(key=f"{message}:{status}", stream=ARRIVALS, external_id=message, at=at, record=record)


class Sender(Protocol):
    """What `connect` of such a connector hands out."""

    @property
    def door(self) -> Any: ...  # tells the time

    @property
    def templates(self) -> Mapping[str, Template]: ...


def message_pull(api: Sender, stream: str, _cursor: Json) -> Page:
    """The templates; what was sent is in the ledger of rewards, and nowhere else."""
    rows = [{"id": each.name, "name": each.subject or each.remote or each.name} for each in api.templates.values()]
    records = [SourceRecord(external_id=row["id"], data=row) for row in rows if stream == TEMPLATES]
    return Page(records=records, next_cursor={}, complete=True)


def one_by_one(send: Callable[..., list[PushResult]]) -> Callable[[Any, str, Sequence[ChangeSet]], list[PushResult]]:
    """A `push` that sends one message each, with `send(api, stream, index, change)`."""

    def push(api: Sender, stream: str, changes: Sequence[ChangeSet]) -> list[PushResult]:
        sends = (((index,), partial(send, api, stream, index, change)) for index, change in enumerate(changes))
        return send_in_turn(sends, api.door.now)

    return push


def message_fields(_api: Sender, stream: str) -> list[Field]:
    """Fields of either stream."""
    names = {TEMPLATES: ("id", "name"), ARRIVALS: ("id", "status", "code")}.get(
        stream, ("productId", "denomination", "email", "tag")
    )
    return [Field(name=name, label=name, type="text", writable=stream == ORDERS) for name in names]
