"""Records in HubSpot's shape, without its SDK."""

from __future__ import annotations

from bench.connectors._plain import make

CONNECTOR = make("plain_hubspot", "hubspot", lambda data: (data["id"], data["updatedAt"]))
