"""Mappings: what each field is there and here, drafts with their checks and what they would change, versions."""

from __future__ import annotations

from starlette.responses import Response

from hub.app import drafts
from hub.app.fields import fields_of, look
from hub.app.people import Right
from hub.errors import ConfigFault, HubError
from hub.web.site import Ask, Routes, status_of

ROUTES = Routes()


@ROUTES.get("/mappings")
def all_of_them(ask: Ask) -> Response:
    return ask.page("mappings.html", files=drafts.files(ask.hub))


@ROUTES.get("/mappings/{file}")
def one(ask: Ask) -> Response:
    return ask.page("mapping.html", it=drafts.mapping_case(ask.hub, ask.path("file")))


@ROUTES.get("/mappings/{file}/fields", Right.CONFIGURE)
def live(ask: Ask) -> Response:
    """The fields over there, as they were described last."""
    return ask.page("fields.html", it=fields_of(ask.hub, ask.path("file")))


@ROUTES.post("/mappings/{file}/fields", Right.CONFIGURE)
def look_again(ask: Ask) -> Response:
    """Asks the systems themselves."""
    file = ask.path("file")
    return ask.go(f"/mappings/{file}/fields", "looked", look(ask.hub, file, by=ask.by))


@ROUTES.get("/mappings/{file}/versions/{version}")
def version(ask: Ask) -> Response:
    file = ask.path("file")
    return ask.page("version.html", file=file, it=drafts.version_text(ask.hub, file, ask.number("version")))


@ROUTES.get("/mappings/{file}/draft", Right.CONFIGURE)
def draft(ask: Ask) -> Response:
    return _draft(ask)


def _draft(ask: Ask, error: HubError | None = None) -> Response:
    return ask.page(
        "draft.html", status_of(error) if error else 200, error=error,
        wrong=error.faults if isinstance(error, ConfigFault) else (), **drafts.draft_case(ask.hub, ask.path("file")),
    )  # fmt: skip


@ROUTES.post("/mappings/{file}/draft", Right.CONFIGURE)
def save(ask: Ask) -> Response:
    file, what = ask.path("file"), ask.said("what")
    if what == "drop":
        drafts.drop_draft(ask.hub, file, by=ask.by)
        return ask.go(f"/mappings/{file}", "draft-dropped")
    try:
        if what == "field":
            options = {key: ask.said(key) for key in ("direction", "transforms", "type")}
            drafts.map_field(
                ask.hub, file, ask.said("stream"), ask.said("name"), ask.said("remote"), by=ask.by, **options
            )
        else:
            drafts.save_draft(ask.hub, file, ask.said("text"), by=ask.by)
    except HubError as error:
        return _draft(ask, error)
    return ask.go(f"/mappings/{file}/{'change' if what == 'compare' else 'draft'}", "draft")


@ROUTES.post("/mappings/{file}/preview", Right.CONFIGURE)
def preview(ask: Ask) -> Response:
    """Checks and a preview of what is being written, while it is being written; nothing is kept."""
    return ask.page("preview.html", **drafts.tried_text(ask.hub, ask.path("file"), ask.said("text")))


@ROUTES.get("/mappings/{file}/change", Right.CONFIGURE)
def change(ask: Ask) -> Response:
    return ask.page("change.html", **drafts.change_case(ask.hub, ask.path("file")))


@ROUTES.post("/mappings/{file}/publish", Right.CONFIGURE)
def publish(ask: Ask) -> Response:
    file = ask.path("file")
    try:
        drafts.publish(ask.service, file, by=ask.by)
    except HubError as error:
        return _draft(ask, error)
    return ask.go(f"/mappings/{file}", "published")


@ROUTES.post("/mappings/{file}/versions/{version}", Right.CONFIGURE)
def back(ask: Ask) -> Response:
    file = ask.path("file")
    try:
        drafts.roll_back(ask.service, file, ask.number("version"), by=ask.by)
    except ConfigFault as error:
        return _draft(ask, error)
    return ask.go(f"/mappings/{file}", "published")
