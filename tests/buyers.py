"""Customers as the models assume them: simulated from known parameters, and those of a published data set."""

from __future__ import annotations

import csv
import importlib.util
import random
from datetime import date, timedelta
from pathlib import Path

TRUE = {"r": 0.6, "alpha": 40.0, "a": 0.8, "b": 2.5, "p": 6.0, "q": 4.0, "v": 150.0}
UNTIL = date(2026, 12, 5)


def simulated(number: int, *, seed: int, age_days: int = 540) -> list[list[tuple[date, float]]]:
    """Per customer: day and amount of each purchase, the first somewhere in the older half of the time."""
    rng, found = random.Random(seed), []
    for _ in range(number):
        age = rng.uniform(age_days / 2, age_days)
        rate, leaves = rng.gammavariate(TRUE["r"], 1 / TRUE["alpha"]), rng.betavariate(TRUE["a"], TRUE["b"])
        spread = rng.gammavariate(TRUE["q"], 1 / TRUE["v"])  # rate of the gamma of this customer's amounts
        at, days = 0.0, [0.0]
        while True:  # nobody leaves before the second purchase, as BG/NBD has it
            at += rng.expovariate(rate)
            if at > age:
                break
            days.append(at)
            if rng.random() < leaves:
                break
        first = UNTIL - timedelta(days=int(age))
        found.append([(first + timedelta(days=int(day)), rng.gammavariate(TRUE["p"], 1 / spread)) for day in days])
    return found


def cdnow() -> list[tuple[int, int, int, float]]:
    """CDNOW: 2,357 customers of 1997, as Fader and Hardie publish them; (x, t_x and T in days, mean of x purchases).

    The file is lifetimes' own; its weeks are whole days.
    """
    spec = importlib.util.find_spec("lifetimes")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "datasets" / "cdnow_customers_summary_with_transactions.csv"
    with path.open() as file:
        return [
            (int(row["x"]), round(float(row["t_x"]) * 7), round(float(row["T"]) * 7), float(row["zbar"]))
            for row in csv.DictReader(file)
        ]
