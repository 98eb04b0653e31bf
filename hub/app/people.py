"""People who may sign in to the console, and what each role may do."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from hub.app.context import Hub
from hub.app.listings import Dict, iso
from hub.app.transact import commit
from hub.errors import NotAllowed, NotFound, RecordRejected
from hub.runtime.passwords import LONGEST, SHORTEST, hashed, is_tried_first
from hub.store import Tx
from hub.store.rows import UserRow

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@+-]{0,79}")


class Right(StrEnum):
    """What a page or a call asks of whoever uses it."""

    READ = "read"
    DECIDE = "decide"  # conflicts, notes, pairs of people
    RETRY = "retry"  # quarantine
    RUN = "run"  # runs now, tests of connections
    APPROVE = "approve"  # plans, holds, rewards
    CONFIGURE = "configure"  # connections, mappings, settings
    PEOPLE = "people"  # users, tokens, the audit log


RIGHT_TEXTS: dict[Right, str] = {
    Right.READ: "look at everything but people and the audit log",
    Right.DECIDE: "decide conflicts and pairs, write notes",
    Right.RETRY: "try quarantine again",
    Right.RUN: "begin runs, plans and undos, test connections",
    Right.APPROVE: "let plans, holds, rewards and firings go",
    Right.CONFIGURE: "change connections, mappings and triggers",
    Right.PEOPLE: "users, tokens, people's data, the audit log",
}

ROLES: dict[str, frozenset[Right]] = {
    "viewer": frozenset({Right.READ}),
    "support": frozenset({Right.READ, Right.DECIDE, Right.RETRY}),
    "approver": frozenset({Right.READ, Right.APPROVE}),
    "admin": frozenset(Right),
}
ROLE_TEXTS = {
    "viewer": "Sees everything, changes nothing.",
    "support": "Closes conflicts, retries quarantine, writes notes.",
    "approver": "Lets plans, holds and rewards go; nobody approves what he started himself.",
    "admin": "Everything, connections, mappings and people included.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who is asking."""

    name: str
    role: str
    scopes: frozenset[Right] | None = None  # of a program's token: it may do no more than these

    @property
    def rights(self) -> frozenset[Right]:
        own = ROLES.get(self.role, frozenset())
        return own if self.scopes is None else own & self.scopes

    def may(self, right: Right) -> bool:
        return right in self.rights

    def require_all(self, rights: Iterable[Right], *, where: str) -> None:
        """Nobody gives what he has not: no program more than its own token. Raises NotAllowed AUTH-BEYOND."""
        beyond = sorted(frozenset(rights) - self.rights)
        if beyond:
            raise NotAllowed(
                f"this would give more rights than you have here: {', '.join(beyond)}", code="AUTH-BEYOND", where=where,
                fix="leave them out, or let somebody do it who has them",
            )  # fmt: skip

    def require(self, right: Right) -> None:
        """Raises NotAllowed AUTH-ROLE."""
        if not self.may(right):
            fix = f"ask somebody with the role {', '.join(role for role, rights in ROLES.items() if right in rights)}"
            raise NotAllowed(f"{self.role} may not do this", where=self.name, fix=fix)


def users(hub: Hub) -> list[Dict]:
    """Everybody, without a word of their passwords."""
    with hub.store.reading() as tx:
        found = tx.users()
    return [
        {
            "user": row.name, "role": row.role, "active": row.active, "password": bool(row.password_hash),
            "created_at": iso(row.created_at),
        }
        for row in found.values()
    ]  # fmt: skip


def add_user(hub: Hub, name: str, role: str, *, password: str = "", by: str) -> Dict:
    """Let somebody in. Without a password they sign in by links only.

    Raises:
        RecordRejected: AUTH-NAME, AUTH-USER (there is one of that name), AUTH-ROLE-NAME, AUTH-PASSWORD.
    """
    if not NAME.fullmatch(name):
        raise _refused("AUTH-NAME", f"{name[:80]!r} is no name for a user", "letters, digits and . _ @ + -, at most 80")
    _check(role, password, name)
    now = hub.clock.now()
    row = UserRow(
        name=name, role=role, password_hash=hashed(password) if password else "", active=True, created_at=now
    )  # fmt: skip

    def keep(tx: Tx) -> None:
        if name in tx.users():
            raise _refused("AUTH-USER", f"there is a user {name} already", "choose another name")
        tx.set_user(row)
        tx.audit(by, "user added", name, None, {"role": role}, now)

    commit(hub, keep)
    return {"user": name, "role": role}


def change_user(
    hub: Hub, name: str, *, role: str | None = None, active: bool | None = None, password: str = "", by: str
) -> Dict:
    """Change somebody's role or password, or shut them out (their sessions end at once) or in again.

    Raises:
        NotFound: nobody has this name. NotAllowed AUTH-LAST: the last active admin stays one.
        RecordRejected: AUTH-ROLE-NAME, AUTH-PASSWORD.
    """
    _check(role or "viewer", password, name)
    new_hash = hashed(password) if password else None

    def keep(tx: Tx) -> UserRow:
        known = tx.users()
        if name not in known:
            raise NotFound(f"there is no user {name}", where=name, fix="hub user list")
        old = known[name]
        new = replace(
            old, role=role or old.role, active=old.active if active is None else active,
            password_hash=new_hash or old.password_hash,
        )  # fmt: skip
        others = [row for row in known.values() if row.role == "admin" and row.active and row.name != name]
        if old.role == "admin" and old.active and not others and (new.role != "admin" or not new.active):
            raise NotAllowed(
                "this is the last admin", code="AUTH-LAST", where=name, fix="make somebody else an admin first"
            )
        tx.set_user(new)
        if not new.active or new_hash or new.role != old.role:
            tx.shut_out(name)
        changed = {"password": "new"} if new_hash else {}
        tx.audit(by, "user changed", name, _seen(old), {**_seen(new), **changed}, hub.clock.now())
        return new

    row = commit(hub, keep)
    return {"user": row.name, "role": row.role, "active": row.active}


def may_let_in(hub: Hub, person: Person, name: str, *, role: str | None = None) -> None:
    """Whoever lets `name` in, as `role` or as what they are, could do all that themselves.

    A program whose token is for people alone must not make an admin of anybody, nor get a link or a password for one.

    Raises NotAllowed AUTH-BEYOND.
    """
    with hub.store.reading() as tx:
        known = tx.users().get(name)
    roles = [role or "", known.role if known is not None else ""]
    person.require_all([right for each in roles for right in ROLES.get(each, ())], where=name)


def _seen(row: UserRow) -> Dict:
    return {"role": row.role, "active": row.active}


def _check(role: str, password: str, name: str) -> None:
    if role not in ROLES:
        raise _refused("AUTH-ROLE-NAME", f"there is no role {role[:40]}", f"roles are: {', '.join(ROLES)}")
    if password and not SHORTEST <= len(password) <= LONGEST:
        raise _refused("AUTH-PASSWORD", "the password is too short or too long", f"{SHORTEST} to {LONGEST} characters")
    if password and is_tried_first(password, name):
        raise _refused(
            "AUTH-PASSWORD", "the password is one that is tried first", "four words that do not belong together"
        )


def _refused(code: str, message: str, fix: str) -> RecordRejected:
    return RecordRejected(message, code=code, fix=fix)
