"""`hub undo`: a plan made of a run's before-images, and carried out like any plan.

The records are read first; what people or later runs changed since is listed and left (hub.app.undo_maker). Undoing an
undo puts back what it took away: it is a run with intents like any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hub.app.apply import Applied, apply
from hub.app.context import Connection, Hub, connection_of
from hub.app.due import due_write, looking
from hub.app.ingest import ingest_page
from hub.app.listings import Dict, iso
from hub.app.plan_document import tally
from hub.app.planned import FORMAT, UNDO, PlannedWrite, changes_of, planned_write, sealed
from hub.app.push import Batch, plan_links
from hub.app.runs import Watch, unwatched
from hub.app.undo_maker import LEFT, UndoMaker
from hub.core.mapping import StreamMapping
from hub.core.plan import REMOVALS
from hub.model import LinkState

PAGE = 200
LEFT_COLUMNS = ["connection", "stream", "entity", "external_id", "field", "code", "reason"]


def undo(
    hub: Hub,
    runs: Sequence[int],
    *,
    by: str,
    delete_created: bool = False,
    watch: Watch = unwatched,
    owner: str = "",
) -> tuple[Dict, Applied]:
    """Put back what runs wrote; gives the plan (see `undo_plan`) and what became of it.

    Raises:
        NotFound: no such run, or its connection is gone.
        HubError: a system cannot be read now.
    """
    document = undo_plan(hub, runs, delete_created=delete_created)
    done = apply(
        hub, document, by=by, approve=True, watch=watch, owner=owner, where=f"undo of run {', '.join(map(str, runs))}"
    )
    return document, done


def undo_plan(hub: Hub, runs: Sequence[int], *, delete_created: bool = False) -> Dict:
    """What undoing these runs would write.

    Returns:
        A plan's document of kind undo, with "left": one row per record or field that stays as it is, and why, and
        "already": how many fields hold what they held before. With "changes" for reading, as `hub.app.plan.plan` has.

    Raises:
        NotFound: no such run, or its connection is gone.
        HubError: a system cannot be read now.
    """
    wanted = sorted(set(runs))
    with hub.store.reading() as tx:
        rows = [tx.run(run_id) for run_id in wanted]
    connections = {row.connection: connection_of(hub, row.connection) for row in rows}
    maker = UndoMaker(hub, wanted, delete_created=delete_created)
    streams = [
        (connection, mapping, ids)
        for connection in connections.values()
        for source in connection.in_order()
        for mapping in connection.mappings_from(source)
        if (ids := _links_at(hub, connection, mapping, maker))
    ]
    for connection, mapping, ids in streams:  # all of them first: what one shows may change what another is owed
        maker.strangers |= _read(hub, connection, mapping, ids)
    maker.load()
    found = [
        (
            connection,
            mapping,
            [each for page in _pages(ids) for each in _plan_page(hub, connection, mapping, maker, page)],
        )
        for connection, mapping, ids in streams
    ]
    writes = [write for _, _, part in found for write in part]
    summaries = [
        {
            **tally(each, [(each.stream_of(mapping), part) for at, mapping, part in found if at is each]),
            "held": 0, "refused": 0, "error": "",
        }
        for each in connections.values()
    ]  # fmt: skip
    rewards = [
        {
            "connection": row.connection, "stream": "orders", "entity": None, "external_id": None, "field": "",
            "code": "UNDO-REWARD", "reason": LEFT["UNDO-REWARD"],
        }
        for row in rows
        if row.counts.get("rewards_issued")
    ]  # fmt: skip
    document = sealed(
        {
            "plan": FORMAT, "hub": hub.instance, "kind": UNDO, "runs": wanted, "delete_created": delete_created,
            "made_at": iso(hub.clock.now()), "connections": summaries,
            "writes": [write.document() for write in writes], "held": [], "refused": [],
            "left": [*maker.left, *rewards], "already": maker.already,
        }
    )  # fmt: skip
    return {**document, "changes": changes_of(writes)}


def _links_at(hub: Hub, connection: Connection, mapping: StreamMapping, maker: UndoMaker) -> list[int]:
    """The links of one stream that the runs wrote to."""
    with hub.store.reading() as tx:
        links = tx.links_by_ids([*maker.made, *maker.open_links], raw=False)
    here = (connection.name, mapping.name)
    return sorted(each for each, link in links.items() if (link.connection, link.stream) == here)


def _pages(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), PAGE):
        yield ids[start : start + PAGE]


def _read(
    hub: Hub, connection: Connection, mapping: StreamMapping, ids: Sequence[int]
) -> frozenset[tuple[str, str, str]]:
    """Take the records in as they are now; gives those of which the system says that others wrote to them last."""
    fetch, strangers = connection.connector.fetch, set()
    connection.require()
    for page in _pages(ids):
        with hub.store.reading() as tx:
            links = tx.links_by_ids(page, raw=False).values()
        live = [link.external_id for link in links if link.state == LinkState.LIVE and link.external_id]
        if fetch is None or not live:
            continue
        read_at = hub.clock.now()
        records = list(fetch(connection.api, mapping.source, live))
        ingest_page(hub, connection, mapping.source, records, read_at=read_at, by_id=True)
        strangers |= {(connection.name, mapping.name, each.external_id) for each in records if each.by_hub is False}
    return frozenset(strangers)


def _plan_page(
    hub: Hub, connection: Connection, mapping: StreamMapping, maker: UndoMaker, ids: Sequence[int]
) -> list[PlannedWrite]:
    found: list[PlannedWrite] = []
    why = f"undo of run {', '.join(map(str, maker.runs))}"
    with looking(hub) as scene:
        batch = Batch(
            hub=hub, connection=connection, mapping=mapping, stream=connection.stream_of(mapping), run_id=None
        )
        links = scene.tx.links_by_ids(ids, raw=False)
        scene.load({link.entity_id for link in links.values()})
        maker.put_back(batch, scene, ids)
        for intent in batch.intents:
            names = {**intent.values, **intent.before}
            link = scene.links[intent.link_id]
            found.append(planned_write(scene, link, intent, why=dict.fromkeys(names, why)))
        again = Batch(hub=hub, connection=connection, mapping=mapping, stream=batch.stream, run_id=None)
        known = set(scene.links)
        for link_id in ids:
            if maker.made.get(link_id) and maker.made[link_id][-1].op in REMOVALS:
                root = scene.root_of[scene.links[link_id].entity_id]
                if not maker.wants(scene, connection, mapping, root):
                    maker.leave(scene.links[link_id], "UNDO-THERE")
        plan_links(again, scene, sorted(set(scene.links) - known))
        found += [due_write(scene, mapping, scene.links[each.link_id], each) for each in again.intents]
    return found
