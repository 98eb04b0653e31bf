"""Asking once more before something is done that is hard to take back; without a script, too."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from hub.web.site import Ask

SURE = "sure"


def unsure(
    ask: Ask, *, title: str, texts: Sequence[str], button: str, back: str, typed: str = "", again: str = ""
) -> Response | None:
    """The page that asks; None once the person has said yes, on it.

    Args:
        texts: what will happen, a paragraph each.
        back: where "rather not" leads.
        typed: what must be typed to say yes; nothing: a click is enough.
        again: what was wrong with the last answer.
    """
    if ask.said(SURE) == "yes" and (not typed or ask.said("typed").strip() == typed):
        return None
    wrong = "What was typed is something else." if ask.said(SURE) == "yes" else again
    given = [
        (name, value)
        for name, value in ask.form.multi_items()
        if name not in (SURE, "typed") and isinstance(value, str)
    ]
    return ask.page(
        "sure.html", 200, title=title, texts=texts, button=button, back=back, typed=typed, given=given, wrong=wrong,
        action=ask.request.url.path,
    )  # fmt: skip
