"""The account: its check, its fields, its webhooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs

from connectors.activecampaign.api import EVENTS, ActiveCampaignApi, call, id_by, read, table
from connectors.activecampaign.reading import EMAIL_EVENTS, ID, LOST, WON
from hub.connector import Field, Settings, WebhookEvent, WebhookRequest
from hub.errors import RecordRejected
from hub.kit.reading import parse_time, to_iso
from hub.model import Json, SourceRecord

# vendor docs, "Webhooks": those that tell of a record we read
TOLD = (
    "subscribe", "unsubscribe", "update", "contact_tag_added", "contact_tag_removed", "account_add", "account_update",
    "account_contact_add", "account_contact_update", "list_add", "bounce", "deal_add", "deal_update", "open", "click",
)  # fmt: skip
EMAIL_KINDS = ("open", "click", "unsubscribe", "bounce")  # what became of an e-mail of ours
# Without `api` our own writes are not told (nor are those of other programs: the next read finds them)
SOURCES = ("public", "admin", "system")


def check(api: ActiveCampaignApi) -> dict[str, Json]:
    """Whose key it is, and what the settings name that is not there."""
    user = read(api, "users/me", "check").get("user") or {}
    warnings = []
    if id_by(api, "fields", "perstag", api.marker) is None:
        fix = "a create that got lost is looked for by its e-mail address only"
        warnings.append(f"there is no contact field {api.marker}: {fix}")
    if not api.list_id:
        warnings.append("no list is set, so consent is not known")
    elif api.list_id not in table(api, "lists"):
        warnings.append(f"there is no list {api.list_id}")
    return {"account": "", "name": str(user.get("email") or user.get("username") or ""), "warnings": warnings}


def _field(name: str, kind: str = "text", *, writable: bool = True, **more: Json) -> Field:
    return Field(name=name, label=name, type=kind, writable=writable, **more)


_TYPES = {
    "date": "date", "datetime": "instant", "dropdown": "enum", "radio": "enum", "checkbox": "set", "listbox": "set",
    "multiselect": "set", "number": "decimal", "currency": "money",
}  # fmt: skip
_FIELDS: Mapping[str, Sequence[Field]] = {
    "users": (*(_field(name, writable=False) for name in ("id", "username", "firstName", "lastName")),
              _field("email", "email", writable=False)),
    "accounts": (
        _field("id", writable=False),
        _field("name", required=True, unique=True),
        _field("accountUrl", "url"),
        _field("owner", "ref", ref_to="users"),
        *(_field(name, "instant", writable=False) for name in ("createdTimestamp", "updatedTimestamp")),
        *(_field(name, "integer", writable=False) for name in ("contactCount", "dealCount")),
    ),
    "contacts": (
        _field("id", writable=False),
        _field("email", "email", required=True, unique=True),
        *(_field(name) for name in ("firstName", "lastName")),
        _field("phone", "phone"),
        _field("tags", "set"),
        _field("subscription", "object"),
        _field("account_id", "ref", ref_to="accounts"),
        _field("job_title"),
        *(_field(name, "instant", writable=False) for name in ("cdate", "udate")),
        *(_field(name, writable=False) for name in ("bounced_hard", "bounced_soft", "anonymized")),
    ),
    "deals": (
        _field("id", writable=False),
        _field("title", required=True),
        _field("description"),
        _field("value", "money", required=True),
        _field("currency", required=True),
        _field("contact", "ref", ref_to="contacts"),
        _field("account", "ref", ref_to="accounts"),
        _field("owner", "ref", ref_to="users"),
        _field("stage_name", "enum"),
        _field("percent", "integer"),
        *(_field(name, "instant", writable=False) for name in ("cdate", "mdate", "edate", "nextdate")),
    ),
    "contactAutomations": (
        _field("id", writable=False),
        _field("contact", "ref", writable=False, ref_to="contacts"),
        _field("automation", writable=False),
        _field("status", writable=False),
        *(_field(name, "instant", writable=False) for name in ("adddate", "remdate", "lastdate")),
        _field("automation_name", writable=False),
        *(_field(name, "instant", writable=False) for name in ("entered_at", "completed_at")),
    ),
    EVENTS: (
        _field("event", required=True, max_length=32),
        _field("contact", "ref", required=True, ref_to="contacts"),
        _field("eventdata"),
    ),
    EMAIL_EVENTS: (
        *(_field(name, writable=False) for name in ("id", "type", "campaign_id", "campaign", "subject")),
        _field("contact", "ref", writable=False, ref_to="contacts"),
        _field("url", "url", writable=False),
        _field("at", "instant", writable=False),
    ),
}  # fmt: skip


def discover(api: ActiveCampaignApi, stream: str) -> list[Field]:
    """Documented fields, and the custom ones of the account. Those of deals and accounts are written, not listed."""
    found = list(_FIELDS[stream])
    if stream == "contacts":
        found += [_contact_field(api, row) for row in table(api, "fields", anew=True).values()]
    if stream == "deals":
        stages = [str(row.get("title")) for row in table(api, "dealStages", anew=True).values()]
        words = tuple(dict.fromkeys([*stages, WON, LOST]))
        found = [
            Field(name=each.name, label=each.name, type="enum", options=words, restricted=True)
            if each.name == "stage_name"
            else each
            for each in found
        ]
    return found


def _contact_field(api: ActiveCampaignApi, row: Mapping[str, Json]) -> Field:
    tag = str(row.get("perstag") or row["id"])
    found = table(api, "fieldOptions").values() if row.get("options") else ()
    options = tuple(str(option.get("value")) for option in found if str(option.get("field")) == str(row["id"]))
    return Field(
        name=f"fields.{tag}",
        label=str(row.get("title") or tag),
        type=_TYPES.get(str(row.get("type")), "text"),
        required=str(row.get("isrequired")) == "1",
        custom=True,
        options=options,
    )


# --- webhooks ----------------------------------------------------------------------------------------------------

WHERE = "activecampaign webhook"


def parse(settings: Settings, request: WebhookRequest) -> Sequence[WebhookEvent]:
    """Which records to read. The vendor signs nothing: the address is the secret."""
    try:
        form = parse_qs(request.body.decode("utf-8"), max_num_fields=2000)
        kind, when = form["type"][0], form.get("date_time", [""])[0]
    except (UnicodeDecodeError, KeyError, ValueError) as error:
        message = f"the body cannot be read ({type(error).__name__})"
        raise RecordRejected(message, code="HOOK-BODY", where=WHERE) from None
    try:
        at = parse_time(when) if when else None
    except ValueError:
        at = None  # without its zone it says nothing of the moment
    places = (("contacts", "contact[id]"), ("deals", "deal[id]"), ("accounts", "account[id]"))
    ids = {stream: form[name][0] for stream, name in places if name in form}
    if kind.startswith("deal_"):
        ids.pop("contacts", None)  # the deal's contact did not change
    told = _email_event(form, kind, when, at)
    if kind in ("open", "click"):
        return told  # nor did his: a campaign of many is opened by many
    return told + tuple(
        WebhookEvent(key=f"{kind}:{stream}:{external_id}:{when}", stream=stream, external_id=external_id, at=at)
        for stream, external_id in ids.items()
        if ID.fullmatch(external_id)
    )


def _email_event(form: Mapping[str, Sequence[str]], kind: str, when: str, at: float | None) -> tuple[WebhookEvent, ...]:
    """What somebody did with an e-mail. It comes at least once, so the same moment at the same link is one."""
    contact = form.get("contact[id]", [""])[0]
    if kind not in EMAIL_KINDS or not ID.fullmatch(contact):
        return ()
    campaign, link = (form.get(name, [""])[0] for name in ("campaign[id]", "link[id]"))
    key = f"{kind}:{contact}:{campaign}:{link}:{when}"
    data = {
        "id": key,
        "type": kind,
        "contact": contact,
        "campaign_id": campaign or None,
        "campaign": form.get("campaign[name]", [""])[0] or None,
        "subject": form.get("campaign[message][subject]", [""])[0] or None,
        "url": form.get("link[url]", [""])[0] or None,
        "at": to_iso(at) if at is not None else None,
    }
    record = SourceRecord(external_id=key, data=data, stamp=at)
    return (WebhookEvent(key=f"{EMAIL_EVENTS}:{key}", stream=EMAIL_EVENTS, external_id=key, at=at, record=record),)


def subscribe(api: ActiveCampaignApi, url: str) -> dict[str, Json]:
    """One webhook for all that the streams read; one that is there already is left alone."""
    for row in table(api, "webhooks", anew=True).values():
        if row.get("url") == url:
            return {"url": url, "id": str(row["id"]), "made": False}
    wanted = {"name": "hub", "url": url, "events": list(TOLD), "sources": list(SOURCES)}
    made = call(api, "POST", "webhooks", "subscribe", json={"webhook": wanted}, writes=True).json()["webhook"]
    return {"url": url, "id": str(made["id"]), "made": True}
