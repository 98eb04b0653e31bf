"""Whether the log of what people did is as it was written: every entry, in its place, and none besides."""

from __future__ import annotations

from hub.app.context import Hub
from hub.app.listings import Dict
from hub.errors import HubError
from hub.store.seals import SealRow, content_of, seal_of

FIX = "compare with a backup: hub log list there and here"


class LogBroken(HubError):
    """The audit log is not as it was written."""

    default_code = "LOG-BROKEN"


def head(hub: Hub) -> str:
    """The newest entry and its seal: kept elsewhere, they show whether the end of the log was cut or written anew."""
    with hub.store.reading() as tx:
        return _head(*tx.log_head())


def check(hub: Hub, known: str = "") -> Dict:
    """Go through the whole log.

    Args:
        known: a head that was noted before, as `head` gives it: the log must still contain it.

    Returns:
        How many entries are sealed, how many of them were emptied because somebody was erased, how many are from before
        there were seals, and the head.

    Raises:
        LogBroken: the first entry that is not as it was written, or the head that is not in the log.
    """
    last, heads, emptied, first = "", list[str](), 0, 0
    with hub.store.reading() as tx:
        for row in tx.chain():
            _hold(row, last)
            last, emptied = row.seal, emptied + (not row.salt)
            heads.append(_head(row.entry, row.seal))
            first = row.entry if len(heads) == 1 else first
        loose = tx.unsealed()
    late = [entry for entry in loose if heads and entry > first]
    if late:
        raise LogBroken("this entry was put in, and is not sealed", where=f"entry {late[0]}", fix=FIX)
    if known and known not in heads:
        raise LogBroken("the log does not contain the head that was noted", where=known, fix=FIX)
    return {"entries": len(heads), "emptied": emptied, "unsealed": len(loose), "head": heads[-1] if heads else ""}


def _head(entry: int, seal: str) -> str:
    return f"{entry}:{seal}" if entry else ""


def _hold(row: SealRow, last: str) -> None:
    where = f"entry {row.entry}"
    if row.seal != seal_of(last, row.entry, row.content):
        raise LogBroken("an entry before this one was changed, taken out or moved", where=where, fix=FIX)
    if row.said is None:
        raise LogBroken("this entry was taken out", where=where, fix=FIX)
    said = row.said
    if not row.salt:
        if said.before is not None or said.after is not None:
            raise LogBroken("this entry says something that it did not", where=where, fix=FIX)
        return
    if row.content != content_of(row.salt, said.actor, said.action, said.target, said.before, said.after, said.at):
        raise LogBroken("this entry was changed", where=where, fix=FIX)
