"""`python -m bench.console`: how long the server takes for every page and every listing of the API, store full.

A store that has grown (bench.grown) is served on loopback; a person with every right asks for each page some times.
What counts is the time until the last byte is there, without a browser: the median must not be above 200 ms. It is an
error (exit 1) if one is.
"""

from __future__ import annotations

import argparse
import http.client
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.__main__ import STORES, databases
from bench.grown import SYSTEMS, grown
from hub.app.context import Hub
from hub.app.people import Person, Right, add_user
from hub.app.service import Service
from hub.app.sessions import make_link, make_token
from hub.web.app import ROUTES, create_console
from hub.web.server import WebServer, create_app, listen

CONTACTS = 350_000
MUST_MS = 200.0
TIMES = 5
ADMIN = "bench"
# Not listings: they read many stored records because that is what they are for, or are files; each says how far it is.
NOT_LISTINGS = frozenset({"/mappings/{file}/change", "/data/report", "/figures/{kpi}/csv"})
AS_THEY_ARE = {"/codes/{code}": "/codes/NET-429", "/records/{target}/as-of": "/records/{target}/as-of?at=2030-01-01"}
NOT_CALLED = frozenset({
    "/rewards/rules/{rule}/trial", "/triggers/{rule}/trial", "/mappings/{file}/change", "/data-audits/report",
    "/figures/{kpi}", "/forecast", "/records/{record}/unmerge",
})  # nor these of the API; a forecast is one setting, and nobody was merged  # fmt: skip
API = (
    "/overview", "/connections", "/conflicts", "/conflicts?state=decided", "/conflicts?connection=second&limit=200",
    "/conflicts/{conflict}", "/records?q=greta", "/records/{record}", "/records/{record}/why/{field}", "/quarantine",
    "/quarantine/{code}", "/holds", "/runs?limit=200", "/runs/{run}", "/rewards", "/rewards/{grant}", "/plans",
    "/plans/{plan}?field=phone", "/audit?limit=200", "/conflicts/{conflict}/policies", "/views",
    "/mappings/{file}/fields", "/pairs", "/pairs/{pair}", "/connections/{connection}/backfill",
    "/connections/{connection}/webhooks",
    "/data-audits", "/figures", "/firings", "/firings?state=refused", "/firings/{firing}", "/goals",
    "/records/{record}/timeline", "/reward-report", "/search?q=greta", "/segments", "/segments/{segment}",
    "/segments/{segment}?after={middle}", "/triggers", "/triggers/draft", "/triggers/{rule}", "/triggers/{rule}/draft",
    "/settings", "/codes/{code}", "/connectors", "/connectors/{connector}", "/connections/{connection}",
    "/connections/{connection}/progress", "/slots?limit=200", "/conflicts/{conflict}/alike", "/holds/{hold}", "/types",
    "/types/{type}?after={middle}", "/records/{record}/as-of?at=2030-01-01",
    "/records/{record}/merge?other=contact:{newest}", "/records/{record}/erase", "/reward-rules", "/mappings",
    "/mappings/{file}", "/mappings/{file}/versions/{version}", "/mappings/{file}/draft", "/audit/head", "/users",
    "/tokens", "/trust",
)  # fmt: skip
# What people do with lists: narrow them, and go on to a page far behind.
DEEPER = (
    "/conflicts?field=job_title&connection=second", "/conflicts?state=decided", "/conflicts?older=week&type=contact",
    "/conflicts?state=decided&kind=first_contact", "/records/contact?after={middle}", "/search?q=greta.abel",
    "/search?q=Lindenallee", "/search?q=nobodyhasthis", "/runs?connection=first", "/runs?before=300",
    "/quarantine/{code}?connection=first", "/rewards?state=waiting_approval", "/identity?state=later",
    "/plan/{plan}?connection=second&op=update&field=phone", "/plan/{plan}?held=yes", "/plan/{plan}?after=5000",
    "/connections/add?connector=salesforce", "/firings?state=done", "/firings?rule=big_order&after=5000",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One address, and how long its answers took."""

    path: str
    status: int
    size: int  # bytes
    took_ms: Sequence[float]
    cpu_ms: float = 0.0  # of the process, on average: what the time would be on a machine with nothing else to do

    @property
    def median_ms(self) -> float:
        return statistics.median(self.took_ms)

    @property
    def holds(self) -> bool:
        return self.status in (200, 303) and self.median_ms <= MUST_MS


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.console", description=__doc__)
    parser.add_argument("--contacts", type=int, default=CONTACTS)
    parser.add_argument("--store", choices=STORES, default=STORES[0])
    parser.add_argument("--times", type=int, default=TIMES, help="that each address is asked for")
    given = parser.parse_args(arguments)
    began = time.monotonic()
    with databases(given.store) as make_url, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with make_url(folder, "console") as url, grown(folder / "project", url, given.contacts) as hub:
            sys.stdout.write(f"{given.contacts:,} contacts in {time.monotonic() - began:.0f} s\n")
            found = measure(hub, times=given.times)
    sys.stdout.write(as_text(found, given.store, given.contacts))
    return 0 if all(each.holds for each in found) else 1


def measure(hub: Hub, *, times: int = TIMES) -> list[Asked]:
    """Every page and every listing of the API."""
    add_user(hub, ADMIN, "admin", by=ADMIN)
    token = str(make_token(hub, ADMIN, list(Right), person=Person(name=ADMIN, role="admin"))["token"])
    things = _things(hub)
    with served(hub) as port:
        cookie = signed_in(hub, port)
        pages = [(path, {"Cookie": cookie}) for path in _pages(things)]
        calls = [(f"/api/v1{_filled(path, things)}", {"Authorization": f"Bearer {token}"}) for path in API]
        return [ask(port, path, headers, times) for path, headers in (*pages, *calls)]


def _pages(things: Mapping[str, str]) -> Iterator[str]:
    for route in ROUTES:
        if route.method == "GET" and route.right is not None and route.path not in NOT_LISTINGS:
            yield _filled(AS_THEY_ARE.get(route.path, route.path), things)
    yield from (_filled(path, things) for path in DEEPER)


def _filled(path: str, things: Mapping[str, str]) -> str:
    return re.sub(r"{(\w+)}", lambda found: things[found[1]], path)


def _things(hub: Hub) -> dict[str, str]:
    """Something of everything that an address may name; of what can be large, the largest."""
    with hub.store.reading() as tx:
        conflict = next(iter(tx.conflicts(state="open", limit=1)), None) or tx.conflicts(limit=1)[0]
        code = max(tx.count_codes().items(), key=lambda each: each[1])[0][0]
        (plan, *_) = tx.plans(state="waiting", connection="second", limit=1)
        grant = tx.grants(limit=1)[0]
        (pair, *_) = tx.identities_ranked("review", "open", limit=1)
        newest = tx.newest_entity()
        version = tx.mapping_version("second")
        (firing, *_) = tx.firings(limit=1)
    record = f"contact:{conflict.entity_id}"
    return {
        "conflict": str(conflict.id), "target": record, "record": record, "field": "job_title", "run": "7", "hold": "1",
        "code": code, "name": next(iter(SYSTEMS)), "connection": next(iter(SYSTEMS)), "file": "second.yaml",
        "version": str(version),
        "rule": "big_order", "firing": str(firing.id), "kpi": "new_people", "segment": "buyers",
        "pair": str(pair["id"]), "grant": str(grant.id), "plan": str(plan.id), "middle": str(newest // 2),
        "newest": str(newest), "type": "contact", "connector": "csv",
    }  # fmt: skip


@contextmanager
def served(hub: Hub) -> Iterator[int]:
    listening = listen("127.0.0.1", 0)
    service = Service(hub, make_worker=None)
    server = WebServer(create_app(hub, poke=service.poke, console=create_console(service)), listening)
    server.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.stop()


def signed_in(hub: Hub, port: int) -> str:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=600)) as client:
        client.request("POST", make_link(hub, ADMIN, by=ADMIN), headers={"Sec-Fetch-Site": "same-origin"})
        answer = client.getresponse()
        answer.read()
        return str(answer.headers["set-cookie"]).partition(";")[0]


def ask(port: int, path: str, headers: Mapping[str, str], times: int) -> Asked:
    """Once to warm up, then so many times."""
    took, status, size, cpu_s = [], 0, 0, 0.0
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=600)) as client:
        for _ in range(times + 1):
            began, cpu_began = time.perf_counter(), time.process_time()
            client.request("GET", path, headers=dict(headers))
            answer = client.getresponse()
            status, size = answer.status, len(answer.read())
            took.append((time.perf_counter() - began) * 1000)
            cpu_s += time.process_time() - cpu_began
    return Asked(path=path, status=status, size=size, took_ms=took[1:], cpu_ms=cpu_s * 1000 / (times + 1))


def as_text(found: Sequence[Asked], store: str, contacts: int) -> str:
    """The table, slowest first."""
    lines = [
        f"\n{store}, {contacts:,} contacts: must be {MUST_MS:g} ms\n",
        f"{'':<74}{'status':>7}{'kB':>7}{'median':>10}{'highest':>10}{'CPU':>8}\n",
    ]
    for each in sorted(found, key=lambda each: -each.median_ms):
        times = f"{each.median_ms:>10.1f}{max(each.took_ms):>10.1f}{each.cpu_ms:>8.1f}"
        figures = f"{each.status:>7}{each.size / 1000:>7.0f}{times}"
        lines.append(f"{each.path:<74}{figures}{'' if each.holds else ' over must'}\n")
    over = [each for each in found if not each.holds]
    lines.append(f"{len(found)} addresses, {len(over)} over must\n")
    return "".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
