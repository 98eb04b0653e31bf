"""Idempotency keys: the first answer under a key is the answer to all of them, for a day.

What is kept is the answer as it left, a 500 too, once execution had begun. Refused parameters and collisions are not
kept (vendor docs, "Idempotent requests").
"""

from __future__ import annotations

from dataclasses import dataclass

from hub.twins.kit import Request, Response
from hub.twins.stripe_params import Refused

LIFE_S = 86_400.0
KEY_LENGTH = 255


@dataclass(frozen=True, kw_only=True)
class Kept:
    """The first call under a key."""

    method: str
    path: str
    parameters: str  # in one canonical order
    at: float
    status: int
    body: bytes
    request_id: str


class Keys:
    """Keys of one account."""

    def __init__(self) -> None:
        self._kept: dict[str, Kept] = {}

    def answer(self, key: str, request: Request, now: float) -> Response | None:
        """The answer kept for this call; None: it is the first. Raises Refused if the key was used for another call."""
        if len(key) > KEY_LENGTH:
            raise Refused(400, f"Idempotency keys can be at most {KEY_LENGTH} characters", kind="idempotency_error")
        if request.fault == "key_in_use":
            message = f"There is currently another in-progress request using this Idempotent Key ({key})."
            raise Refused(409, message, "idempotency_key_in_use", kind="idempotency_error")
        kept = self._kept.get(key)
        if kept is None or now - kept.at >= LIFE_S:
            return None
        if (kept.method, kept.path, kept.parameters) != (request.method, request.path, canonical(request)):
            message = (
                "Keys for idempotent requests can only be used with the same parameters they were first used with. "
                f"Try using a key other than '{key}' if you meant to execute a different request."
            )
            raise Refused(400, message, kind="idempotency_error")
        headers = {
            "Content-Type": "application/json",
            "Idempotent-Replayed": "true",
            "Original-Request": kept.request_id,
        }
        return Response(status=kept.status, headers=headers, body=kept.body)

    def keep(self, key: str, request: Request, response: Response, now: float, request_id: str) -> None:
        self._kept[key] = Kept(
            method=request.method,
            path=request.path,
            parameters=canonical(request),
            at=now,
            status=response.status,
            body=response.body,
            request_id=request_id,
        )


def canonical(request: Request) -> str:
    return repr(sorted(request.form().items()))
