"""Rewards for a website's own pages, on the wire: POST /screen/{connection}/rewards, signed by the site's server."""

from __future__ import annotations

import orjson
from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from hub.app.context import Hub
from hub.app.reward_screen import MOST_BYTES, PATH, Screen
from hub.web.bodies import TooBig, body_of


def add_screen(app: FastAPI, hub: Hub) -> None:
    """The route, ahead of the console's. No browser of another page may ask: there is no CORS here."""
    screen = Screen(hub)

    @app.post(PATH)
    async def ask(connection: str, request: Request) -> Response:
        try:
            body = await body_of(request, MOST_BYTES)
        except TooBig:
            return Response(status_code=413)
        except TimeoutError:
            return Response(status_code=408)
        headers = {name.lower(): value for name, value in request.headers.items()}
        answer = await run_in_threadpool(screen.answer, connection, headers=headers, body=body)
        more = {"Retry-After": str(answer.after_s)} if answer.after_s else {}
        return Response(
            orjson.dumps(answer.body), answer.status, headers={"Cache-Control": "no-store", **more},
            media_type="application/json",
        )  # fmt: skip
