"""How the tests of the HubSpot twin call it."""

from __future__ import annotations

from typing import Any

import requests

START = 1_793_606_400.123  # 2026-11-02 08:00:00.123 UTC
DATED = "/crm/objects/2026-09"


class Api:
    """Shorthand for calls by path."""

    def __init__(self, base_url: str, session: requests.Session) -> None:
        self._base, self._session = base_url, session

    def __call__(self, method: str, path: str, body: Any = None, **kwargs: Any) -> requests.Response:
        return self._session.request(method, self._base + path, json=body, timeout=10, **kwargs)

    def search(self, name: str = "contacts", **body: Any) -> Any:
        return self("POST", f"{DATED}/{name}/search", body).json()


def ids(answer: Any) -> list[str]:
    return [row["id"] for row in answer["results"]]


def contact(number: int, **fields: str) -> dict[str, Any]:
    """A row to load: contact 1000 + number, last changed a day ago."""
    at = START - 86_400 + number
    named = {"email": f"n{number}@example.org", "firstname": f"N{number}"}
    return {"id": str(1000 + number), "created": at - 100, "modified": at, "fields": {**named, **fields}}
