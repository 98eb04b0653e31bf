"""The hub's own settings as people look at them."""

from __future__ import annotations

from dataclasses import asdict

from hub.app.context import Hub
from hub.app.listings import Dict


def settings_case(hub: Hub) -> Dict:
    """The section `hub:` of hub.yaml, the guards, what is wrong in the project, and which hub this is."""
    project = hub.projects
    return {
        "hub_settings": asdict(project.settings.hub) if project is not None else {},
        "guards": {name: asdict(bound) for name, bound in hub.guards.items()},
        "faults": [asdict(fault) for fault in project.faults] if project is not None else [],
        "instance": hub.instance,
    }  # fmt: skip
