"""The tracking API on the wire: POST /v1/{call}, and what browsers ask first. Any page may send, so CORS is open."""

from __future__ import annotations

import orjson
from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from hub.app.tracking import MOST_BYTES, Answer, library_settings, track
from hub.app.webhooks import Receiver
from hub.web.bodies import Poke, TooBig, body_of

OPEN = {"Access-Control-Allow-Origin": "*", "Cache-Control": "no-store"}
PREFLIGHT = {
    **OPEN,
    "Access-Control-Allow-Methods": "POST, GET, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Content-Encoding",
    "Access-Control-Max-Age": "86400",
}


def add_tracking(app: FastAPI, receiver: Receiver, poke: Poke) -> None:
    """The routes, ahead of the console's."""

    @app.options("/v1/{call:path}")
    def preflight(call: str) -> Response:
        return Response(status_code=204, headers=PREFLIGHT)

    @app.get("/v1/projects/{write_key}/settings")
    def settings(write_key: str, request: Request) -> Response:
        return _response(library_settings(receiver, write_key, request.headers.get("host", "")))

    @app.post("/v1/{call}")
    async def take(call: str, request: Request) -> Response:
        try:
            body = await body_of(request, MOST_BYTES)
        except TooBig:
            body = bytes(MOST_BYTES + 1)  # judged like any other that is too large
        except TimeoutError:
            return Response(status_code=408)
        headers = {name.lower(): value for name, value in request.headers.items()}
        answer = await run_in_threadpool(track, receiver, call, headers=headers, body=body)
        if answer.connection:
            poke([answer.connection])
        return _response(answer)


def _response(answer: Answer) -> Response:
    more = {"Retry-After": str(answer.after_s)} if answer.after_s else {}
    return Response(orjson.dumps(answer.body), answer.status, headers={**OPEN, **more}, media_type="application/json")
