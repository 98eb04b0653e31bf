"""How Typeform's forms and responses look: as kept, in the API, and in a webhook's body."""

from __future__ import annotations

import hashlib
import re
import uuid
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from hub.twins.records import Fields, Record

Json = Any

# What each kind of question answers with; a kind that is not here answers with text.
_ANSWER_TYPES = {
    "date": "date",
    "dropdown": "choice",
    "email": "email",
    "file_upload": "file_url",
    "legal": "boolean",
    "nps": "number",
    "number": "number",
    "opinion_scale": "number",
    "payment": "payment",
    "phone_number": "phone_number",
    "rating": "number",
    "website": "url",
    "yes_no": "boolean",
}
METADATA = {
    "user_agent": "Mozilla/5.0",
    "platform": "other",
    "referer": "https://example.typeform.com/to/form",
    "network_id": "n1",
    "browser": "default",
}


def seconds(at: float) -> str:
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def millis(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


@lru_cache(maxsize=65_536)
def epoch(text: str) -> float:
    """ISO time (UTC unless it says otherwise) or Unix seconds. Raises ValueError."""
    if re.fullmatch(r"\d{9,11}", text):
        return float(text)
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def age_of(record: Record) -> tuple[float, str]:
    """Place in time: by submission, or by landing for what was never submitted."""
    return (epoch(record.fields["submitted_at"] or record.fields["landed_at"]), record.id)


def show_response(record: Record) -> Fields:
    """An item of the list call: the form's id is not in it."""
    return {name: value for name, value in record.fields.items() if name != "form_id" and value is not None}


def hook_response(record: Record, form: Record) -> Fields:
    fields = record.fields
    definition = {
        "id": form.id,
        "title": form.fields["title"],
        "fields": [_hook_question(question) for question in questions(form)],
        "endings": [{"id": "e1", "ref": "default_tys", "title": "Thank you", "type": "thankyou_screen"}],
    }
    return {
        "form_id": form.id,
        **{name: fields[name] for name in ("token", "landed_at", "submitted_at", "hidden", "calculated", "variables")},
        "definition": definition,
        "answers": [
            {"type": answer["type"], answer["type"]: answer[answer["type"]], "field": answer["field"]}
            for answer in fields["answers"]
        ],
        "ending": {"id": "e1", "ref": "default_tys"},
    }


def _hook_question(question: Fields) -> Fields:
    shown = {name: question.get(name) for name in ("id", "ref", "type", "title")}
    choices = question.get("properties", {}).get("choices")
    return {**shown, "choices": choices} if choices else shown


def questions(form: Record) -> list[Fields]:
    """The form's fields, those inside groups too, in order."""
    found: list[Fields] = []
    waiting = list(form.fields["fields"])
    while waiting:
        question = waiting.pop(0)
        inner = question.get("properties", {}).get("fields", [])
        waiting = [*inner, *waiting]
        if not inner:
            found.append(question)
    return found


def answer_of(form: Record, ref: str, value: Json) -> Fields:
    """The vendor's answer from a plain value. Raises ValueError if the form does not ask `ref`."""
    question = next((q for q in questions(form) if ref in (q["ref"], q["id"])), None)
    if question is None:
        raise ValueError(f"form {form.id} has no field {ref}")
    properties = question.get("properties", {})
    kind = _ANSWER_TYPES.get(question["type"], "text")
    if question["type"] in ("multiple_choice", "picture_choice", "ranking"):
        kind = "choices" if properties.get("allow_multiple_selection") else "choice"
    choices = {choice["label"]: choice for choice in properties.get("choices", [])}
    if kind == "choice" and not isinstance(value, dict):
        value = choices.get(value) or {"other": value}
    if kind == "choices" and not isinstance(value, dict):
        picked = [choices[label] for label in value if label in choices]
        value = {
            "ids": [choice["id"] for choice in picked],
            "refs": [choice["ref"] for choice in picked],
            "labels": [choice["label"] for choice in picked],
            **({"other": label} if (label := next((v for v in value if v not in choices), None)) else {}),
        }
    return {"field": {name: question[name] for name in ("id", "ref", "type")}, "type": kind, kind: value}


def complete_form(given: Fields) -> Fields:
    fields = []
    for question in given.get("fields") or []:
        ref = question.get("ref") or str(uuid.uuid5(uuid.NAMESPACE_OID, str(question)))
        number = question.get("id") or hashlib.sha256(ref.encode()).hexdigest()[:12]
        whole = {"title": ref, "type": "short_text", "validations": {"required": False}, "properties": {}}
        fields.append({**whole, **question, "id": number, "ref": ref})
    defaults: Fields = {
        "title": "Form",
        "type": "quiz",
        "hidden": [],
        "settings": {"language": "en", "is_public": True, "is_trial": False},
        "thankyou_screens": [],
        "variables": {"score": 0},
        "workspace": "w1",
        "theme": "qHWOQ7",
    }
    return {**defaults, **{name: value for name, value in given.items() if name != "id"}, "fields": fields}


def show_form(record: Record, base_url: str) -> Fields:
    fields = record.fields
    names = ("type", "title", "settings", "hidden", "fields", "thankyou_screens", "variables")
    return {
        "id": record.id,
        **{name: fields[name] for name in names},
        **_links(record, base_url),
        "workspace": {"href": f"{base_url}/workspaces/{fields['workspace']}"},
        "published_at": seconds(record.modified),
    }


def list_form(record: Record, base_url: str) -> Fields:
    settings = {name: record.fields["settings"].get(name, False) for name in ("is_public", "is_trial")}
    return {
        "id": record.id,
        "title": record.fields["title"],
        "settings": settings,
        "self": {"href": f"{base_url}/forms/{record.id}"},
        **_links(record, base_url),
    }


def _links(record: Record, base_url: str) -> Fields:
    return {
        "theme": {"href": f"{base_url}/themes/{record.fields['theme']}"},
        "created_at": seconds(record.created),
        "last_updated_at": seconds(record.modified),
        "_links": {"display": f"https://example.typeform.com/to/{record.id}"},
    }


def show_webhook(hook: Fields) -> Fields:
    """`secret` is absent when none is set."""
    return {name: value for name, value in hook.items() if name != "secret" or value}
