"""Situations that a green result must have met: if one of them never happened, the laws were not asked about it (G10).

Each is a count that histories keep; a run in which one stays at nothing says little, however green.
"""

from __future__ import annotations

from collections import Counter

SITUATIONS = {
    "edits": "a person edited a record",
    "writes": "the hub wrote",
    "crash": "a process died",
    "pause": "a process slept in the middle",
    "exposed": "an edit fell into the window of a system without precondition, and was counted",
    "store restored": "the store was put back to a backup",
    "one stayed down": "a system stayed down when the others had healed",
    "ruling": "a person ruled",
    "ruling:outdated": "a ruling was refused, since its conflict had changed",
    "channel both": "polls and webhooks",
    "channel polls": "polls alone",
    "channel hooks": "webhooks alone",
    "no overlap": "no system was read with an overlap",
    "in:new": "a record was met for the first time",
    "in:changed": "an edit was taken in",
    "in:unchanged": "an echo changed nothing",
    "in:stale": "a stale read was ignored",
    "in:deferred": "edits within one tick, or a create in flight, were put off",
    "in:linked": "a record was matched by its key",
    "in:adopted": "a created record was adopted by the hub's id",
    "in:duplicates": "a second record of one person was told apart",
    "in:deleted": "a delete was seen",
    "in:restored": "a record came back",
    "in:merged_away": "a record was merged into another",
    "in:faulty_cells": "a value could not be read",
    "in:settled": "a read settled a write",
    "in:not_landed": "a write was proved not to have landed",
    "in:intents_waiting": "a write could still land, and was waited for",
    "in:hints_served": "a webhook was answered by a read that was new enough",
    "out:created": "a record was created",
    "out:updated": "a record was updated",
    "out:unknown": "an answer was lost",
    "out:already_settled": "a pull was faster than the answer",
    "out:stale": "a precondition failed",
    "out:not_found": "a record was gone when it was written",
    "pull:QuotaUsedUp": "a pull was paused by a quota",
    "push:QuotaUsedUp": "a push was paused by a quota",
    "pull:RetryLater": "a pull failed",
    "push:RetryLater": "a push failed",
    "run:success": "a run succeeded",
    "run:failed": "a run failed, and said so",
    "run:partial": "a run left something to people, and said so",
    "run:paused": "a run was paused by a quota, and said so",
    "run:refused": "a run was refused, since another held the connection",
    "run:taken over": "a lease that ran out was taken over",
}


def missing(counts: Counter[str]) -> list[str]:
    """What never happened."""
    return [name for name in SITUATIONS if not counts[name]]
