"""The faults that can be planted, one at a time, each a mechanism taken out of the real engine (reliability.md §1.4).

A law that cannot fail proves nothing: `hub verify` plants each of these and demands that some law notices.
"""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """One mechanism less."""

    text: str  # what the engine does without it
    law: str  # that should notice; another may be faster
    seed: int = 0  # of the first history that is known to notice


PLANTABLE = {
    # Reading
    "no_shadow": Fault("what a system was last seen to hold is not kept", "L1"),
    "stale_reads": Fault("reads older than what was accepted count", "L5", 6),
    "strict_cursor": Fault("a page starts behind the stamp of the last one, though several records share it", "L13", 1),
    "cursor_first": Fault("the cursor is stored before its page", "L14", 2),
    "union_only": Fault("an element taken out of a set is not missed", "L2"),
    "no_put_off": Fault("a record whose new content is put off is written over all the same", "L4", 238),
    "poison_stops_page": Fault("a value that cannot be read stops its page", "L17", 8),
    "no_quarantine": Fault("what cannot be read is not put on record", "L4", 8),
    # Deciding
    "agreed_on_lost": Fault("agreed moves on when a claim merely lost", "L2", 1),
    "no_conflict_log": Fault("losers are not put on record", "L4", 1),
    "first_come": Fault("of several claims the first in the list wins", "L10"),
    "no_memory": Fault("a value is stored without the claim that made it", "L21"),
    "no_history": Fault("changes of values are not put on record", "L4"),
    "consent_newest": Fault("of consent, the last that came in counts", "L20", 28),
    "ruling_yields": Fault("a machine overrules a person", "L18", 1),
    "no_digest": Fault("a ruling counts for a conflict that has changed since it was shown", "L18", 9),
    "write_over_questions": Fault("a system is corrected while a person has yet to decide", "L18", 2),
    # Writing
    "push_if_differs": Fault("a write is due whenever values differ", "L1", 1),
    "write_all": Fault("every field is written, not what is due", "L1"),
    "no_intent": Fault("writes leave without an intent", "L15"),
    "no_settle": Fault("a pull does not settle open intents", "L1"),
    "judge_early": Fault("a write counts as not landed while it may still land", "L16", 3),
    "late_start": Fault("a call leaves however long its process slept", "L16", 18),
    "sent_is_held": Fault("what was sent counts as what is held", "L5", 1),
    "answers_in_order": Fault("the answers of a batch are taken in their order", "L16"),
    "unknown_is_failed": Fault("a lost answer counts as a failure", "L16", 6),
    "no_preread": Fault("a record is written without a look at it", "L4", 6),
    "no_precondition": Fault("a write is sent without its precondition", "L4", 33),
    "written_is_done": Fault("after a write nobody looks at what is still lacking", "L2", 6),
    # Creating, deleting
    "no_adopt": Fault("records that carry the hub's id are not adopted", "duplicate", 1),
    "no_reference": Fault("a create is sent without the hub's id", "duplicate"),
    "look_up_early": Fault("a lost create is looked up before it can no longer land", "duplicate", 49),
    "no_listing": Fault("records are created before a system was read whole", "duplicate", 1),
    "recreate_gone": Fault("a record that was deleted is made again", "L7", 10),
    "no_restore": Fault("a record that was brought back stays gone", "L7", 1),
    "merge_is_delete": Fault("a record merged into another counts as deleted", "L8", 5),
    # Running
    "no_lease": Fault("a connection is run by whoever comes", "L16"),
    "lease_for_ever": Fault("the lease of a dead process never ends", "L24"),
    "always_success": Fault("every run calls itself a success", "L23"),
    "no_reread": Fault("a restored store goes on from its old cursors", "duplicate", 4),
}  # fmt: skip

# These can be planted as well, and no law noticed within some 150 histories. Each stands beside another mechanism that
# mostly brings the same, and is there for vendors that lack the other; rare histories may still tell.
SURVIVORS = {
    "no_readback": "what a write came to is settled by the next pull as well",
    "no_404": "the tombstone of the record is read as well, and ends the writing",
    "no_recheck": "the next change, or the read before the next write, tells who is behind as well",
    "no_overlap": "webhooks, pre-reads and later edits bring most of what a lagging list hides",
    "hints_eaten": "a later webhook, or a pre-read, brings most of what a stale read hid",
    "vendor_clock": "what an author had been shown orders most edits as well",
    "no_base": "the windows of two edits order most of them as well",
    "no_retire": "takes three edits and a landed write close together",
    "same_numbers": "what an entity is, and its key, mostly match a record before its number does",
    "no_patience": "a create in flight mostly carries the marker by which it is adopted",
}
