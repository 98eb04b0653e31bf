"""Notes of which entities changed, for figures that are kept.

A note and the change that it tells of commit together (`Entities` writes it), and only notes that were read are taken
away: a change that commits late has a note that was not seen yet.

Notes are taken only while somebody restates by them: as long as the mark stands, the note with the number 0. Without
it everything is to be counted anew, which begins by setting it. Whoever changes entities keeps the mark from being set
until he is through (a shared lock against one that is not), so that a change without a note is one that the counting
sees. A hub without figures takes none; one whose figures nobody asks for any more stops at `MANY`.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import BigInteger, Integer, bindparam, delete, select

from hub.store.session import Session, ids_of
from hub.store.statements import Insert, Statement, table

NOTE = table("figure_note")
MARK = 0  # the number of the note that is none
MANY = 200_000  # notes; above it counting anew costs less than restating

STANDING = Statement(lambda d: select(NOTE.c.id).where(NOTE.c.id == bindparam("mark", type_=BigInteger())))
BEHIND = NOTE.c.id > bindparam("mark", type_=BigInteger())
FIRST = Statement(lambda d: select(NOTE.c.id).where(BEHIND).order_by(NOTE.c.id).limit(1))
LAST = Statement(lambda d: select(NOTE.c.id).where(BEHIND).order_by(NOTE.c.id.desc()).limit(1))
NOTES = Statement(lambda d: select(NOTE).where(BEHIND).order_by(NOTE.c.id).limit(bindparam("limit", type_=Integer())))
DROP_NOTES = Statement(lambda d: delete(NOTE).where(d.one_of(NOTE.c.id, "ids")))
NO_NOTES = Statement(lambda d: delete(NOTE).where(NOTE.c.id >= bindparam("mark", type_=BigInteger())))
NEW_MARK = Insert("figure_note")
NEW_NOTES = Insert("figure_note", without=["id"])


class Notes(Session):
    """Notes of changes, and whether they are taken."""

    _noting: bool | None = None  # None: this transaction has not asked yet

    def note_changes(self, entity_ids: Iterable[int]) -> None:
        """What these say to kept figures may be another thing once this transaction is through."""
        if self._noting is None:
            self._noting = self._asked_for()
        if self._noting:
            self._insert(NEW_NOTES, [(each,) for each in entity_ids])

    def _asked_for(self) -> bool:
        """Whether to take notes; true until this transaction ends. Where there are too many, nobody takes more."""
        self._lock_notes(alone=False)
        if not self.notes_stand():
            return False
        ends = [row[0] for end in (FIRST, LAST) for row in self._rows(end, mark=MARK)]
        if not ends or ends[1] - ends[0] < MANY:
            return True
        self._run(DROP_NOTES, ids=[MARK])
        return False

    def _lock_notes(self, *, alone: bool) -> None:
        self._may_write()
        try:
            self._database.lock_notes(self._cursor, alone=alone)
        except self._database.errors as error:
            raise self._database.translated(error) from error

    def notes_stand(self) -> bool:
        """Whether whoever goes by the notes misses nothing; else everything is to be counted anew."""
        return bool(self._rows(STANDING, mark=MARK))

    def begin_notes(self) -> None:
        """From the end of this transaction on, every change of an entity leaves a note; older ones are gone.

        It waits for transactions that change entities and have no notes: whoever reads after it sees their changes.
        """
        self._lock_notes(alone=True)
        self._run(NO_NOTES, mark=MARK)
        self._insert(NEW_MARK, [(MARK, MARK)])

    def end_notes(self) -> None:
        """Notes cannot tell what this transaction changes: everything is to be counted anew."""
        self._lock_notes(alone=False)
        self._run(DROP_NOTES, ids=[MARK])

    def change_notes(self, limit: int) -> list[tuple[int, int]]:
        """(number, entity) of notes, the oldest first."""
        return [(row[0], row[1]) for row in self._rows(NOTES, mark=MARK, limit=limit)]

    def drop_change_notes(self, numbers: Iterable[int]) -> None:
        """These were seen to."""
        self._run(DROP_NOTES, ids=ids_of(numbers))
