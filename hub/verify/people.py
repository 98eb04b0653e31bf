"""The people of a history: they edit, create, delete, restore and merge records in their systems, and rule in the hub.

They never wait for the hub. Every text they type is unique, so that the laws can tell what became of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hub.app.review import resolve_conflict
from hub.errors import Drifted
from hub.model import ConflictRow, Json
from hub.verify.vendor import ADDRESS, CONSENT, FIELDS, TEXTS, SimVendor, blank_record

if TYPE_CHECKING:
    from hub.verify.history import History

TAGS = ("vip", "lead", "press", "partner")
EDITED = (*TEXTS, *TEXTS, "tags", "tags", "address", CONSENT)
MOST_CODES = 9
BLANK = 0.06  # edits that empty a field
OLD_S = (0.0, 0.0, 60.0, 3000.0)  # how old the consent is that a person types in: a list is imported, a letter is found


class People:
    """Everybody but the hub."""

    def __init__(self, history: History, focus: str = "") -> None:
        self._history = history
        self._edited = (*EDITED, *(focus for _ in EDITED for _ in range(3))) if focus else EDITED
        if history.plain:
            self._edited = FIELDS
        self.codes = 0
        self.desk: list[ConflictRow] = []  # conflicts that somebody looked at and has not decided yet

    def act(self) -> None:
        """One person does one thing."""
        swarm, luck = self._history.swarm, self._history.people.random()
        vendor = self._history.vendors[self._history.people.choice(sorted(self._history.vendors))]
        if swarm.rulings and luck < 0.25:
            self.rule()
        elif swarm.deletes and luck < 0.35:
            self.delete_or_restore(vendor)
        elif swarm.merges and luck < 0.40:
            self.merge(vendor)
        elif luck < 0.43 and self.codes < MOST_CODES:
            self.create(vendor, self.new_code())
        else:
            self.edit_something(vendor)

    # Records

    def new_code(self) -> str:
        self.codes += 1
        return f"P{self.codes}"

    def create(self, vendor: SimVendor, code: str) -> None:
        self._history.token += 1
        fields = {**blank_record(vendor.traits), "code": code}
        names = TEXTS if self._history.plain else (*TEXTS, *ADDRESS)
        fields |= {name: self._text(name, vendor) for name in names}
        external_id = vendor.user_create(fields)
        self._history.tell(f"{vendor.name} person creates {external_id} ({code})")

    def delete_or_restore(self, vendor: SimVendor) -> None:
        dice = self._history.people
        dead = [each for each in sorted(vendor.records) if vendor.current(each).fields is None]
        dead = [each for each in dead if vendor.current(each).merged_into is None]
        alive = vendor.alive()
        if dead and (dice.random() < 0.5 or len(alive) < 2):
            external_id = dice.choice(dead)
            vendor.user_restore(external_id)
            self._history.tell(f"{vendor.name} person restores {external_id}")
        elif alive:
            external_id = dice.choice(alive)
            vendor.user_delete(external_id)
            self._history.tell(f"{vendor.name} person deletes {external_id}")

    def merge(self, vendor: SimVendor) -> None:
        """Two records become one over there: the second's id is retired."""
        alive = vendor.alive()
        if len(alive) < 3:
            return
        winner, loser = self._history.people.sample(alive, 2)
        vendor.user_merge(winner, loser)
        self._history.tell(f"{vendor.name} person merges {loser} into {winner}")

    # Edits

    def edit_something(self, vendor: SimVendor) -> None:
        dice, alive = self._history.people, vendor.alive()
        if not alive:
            return
        if dice.random() < 0.05:  # a bulk edit: many records, one tick
            name = dice.choice(("name", "note"))
            for external_id in alive:
                self.edit(vendor, external_id, name)
            return
        self.edit(vendor, dice.choice(alive), dice.choice(self._edited))

    def edit(self, vendor: SimVendor, external_id: str, name: str) -> None:
        fields = vendor.current(external_id).fields
        assert fields is not None
        self._history.token += 1
        changes = self._changes(vendor, fields, name)
        if vendor.user_change(external_id, changes, name=name):
            self._history.tell(f"{vendor.name} person sets {external_id}: {changes!r}")

    def _changes(self, vendor: SimVendor, fields: Mapping[str, Json], name: str) -> dict[str, Json]:
        dice = self._history.people
        if name == "tags":
            return {"tags": sorted(set(fields["tags"] or []) ^ {dice.choice(TAGS)})}
        if name == "address":
            return {part: self._text(part, vendor) for part in ADDRESS}
        if name == CONSENT:
            return self._consent(vendor, fields)
        return {name: None if dice.random() < BLANK else self._text(name, vendor)}

    def _text(self, name: str, vendor: SimVendor) -> str:
        dice = self._history.people
        if name == "email":
            poisoned = self._history.swarm.poison and dice.random() < 0.3
            return (
                f"nobody {self._history.token}{vendor.name}"
                if poisoned
                else f"p{self._history.token}{vendor.name.lower()}@example.com"
            )
        if name in ADDRESS:
            return f"{name} {self._history.token}{vendor.name}"
        return f"{self._history.token}{vendor.name} {'Long Text' if dice.random() < 0.3 else ''} "

    def _consent(self, vendor: SimVendor, fields: Mapping[str, Json]) -> dict[str, Json]:
        """A box is ticked or un-ticked; a consent object says since when."""
        if vendor.traits.consent == "box":
            return {"optout": not fields["optout"]}
        dice, now = self._history.people, self._history.clock.now()
        at = datetime.fromtimestamp(int(now - dice.choice(OLD_S)), UTC).isoformat().replace("+00:00", "Z")
        state = dice.choice(("SUBSCRIBED", "UNSUBSCRIBED"))
        return {"marketing": {"marketingState": state, "marketingUpdatedAt": at}}

    def hurry(self) -> None:
        """One field of one person, edited in every system and then again, with the hub at work between and after.

        Edits so close to the hub's own writes fall within one tick of a coarse clock.
        """
        history, dice = self._history, self._history.people
        codes = sorted({fields["code"] for _, _, fields in history.records()})
        if not codes:
            return
        code, name = dice.choice(codes), dice.choice(("name", "note", "phone"))
        for _ in range(2):
            for vendor, external_id, fields in history.records():
                if fields["code"] == code and dice.random() < 0.7:
                    self.edit(vendor, external_id, name)
            for vendor_name in history.vendors:
                history.work("pull", vendor_name)
            for vendor_name in history.vendors:
                history.work("push", vendor_name)

    # Rulings

    def rule(self) -> None:
        """Somebody looks at a conflict, and decides it now or when other things have happened."""
        history, dice = self._history, self._history.people
        if self.desk and dice.random() < 0.5:
            self._submit(self.desk.pop())
            return
        with history.store.reading() as tx:
            found = tx.conflicts(state="open", limit=50) or tx.conflicts(limit=50)[-1:]
        if not found:
            return
        if dice.random() < 0.5:
            self.desk.append(dice.choice(found))
        else:
            self._submit(dice.choice(found))

    def _submit(self, shown: ConflictRow) -> None:
        history = self._history
        assert shown.id is not None
        with history.store.reading() as tx:
            now = tx.conflict(shown.id)
        try:
            ruling = resolve_conflict(
                history.hub, shown.id, candidate=history.dice.people.randrange(len(shown.candidates)), by="mia",
                digest=shown.digest,
            )  # fmt: skip
        except Drifted:
            history.story.counts["ruling:outdated"] += 1
            return
        history.story.counts["ruling"] += 1
        history.tell(f"mia rules contact:{ruling.entity_id}.{ruling.field} = {ruling.value!r}")
        if now.digest != shown.digest:
            history.errors.append(f"L18 conflict {shown.id} was decided as it had been, not as it was")
