"""Who is who, for programs: a part of hub.web.api."""

from __future__ import annotations

from typing import Literal

from hub.app import identity
from hub.web.api import PAGE, ROUTER, Body, Decider, Hubs, Id, Limit, Reader, Reason


@ROUTER.get("/pairs")
def get_pairs(
    service: Hubs, _: Reader, state: Literal["open", "later", "accepted", "refused"] = "open", limit: Limit = PAGE
) -> list[Body]:  # fmt: skip
    """Pairs that may be one, the likeliest first."""
    return identity.list_pairs(service.hub, state=state, limit=limit)


@ROUTER.get("/pairs/{pair}")
def get_pair(service: Hubs, _: Reader, pair: Id) -> Body:
    """One pair side by side: its score, every field with both values, and what a merge would do."""
    return identity.show_pair(service.hub, pair)


@ROUTER.post("/pairs/{pair}/merge")
def merge(service: Hubs, person: Decider, pair: Id, it: Reason) -> Body:
    """Make the two one; the older survives, and `unmerge` of its record takes it back."""
    found = identity.merge_pair(service.hub, pair, by=person.name, note=it.note)
    service.poke()
    return found


@ROUTER.post("/pairs/{pair}/never")
def keep_apart(service: Hubs, person: Decider, pair: Id, it: Reason) -> Body:
    """These two are never one."""
    first, second = identity.pair_ends(service.hub, pair)
    return identity.never(service.hub, first, second, by=person.name, note=it.note)


@ROUTER.post("/pairs/{pair}/later")
def put_off(service: Hubs, person: Decider, pair: Id, it: Reason) -> Body:
    """Leave a pair for later."""
    return identity.later(service.hub, pair, by=person.name, note=it.note)
