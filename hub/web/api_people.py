"""People and tokens for programs, and what everybody did: a part of hub.web.api.

Nobody lets in, and no token is made, for more than whoever asks may do with the very token they ask with.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Path as InPath
from pydantic import BaseModel, Field, SecretStr

from hub.app import listings, people, sealing, sessions
from hub.web.api import PAGE, ROUTER, After, Body, Hubs, Keeper, Limit, Name, closed

Short = Annotated[str, InPath(pattern=r"^[0-9a-f]{16,64}$")]
Role = Literal["viewer", "support", "approver", "admin"]
Password = Annotated[SecretStr, Field(max_length=400)]


class NewUser(BaseModel):
    """Somebody to be let in."""

    model_config = closed({"name": "ann@example.org", "role": "support"})
    name: str = Field(min_length=1, max_length=80)
    role: Role
    password: Password = Field(default=SecretStr(""), description="None: they sign in by links only.")


class ChangedUser(BaseModel):
    """What is changed about somebody; what is left out stays."""

    model_config = closed({"role": "approver"}, {"active": False})
    role: Role | None = None
    active: bool | None = Field(default=None, description="False: shut out, every session and token at once.")
    password: Password = Field(default=SecretStr(""))


class NewToken(BaseModel):
    """A token for a program."""

    model_config = closed({"name": "warehouse", "scopes": ["read", "retry"]})
    name: str = Field(min_length=1, max_length=80)
    scopes: list[Annotated[str, Field(max_length=40)]] = Field(min_length=1, max_length=20)


@ROUTER.get("/audit")
def get_audit(service: Hubs, _: Keeper, before: After = None, limit: Limit = PAGE) -> list[Body]:
    """What people did, newest first."""
    return listings.audit_log(service.hub, before_id=before or 2**62, limit=limit)


@ROUTER.get("/audit/head")
def get_head(service: Hubs, _: Keeper) -> Body:
    """The seal of the newest entry, to be kept elsewhere: with it anybody can see later that none is missing."""
    return {"head": sealing.head(service.hub)}


@ROUTER.get("/users")
def get_users(service: Hubs, _: Keeper) -> list[Body]:
    """Everybody who may sign in."""
    return people.users(service.hub)


@ROUTER.post("/users", status_code=201)
def add_user(service: Hubs, person: Keeper, it: NewUser) -> Body:
    """Let somebody in."""
    people.may_let_in(service.hub, person, it.name, role=it.role)
    return people.add_user(service.hub, it.name, it.role, password=it.password.get_secret_value(), by=person.name)


@ROUTER.post("/users/{user}")
def change_user(service: Hubs, person: Keeper, user: Name, it: ChangedUser) -> Body:
    """Change somebody's role or password, shut them out, or let them in again."""
    password = it.password.get_secret_value()
    if it.role or it.active or password:
        people.may_let_in(service.hub, person, user, role=it.role)
    return people.change_user(
        service.hub, user, role=it.role, active=it.active, password=password, by=person.name
    )  # fmt: skip


@ROUTER.post("/users/{user}/link")
def make_link(service: Hubs, person: Keeper, user: Name) -> Body:
    """A link that signs somebody in, once, within a quarter of an hour: its path at this address."""
    people.may_let_in(service.hub, person, user)
    return {"path": sessions.make_link(service.hub, user, by=person.name)}


@ROUTER.get("/tokens")
def get_tokens(service: Hubs, _: Keeper) -> list[Body]:
    """Every token, by what it may do and when it was used; never the token itself."""
    return sessions.tokens(service.hub)


@ROUTER.post("/tokens", status_code=201)
def make_token(service: Hubs, person: Keeper, it: NewToken) -> Body:
    """A token in your name, for no more than you may do. It is shown this once."""
    return sessions.make_token(service.hub, it.name, it.scopes, person=person)


@ROUTER.delete("/tokens/{token}")
def drop_token(service: Hubs, person: Keeper, token: Short) -> Body:
    """Drop a token by its `id`: from now on it opens nothing."""
    sessions.drop_token(service.hub, token, by=person.name)
    return {"dropped": True}
