"""What every test may ask for: databases of both kinds. Nothing here starts before a test asks for it.

`database_url`  an empty database: the test runs on SQLite and on PostgreSQL.
`migrated_url`  the same with all migrations in it.
`postgres`      the server itself, for tests about PostgreSQL alone.
"""

from __future__ import annotations

import gc
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.postgres import Server, Session

_session = pytest.StashKey[Session]()

gc.disable()  # modules and thousands of tests stay until the end: nothing is looked for among them while they are read


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=20, help="how often real processes are killed, on both databases")


def pytest_configure(config: pytest.Config) -> None:
    """The process that was started by hand names the session; those that it starts are told the name."""
    config.stash[_session] = Session(getattr(config, "workerinput", {}).get("postgres_session"))


def pytest_collection_finish() -> None:
    """What is there now is no garbage, and is not looked through again; what comes is collected as ever."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Called by pytest-xdist, in the process that was started by hand, before it starts another."""
    node.workerinput["postgres_session"] = node.config.stash[_session].name


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.stash[_session].end()


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Iterator[Server]:
    with request.config.stash[_session].server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """SQLAlchemy URL of an empty database, gone after the test."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'hub.db'}"
        return
    server: Server = request.getfixturevalue("postgres")
    with server.database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def migrated_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """SQLAlchemy URL of a database with all migrations in it: a copy, so that migrating costs a session once."""
    if request.param == "sqlite":
        for file in request.getfixturevalue("migrated_sqlite").iterdir():
            shutil.copy(file, tmp_path)
        yield f"sqlite:///{tmp_path / 'hub.db'}"
        return
    server: Server = request.getfixturevalue("postgres")
    with server.database(template=request.getfixturevalue("migrated_postgres")) as url:
        yield url


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but hub.db (and what SQLite may have left beside it)."""
    folder = tmp_path_factory.mktemp("migrated")
    _upgrade(f"sqlite:///{folder / 'hub.db'}")
    return folder


@pytest.fixture(scope="session")
def migrated_postgres(postgres: Server) -> str:
    return postgres.template(_upgrade)


def _upgrade(url: str) -> None:
    from hub.store.migrate import upgrade  # a test that needs no store should not load it

    upgrade(url)
