"""`hub verify undo`: seeded histories that end in an undo, over the real engine and store.

Each history has chaos behind it (people, faults, crashes) and has come to rest. Then people edit and create, the hub
syncs, perhaps with faults, until it is quiet; perhaps people edit once more; and all of it is undone. Held to:

- every record and field is what it was before the syncs, except what people edited since and what the undo lists;
- whatever it lists as left has its reason in something that a person did;
- a second undo writes nothing; three more syncs write nothing and move nothing that nobody edited;
- where nobody edited since, undoing the undo restores what the syncs had made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from multiprocessing import get_context

from hub.app.runs import sync
from hub.app.undo import undo
from hub.core.planted import PLANTED
from hub.model import Json
from hub.verify.convergence import STORY_LINES, Report, Result
from hub.verify.history import Crash, History

OWNER = "verify"
# The faults that can be planted here, one at a time: each takes out what keeps an undo from doing harm.
PLANTABLE = {
    "undo_blind": "what people edited since is put back, too",
    "undo_swallows": "a newer value that is on its way is taken as given by the undo",
    "push_if_differs": "a write is due whenever values differ, so what was put back is pushed again",
}
ORDERED = ("email", "name", "note")  # fields whose newest edit wins, whatever the seed
ROUNDS = 12  # syncs in which a history must come to rest

Place = tuple[str, str, int]  # system, code of the person, number among several records with it
State = dict[Place, dict[str, Json]]


class UndoHistory(History):
    """A history with a sync to undo."""

    plain = True

    def __init__(self, seed: int, *, steps: int, systems: int | None, url: str) -> None:
        super().__init__(seed, steps=steps, systems=systems, url=url)
        for name, mapping in self.mappings.items():
            self.mappings[name] = replace(mapping, deletes_out="delete")
        self.hub = self._start()
        self.later: set[tuple[str, str, str]] = set()  # (system, code, field) edited after the syncs
        self.left: list[dict[str, Json]] = []

    def state(self) -> State:
        """What every system holds, without external ids: a record that is made again has another."""
        found: State = {}
        for vendor, _, fields in self.records():
            code, number = str(fields["code"]), 0
            while (vendor.name, code, number) in found:
                number += 1
            found[vendor.name, code, number] = dict(fields)
        return found

    def people_work(self, number: int) -> None:
        """Edits, and now and then somebody new."""
        for _ in range(number):
            self.clock.advance(3.0)
            if self.people.random() < 0.25:
                vendor = self.vendors[self.people.choice(sorted(self.vendors))]
                self.token += 1
                self.person_creates(vendor, f"N{self.token}")
            else:
                self.person_edits()

    def sync_to_rest(self) -> list[int]:
        """Syncs until one writes nothing and nothing is open; the numbers of their runs."""
        runs: list[int] = []
        for number in range(ROUNDS):
            self.clock.advance(121.0)
            before = self.writes()
            for vendor in self.vendors.values():
                vendor.land_late()
                vendor.hooks.clear()
            runs += [run.run_id for run in sync(self.hub, owner=OWNER)]
            if number >= 1:
                self.calm()
            if number >= 2 and before == self.writes() and not self.is_busy():
                return runs
        self.errors.append("L1 no rest in the syncs that are to be undone")
        return runs

    def take_back(self, runs: list[int]) -> list[int]:
        """An undo of these runs; the numbers of its own."""
        self.clock.advance(61.0)
        document, done = undo(self.hub, runs, by=OWNER, owner=OWNER)
        self.left = document["left"]
        self.story.tell(self.clock.now(), f"undo of {runs}: {done}")
        self.errors += [f"UNDO refused {row['code']} {row['op']} {row['external_id']}" for row in done.refused]
        return [run.run_id for run in done.runs]

    def edit_again(self) -> None:
        """People go on working after the syncs; what they touched is remembered."""
        seen = {name: len(vendor.edits) for name, vendor in self.vendors.items()}
        for _ in range(self.people.choice((1, 2, 5))):
            self.clock.advance(3.0)
            self.person_edits()
        for name, vendor in self.vendors.items():
            for edit in vendor.edits[seen[name] :]:
                fields = vendor.current(edit.external_id).fields or {}
                self.later.add((name, str(fields.get("code")), edit.field))


def run_seed(seed: int, *, steps: int = 60, systems: int | None = None, url: str = "sqlite://") -> Result:
    """One history, to its end or to the first law that breaks."""
    history = UndoHistory(seed, steps=steps, systems=systems, url=url)
    try:
        errors = _phases(history)
    except Crash:
        errors = ["a crash outside the chaos: the simulator is wrong"]
    finally:
        history.store.close()
    counts = history.story.counts
    counts["writes"] += history.writes()
    return Result(seed, errors, history.story.lines[-STORY_LINES:] if errors else [], counts)


def _phases(history: UndoHistory) -> list[str]:
    history.chaos()
    history.calm()
    if history.errors or history.drain() is None:
        return history.errors or ["L1 no rest after people and faults stopped"]
    sync(history.hub, owner=OWNER)
    history.people_work(history.people.choice((2, 4, 8)))
    before = history.state()
    for vendor in history.vendors.values():
        vendor.faulty = history.people.random() < 0.5
    runs = history.sync_to_rest()
    after = history.state()
    history.story.counts["changed by the syncs"] += len(differences(before, after))
    busy = history.people.random() < 0.5
    if busy:
        history.edit_again()
    touched = history.state()
    undos = history.take_back(runs)
    broken = _check_undone(history, before, touched) + history.errors
    broken = broken or _check_second(history, runs) or _check_stays(history)
    if not broken and not busy:
        broken = _check_restored(history, undos, after)
    return broken or history.errors


# Laws


def differences(one: State, other: State) -> set[tuple[Place, str]]:
    """(place, field) in which two states differ; "" for a record that only one of them has."""
    found = {(place, "") for place in one.keys() ^ other.keys()}
    return found | {
        (place, name)
        for place in one.keys() & other.keys()
        for name in one[place]
        if one[place][name] != other[place][name]
    }


def _check_undone(history: UndoHistory, before: State, touched: State) -> list[str]:
    """As before the syncs, except later edits, which stand, and what is listed with a reason."""
    now, errors = history.state(), []
    listed = _listed(history)
    for place, name in differences(before, now):
        system, code, _ = place
        edited = {each for each in history.later if each[:2] == (system, code)}
        if (system, code, name) in history.later and now[place][name] == touched[place][name]:
            continue
        if (system, code, name) in listed or (system, code, "") in listed:
            continue
        errors.append(f"UNDO {system} {code}.{name} is not as before, nor edited since {sorted(edited)}, nor listed")
    for system, code, name in history.later:
        place = (system, code, 0)
        if place not in now or now[place][name] != touched[place][name]:
            errors.append(f"UNDO the later edit of {system} {code}.{name} is lost")
    history.story.counts["put back"] += len(differences(touched, now))
    history.story.counts["left"] += len(history.left)
    return errors + _unjustified(history)


def _listed(history: UndoHistory) -> Counter[tuple[str, str, str]]:
    """(system, code, field) -> how often it is listed as left."""
    found: Counter[tuple[str, str, str]] = Counter()
    for row in history.left:
        version = history.vendors[row["connection"]].records[row["external_id"]][-1]
        found[row["connection"], str((version.fields or {}).get("code")), row["field"]] += 1
    return found


def _unjustified(history: UndoHistory) -> list[str]:
    """Rows that are left although nobody touched anything that they could be left for."""
    errors = []
    touched = {(code, name) for _, code, name in history.later}
    people = {code for code, _ in touched}
    for row in history.left:
        version = history.vendors[row["connection"]].records[row["external_id"]][-1]
        code = str((version.fields or {}).get("code"))
        fine = code in people if row["field"] == "" else (code, row["field"]) in touched
        if not fine:
            errors.append(f"UNDO left {row['connection']} {code}.{row['field']} ({row['code']}) for no reason")
    return errors


def _check_second(history: UndoHistory, runs: list[int]) -> list[str]:
    """A second undo writes nothing."""
    before, writes = history.state(), history.writes()
    history.take_back(runs)
    same = history.state() == before and history.writes() == writes
    return [] if same else ["UNDO a second undo wrote something"]


def _check_stays(history: UndoHistory) -> list[str]:
    """More syncs move nothing that nobody edited, and end in silence."""
    before = history.state()
    history.sync_to_rest()
    moved = differences(before, history.state())
    edited = {(code, name) for _, code, name in history.later}
    errors = [
        f"UNDO {place[0]} {place[1]}.{name} did not stay as it was put back"
        for place, name in moved
        if (place[1], name) not in edited
    ]
    errors += _unheard(history)
    writes = history.writes()
    for _ in range(3):
        history.clock.advance(61.0)
        sync(history.hub, owner=OWNER)
    return errors + ([] if history.writes() == writes else ["L3 writes from rest after an undo"])


def _unheard(history: UndoHistory) -> list[str]:
    """Edits made after the syncs that did not reach every system: an undo must not swallow what is on its way."""
    with history.store.reading() as tx:
        entities = tx.entities_page("contact", limit=10_000)
    values = {str(row.values.get("code")): row.values for row in entities if row.alias_of is None}
    return [
        f"UNDO the edit of {code}.{name} did not reach {vendor.name}"
        for vendor, _, fields in history.records()
        for code, name in {(code, name) for _, code, name in history.later}
        if name in ORDERED and str(fields["code"]) == code
        if fields[name] != vendor.traits.normalise(name, values[code].get(name))
    ]


def _check_restored(history: UndoHistory, undos: list[int], after: State) -> list[str]:
    """Undoing the undo gives back what the syncs had made, and that stays, too."""
    history.take_back(undos)
    wrong = differences(after, history.state())
    errors = [f"UNDO {place[0]} {place[1]}.{name} is not restored by undoing the undo" for place, name in wrong]
    return errors or _check_stays(history)


def _job(order: tuple[int, int, int | None, tuple[str, ...]]) -> Result:
    seed, steps, systems, planted = order
    PLANTED.clear()
    PLANTED.update(planted)
    return run_seed(seed, steps=steps, systems=systems)


def verify(
    seeds: Iterable[int],
    *,
    steps: int = 60,
    systems: int | None = None,
    jobs: int = 2,
    planted: Sequence[str] = (),
    stop_at_first: bool = False,
    progress: Callable[[Result], None] | None = None,
) -> Report:
    """Run seeds over all cores.

    Args:
        steps: of the chaos before.
        systems: how many; None: drawn.
        planted: faults to plant (keys of PLANTABLE).
        stop_at_first: end with the first failing seed.
    """
    report = Report()
    with get_context("spawn").Pool(jobs) as pool:
        for result in pool.imap_unordered(_job, [(seed, steps, systems, tuple(planted)) for seed in seeds]):
            report.seeds += 1
            report.counts += result.counts
            if result.errors:
                report.failures.append(result)
            if progress is not None:
                progress(result)
            if result.errors and stop_at_first:
                break
    report.failures.sort(key=lambda result: result.seed)
    return report
