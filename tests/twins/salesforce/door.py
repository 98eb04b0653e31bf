"""How the tests of the Salesforce twin call it."""

from __future__ import annotations

from typing import Any

import requests

START = 1_793_606_400.0  # 2026-11-02 08:00:00 UTC
DATA = "/services/data/v68.0"


class Api:
    """Shorthand for calls by path under the data API."""

    def __init__(self, base_url: str, session: requests.Session) -> None:
        self._base, self._session = base_url + DATA, session

    def __call__(self, method: str, path: str, body: Any = None, **kwargs: Any) -> requests.Response:
        return self._session.request(method, f"{self._base}/{path}", json=body, timeout=10, **kwargs)

    def query(self, soql: str, path: str = "query/") -> Any:
        return self("GET", path, params={"q": soql}).json()

    def names(self, where: str, path: str = "query/") -> list[str]:
        """Last names of the contacts found."""
        found = self.query(f"SELECT LastName FROM Contact WHERE {where} ORDER BY LastName", path)
        return [row["LastName"] for row in found["records"]]


def error_of(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()[0]["errorCode"]


def contact_row(**fields: Any) -> dict[str, Any]:
    """A record of a collection call."""
    return {"attributes": {"type": "Contact"}, **fields}
