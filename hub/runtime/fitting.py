"""Fitting models to purchases with lifetimes: an optional extra (`forecast`), and imported nowhere else.

The library is run in a child process: it takes seconds of a processor, some hundred megabytes, and speaks to the screen
when it finds nothing; none of that is for the process that answers webhooks. Numbers go in and come out, no name of
anybody.

Invariant: the same purchases give the same parameters: nothing is sampled.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import math
import subprocess
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import orjson

LIBRARY = "lifetimes"
PATIENCE_S = 900.0
LACKS = "forecasts need lifetimes, which is not installed: pip install 'integration-hub[forecast]'"
Row = tuple[int, int, int, float, int]  # purchases after the first, day of the last, age, mean of those, customers
Json = Any


def is_installed() -> bool:
    return importlib.util.find_spec(LIBRARY) is not None


def fit(rows: Sequence[Row], tried: Sequence[tuple[int, int, int, int]], days: int) -> dict[str, Json]:
    """Parameters of BG/NBD and Gamma-Gamma for these customers.

    Args:
        rows: customers with the same history, once each with their number.
        tried: the same as of an earlier day (without means), from which the purchases of `days` after it are told.

    Returns:
        r, alpha, a, b, p, q, v, unsure, told; or {"reason"} if the library finds none.
    """
    if not is_installed():
        return {"reason": LACKS}
    asked = orjson.dumps({"rows": rows, "tried": tried, "days": days})
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__], input=asked, capture_output=True, timeout=PATIENCE_S, check=False
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"reason": f"the library was at it for {PATIENCE_S:.0f} s and was stopped"}
    if done.returncode:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()
        return {"reason": f"the library failed: {last[-1] if last else done.returncode}"}
    return dict(orjson.loads(done.stdout.splitlines()[-1]))


def _fit(asked: dict[str, Json]) -> dict[str, Json]:
    """In the child: what `fit` gives."""
    library = importlib.import_module(LIBRARY)
    rows = asked["rows"]
    again = [row for row in rows if row[0]]
    scale = sum(row[3] * row[4] for row in again) / sum(row[4] for row in again)  # money in units of its mean
    try:
        often = _often(library, [[*row[:3], row[4]] for row in rows])
        much = library.GammaGammaFitter().fit(
            *_columns([[row[0], row[3] / scale] for row in again]), weights=_columns([[row[4]] for row in again])[0]
        )  # fmt: skip
    except Exception as error:  # noqa: BLE001  (the library raises whatever numpy does; its words say what)
        return {"reason": f"the models do not converge: {' '.join(str(error).split())[:120]}"}
    found = {name: float(often.params_[name]) for name in ("r", "alpha", "a", "b")}
    found |= {name: float(much.params_[name]) for name in ("p", "q", "v")}
    found["v"] *= scale
    errors = [float(often.standard_errors_[name]) / found[name] for name in ("r", "alpha")]
    unsure = max(errors, key=lambda each: math.inf if math.isnan(each) else each)
    return {**found, "unsure": unsure if math.isfinite(unsure) else 9.99, "told": _told(library, asked)}


def _often(library: Any, rows: list[list[float]]) -> Any:
    again, last, age, customers = _columns(rows)
    return library.BetaGeoFitter().fit(again, last, age, weights=customers)


def _told(library: Any, asked: dict[str, Json]) -> float | None:
    """Purchases that a fit to the histories of an earlier day expects in the days after it; None: there is no fit."""
    again, last, age, customers = _columns(asked["tried"]) if asked["tried"] else ([],) * 4
    if not asked["tried"] or not any(row[0] for row in asked["tried"]):
        return None
    try:
        before = _often(library, asked["tried"])
    except Exception:  # noqa: BLE001  (as above)
        return None
    told = before.conditional_expected_number_of_purchases_up_to_time(asked["days"], again, last, age)
    total = float((told * customers).sum())
    return total if math.isfinite(total) else None


def _columns(rows: Sequence[Sequence[float]]) -> list[Any]:
    numpy = importlib.import_module("numpy")
    return [numpy.array(column) for column in zip(*rows, strict=True)]


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # of its libraries, about each other
    with contextlib.redirect_stdout(sys.stderr):
        _found = _fit(orjson.loads(sys.stdin.buffer.read()))
    sys.stdout.buffer.write(orjson.dumps(_found) + b"\n")
