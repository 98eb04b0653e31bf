"""Figures as a table: time and CPU per record, and how many times the floor that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Figures = dict[str, Any]

HEAD = f"{'':<26}{'records/s':>11}{'CPU µs/rec':>12}{'÷ floor CPU':>13}{'÷ floor wall':>14}{'peak MB':>9}\n"


def as_text(found: Sequence[Figures]) -> str:
    """One table: the floor and what was measured against it, on one store with one number of records."""
    floor = next(each for each in found if each["case"] == "floor")
    lines = [f"\n{floor['store']}, {floor['records']:,} records of two systems\n", HEAD, _row("floor", floor, floor)]
    for each in found:
        if each["case"] == "floor":
            continue
        if each["case"] == "parts":
            lines.append(_workers(each))
            continue
        lines.append(_row(f"{each['case']}: first sync", each, floor))
        lines.append(_row(f"{each['case']}: read again", each, floor, step="read_again"))
        lines.append(_cycle(f"{each['case']}: 100 changes", each["cycle"]))
        if "first_push" in each:
            lines.append(_pushed(f"{each['case']}: written back", each["first_push"]))
            lines.append(_cycle(f"{each['case']}: 100 changes, written", each["cycle_with_writes"]))
        if "webhooks" in each:
            lines.append(_hooks(f"{each['case']}: webhook to the other", each["webhooks"]))
    return "".join(lines)


def ratios(each: Figures, floor: Figures, step: str = "first_load") -> tuple[float, float]:
    """(CPU, wall) of a step over those of the floor's load of the same records."""
    base = floor["first_load"]
    return each[step]["cpu_s"] / base["cpu_s"], each[step]["wall_s"] / base["wall_s"]


def _row(name: str, each: Figures, floor: Figures, step: str = "first_load") -> str:
    figures, records = each[step], each["records"]
    cpu, wall = ratios(each, floor, step)
    peak = f"{each['peak_mb']:>9.0f}" if step == "first_load" else ""
    rate, micros = records / figures["wall_s"], figures["cpu_s"] / records * 1e6
    return f"{name:<26}{rate:>11,.0f}{micros:>12.1f}{cpu:>13.1f}{wall:>14.1f}{peak}\n"


def _cycle(name: str, figures: Figures) -> str:
    return f"{name:<32}{figures['wall_s']:>8.3f} s{figures['cpu_s']:>8.3f} s CPU\n"


def _workers(each: Figures) -> str:
    one, two = each["one_worker"]["wall_s"], each["two_workers"]["wall_s"]
    gain = f"{'first load, two workers':<32}{two:>8.1f} s  ({one / two:.2f} x)\n"
    return f"{'first load, one worker':<32}{one:>8.1f} s\n{gain}"


def _hooks(name: str, figures: Figures) -> str:
    lost = f", {figures['lost']} lost" if figures["lost"] else ""
    return f"{name:<32}{figures['p50_ms']:>8.0f} ms p50{figures['p99_ms']:>6.0f} ms p99{lost}\n"


def _pushed(name: str, figures: Figures) -> str:
    updated = figures["result"]["updated"]
    rate, micros = updated / figures["wall_s"], figures["cpu_s"] / updated * 1e6
    return f"{name:<26}{rate:>11,.0f}{micros:>12.1f}   of {updated:,} updates\n"
