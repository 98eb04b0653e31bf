"""Triggers: rules with what they did, firings that wait for a person, a form beside its YAML, trials on the past."""

from __future__ import annotations

from dataclasses import asdict
from urllib.parse import urlencode

from starlette.responses import Response

from hub.app import drafts, firings, trigger_drafts
from hub.app.approvals import approve_firing
from hub.app.listings import Dict
from hub.app.people import Right
from hub.app.trigger_desk import HELD, STATES, firing_case, firings_named, trigger_case, trigger_rules
from hub.app.trigger_drafts import EMPTY_FORM, FILE, INPUTS
from hub.app.trigger_trial import try_trigger
from hub.errors import ConfigFault, HubError
from hub.web.site import Ask, Routes, status_of, trial_of

ROUTES = Routes()


@ROUTES.get("/triggers")
def all_of_them(ask: Ask) -> Response:
    return _all(ask)


def _all(ask: Ask, error: HubError | None = None) -> Response:
    held = firings_named(ask.hub, state=HELD)
    return ask.page(
        "triggers.html", status_of(error) if error else 200, rules=trigger_rules(ask.hub), held=held, error=error,
        wrong=error.faults if isinstance(error, ConfigFault) else (), file=trigger_drafts.trigger_file(ask.hub),
    )  # fmt: skip


@ROUTES.post("/triggers/draft", Right.CONFIGURE)
def publish(ask: Ask) -> Response:
    """Publish the draft of the whole file, or drop it."""
    if ask.said("what") == "drop":
        drafts.drop_draft(ask.hub, FILE, by=ask.by)
        return ask.go("/triggers", "draft-dropped")
    try:
        drafts.publish(ask.service, FILE, by=ask.by)
    except HubError as error:
        return _all(ask, error)
    return ask.go("/triggers", "published")


# Writing a rule


@ROUTES.get("/triggers/add", Right.CONFIGURE)
def add(ask: Ask) -> Response:
    return _new(ask, EMPTY_FORM)


@ROUTES.post("/triggers/add", Right.CONFIGURE)
def added(ask: Ask) -> Response:
    form = _form(ask)
    try:
        name = trigger_drafts.new_rule(ask.hub, ask.said("name"), form, by=ask.by)
    except HubError as error:
        return _new(ask, form, error)
    return ask.go(f"/triggers/{name}/draft", "draft")


def _new(ask: Ask, form: Dict, error: HubError | None = None) -> Response:
    it: Dict = {
        "rule": "",
        "form": form,
        "yaml": "",
        "choices": trigger_drafts.choices(ask.hub),
        "faults": [],
        "words": None,
    }
    return ask.page(
        "trigger_draft.html", status_of(error) if error else 200, it=it, name=ask.said("name"), error=error, draft=None
    )


def _form(ask: Ask) -> dict[str, str]:
    return {name: ask.said(name) for name in INPUTS}


@ROUTES.get("/triggers/{rule}/draft", Right.CONFIGURE)
def draft(ask: Ask) -> Response:
    return _draft(ask)


def _draft(ask: Ask, error: HubError | None = None) -> Response:
    try:
        it = trigger_drafts.rule_draft(ask.hub, ask.path("rule"))
    except ConfigFault:  # the file cannot be read: it is mended as a whole
        return ask.go(f"/mappings/{FILE}/draft")
    if error is not None and ask.said("what") == "yaml":
        it["yaml"] = ask.said("yaml")
    elif error is not None:
        it["form"] = _form(ask)
    return ask.page(
        "trigger_draft.html", status_of(error) if error else 200, it=it, name=it["rule"], error=error,
        draft=drafts.mapping_case(ask.hub, FILE)["draft"],
    )  # fmt: skip


@ROUTES.post("/triggers/{rule}/draft", Right.CONFIGURE)
def save(ask: Ask) -> Response:
    hub, name, what = ask.hub, ask.path("rule"), ask.said("what")
    trigger_drafts.rule_draft(hub, name)  # there is such a rule
    try:
        if what == "yaml":
            trigger_drafts.keep_yaml(hub, name, ask.said("yaml"), by=ask.by)
        elif what == "now":
            trigger_drafts.start_now(hub, name, by=ask.by)
        elif what == "remove":
            trigger_drafts.take_out(hub, name, by=ask.by)
        else:
            trigger_drafts.keep_form(hub, name, _form(ask), by=ask.by)
    except HubError as error:
        return _draft(ask, error)
    return ask.go("/triggers" if what == "remove" else f"/triggers/{name}/draft", "draft")


@ROUTES.post("/triggers/{rule}/preview", Right.CONFIGURE)
def preview(ask: Ask) -> Response:
    """Checks of a rule while it is being written, and the other way to say it: the YAML of a form, the form of a YAML.

    Nothing is kept.
    """
    name, yaml = ask.path("rule"), ask.said("yaml")
    try:
        if yaml:
            it = {**trigger_drafts.tried_yaml(ask.hub, name, yaml), "oob": True}
        else:
            it = trigger_drafts.tried_form(ask.hub, name, _form(ask))
    except ConfigFault as error:  # no YAML yet: the form stays as it is
        it = {"rule": name, "faults": [{**asdict(each), "stops": True} for each in error.faults], "words": None}
    return ask.page("trigger_preview.html", it=it, name=name)


# One rule, and what it did


@ROUTES.get("/triggers/{rule}")
def one(ask: Ask) -> Response:
    name, file = ask.path("rule"), trigger_drafts.trigger_file(ask.hub)
    if name in file["rules"] and name not in ask.hub.triggers.rules:
        it: Dict = {"trigger": name, "rule": None, "rows": []}
    else:
        it = trigger_case(ask.hub, name)
    yaml = trigger_drafts.published_yaml(ask.hub, name)
    return ask.page("trigger.html", it=it, yaml=yaml, changed=name in file["changed"], file=file)


@ROUTES.post("/triggers/{rule}/trial", Right.CONFIGURE)
def trial(ask: Ask) -> Response:
    """What it would have done; it looks through all that happened since."""
    found = try_trigger(ask.hub, ask.path("rule"), **trial_of(ask))
    return ask.page("trigger_trial.html", it=found)


@ROUTES.get("/firings")
def fired(ask: Ask) -> Response:
    state, rule = ask.query("state"), ask.query("rule")
    found = firings_named(ask.hub, rule=rule, state=state, after_id=ask.edge() or 0)
    kept = {name: value for name, value in (("rule", rule), ("state", state)) if value}
    more = f"/firings?{urlencode({**kept, 'after': found['next']})}" if found["next"] is not None else ""
    link = f"/firings?{urlencode({'rule': rule})}&" if rule else "/firings?"
    return ask.page("firings.html", it=found, state=state, rule=rule, more=more, link=link, states=STATES)


@ROUTES.get("/firings/{firing}")
def firing(ask: Ask) -> Response:
    return ask.page("firing.html", it=firing_case(ask.hub, ask.number("firing")))


@ROUTES.post("/firings/{firing}/approve", Right.APPROVE)
def approve(ask: Ask) -> Response:
    approve_firing(ask.service, ask.number("firing"), by=ask.by)
    return ask.go(f"/firings/{ask.number('firing')}", "firing")


@ROUTES.post("/firings/{firing}/drop", Right.APPROVE)
def drop(ask: Ask) -> Response:
    firings.drop(ask.hub, ask.number("firing"), by=ask.by)
    return ask.go(f"/firings/{ask.number('firing')}", "firing-dropped")
