"""What customers did, and segments, for programs: a part of hub.web.api."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from hub.app import derived, forecasting, timeline
from hub.web.api import PAGE, ROUTER, After, Body, Hubs, Limit, Name, Reader


@ROUTER.get("/records/{record}/timeline")
def get_timeline(
    service: Hubs, _: Reader, record: Name, before: Annotated[str, Query(max_length=60)] = "", limit: Limit = PAGE
) -> Body:  # fmt: skip
    """What a customer did, newest first; `before` is the `next` of the page before."""
    return timeline.timeline(service.hub, record, before=before, limit=limit)


@ROUTER.get("/segments")
def get_segments(service: Hubs, _: Reader) -> Body:
    """Segments, with how many people are in each now."""
    return {"rows": derived.list_segments(service.hub)}


@ROUTER.get("/forecast")
def get_forecast(service: Hubs, _: Reader) -> Body:
    """The models that tell what customers will spend: parameters, of which day, what speaks for them."""
    return forecasting.show_fit(service.hub)


@ROUTER.get("/segments/{segment}")
def get_members(service: Hubs, _: Reader, segment: Name, after: After = None, limit: Limit = PAGE) -> Body:
    """The people of a segment, by number."""
    return derived.list_members(service.hub, segment, after_id=after or 0, limit=limit)
