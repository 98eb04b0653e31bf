"""Scoring pairs with Splink on DuckDB: an optional extra (`identity`), and imported nowhere else.

Rows go into a DuckDB file in a temporary folder, page by page; pairs come out in pages, the likeliest first. Memory is
bounded by DuckDB's own limit; blocks and values that too many share are left out, so that the pairs stay few.

DuckDB is a calculator here, not a store: what it is told is made of names of ours alone, never of a value.

Invariant: the same rows give the same pairs with the same scores: nothing is learned or sampled.
"""

# ruff: noqa: S608
from __future__ import annotations

import importlib
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub.core.likeness import (
    ALIKE,
    CROSSED,
    INITIAL,
    NUMBERS,
    OTHER,
    PLACE,
    SAME,
    SCRIPT,
    SHORT,
    SLIP,
    STEM,
    SWAPPED,
    TAIL,
    TAIL_DIGITS,
    TOWN,
    Feature,
    Level,
    prior,
)
from hub.errors import ConfigFault, Fault

MEMORY = "512MB"
PAGE = 1000
BLOCK_LIMIT = 200  # entities in one block; a block of n costs n² comparisons
ALIKE_FROM = 0.92  # Jaro-Winkler similarity
MOST = 0.99999  # no pair is certain
LEAST_SHARE = 0.0005  # no name is so rare that it alone decides
TABLE = "entities"

# Conditions of DuckDB over a column of the left and of the right row.
TESTS: Mapping[str, str] = {
    SAME: "{0}_l = {0}_r",
    ALIKE: f"jaro_winkler_similarity({{0}}_l, {{0}}_r) >= {ALIKE_FROM}",
    INITIAL: "least(length(rtrim({0}_l, '.')), length(rtrim({0}_r, '.'))) = 1 and left({0}_l, 1) = left({0}_r, 1)",
    STEM: "split_part({0}_l, '@', 1) = split_part({0}_r, '@', 1)",
    SHORT: "{1}_l = {1}_r",
    CROSSED: "({1}_l = {2}_r or {2}_l = {1}_r)",
    TAIL: f"right({{0}}_l, {TAIL_DIGITS}) = right({{0}}_r, {TAIL_DIGITS})",
    SWAPPED: "left({0}_l, 4) = left({0}_r, 4) and substr({0}_l, 6, 2) = substr({0}_r, 9, 2) "
    "and substr({0}_l, 9, 2) = substr({0}_r, 6, 2)",
    SLIP: "levenshtein({0}_l, {0}_r) = 1",
    PLACE: "{1}_l = {1}_r",
    TOWN: "{2}_l = {2}_r",
    SCRIPT: "regexp_matches({0}_l, '[a-z]') <> regexp_matches({0}_r, '[a-z]')",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A pair with the reasons of its score."""

    one: int  # the smaller id
    other: int
    probability: float
    weight: float  # log2 of the odds
    levels: Mapping[str, tuple[str, float]]  # feature -> level in words, its weight; features without values left out


class Scorer:
    """Takes rows of one entity type, then gives pairs."""

    def __init__(self, connection: Any, features: Sequence[Feature], rules: Sequence[str], sharing: int) -> None:
        self._db, self._features, self._rules, self._sharing = connection, features, rules, sharing
        self._columns = list(dict.fromkeys(column for feature in features for column in feature.columns))
        named = ", ".join(f'"{each}" text' for each in [*self._columns, *(_block(rule) for rule in rules)])
        self._db.execute(f"create table {TABLE} (unique_id bigint, {named})")

    def add(self, rows: Sequence[tuple[int, Mapping[str, str | None], Mapping[str, str | None]]]) -> None:
        """(entity id, columns, blocks) of a page."""
        pyarrow = importlib.import_module("pyarrow")  # with DuckDB's executemany a row takes a millisecond

        columns: dict[str, list[Any]] = {"unique_id": [row[0] for row in rows]}
        columns |= {each: [row[1].get(each) for row in rows] for each in self._columns}
        columns |= {_block(rule): [row[2].get(rule) for row in rows] for rule in self._rules}
        types = {name: pyarrow.int64() if name == "unique_id" else pyarrow.string() for name in columns}
        page = pyarrow.table({name: pyarrow.array(each, types[name]) for name, each in columns.items()})
        self._db.register("page", page)
        self._db.execute(f"insert into {TABLE} select * from page")
        self._db.unregister("page")

    def pairs(self, above: float) -> Iterator[list[Scored]]:
        """Pages of pairs that are at least so likely one, the likeliest first."""
        (total,) = self._db.execute(f"select count(*) from {TABLE}").fetchone()
        self._drop_shared()
        predicted = self._predict(total, above)
        found = self._db.execute(f"select * from {predicted} order by match_probability desc, unique_id_l, unique_id_r")
        names = [each[0] for each in found.description]
        while rows := found.fetchmany(PAGE):
            yield [self._scored(dict(zip(names, row, strict=True))) for row in rows]

    def _drop_shared(self) -> None:
        """A value that too many share is no evidence; a block of too many is not compared."""
        limits = {feature.name: self._sharing for feature in self._features if feature.limited}
        limits |= {_block(rule): BLOCK_LIMIT for rule in self._rules}
        for column, limit in limits.items():
            shared = f'select "{column}" from {TABLE} where "{column}" is not null group by 1 having count(*) > {limit}'
            self._db.execute(f'update {TABLE} set "{column}" = null where "{column}" in ({shared})')

    def _predict(self, total: int, above: float) -> str:
        """The table of predictions. Splink's own words on the screen are not for our users."""
        splink, custom = _splink(), importlib.import_module("splink.blocking_rule_library").CustomRule
        pairs = [(one, other) for each in self._features if each.levels is NUMBERS for one, other in _both(each)]
        crossed = [custom(f"l.{_block(one)} = r.{_block(other)}") for one, other in pairs]
        settings = splink.SettingsCreator(
            link_type="dedupe_only", comparisons=[_comparison(each) for each in self._features],
            blocking_rules_to_generate_predictions=[*(splink.block_on(_block(rule)) for rule in self._rules), *crossed],
            probability_two_random_records_match=prior(total), retain_intermediate_calculation_columns=True,
        )  # fmt: skip
        table = splink.DuckDBAPI(connection=self._db).register(TABLE)
        linker = splink.Linker(table, settings, log_level=logging.ERROR, validate_settings=False)
        return str(linker.inference.predict(threshold_match_probability=min(above, MOST)).physical_name)

    def _scored(self, row: Mapping[str, Any]) -> Scored:
        levels = {}
        for feature in self._features:
            place = row[f"gamma_{feature.name}"]
            if place < 0:
                continue  # one of the two has nothing here
            weight = row[f"mw_{feature.name}"] + (row.get(f"mw_tf_adj_{feature.name}") or 0.0)
            levels[feature.name] = (feature.levels[len(feature.levels) - 1 - place].text, round(weight, 2))
        return Scored(
            one=min(row["unique_id_l"], row["unique_id_r"]), other=max(row["unique_id_l"], row["unique_id_r"]),
            probability=round(row["match_probability"], 4), weight=round(row["match_weight"], 2), levels=levels,
        )  # fmt: skip


@contextmanager
def scorer(features: Sequence[Feature], rules: Sequence[str], *, sharing: int) -> Iterator[Scorer]:
    """A scorer with a database of its own, gone afterwards.

    Args:
        rules: names of the blocks that rows will have.
        sharing: entities that may share a value of a limited feature.

    Raises:
        ConfigFault: IDN-EXTRA, the optional packages are not installed.
    """
    _splink()
    duckdb = importlib.import_module("duckdb")

    with tempfile.TemporaryDirectory() as folder:
        settings: dict[str, Any] = {"memory_limit": MEMORY, "temp_directory": folder, "threads": 2}
        connection = duckdb.connect(str(Path(folder) / "pairs.duckdb"), config=settings)
        try:
            yield Scorer(connection, features, rules, sharing)
        finally:
            connection.close()


def _splink() -> Any:
    """Splink, or how to get it."""
    try:
        return importlib.import_module("splink")
    except ImportError as error:
        fault = Fault(
            code="IDN-EXTRA", where="hub identity scan", message="scoring pairs needs Splink, which is not installed",
            fix="pip install 'integration-hub[identity]'",
        )  # fmt: skip
        raise ConfigFault([fault]) from error


def _both(feature: Feature) -> list[tuple[str, str]]:
    """Two numbers against each other, in both ways."""
    _, one, other = feature.columns
    return [(one, other), (other, one)]


def _block(rule: str) -> str:
    return f"block_{rule}"


def _comparison(feature: Feature) -> Any:
    comparisons = importlib.import_module("splink.comparison_library")
    levels = importlib.import_module("splink.comparison_level_library")
    return comparisons.CustomComparison(
        output_column_name=feature.name,
        comparison_levels=[_nothing_in(levels, feature), *(_level(levels, feature, each) for each in feature.levels)],
    )


def _nothing_in(levels: Any, feature: Feature) -> Any:
    """One of the two has nothing that could be compared."""
    sides = (" and ".join(f"{each}_{side} is null" for each in feature.columns) for side in "lr")
    return levels.CustomLevel(" or ".join(f"({each})" for each in sides), "nothing").configure(is_null_level=True)


def _level(levels: Any, feature: Feature, level: Level) -> Any:
    weights: dict[str, Any] = {"m_probability": level.m, "u_probability": level.u}
    if feature.rare and level.test == SAME:
        weights |= {"tf_adjustment_column": feature.name, "tf_minimum_u_value": LEAST_SHARE}
    made = (
        levels.ElseLevel()
        if level.test == OTHER
        else levels.CustomLevel(TESTS[level.test].format(*feature.columns), level.text)
    )
    return made.configure(**weights)
