"""A rule of triggers.yaml as a form holds it: one text for each field, and back.

Only shapes are dealt with here; whether a rule makes sense is for hub.core.triggers_file to say. Invariant: a rule that
passes its checks, put into a form and taken out again, is the same rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from json import JSONDecodeError, dumps, loads

from hub.core.triggers import (
    CHANGE,
    CROSSING,
    FIELD,
    NOTICE,
    REWARD,
    SCHEDULE,
    SILENCE,
    TASK,
    WEBHOOK,
)
from hub.model import Json

CAUSE, DO = "cause", "do"  # fields that say which group counts
MESSAGE = "message"  # a notice to the person; in YAML both are `notice:`
ON = "on"  # how YAML calls an event as a cause
CAUSES = (ON, CHANGE, CROSSING, SILENCE, SCHEDULE)
ACTIONS = (REWARD, NOTICE, MESSAGE, FIELD, TASK, WEBHOOK)
LONGEST = 4000  # characters of one field
YES = "yes"

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(\.[0-9]+)?", re.ASCII)
_PART = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^,]*)\s*(?:,|$)')
_WORDS: Mapping[str, Json] = {"true": True, "false": False, "null": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class FormField:
    """One input."""

    name: str
    path: tuple[str, ...]  # keys of the rule
    kind: str = "text"  # of KINDS
    group: str = ""  # counts only if this cause or action is chosen; "": always


def _group(group: str, *path: str, kind: str = "text", **named: str) -> tuple[FormField, ...]:
    """Inputs below one key; by default an input is called as its key."""
    return tuple(FormField(name=name, path=(*path, key), kind=kind, group=group) for name, key in named.items())


FIELDS: tuple[FormField, ...] = (
    FormField(name="text", path=("text",)),
    FormField(name="event", path=("on",), group=ON),
    FormField(name="times", path=("repeated", "times"), kind="scalar", group=ON),
    *_group(ON, "repeated", within="within", same="same"),
    *_group(CHANGE, CHANGE, changed="field"),
    *_group(CHANGE, CHANGE, kind="list", before="from", after="to"),
    *_group(CROSSING, CROSSING, crosses="field"),
    *_group(CROSSING, CROSSING, kind="scalar", over="over", under="under"),
    *_group(SILENCE, SILENCE, kind="list", events="events"),
    *_group(SILENCE, SILENCE, silent_of="of", silent_for="for"),
    *_group(SCHEDULE, SCHEDULE, every_of="of"),
    *_group(SCHEDULE, SCHEDULE, kind="scalar", month="month", day="day", day_of_week="day_of_week", hour="hour",
            minute="minute"),
    FormField(name="when", path=("when",)),
    FormField(name="who", path=("who",)),
    *_group(REWARD, DO, REWARD, connection="connection", product="product", amount="amount", budget="budget"),
    *_group(NOTICE, DO, NOTICE, team="team"),
    *_group(MESSAGE, DO, NOTICE, by="connection", template="template"),
    FormField(name="sets", path=(DO, FIELD), kind="pairs", group=FIELD),
    *_group(TASK, DO, TASK, subject="subject", description="description", priority="priority", due="due",
            owner="owner"),
    *_group(WEBHOOK, DO, WEBHOOK, url="url", secret="secret"),
    FormField(name="local", path=(DO, WEBHOOK, "local"), kind="bool", group=WEBHOOK),
    FormField(name="cool_down", path=("cool_down",)),
    *_group("", "limits", "per_person", kind="scalar", person_count="count"),
    *_group("", "limits", "per_person", person_per="per"),
    *_group("", "limits", "in_all", kind="scalar", all_count="count"),
    *_group("", "limits", "in_all", all_per="per"),
    *_group("", "quiet_hours", quiet_from="from", quiet_to="to", quiet_zone="zone"),
    FormField(name="approve", path=("approve",), kind="bool"),
    FormField(name="approve_over", path=("approve_over",)),
    *_group(ON, kind="list", reverse_on="reverse_on"),
    FormField(name="hold_out", path=("hold_out",), kind="scalar", group=REWARD),
    *_group(REWARD, "measure", measure_on="on", measure_within="within", measure_value="value"),
    FormField(name="active_from", path=("active_from",)),
)  # fmt: skip
BESIDE = {"person_per": "person_count", "all_per": "all_count", "quiet_zone": "quiet_from"}  # nothing without that


def form_of(rule: Json) -> dict[str, str]:
    """Every field of the form. What is no rule at all gives an empty one."""
    known: Mapping[str, Json] = rule if isinstance(rule, Mapping) else {}
    cause = next((name for name in CAUSES if name in known), "")
    do = known.get(DO)
    action = next((name for name in ACTIONS if isinstance(do, Mapping) and name in do), "")
    notice = do.get(NOTICE) if isinstance(do, Mapping) else None
    if action == NOTICE and isinstance(notice, Mapping) and "team" not in notice:
        action = MESSAGE
    found = {CAUSE: cause, DO: action}
    for each in FIELDS:
        value = _at(known, each.path) if each.group in ("", cause, action) else None
        found[each.name] = "" if value is None else KINDS[each.kind].shown(value)
    return found


def rule_of(form: Mapping[str, str]) -> dict[str, Json]:
    """The rule that a form says; what belongs to another cause or action than the chosen one is left out."""
    chosen = ("", form.get(CAUSE, ""), form.get(DO, ""))
    rule: dict[str, Json] = {}
    for each in FIELDS:
        text = form.get(each.name, "").strip()
        if text and each.group in chosen and (each.name not in BESIDE or form.get(BESIDE[each.name], "").strip()):
            _put(rule, each.path, KINDS[each.kind].read(text))
    return rule


def _at(value: Json, path: tuple[str, ...]) -> Json:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _put(rule: dict[str, Json], path: tuple[str, ...], value: Json) -> None:
    for key in path[:-1]:
        rule = rule.setdefault(key, {})
    rule[path[-1]] = value


# Values as texts


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How a value is written into an input, and read out of it."""

    shown: Callable[[Json], str]
    read: Callable[[str], Json]


def _scalar(text: str) -> Json:
    """As hub.runtime.yaml reads it; what is quoted is text in any case."""
    if text in _WORDS:
        return _WORDS[text]
    number = _NUMBER.fullmatch(text)
    if number is not None:
        return float(text) if number[1] else int(text)
    if len(text) > 1 and text[0] == text[-1] == '"':
        try:
            return loads(text)
        except JSONDecodeError:
            return text
    return text


def _shown(value: Json) -> str:
    """The text that `_scalar` reads as this value, in a list, too."""
    if not isinstance(value, str):
        return dumps(value, ensure_ascii=False)
    plain = value == value.strip() != "" and not set(value) & set(',"\n\r') and _scalar(value) == value
    return value if plain else dumps(value, ensure_ascii=False)


def _list(text: str) -> Json:
    found = [_scalar(part[1].strip()) for part in _PART.finditer(text) if part[1].strip()]
    return found[0] if len(found) == 1 else found


def _pairs(text: str) -> Json:
    """`mood: happy`, a line each."""
    lines = [line.partition(":") for line in text.replace("\r\n", "\n").split("\n") if line.strip()]
    return {name.strip(): _scalar(value.strip()) for name, _, value in lines}


def _text_shown(value: Json) -> str:
    return value if isinstance(value, str) else dumps(value, ensure_ascii=False)


KINDS: Mapping[str, Kind] = {
    "text": Kind(shown=_text_shown, read=lambda text: text),
    "scalar": Kind(shown=_shown, read=_scalar),
    "bool": Kind(shown=lambda value: YES if value is True else "", read=lambda text: True),
    "list": Kind(
        shown=lambda value: ", ".join(_shown(each) for each in (value if isinstance(value, list) else [value])),
        read=_list,
    ),
    "pairs": Kind(
        shown=lambda value: (
            "\n".join(f"{name}: {_shown(each)}" for name, each in value.items())
            if isinstance(value, Mapping)
            else _text_shown(value)
        ),
        read=_pairs,
    ),
}
