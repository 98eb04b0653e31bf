"""How long a person's edit takes from the webhook that tells of it to the other system: twenty a second.

The hub runs as `hub run` does. Who edits and calls is a process of its own: `python -m bench.webhooks '{"source": …,
"hook": URL, "events": n, "rate": a second}'`; the moment of a write is told by the system that was written to.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import orjson

RATE = 20.0
LATE_S = 30.0  # then an edit did not arrive
LOOK_S = 0.1

Figures = dict[str, Any]


def measure(folder: Path, url: str, source: str, events: int) -> Figures:
    """Latencies in ms over a hub that has everything already: p50, p99, and how many edits never arrived."""
    from bench import load
    from hub.app.bootstrap import start_logging
    from hub.app.webhooks import hook_path
    from hub.app.worker import Worker
    from hub.web.server import WebServer, create_app, listen

    load.write_project(folder, source, "engine", mode="live")
    with load.opened(folder, url) as hub:
        start_logging(hub)  # to the error stream
        load.sync_once(hub)
        worker, listening = Worker(hub, owner="bench"), listen("127.0.0.1", 0)
        server = WebServer(create_app(hub, poke=worker.poke), listening)
        port = listening.getsockname()[1]
        hook = f"http://127.0.0.1:{port}{hook_path(hub, 'first')}"
        worker.start()
        server.start()
        try:
            asked = {"source": source, "hook": hook, "events": events, "rate": RATE}
            command = [sys.executable, "-m", "bench.webhooks", orjson.dumps(asked).decode()]
            answer = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        finally:
            server.stop()
            worker.stop()
    return dict(orjson.loads(answer.stdout))


def drive(source: str, hook: str, events: int, rate: float) -> Figures:
    """Edit, call, and ask the other system when it was written to."""
    told: dict[str, float] = {}
    began = time.monotonic()
    for turn in range(events):
        time.sleep(max(0.0, began + turn / rate - time.monotonic()))
        edited = _call(f"{source}/edit?turn={turn}")
        told[edited["post"]] = time.time()
        _call(hook, {"key": f"event-{turn}", "id": edited["id"]})
    written: dict[str, float] = {}
    deadline = time.monotonic() + LATE_S
    while time.monotonic() < deadline and not told.keys() <= written.keys():
        time.sleep(LOOK_S)
        written = _call(f"{source}/written", method="GET")
    took = sorted((written[post] - at) * 1000 for post, at in told.items() if post in written)
    return {"events": events, "lost": len(told) - len(took), "p50_ms": _share(took, 0.5), "p99_ms": _share(took, 0.99)}


def _share(took: list[float], share: float) -> float:
    return took[min(len(took) - 1, int(len(took) * share))] if took else float("nan")


def _call(url: str, body: Any = None, *, method: str = "POST") -> Any:
    data = None if body is None else orjson.dumps(body)
    with urlopen(Request(url, data=data, method=method)) as answer:  # noqa: S310
        content = answer.read()
    return orjson.loads(content) if content else None


if __name__ == "__main__":
    sys.stdout.write(orjson.dumps(drive(**orjson.loads(sys.argv[1]))).decode())
