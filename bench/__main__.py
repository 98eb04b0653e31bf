"""`python -m bench`: measures, prints, and says how far that is from the floor."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from bench.goals import as_table
from bench.report import as_text

CASES = ("floor", "engine", "connectors")
PARTS = "parts"  # a first load by one worker and by two: PostgreSQL only, and only when asked for
STORES = ("sqlite", "postgres")
RECORDS, QUICK = (10_000, 100_000), (2_000,)
CHANGES, EVENTS = 100, 200

Figures = dict[str, Any]


def options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--records", type=int, action="append", help="of both systems together; may be repeated")
    parser.add_argument("--store", choices=STORES, action="append", help="may be repeated; all unless given")
    parser.add_argument("--case", choices=(*CASES[1:], PARTS), action="append",
                        help=f"may be repeated; all but {PARTS} unless given, which is for PostgreSQL")  # fmt: skip
    parser.add_argument("--runs", type=int, default=1, help="of which the table of goals gives the median")
    parser.add_argument("--quick", action="store_true", help="a smoke test with 2,000 records")
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    parser.add_argument("--profile", type=int, default=0, metavar="LINES", help="only profile the hub's first loads")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    given = options(arguments)
    runs = [run(given) for _ in range(max(1, given.runs))]
    if not given.profile:
        sys.stdout.write(as_table(runs))
    if given.json:
        given.json.write_bytes(orjson.dumps([each for found in runs for each in found], option=orjson.OPT_INDENT_2))
    return 0


def run(given: argparse.Namespace) -> list[Figures]:
    """Every case once, on every store and with every number of records; each is printed as it is done."""
    found: list[Figures] = []
    for store in given.store or STORES:
        with databases(store) as make_url:
            for records in given.records or (QUICK if given.quick else RECORDS):
                here = [
                    measure(case, store, records, make_url, given.profile)
                    for case in ("floor", *(given.case or CASES[1:]))
                    if case != PARTS or store == "postgres"
                ]
                found += here
                if not given.profile:
                    sys.stdout.write(as_text(here))
                    sys.stdout.flush()
    return found


def measure(case: str, store: str, records: int, make_url: Any, profile: int) -> Figures:
    """One case in a process of its own, on a database and a source of its own."""
    if case == PARTS:
        return {"case": case, "store": store, "records": records, **by_workers(records, make_url)}
    with tempfile.TemporaryDirectory() as folder, source(records) as base_url, make_url(Path(folder), case) as url:
        asked = {
            "case": case, "store": store, "url": url, "source": base_url, "folder": f"{folder}/project",
            "changes": CHANGES, "events": min(EVENTS, records // 20), "profile": profile,
        }  # fmt: skip
        command = [sys.executable, "-m", "bench.case", orjson.dumps(asked).decode()]
        answer = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return {"case": case, "store": store, "records": records, **orjson.loads(answer.stdout)}


def by_workers(records: int, make_url: Any) -> Figures:
    """The same first load by one worker and by two, each on an empty database; what was read must be the same."""
    from bench import load, parts  # as in bench.case

    load.find_own_connectors()
    found: Figures = {}
    for helpers, name in enumerate(("one_worker", "two_workers")):
        with tempfile.TemporaryDirectory() as folder, source(records) as base_url, make_url(Path(folder), PARTS) as url:
            load.write_project(Path(folder), base_url, "engine")
            found[name] = parts.load(Path(folder), url, helpers)
            with load.opened(Path(folder), url) as hub:
                found[name]["stored"] = load.stored(hub)
    if found["one_worker"]["stored"] != found["two_workers"]["stored"]:
        raise RuntimeError(f"two workers stored something else: {found}")
    return found


@contextmanager
def source(records: int) -> Iterator[str]:
    """The source in a process of its own; its base URL."""
    command = [sys.executable, "-m", "bench.source", str(records)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None  # noqa: S101
        yield process.stdout.readline().strip()
    finally:
        process.communicate()


@contextmanager
def databases(store: str) -> Iterator[Any]:
    """Makes empty databases of a kind: (folder, case) -> context manager of a URL; for the floor without tables."""
    if store == "sqlite":
        yield _sqlite
        return
    from tests.postgres import Session  # the server that the tests start for themselves, or HUB_TEST_POSTGRES_URL

    session = Session()
    try:
        with session.server() as server:

            @contextmanager
            def postgres(_folder: Path, case: str) -> Iterator[str]:
                with server.database(template="template0" if case == "floor" else server.template(_migrate)) as url:
                    yield url.replace("+psycopg", "") if case == "floor" else url

            yield postgres
    finally:
        session.end()


@contextmanager
def _sqlite(folder: Path, case: str) -> Iterator[str]:
    path = folder / "bench.db"
    if case == "floor":
        yield str(path)
        return
    _migrate(f"sqlite:///{path}")
    yield f"sqlite:///{path}"


def _migrate(url: str) -> None:
    from hub.store.migrate import upgrade

    upgrade(url)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
