"""One connection with all that people ask about it: how it is, when it runs, what it may do, what it did last."""

from __future__ import annotations

from hub.app import listings
from hub.app.backfill import streams_to_read, waiting_backfill
from hub.app.connection_setup import kept_credentials
from hub.app.listings import Dict
from hub.app.overview import overview
from hub.app.pausing import pause_of
from hub.app.runs import connection_of
from hub.app.schedules import schedule
from hub.app.service import Service
from hub.app.webhook_setup import webhook_state

LAST = 8  # runs and slots


def connection_case(service: Service, name: str) -> Dict:
    """Everything about one connection but its credentials. Raises NotFound."""
    hub, connection = service.hub, connection_of(service.hub, name)
    return {
        "row": next(each for each in overview(hub)["connections"] if each["connection"] == name),
        "limits": [
            {"name": limit.name, "calls": limit.calls, "per_s": limit.per_s, "unit": limit.unit}
            for limit in connection.connector.limits
        ],
        "schedule": schedule(hub, name), "again": streams_to_read(connection), "waits": waiting_backfill(hub, name),
        "hook": webhook_state(hub, name), "paused": pause_of(hub, name), "progress": service.progress(name),
        "runs": listings.runs(hub, connection=name, limit=LAST),
        "kept": kept_credentials(hub, name),
        "slots": listings.slots(hub, connection=name, limit=LAST),
    }  # fmt: skip
