"""Drives a twin that runs elsewhere, through its control endpoint; same method names as `Twin`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

import orjson
import requests

Json = Any
LOAD_ROWS = 5_000  # rows per call of `load`


class TwinRefused(ValueError):
    """The twin could not do what was asked; the text says why."""


class TwinClient:
    """People's actions at one twin, and a look inside. Not the vendor's API."""

    def __init__(self, base_url: str, timeout_s: float = 60.0) -> None:
        self.base_url = base_url.rstrip("/")
        self._timeout_s = timeout_s
        self._session = requests.Session()
        self._session.trust_env = False

    @property
    def name(self) -> str:
        return str(self._do("about")["name"])

    @property
    def streams(self) -> list[str]:
        return list(self._do("about")["streams"])

    def load(self, stream: str, rows: Iterable[dict[str, Json]]) -> int:
        """Fill with history; see Twin.load for the rows' form."""
        waiting, number = iter(rows), 0
        while part := list(islice(waiting, LOAD_ROWS)):
            number += int(self._do("load", stream=stream, rows=part))
        return number

    def user_create(self, stream: str, fields: dict[str, Json], by: str = "user:1") -> str:
        return str(self._do("user_create", stream=stream, fields=fields, by=by))

    def user_edit(self, stream: str, record_id: str, fields: dict[str, Json], by: str = "user:1") -> None:
        self._do("user_edit", stream=stream, record_id=record_id, fields=fields, by=by)

    def user_delete(self, stream: str, record_id: str, by: str = "user:1") -> None:
        self._do("user_delete", stream=stream, record_id=record_id, by=by)

    def user_restore(self, stream: str, record_id: str, by: str = "user:1") -> None:
        self._do("user_restore", stream=stream, record_id=record_id, by=by)

    def user_merge(self, stream: str, winner: str, loser: str, by: str = "user:1") -> str:
        return str(self._do("user_merge", stream=stream, winner=winner, loser=loser, by=by))

    def user_action(self, action: str, **arguments: Json) -> Json:
        """Something people can do only at this vendor, such as converting a lead."""
        return self._do("user_action", action=action, arguments=arguments)

    def snapshot(self, stream: str) -> dict[str, dict[str, Json]]:
        result: dict[str, dict[str, Json]] = self._do("snapshot", stream=stream)
        return result

    def set_faults(self, **values: Json) -> dict[str, Json]:
        result: dict[str, Json] = self._do("faults", **values)
        return result

    def calls(self) -> list[dict[str, Json]]:
        result: list[dict[str, Json]] = self._do("log")
        return result

    def counts(self) -> dict[str, Json]:
        result: dict[str, Json] = self._do("counts")
        return result

    def set_webhook(self, url: str, secret: str, **options: Json) -> str:
        return str(self._do("set_webhook", url=url, secret=secret, **options))

    def remove_webhook(self, target_id: str) -> bool:
        return bool(self._do("remove_webhook", target_id=target_id))

    def pump(self) -> int:
        return int(self._do("pump"))

    def drain_hooks(self) -> list[dict[str, Json]]:
        result: list[dict[str, Json]] = self._do("drain_hooks")
        return result

    def hook_log(self) -> list[dict[str, Json]]:
        result: list[dict[str, Json]] = self._do("hook_log")
        return result

    def now(self) -> float:
        return float(self._do("clock")["now"])

    def advance(self, seconds: float) -> float:
        return float(self._do("clock", advance=seconds)["now"])

    def reset(self) -> None:
        self._do("reset")

    def close(self) -> None:
        self._session.close()

    def _do(self, action: str, /, **payload: Json) -> Json:
        """Run one action. Raises TwinRefused with the twin's own words."""
        answer = self._session.post(
            f"{self.base_url}/_twin/{action}",
            data=orjson.dumps(payload),
            headers={"Content-Type": "application/json"},
            timeout=self._timeout_s,
        )
        content = orjson.loads(answer.content) if answer.content[:1] == b"{" else {}
        if answer.status_code != 200:
            raise TwinRefused(f"{action}: {content.get('error', answer.status_code)}")
        return content["result"]
