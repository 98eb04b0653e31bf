"""The bench measures what it says: all records are loaded, both ways see the same, ratios are to the floor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from bench.__main__ import main
from bench.goals import as_table
from bench.people import draw
from bench.report import as_text, ratios

RECORDS = 300  # 150 in each system, 120 people in both


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_every_way_loads_all_records_and_sees_the_same(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    assert main(["--records", str(RECORDS), "--store", store, "--json", str(file)]) == 0
    floor, engine, connectors = orjson.loads(file.read_bytes())
    assert [each["case"] for each in (floor, engine, connectors)] == ["floor", "engine", "connectors"]
    assert floor["first_load"]["result"] == RECORDS
    for each in (engine, connectors):
        assert (each["store"], each["records"]) == (store, RECORDS)
        assert each["first_load"]["result"]["rows"] == each["first_load"]["result"]["new"] == RECORDS
        assert each["read_again"]["result"]["unchanged"] == each["read_again"]["result"]["rows"] == RECORDS
        assert each["cycle"]["result"]["changed"] == 100
        assert each["stored"]["entities"] == 180
        assert each["stored"]["links"] == {"first": 150, "second": 150}
        assert each["peak_mb"] >= floor["peak_mb"] > 1
    assert engine["stored"] == connectors["stored"]
    assert engine["first_push"]["result"]["updated"] > 0
    assert (engine["webhooks"]["events"], engine["webhooks"]["lost"]) == (15, 0)
    assert 0 < engine["webhooks"]["p50_ms"] <= engine["webhooks"]["p99_ms"]
    assert (
        engine["cycle_with_writes"]["result"]["updated"] >= 50
    )  # each change goes to the other system, if it is there
    assert f"{store}, {RECORDS} records of two systems" in capsys.readouterr().out


def test_ratios_are_to_the_floor_of_the_same_records() -> None:
    floor = {"case": "floor", "store": "sqlite", "records": 1000, "peak_mb": 30.0}
    floor["first_load"] = {"wall_s": 0.1, "cpu_s": 0.02}
    engine = {"case": "engine", "store": "sqlite", "records": 1000, "peak_mb": 90.0}
    engine["first_load"], engine["read_again"] = {"wall_s": 0.5, "cpu_s": 0.06}, {"wall_s": 0.1, "cpu_s": 0.03}
    engine["cycle"] = {"wall_s": 0.05, "cpu_s": 0.04}
    cpu, wall = ratios(engine, floor)
    assert (round(cpu, 6), round(wall, 6)) == (3.0, 5.0)
    lines = as_text([floor, engine]).splitlines()
    assert lines[1] == "sqlite, 1,000 records of two systems"
    assert lines[4].split() == ["engine:", "first", "sync", "2,000", "60.0", "3.0", "5.0", "90"]


def test_what_two_workers_gain_is_told() -> None:
    floor = {"case": "floor", "store": "postgres", "records": 1000, "peak_mb": 30.0}
    floor["first_load"] = {"wall_s": 0.1, "cpu_s": 0.02}
    both = {"one_worker": {"wall_s": 6.0}, "two_workers": {"wall_s": 4.0}}
    lines = as_text([floor, {"case": "parts", "store": "postgres", "records": 1000, **both}]).splitlines()
    assert [line.split()[-3:] for line in lines[-2:]] == [["worker", "6.0", "s"], ["4.0", "s", "(1.50", "x)"][-3:]]


def test_goals_are_medians_over_runs_and_say_whether_they_hold() -> None:
    def figures(case: str, records: int, cpu_s: float, **more: Any) -> dict[str, Any]:
        return {"case": case, "store": "sqlite", "records": records, "first_load": {"cpu_s": cpu_s}, **more}

    def run(large_s: float) -> list[dict[str, Any]]:
        cycle, again = {"cpu_s": 0.02, "wall_s": 0.1}, {"cpu_s": 0.2}
        slow = {"cpu_s": 0.05, "wall_s": 0.3}
        return [
            figures("floor", 1000, 0.02), figures("floor", 10_000, 0.2),
            figures("engine", 1000, 0.1, cycle=cycle, read_again=again, peak_mb=90.0),
            figures("engine", 10_000, large_s, cycle=slow, read_again=again, peak_mb=120.0),
        ]  # fmt: skip

    lines = as_table([run(0.8), run(1.0), run(1.6)]).splitlines()
    assert lines[1] == "sqlite, 1,000 and 10,000 records, 3 runs"
    rows = {line[:58].strip(): line[58:].split() for line in lines[3:]}
    assert rows["first load ÷ floor, CPU"] == ["6", "3", "5", "4", "8", "within", "must"]
    assert rows["reading unchanged records again ÷ floor, CPU"] == ["1.5", "1", "1", "1", "1"]
    assert rows["growth exponent of a first load's CPU"] == ["1.1", "1.05", "1", "0.903", "1.2"]
    assert rows["cycle with 100 changes, largest ÷ smallest, CPU"] == [
        "1.5",
        "1.2",
        "2.5",
        "2.5",
        "2.5",
        "over",
        "must",
    ]
    assert not [name for name in rows if name.startswith("API calls")]  # nothing was measured with vendors' connectors


def test_the_same_people_are_drawn_every_time() -> None:
    first, second = draw(100)
    again, _ = draw(100)
    assert [row.data for row in first] == [row.data for row in again]
    mails = {row.data["Email"] for row in first}
    assert len(mails) == 50
    assert len(mails & {row.data["properties"]["email"] for row in second}) == 40
