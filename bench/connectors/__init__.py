"""Connectors of the bench, found beside the shipped ones while it runs (`bench.load.with_own_connectors`)."""
