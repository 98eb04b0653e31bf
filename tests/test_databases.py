"""The databases that tests get: empty, apart from each other, and gone afterwards."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, inspect, text

from tests.postgres import Server


def run(url: str, *statements: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def tables(url: str) -> list[str]:
    engine = create_engine(url)
    try:
        return inspect(engine).get_table_names()
    finally:
        engine.dispose()


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_gets_an_empty_database(database_url: str, turn: int) -> None:
    assert tables(database_url) == []
    run(database_url, f"CREATE TABLE turn_{turn} (a INTEGER)")
    assert tables(database_url) == [f"turn_{turn}"]


def test_a_template_is_filled_once_and_copied(postgres: Server) -> None:
    filled: list[str] = []

    def fill(url: str) -> None:
        filled.append(url)
        run(url, "CREATE TABLE filled (a INTEGER)")

    for _ in range(2):
        with postgres.database(template=postgres.template(fill, name="test_databases")) as url:
            assert tables(url) == ["filled"]
            run(url, "DROP TABLE filled")
    assert len(filled) == 1


def test_a_template_whose_filling_failed_is_filled_again(postgres: Server) -> None:
    def fail(url: str) -> None:
        run(url, "CREATE TABLE half (a INTEGER)")
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        postgres.template(fail, name="test_databases_failed")
    with postgres.database(template=postgres.template(lambda url: None, name="test_databases_failed")) as url:
        assert tables(url) == []


def test_a_database_is_gone_afterwards_even_if_somebody_is_still_connected(postgres: Server) -> None:
    with postgres.database() as url:
        engine = create_engine(url)
        connection = engine.connect()
    connection.invalidate()
    engine.dispose()
    with pytest.raises(Exception, match="does not exist"):
        tables(url)
