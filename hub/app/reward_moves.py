"""How a grant moves: state, money and ledger line together, inside somebody's transaction. Nothing else moves one.

The story of two workers: both read that grant 7 may be sent; each takes the lock on the receiver's entity, then reads
the grant again. The second waits for the first's commit, sees `sending`, and leaves it alone. So whoever moves a grant
calls `locked` first, in the transaction that moves it.
"""

from __future__ import annotations

from decimal import Decimal

from hub.core.rewards import GIVEN, HOLDING, MOVES, Entry, GrantState, exponent_of, split_label
from hub.errors import HubError
from hub.model import Grant
from hub.store import Tx


class LedgerBroken(HubError):
    """A grant and its budget disagree; nothing is moved, a person must look."""

    default_code = "RWD-LEDGER"


def locked(tx: Tx, grant_id: int) -> Grant:
    """The grant as it is now, held until the transaction ends. Raises NotFound."""
    tx.entities([tx.grant(grant_id).subject_id], lock=True)
    return tx.grant(grant_id)


def minor_of(grant: Grant) -> int:
    """A grant's amount in minor units."""
    return int(Decimal(grant.amount).scaleb(exponent_of(grant.currency)))


def move(tx: Tx, grant: Grant, to: GrantState, entry: Entry, *, at: float, detail: str = "") -> None:
    """Put a locked grant into another state; what was set aside for it is spent, freed or stays as that state says.

    Raises:
        LedgerBroken: the move is not one of `MOVES`, or the budget holds less than the grant says.
    """
    before = GrantState(grant.state)
    if to not in MOVES[before]:
        raise LedgerBroken(f"a grant that is {before} cannot become {to}", where=f"grant {grant.id}")
    budget, period = split_label(grant.budget)
    kept, signed = True, "0"
    if not budget:
        pass  # a message about another grant costs nothing of its own
    elif before in HOLDING and to in GIVEN:
        kept, signed = tx.spend(budget, period, minor_of(grant)), grant.amount
    elif before in HOLDING and to not in HOLDING:
        kept, signed = tx.give_back(budget, period, minor_of(grant)), f"-{grant.amount}"
    elif before in GIVEN and to not in GIVEN:
        kept, signed = tx.give_back(budget, period, minor_of(grant), spent=True), f"-{grant.amount}"
    if not kept:
        raise LedgerBroken(f"budget {grant.budget} holds less than its grants say", where=f"grant {grant.id}")
    grant.state, grant.detail = to, detail
    tx.update_grants([grant])
    tx.add_grant_entry(grant.id, entry, signed, at, detail)


def note(tx: Tx, grant: Grant, entry: Entry, *, at: float, detail: str) -> None:
    """A line in the ledger of a locked grant whose state stays."""
    grant.detail = detail
    tx.update_grants([grant])
    tx.add_grant_entry(grant.id, entry, "0", at, detail)


def kinds_of(tx: Tx, grant: Grant) -> list[str]:
    """The kinds of a grant's ledger lines, oldest first."""
    return [entry.kind for entry in tx.entries(grant.id)]
