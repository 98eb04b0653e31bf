"""Notices to the people who run the hub: what newly waits for them, and which connection stopped.

A notice says numbers and names of connections, no data of anybody. What was told is kept, so each thing is told once
until there is more of it; what could not be sent is told the next time. Of several processes one tells at a time. If
one ends between sending and keeping that, the notice comes twice, which harms nobody.
"""

from __future__ import annotations

from collections.abc import Mapping

from hub.app.board import off_track
from hub.app.context import Hub
from hub.app.overview import waiting_counts
from hub.app.reward_wallet import low_balances
from hub.app.transact import commit
from hub.app.webhooks import public_url
from hub.errors import HubError
from hub.model import Json
from hub.runtime.log import logger

TOLD = "notices"  # the setting that remembers
LEASE_S = 120.0
RUNS = 3  # so many failed runs in a row are no passing trouble
WORDS = {
    "conflicts": "conflicts wait for a decision",
    "holds": "holds: a guard keeps changes back",
    "quarantine": "records or fields wait in quarantine",
    "identity": "pairs may be one person",
    "rewards": "rewards wait for a person",
    "plans": "plans wait for approval",
}
STOPPED = "stopped "  # + connection
LOW = "low balance "  # + connection
GOAL = "goal "  # + its name


def tell_people(hub: Hub, *, owner: str) -> bool:
    """Send what is new, at most once in `every`; tells whether a notice was sent. Never raises a hub error."""
    if hub.tell is None:
        return False
    try:
        return _tell(hub, owner)
    except HubError as error:
        logger("notices").warning("not told", code=error.code, error=str(error))
        return False


def _tell(hub: Hub, owner: str) -> bool:
    now, every_s = hub.clock.now(), hub.projects.settings.notices.every_s
    with hub.store.reading() as tx:
        known: Json = tx.setting(TOLD) or {"at": 0.0, "told": {}}
    if now < known["at"] + every_s or commit(hub, lambda tx: tx.lease(TOLD, owner, now, LEASE_S)) is None:
        return False
    try:
        needs = needs_now(hub)
        fresh = {name: count for name, count in needs.items() if count > known["told"].get(name, 0)}
        told = {name: min(count, needs.get(name, 0)) for name, count in known["told"].items()}  # what was seen to
        sent = bool(fresh) and _send(hub, fresh, needs)
        kept = {"at": now, "told": needs if sent else told}
        if fresh or kept["told"] != known["told"]:
            commit(hub, lambda tx: tx.set_setting(TOLD, kept))
        return sent
    finally:
        commit(hub, lambda tx: tx.release(TOLD, owner))


def _send(hub: Hub, fresh: Mapping[str, int], needs: Mapping[str, int]) -> bool:
    """False if somebody could not be reached; the same is told the next time."""
    title = f"{hub.projects.settings.hub.name}: the hub needs you"
    try:
        failed = hub.tell(title, _text(fresh, needs, public_url(hub))) if hub.tell is not None else ()
    except HubError as error:
        logger("notices").warning("not told", code=error.code, error=str(error))
        return False
    if failed:
        logger("notices").warning("not told", people=list(failed))
    return not failed


def needs_now(hub: Hub) -> dict[str, int]:
    """What waits for a person, by its name in `WORDS`, each connection that stopped, each goal that is off its way."""
    needs = {name: count for name, count in waiting_counts(hub).items() if count}
    needs |= {f"{LOW}{name}": 1 for name in low_balances(hub)}
    needs |= {f"{STOPPED}{name}": 1 for name in hub.connections if _has_stopped(hub, name)}
    return needs | {f"{GOAL}{row['goal']}": 1 for row in off_track(hub)}


def _has_stopped(hub: Hub, name: str) -> bool:
    """It cannot be used, its sign-in is refused, or it failed several times in a row."""
    if hub.connections[name].fault is not None:
        return True
    with hub.store.reading() as tx:
        ended = [run for run in tx.runs(limit=RUNS + 1, connection=name) if run.ended_at is not None][:RUNS]
    refused = bool(ended) and ended[0].status == "failed" and "AUTH-" in ended[0].error
    return refused or (len(ended) == RUNS and all(run.status == "failed" for run in ended))


def _text(fresh: Mapping[str, int], needs: Mapping[str, int], console: str) -> str:
    stopped = [name.removeprefix(STOPPED) for name in sorted(fresh) if name.startswith(STOPPED)]
    lines = [f"{name} has stopped: hub connections test {name}" for name in stopped]
    low = [name.removeprefix(LOW) for name in sorted(fresh) if name.startswith(LOW)]
    lines += [f"the balance for rewards at {name} is low: hub rewards wallet" for name in low]
    lines += [
        f"{name.removeprefix(GOAL)} will not be reached: hub goals" for name in sorted(fresh) if name.startswith(GOAL)
    ]
    lines += [f"{needs[name]} {words}" for name, words in WORDS.items() if name in fresh]
    return "\n".join([*lines, *([console] if console else [])])
