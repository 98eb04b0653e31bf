"""What kind of world a seed is: its systems, what they share, which faults exist in it, and what its people do.

Each seed leaves something out (swarm testing): a fault that is always there hides the bugs that only show without it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import cache

from hub.connector import Idempotency
from hub.core.canonical import Canonical
from hub.core.canonical_file import read_canonical
from hub.core.document import Sheet
from hub.core.mapping import StreamMapping
from hub.core.mapping_file import Hub as Shared
from hub.core.mapping_file import read_mapping
from hub.errors import ConfigFault
from hub.runtime.yaml import parse_yaml
from hub.verify.vendor import NORMALISERS, STREAM, Traits

NAMES = ("A", "B", "C", "D", "E")
MORE = {3: 4, 17: 5}  # of twenty seeds, those with more than two or three systems, which cost twice the time
CHANNELS = ("both", "both", "both", "polls", "hooks")  # a fifth each lives by one channel alone

CANONICAL = """
language: 1
sources: [{sources}]
entities:
  contact:
    text: A person.
    keys: [{{on: [code], strength: strong}}]
    fields:
      code: {{type: text}}
      email: {{type: email}}
      name: {{type: text}}
      note: {{type: text}}
      phone: {{type: text, survivorship: {phone}}}
      tags: {{type: set, of: text, survivorship: union}}
      address: {{type: group, parts: {{street: text, city: text}}}}
      consent: {{type: consent, channels: [email]}}
"""

MAPPING = """
connector: {connector}
language: 1
streams:
  people:
    entity: contact
    create: always
    fields:
      code: {{remote: code}}
      email: {{remote: email}}
      name: {{remote: name}}
      note: {{remote: note, direction: {note}}}
      phone: {{remote: phone}}
      tags: {{remote: tags}}
      street: {{remote: street}}
      city: {{remote: city}}
      consent.email: {{remote: {consent}}}
"""
CONSENT_WIRES = {"box": "optout, wire: opt_out_flag", "state": "marketing, wire: {marketing_state: {source: form}}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Swarm:
    """What exists in this seed at all, and how often."""

    crash_rate: float  # per seam
    nest_rate: float  # that somebody else runs inside a call
    pause_rate: float  # that the process sleeps (a stopped machine) after a commit or a call
    edit_rate: float  # of all steps, people's share
    haste: float
    channel: str  # both, polls, hooks
    bare: bool  # no system is read with an overlap
    runs: bool  # work is done in whole runs, with leases
    deletes: bool
    merges: bool  # of records, by people, in their system
    rulings: bool
    poison: bool  # values that no mapping takes
    restores: bool  # the store is put back to a backup
    breaks: bool  # one system stays down when the others have healed

    @property
    def polls(self) -> bool:
        return self.channel != "hooks"


def draw_swarm(rng: random.Random) -> Swarm:
    """The mix of one seed."""
    channel = rng.choice(CHANNELS)
    return Swarm(
        crash_rate=rng.choice((0.0, 0.005, 0.02)), nest_rate=rng.choice((0.0, 0.05, 0.2)),
        pause_rate=rng.choice((0.0, 0.0, 0.02)), edit_rate=rng.choice((0.5, 0.2, 0.05)),
        haste=rng.choice((0.0, 0.03)) if channel == "both" else 0.0, channel=channel, bare=rng.random() < 0.2,
        runs=rng.random() < 0.4, deletes=rng.random() < 0.4, merges=rng.random() < 0.2, rulings=rng.random() < 0.5,
        poison=rng.random() < 0.3, restores=rng.random() < 0.15, breaks=rng.random() < 0.3,
    )  # fmt: skip


def draw_traits(rng: random.Random, swarm: Swarm) -> Traits:
    """One system; where only one channel exists, it is not a channel that loses things."""
    traits = Traits(
        normalise=rng.choice(NORMALISERS), precondition=rng.random() < 0.4, tick_s=rng.choice((1.0, 0.001)),
        skew_s=rng.choice((0.0, 0.0, -300.0, 300.0)), search_lag_s=rng.choice((0.0, 5.0, 20.0)),
        replica_lag_s=rng.choice((0.0, 2.0, 8.0)), late_rows=rng.random() < 0.4,
        answers_with_record=rng.random() < 0.6, tells_writer=rng.random() < 0.7,
        hooks=swarm.channel != "polls" and (rng.random() < 0.7 or swarm.channel == "hooks"),
        loses_hooks=swarm.channel != "hooks", page_size=rng.choice((1, 2, 3, 5)),
        idempotency=rng.choice((Idempotency.UNIQUE_REFERENCE, Idempotency.SEARCHABLE_REFERENCE)),
        fault_rate=rng.choice((0.0, 0.04, 0.12)), max_batch=rng.choice((1, 2, 5)),
        consent=rng.choice(("box", "state")), quota=rng.choice((0, 0, 0, 12)),
    )  # fmt: skip
    if swarm.bare or rng.random() < 0.15:  # a list that never lags, read from exactly where the last read ended
        return replace(traits, overlap=False, search_lag_s=0.0, late_rows=False)
    return traits


def draw_canonical(rng: random.Random, names: list[str]) -> Canonical:
    """What the simulated company shares; survivorship of one field and the order of systems are drawn."""
    order = names[:]
    rng.shuffle(order)
    rule = rng.choice(("newest", "newest", "source", "longest", "manual"))
    sources = ", ".join(order)
    return _canonical(sources, f"{{source: [{sources}]}}" if rule == "source" else rule)


@cache
def _canonical(sources: str, phone: str) -> Canonical:
    sheet = Sheet(parse_yaml(CANONICAL.format(sources=sources, phone=phone), "canonical.yaml"))
    found = read_canonical(sheet)
    if sheet.faults:
        raise ConfigFault(sheet.faults)
    return found


def read_sim_mapping(connector: str, canonical: Canonical, *, consent: str, note: str) -> StreamMapping:
    """Every field under its own name, in the language that everybody's mappings are written in.

    Args:
        consent: how the system keeps it: box or state.
        note: direction of the note: both or in.
    """
    text = MAPPING.format(connector=connector, consent=CONSENT_WIRES[consent], note=note)
    sheet = Sheet(parse_yaml(text, f"{connector}.yaml"))
    streams = read_mapping(sheet, canonical, Shared()).streams
    if sheet.faults:
        raise ConfigFault(sheet.faults)
    return streams[STREAM]
