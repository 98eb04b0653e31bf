"""One file per vendor. A connector sees hub.connector, hub.kit, hub.model, hub.errors and its vendor's SDK, no more."""
