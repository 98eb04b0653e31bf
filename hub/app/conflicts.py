"""What a decision leaves on record: a change in the history, and a conflict with all its candidates."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping

import orjson

from hub.core.merge import Decision, Voice
from hub.model import Claim, ConflictKind, ConflictRow, HistoryRow, Json, LinkRow

GRAVITY = (ConflictKind.CONCURRENT, ConflictKind.REFUSED, ConflictKind.FIRST_CONTACT, ConflictKind.SUPERSEDED)


def change_of(old: Json, decision: Decision, voices: Mapping[int, Voice], was: Claim | None) -> Json:
    """One field's entry in the history of its entity. `was`: the claim that the old value came from."""
    winner = decision.winner
    voice = voices.get(winner.link) if winner else None
    return {
        "old": old,
        "new": decision.state.value,
        "link": winner.link if winner else None,
        "connection": voice.connection if voice else None,
        "was": voices[was.link].connection if was is not None and was.link in voices else None,
        "window": [winner.after, winner.before] if winner else None,
        "rule": decision.decided_by,
    }


def conflict_of(
    root: int,
    name: str,
    decision: Decision,
    voices: Mapping[int, Voice],
    *,
    at: float,
    version: int,
    run_id: int | None,
) -> ConflictRow:
    """The conflict that a decision with losers is."""
    winner = decision.winner
    claims = [(loser.claim, loser.part, False) for loser in decision.losers]
    if winner is not None:
        claims.append((winner, "", True))
    candidates = [
        {
            **claim._asdict(),
            "connection": voices[claim.link].connection if claim.link in voices else None,
            "part": part,
            "won": won,
        }
        for claim, part, won in claims
    ]
    kinds = [loser.kind for loser in decision.losers]
    worst = next((kind for kind in GRAVITY if kind in kinds), kinds[0])
    return conflict_row(
        root,
        name,
        ConflictKind.OSCILLATION if decision.state.frozen is not None else worst,
        candidates,
        decision.state.value,
        winner_link=winner.link if winner else None,
        decided_by=decision.decided_by,
        open_=decision.open,
        at=at,
        version=version,
        run_id=run_id,
    )


def history_rows(
    history: Mapping[int, Mapping[str, Json]],
    links: Iterable[LinkRow],
    *,
    version: Callable[[], int],
    at: float,
    run_id: int | None,
    actor: str,
) -> list[HistoryRow]:
    """One row per entity that changed; a version is drawn only if there is one."""
    versions = {link.connection: link.mapping_version for link in links}
    return [
        HistoryRow(
            entity_id=root,
            version=version(),
            at=at,
            changes=changes,
            run_id=run_id,
            mapping_version=max(
                (versions.get(each["connection"], 0) for each in changes.values() if each["connection"]), default=0
            ),
            actor=actor,
        )
        for root, changes in sorted(history.items())
    ]


def conflict_row(
    root: int,
    name: str,
    kind: str,
    candidates: list[dict[str, Json]],
    winner: Json,
    *,
    winner_link: int | None,
    decided_by: str,
    open_: bool,
    at: float,
    version: int,
    run_id: int | None,
) -> ConflictRow:
    """A conflict with its digest: the same candidates and outcome are one conflict, however often seen."""
    told = sorted(orjson.dumps([c["link"], c["part"], c["value"], c["before"], c["won"]]) for c in candidates)
    if kind == ConflictKind.OSCILLATION:  # the same claims may have been weighed, and one refused, before
        told.append(kind.encode())
    digest = hashlib.sha256(b"\n".join([*told, orjson.dumps(winner)])).hexdigest()[:32]
    return ConflictRow(
        entity_id=root, field=name, kind=kind, candidates=candidates, digest=digest, winner=winner,
        winner_link=winner_link, decided_by=decided_by, state="open" if open_ else "closed", at=at, version=version,
        run_id=run_id,
    )  # fmt: skip
