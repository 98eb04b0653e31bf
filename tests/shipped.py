"""The mappings that the hub ships, found by looking: there is no list."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mappings
from hub.runtime.yaml import load_yaml

FOLDER = Path(mappings.__file__).parent
RESERVED = ("canonical", "derived", "rewards", "triggers", "kpis", "goals", "hub")
FILES: Mapping[str, str] = {  # name of the file -> connector it is for
    path.stem: str(load_yaml(path).data["connector"])
    for path in sorted(FOLDER.glob("*.yaml"))
    if path.stem not in RESERVED
}


def connection_to(system: str) -> Mapping[str, Any]:
    """What hub.yaml would say of a connection to a fresh twin: auth, settings, streams."""
    if importlib.util.find_spec(f"hub.twins.{system}") is None:
        return {}
    found: Mapping[str, Any] = getattr(importlib.import_module(f"hub.twins.{system}"), "CONNECTION", {})
    return found
