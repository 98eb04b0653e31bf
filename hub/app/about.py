"""Which hub this is."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from hub.model import Json
from hub.runtime.registry import connector_names
from hub.store.schema import SCHEMA

PACKAGE = "integration-hub"


def about() -> dict[str, Json]:
    """Versions, and the connectors that are installed."""
    try:
        found = version(PACKAGE)
    except PackageNotFoundError:  # run from a checkout that was not installed
        found = "unknown"
    return {
        "hub": found, "python": platform.python_version(), "database": SCHEMA, "connectors": list(connector_names())
    }  # fmt: skip
