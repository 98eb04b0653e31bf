"""Triggers as people write them in the console: one rule as a form and as YAML, both of the draft of triggers.yaml.

Form and YAML are two ways to say one thing: what is kept by the one is what the other shows. Whether it makes sense is
said by the checks of the whole file; publishing is that of any file (hub.app.drafts).
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Mapping

from hub.app.context import Hub
from hub.app.drafts import (
    check_text,
    draft_text,
    drafted,
    edit_draft,
    edited,
    mapping_case,
    text_of_file,
)
from hub.app.listings import Dict, iso
from hub.app.trigger_desk import rule_row
from hub.core.rewards import PEOPLE, PERIODS
from hub.core.triggers_form import ACTIONS, CAUSE, CAUSES, DO, FIELDS, LONGEST, form_of, rule_of
from hub.errors import ConfigFault, NeedsReview, NotFound
from hub.model import Json
from hub.runtime.registry import TRIGGERS_FILE
from hub.runtime.yaml import parse_yaml
from hub.runtime.yaml_edit import yaml_editor

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
EMPTY = "# What the hub does when something happens; docs/triggers.md has every key.\nlanguage: 1\nrules: {}\n"
FILE = TRIGGERS_FILE
INPUTS = (CAUSE, DO, *(each.name for each in FIELDS))  # of the form
EMPTY_FORM = form_of({})
LACKS = f"{FILE} has no rules:"


# Looking


def trigger_file(hub: Hub) -> Dict:
    """triggers.yaml: its draft, what is wrong with it, its versions, and which rules the draft has or changes."""
    found = mapping_case(hub, FILE)
    text = found["draft"]["text"] if found["draft"] else found["text"]
    published, drafts = _rules(found["text"]), _rules(text)
    changed = [name for name in {**published, **drafts} if published.get(name) != drafts.get(name)]
    faults = check_text(hub, FILE, text) if found["draft"] else found["faults"]
    return {**found, "faults": faults, "changed": changed, "rules": list(drafts)}


def rule_draft(hub: Hub, name: str) -> Dict:
    """One rule of the draft, or of the file if there is no draft: form, YAML, words, and what can be chosen.

    Raises:
        NotFound: neither has such a rule. ConfigFault: the draft is no YAML.
    """
    text = _text(hub)
    rule = _read(text).get(name)
    if rule is None:
        raise NotFound(f"there is no trigger {name[:80]}", where=FILE, fix="choose one of the list")
    return {
        "rule": name, "form": form_of(rule), "yaml": rule_yaml(hub, name, text), "choices": choices(hub),
        **_checked(hub, name, text),
    }  # fmt: skip


def _checked(hub: Hub, name: str, text: str) -> Dict:
    """What is wrong with a text of the file, and what the rule says in words if it is understood."""
    with drafted(hub, FILE, text) as (project, _):
        triggers = project.triggers if project is not None else None
        rule = triggers.rules.get(name) if triggers is not None else None
    return {
        "faults": check_text(hub, FILE, text),
        "words": rule_row(rule, hub.clock.now()) if rule is not None else None,
    }  # fmt: skip


def rule_yaml(hub: Hub, name: str, text: str = "") -> str:
    """The rule as it is written, with its comments. Raises as `rule_draft`."""
    found: list[str] = []

    def take(data: Json) -> None:
        written = io.StringIO()
        yaml_editor().dump(data["rules"][name], written)
        found.append(written.getvalue())

    edited(FILE, text or _text(hub), take, lacks=f"there is no trigger {name[:80]}")
    return found[0]


def published_yaml(hub: Hub, name: str) -> str:
    """The rule as it stands in the file; nothing if it is not there, or cannot be read."""
    text = text_of_file(hub, FILE)
    return rule_yaml(hub, name, text) if name in _rules(text) else ""


def choices(hub: Hub) -> Dict:
    """What the inputs of the form offer."""
    canonical, project = hub.canonical, hub.projects
    entities = canonical.entities.values()
    rewards = project.rewards if project is not None else None
    fields = [(kind.name, field) for kind in entities for field in kind.fields.values()]
    task = canonical.entities.get("task")
    return {
        "causes": CAUSES, "actions": ACTIONS, "periods": PERIODS, "people": PEOPLE,
        "events": [f"{kind.name}.{event}" for kind in entities for event in kind.events],
        "fields": [f"{kind}.{field.name}" for kind, field in fields],
        "numbers": [f"{kind}.{field.name}" for kind, field in fields if field.type in ("integer", "decimal", "money")],
        "entities": list(canonical.entities), "references": _unique(f.name for _, f in fields if f.kind == "ref"),
        "owners": _unique(field.name for _, field in fields if field.to == "owner"),
        "budgets": list(rewards.budgets) if rewards is not None else [],
        "connections": list(project.settings.connections) if project is not None else list(hub.connections),
        "priorities": list(task.fields["priority"].values) if task and "priority" in task.fields else [],
    }  # fmt: skip


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _text(hub: Hub) -> str:
    return draft_text(hub, FILE) or EMPTY


def _read(text: str) -> Mapping[str, Json]:
    """The rules of a text as data. Raises ConfigFault."""
    data = parse_yaml(text, FILE).data
    rules = data.get("rules") if isinstance(data, Mapping) else None
    return rules if isinstance(rules, Mapping) else {}


def _rules(text: str) -> Mapping[str, Json]:
    """The same; none where it cannot be read."""
    try:
        return _read(text)
    except ConfigFault:
        return {}


# Writing


def new_rule(hub: Hub, name: str, form: Mapping[str, str], *, by: str) -> str:
    """Put a new rule into the draft; gives its name.

    Raises:
        NeedsReview: that is no name, or a rule has it. ConfigFault, NotFound as `hub.app.drafts.edit_draft`.
    """
    plain = name.strip()
    if not NAME.fullmatch(plain):
        raise NeedsReview("that is no name", where="name", fix="small letters, digits and underscores, at most 40")
    if plain in _read(_text(hub)):
        raise NeedsReview(f"there is a trigger {plain} already", where="name", fix="change that one, or choose another")
    keep_form(hub, plain, form, by=by)
    return plain


def keep_form(hub: Hub, name: str, form: Mapping[str, str], *, by: str) -> None:
    """Put what a form says into the draft; what it does not change stays as it is written. Raises as `new_rule`."""
    _keep(hub, _form_put(hub, name, form), by=by)


def keep_yaml(hub: Hub, name: str, text: str, *, by: str) -> None:
    """Put a rule into the draft as it is written. Raises ConfigFault: that is no YAML; NotFound."""
    _keep(hub, _yaml_put(name, text), by=by)


def keep_rule(hub: Hub, name: str, rule: Mapping[str, Json], *, by: str) -> None:
    """Put a rule into the draft as a program has it. Raises ConfigFault, NotFound, NeedsReview: that is no name."""
    _keep(hub, _rule_put(name, rule), by=by)


def start_now(hub: Hub, name: str, *, by: str) -> None:
    """Have the rule begin at this moment. Raises NotFound."""
    moment = iso(hub.clock.now())

    def put(data: Json) -> None:
        data["rules"][name]["active_from"] = moment

    _keep(hub, put, by=by)


def take_out(hub: Hub, name: str, *, by: str) -> None:
    """Take a rule out of the draft; what it fired stays in the ledger. Raises NotFound."""

    def put(data: Json) -> None:
        del data["rules"][name]

    _keep(hub, put, by=by)


def tried_form(hub: Hub, name: str, form: Mapping[str, str]) -> Dict:
    """YAML, checks and words of what a form says while it is being written; nothing is kept. Raises as `keep_form`."""
    text = edited(FILE, _text(hub), _form_put(hub, name, form), lacks=LACKS)
    return {"rule": name, "yaml": rule_yaml(hub, name, text), **_checked(hub, name, text)}


def tried_rule(hub: Hub, name: str, rule: Mapping[str, Json]) -> Dict:
    """The same of a rule as a program has it; nothing is kept. Raises as `keep_rule`."""
    text = edited(FILE, _text(hub), _rule_put(name, rule), lacks=LACKS)
    return {"rule": name, "yaml": rule_yaml(hub, name, text), **_checked(hub, name, text)}


def tried_yaml(hub: Hub, name: str, text: str) -> Dict:
    """Form, checks and words of a rule's YAML while it is being written; nothing is kept. Raises as `keep_yaml`."""
    whole = edited(FILE, _text(hub), _yaml_put(name, text), lacks=LACKS)
    return {
        "rule": name, "form": form_of(_read(whole).get(name)), "choices": choices(hub), **_checked(hub, name, whole)
    }  # fmt: skip


def _keep(hub: Hub, change: Callable[[Json], None], *, by: str) -> None:
    edit_draft(hub, FILE, change, by=by, lacks=LACKS, begin=EMPTY)


def _rules_in(data: Json) -> Json:
    if data["rules"] is None:
        data["rules"] = {}
    return data["rules"]


def _form_put(hub: Hub, name: str, form: Mapping[str, str]) -> Callable[[Json], None]:
    long = next((each.name for each in FIELDS if len(form.get(each.name, "")) > LONGEST), None)
    if long is not None:
        raise NeedsReview("that is too long", where=long, fix=f"at most {LONGEST} characters")
    wanted = rule_of(form)
    before = rule_of(form_of(_read(_text(hub)).get(name)))
    known = {each.path[0] for each in FIELDS}

    def put(data: Json) -> None:
        rules = _rules_in(data)
        if not isinstance(rules.get(name), Mapping):
            rules[name] = {}
        rule = rules[name]
        for key in known & set(rule) - set(wanted):
            del rule[key]
        for key, value in wanted.items():
            if key not in rule or before.get(key) != value:
                rule[key] = value

    return put


def _rule_put(name: str, rule: Mapping[str, Json]) -> Callable[[Json], None]:
    if not NAME.fullmatch(name):
        raise NeedsReview("that is no name", where="name", fix="small letters, digits and underscores, at most 40")

    def put(data: Json) -> None:
        _rules_in(data)[name] = dict(rule)

    return put


def _yaml_put(name: str, text: str) -> Callable[[Json], None]:
    plain = text.replace("\r\n", "\n")
    parse_yaml(plain, FILE)  # closed: no tags, anchors or second documents

    def put(data: Json) -> None:
        _rules_in(data)[name] = yaml_editor().load(plain)

    return put
