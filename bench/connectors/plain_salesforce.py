"""Records in Salesforce's shape, without its SDK."""

from __future__ import annotations

from bench.connectors._plain import make

CONNECTOR = make("plain_salesforce", "salesforce", lambda data: (data["Id"], data["SystemModstamp"]))
