"""What a proof prints: how much was tried, what went wrong, and the zeros."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hub.model import Json
from hub.verify.convergence import Report

# The zeros that are promised, by how an error that breaks them begins.
ZEROS: Mapping[str, Sequence[str]] = {
    "lost": ("L4", "L13", "L22", "not created"),
    "diverged": ("L1 ", "L2", "L5", "L6", "L10", "L18", "L20", "L21", "L24", "D1"),
    "echo_writes": ("L3", "L9", "L1 "),
    "resurrected": ("L7", "L8"),
    "double_grants": ("L12",),
    "duplicates": ("duplicate", "L16"),
    "broken": ("bug", "L11", "L14", "L15", "L17", "L19", "L23"),
}
FAULTS = ("RetryLater", "QuotaUsedUp", "NotFound", "Drifted")


@dataclass(slots=True, kw_only=True)
class Proof:
    """One proof and how it ended."""

    name: str
    report: Report
    planted: dict[str, str] = field(default_factory=dict)  # fault -> how it was caught; "" if it was not
    replay: str = ""  # the command that runs one seed again; {seed} stands for it

    @property
    def ok(self) -> bool:
        return self.report.ok and all(self.planted.values())

    @property
    def zeros(self) -> dict[str, int]:
        """How many seeds broke each promise; every error counts for at least one."""
        first = [result.errors[0] for result in self.report.failures]
        return {name: sum(error.startswith(tuple(starts)) for error in first) for name, starts in ZEROS.items()}

    def document(self) -> dict[str, Json]:
        counts = self.report.counts
        return {
            "proof": self.name, "ok": self.ok, "seeds": self.report.seeds, "crashes": counts["crash"],
            "edits": counts["edits"], "writes": counts["writes"], "calls": counts["calls"],
            "faults": dict(faults_by_kind(counts)), "planted": self.planted, **self.zeros,
            "broken_seeds": [
                {"seed": each.seed, "error": each.errors[0], "story": each.story, "replay": self.again(each.seed)}
                for each in self.report.failures
            ],
        }  # fmt: skip

    def again(self, seed: int) -> str:
        return self.replay.format(seed=seed)

    def lines(self) -> list[str]:
        """For people: stories of failures first, then one line of figures and one of zeros."""
        told = []
        for each in self.report.failures:
            told.append(f"seed {each.seed}: {each.errors[0]}")
            told += [f"    {line}" for line in each.story]
            told.append(f"    again: {self.again(each.seed)}")
        counts = self.report.counts
        figures = (
            f"{self.report.seeds} seeds, {counts['crash']} crashes, {counts['edits']} edits, {counts['writes']} writes"
        )
        faults = ", ".join(f"{name} {number}" for name, number in sorted(faults_by_kind(counts).items()))
        told.append(f"{self.name}: {figures}" + (f"; faults: {faults}" if faults else ""))
        if self.planted:
            caught = [name for name, how in self.planted.items() if how]
            told.append(f"planted faults: {len(caught)} of {len(self.planted)} caught")
            told += [f"    not caught: {name}" for name in self.planted if name not in caught]
        told.append(" ".join(f"{name}={number}" for name, number in self.zeros.items() if number or name != "broken"))
        return told


def faults_by_kind(counts: Counter[str]) -> Counter[str]:
    """What went wrong around the hub, by kind."""
    found: Counter[str] = Counter()
    for name, number in counts.items():
        _, _, kind = name.partition(":")
        if kind in FAULTS:
            found[kind] += number
    found["lost answers"] = counts["out:unknown"]
    found["sleeps"] = counts["pause"]
    found["crashes"] = counts["crash"]
    found["stores restored"] = counts["store restored"]
    return +found
