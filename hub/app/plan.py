"""`hub plan`: what a sync would write, to the field, before anything is written.

Systems are read first (reading is allowed), connections in mode observe are planned as if they were live, and what a
guard would keep back is marked. The document can be kept as a file, looked at, and applied: those writes, no others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import orjson

from hub.app.context import Hub
from hub.app.due import as_live, sheets_of
from hub.app.listings import Dict
from hub.app.plan_document import document_of
from hub.app.planned import PlannedWrite, changes_of
from hub.app.runs import Watch, connection_of, sync, unwatched
from hub.errors import ConfigFault, Fault
from hub.runtime.process import owner_name

CHANGE_COLUMNS = ["connection", "stream", "op", "entity", "external_id", "field", "old", "new", "why", "guard"]
CONNECTION_COLUMNS = [
    "connection", "mode", "creates", "updates", "removes", "fields", "held", "refused", "calls", "minutes", "error",
]  # fmt: skip
FIELD_COLUMNS = ["connection", "stream", "op", "field", "records"]
HELD_COLUMNS = ["hold", "guard", "connection", "stream", "field", "count", "of", "message"]
REFUSED_COLUMNS = ["connection", "stream", "external_id", "field", "code", "message", "fix"]


def plan(
    hub: Hub, names: Iterable[str] | None = None, *, pull: bool = True, watch: Watch = unwatched, owner: str = ""
) -> Dict:
    """Everything that a sync would write now.

    Args:
        names: connections that would be written; None or none for all. Reading covers the same.
        pull: read the systems first; False plans from what is known.

    Returns:
        The plan's document, with one more key for reading, "changes": one row per record and field (connection,
        stream, op, entity, external_id, field, old, new, why, guard). `connections` has creates, updates, removes,
        held, refused, expected calls and minutes; `writes` the writes with their preconditions; `held` what guards keep
        back already; `refused` what cannot be sent and why; `digest` SHA-256 of it all.

    Raises:
        NotFound: there is no connection of that name.
    """
    found, writes = plan_document(hub, names, pull=pull, watch=watch, owner=owner)
    return {**found, "changes": changes_of(writes)}


def plan_document(
    hub: Hub, names: Iterable[str] | None = None, *, pull: bool = True, watch: Watch = unwatched, owner: str = ""
) -> tuple[Dict, list[PlannedWrite]]:
    """`plan` without the rows for reading; and its writes."""
    wanted = [connection_of(hub, name) for name in (list(names or ()) or hub.connections)]
    errors: dict[str, str] = {}
    if pull:
        runs = sync(
            hub, [each.name for each in wanted], owner=owner or owner_name(), kind="plan", push=False, watch=watch
        )
        errors = {run.connection: run.error for run in runs if run.error}
    bold = as_live(hub)
    sheets = [
        sheet
        for each in wanted
        for sheet in sheets_of(bold, bold.connections[each.name], looked=partial(watch, each.name, "plan"))
    ]
    return document_of(hub, wanted, sheets, errors), [write for sheet in sheets for write in sheet.writes]


# Files and screens


def write_file(found: Dict, path: Path) -> None:
    """Keep a plan's document; it holds people's data, so only its owner may read the file.

    Raises:
        ConfigFault: it cannot be written (PLAN-WRITE).
    """
    document = {key: value for key, value in found.items() if key != "changes"}
    try:
        path.touch(mode=0o600)
        path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n")
    except OSError as error:
        fix = "name a file in a folder that may be written"
        raise ConfigFault(
            [Fault(code="PLAN-WRITE", where=str(path), message=f"the plan cannot be kept: {error.strerror}", fix=fix)]
        ) from None


def by_field(found: Dict) -> list[Dict]:
    """How many records each field changes in: a big plan on one screen."""
    counts = Counter(
        (write["connection"], write["stream"], write["op"], name.removeprefix("="))
        for write in found["writes"]
        for name in ({**write["values"], **write.get("later", {})} or {"": None})
    )
    return [dict(zip(FIELD_COLUMNS, (*place, count), strict=True)) for place, count in counts.items()]
