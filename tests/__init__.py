"""Mirrors hub/, plus properties/, connectors/, house/ and e2e/. A package, so that tests may share what stands here."""
