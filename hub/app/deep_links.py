"""Where people see a record in its vendor's own pages, as the connector declares it.

The address is the connector's; what the store and the settings hold only fills its gaps, quoted, so that no value can
lead elsewhere. Where something is missing, or the system is a server on this machine, there is no link.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from hub.app.context import Connection
from hub.model import Json

GAP = re.compile(r"\{(/?)(\w+)\}")


def deep_link(connection: Connection, stream: str, external_id: str | None) -> str:
    """An https address; empty where there is none."""
    mapping = connection.mappings.get(stream)
    template = connection.connector.pages.get(mapping.source if mapping is not None else stream, "")
    if not external_id or connection.settings.local:
        return ""
    given = {**_settings(connection), "id": external_id, "tail": external_id.rpartition("/")[2]}
    return filled(template, given)


def filled(template: str, given: Mapping[str, Json]) -> str:
    """The template with its gaps filled, every value quoted; empty if one is missing that it needs."""
    missing = [name for before, name in GAP.findall(template) if not before and given.get(name) in (None, "")]
    if missing or not template.startswith("https://"):
        return ""
    return GAP.sub(lambda gap: _part(gap[1], given.get(gap[2])), template)


def _part(before: str, value: Json) -> str:
    return before + quote(str(value), safe="") if value not in (None, "") else ""


def _settings(connection: Connection) -> dict[str, Json]:
    """What hub.yaml says and what the connector takes for granted; nothing secret."""
    declared = [each for each in connection.connector.settings if not each.secret]
    return {each.name: connection.settings.values.get(each.name, each.default) for each in declared}
