"""Commands that prove something: each prints what was tried, what broke, the command that shows it, and the zeros."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from hub.cli import show
from hub.cli.options import AsJson

Seeds = Annotated[int | None, typer.Option(min=1, help="How many histories; none: the proof's own number.")]
First = Annotated[int, typer.Option(min=0, help="First seed.")]
Steps = Annotated[int, typer.Option(min=1, help="Of each history.")]
Systems = Annotated[int | None, typer.Option(min=2, max=5, help="How many systems; none: drawn.")]
Jobs = Annotated[int, typer.Option(min=1, help="Processes.")]
Nightly = Annotated[bool, typer.Option("--nightly", help="Fifty times as many.")]
Faults = Annotated[bool, typer.Option("--faults", help="Then plant each known fault: the laws must find it.")]
Planted = Annotated[list[str] | None, typer.Option(help="Plant this fault, and look whether the laws find it.")]


def convergence(
    seeds: Seeds = None,
    steps: Steps = 200,
    systems: Systems = None,
    first: First = 0,
    planted: Planted = None,
    faults: Faults = False,
    nightly: Nightly = False,
    jobs: Jobs = 2,
    json: AsJson = False,
) -> None:
    """Random edits, faults and crashes over the real engine must settle to one state, losing nothing."""
    _prove(
        ["convergence"],
        seeds,
        systems,
        jobs,
        json,
        first=first,
        steps=steps,
        nightly=nightly,
        faults=_chosen(planted, faults),
    )


def consent(
    seeds: Seeds = None, systems: Systems = None, first: First = 0, nightly: Nightly = False, jobs: Jobs = 2,
    json: AsJson = False,
) -> None:  # fmt: skip
    """The same, with people who mostly opt in and out: by machine, consent only opens by later evidence."""
    _prove(["consent"], seeds, systems, jobs, json, first=first, nightly=nightly)


def rewards(
    seeds: Seeds = None, first: First = 0, faults: Faults = False, nightly: Nightly = False, jobs: Jobs = 2,
    json: AsJson = False,
) -> None:  # fmt: skip
    """One order per grant, never over the budget: every class of provider, lost answers, crashes, backups."""
    _prove(["rewards"], seeds, None, jobs, json, first=first, nightly=nightly, faults=_chosen(None, faults))


def unmerge(seeds: Seeds = None, systems: Systems = None, first: First = 0, json: AsJson = False) -> None:
    """A merge and its undoing leave everything as it was."""
    _prove(["unmerge"], seeds, systems, 1, json, first=first)


def undo(seeds: Seeds = None, systems: Systems = None, first: First = 0, json: AsJson = False) -> None:
    """A sync and its undoing leave everything as it was, but for what people did since."""
    _prove(["undo"], seeds, systems, 1, json, first=first)


def mapping(
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="Mapping files.")],
    examples: Annotated[int, typer.Option(min=1, help="Of each law, per stream.")] = 2000,
    json: AsJson = False,
) -> None:
    """Your own mappings: what is written is what is read back, whatever it is. canonical.yaml stands beside them."""
    from hub.verify.mapping import verify_mappings
    from hub.verify.report import Proof

    found = verify_mappings(files, examples=examples)
    _tell([Proof(name="mapping", report=found, replay="hub verify mapping " + " ".join(map(str, files)))], json=json)


def every(
    seeds: Seeds = None, systems: Systems = None, faults: Faults = False, nightly: Nightly = False, jobs: Jobs = 2,
    json: AsJson = False,
) -> None:  # fmt: skip
    """Every proof, one after the other."""
    from hub.verify.proofs import known_proofs

    _prove(known_proofs(), seeds, systems, jobs, json, nightly=nightly, faults=_chosen(None, faults))


def _chosen(planted: Sequence[str] | None, faults: bool) -> Sequence[str] | None:
    """Faults to plant: those named, all (None), or none."""
    from hub.verify.planted import PLANTABLE

    unknown = [name for name in planted or () if name not in PLANTABLE]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]} is no fault; known: {', '.join(PLANTABLE)}", param_hint="--planted")
    return None if faults else list(planted or ())


def _prove(
    names: Sequence[str],
    seeds: int | None,
    systems: int | None,
    jobs: int,
    json: bool,
    *,
    first: int = 0,
    steps: int = 200,
    nightly: bool = False,
    faults: Sequence[str] | None = (),
) -> None:
    """Run proofs, shrink what broke, print, end with 0 only if nothing broke."""
    from hub.verify.proofs import NIGHTLY, SEEDS, known_proofs, prove

    missing = [name for name in names if name not in known_proofs()]
    if missing:
        raise typer.BadParameter(f"this hub has no proof of {missing[0]}", param_hint="PROOF")
    proofs = []
    with show.progress(quiet=json) as watch:
        done = Counter[str]()

        def progress(_result: Any) -> None:
            done["seeds"] += 1
            watch("verify", "seeds", "", done["seeds"])

        for name in names:
            count = (seeds or SEEDS[name]) * (NIGHTLY if nightly else 1)
            proofs.append(
                prove(
                    name, seeds=count, first=first, steps=steps, systems=systems, jobs=jobs, faults=faults,
                    progress=progress,
                )
            )  # fmt: skip
    _tell(proofs, json=json)


def _tell(proofs: Sequence[Any], *, json: bool) -> None:
    if json:
        show.as_json({"ok": all(proof.ok for proof in proofs), "proofs": [proof.document() for proof in proofs]})
    else:
        for proof in proofs:
            for line in proof.lines():
                show.line(line)
    raise typer.Exit(0 if all(proof.ok for proof in proofs) else 1)
