"""Changes to hub.yaml by the hub itself: comments, order and layout of everything else stay as they are."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from hub.core.document import Sheet
from hub.errors import ConfigFault, Fault
from hub.model import Json
from hub.runtime.settings_schema import read_settings
from hub.runtime.yaml import load_yaml, parse_yaml
from hub.runtime.yaml_edit import edit_yaml

NEW_MODE = 0o644


def add_connection(path: Path, name: str, section: Mapping[str, Json]) -> None:
    """Add a section to `connections:`, wholly or not at all.

    Raises:
        ConfigFault: CFG-051 there is one of that name; or what is wrong with the section.
    """

    def add(connections: dict[str, Json]) -> None:
        if name in connections:
            message, fix = f"there is a connection {name} already", "choose another name, or edit hub.yaml"
            raise ConfigFault([Fault(code="CFG-051", where=path.name, message=message, fix=fix)])
        connections[name] = dict(section)

    _edit(path, name, add)


def change_connection(
    path: Path, name: str, changes: Mapping[str, Json], streams: Mapping[str, Mapping[str, Json]]
) -> None:
    """Set keys of a section of `connections:`, and of its `streams:`, wholly or not at all; None takes a key out.

    Raises:
        ConfigFault: what is wrong with the section then; CFG-013 it is not there any more.
    """

    def change(connections: dict[str, Json]) -> None:
        if name not in connections:
            message, fix = f"there is no connection {name} any more", "look into hub.yaml"
            raise ConfigFault([Fault(code="CFG-013", where=path.name, message=message, fix=fix)])
        _put(connections[name], changes)
        for stream, changed in streams.items():
            if connections[name].get("streams") is None:
                connections[name]["streams"] = {}
            own = connections[name]["streams"]
            if own.get(stream) is None:
                own[stream] = {}
            _put(own[stream], changed)
            if not own[stream]:
                del own[stream]
            if not own:
                del connections[name]["streams"]

    _edit(path, name, change)


def _put(section: dict[str, Json], changes: Mapping[str, Json]) -> None:
    for key, value in changes.items():
        if value is None:
            section.pop(key, None)
        else:
            section[key] = value


def _edit(path: Path, name: str, edit: Callable[[dict[str, Json]], None]) -> None:
    load_yaml(path)  # a file that cannot be read is not edited

    def change(data: Json) -> None:
        if data.get("connections") is None:
            data["connections"] = {}
        edit(data["connections"])

    text = edit_yaml(path.read_text("utf-8-sig"), change)
    sheet = Sheet(parse_yaml(text, path.name))
    settings = read_settings(sheet)
    wrong = [*sheet.faults, *settings.faults.get(name, ())]
    if wrong:
        raise ConfigFault(wrong)
    replace_file(path, text)


def replace_file(path: Path, text: str) -> None:
    """New text in the place of the old, at once or not at all; a file that was not there yet is readable as others."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(path.stat().st_mode & 0o777 if path.exists() else NEW_MODE)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
