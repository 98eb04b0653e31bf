"""Configuration and people: published mappings, settings, secrets (only ever as ciphertext), users."""

from __future__ import annotations

import uuid

from sqlalchemy import Integer, Text, bindparam, delete, func, insert, select
from sqlalchemy.sql import Executable

from hub.errors import NotFound
from hub.model import Json
from hub.store.codec import decode, encode
from hub.store.databases import Row
from hub.store.rows import MappingVersionRow, UserRow
from hub.store.session import Session
from hub.store.statements import Dialect, Statement, as_new, given, table

MAPPING, SETTING, SECRET = table("mapping_version"), table("setting"), table("secret")
USER = table("user")
INSTANCE = "instance_id"
CODE_KEY = "rewards.code_key"
MAPPING_HEAD = [MAPPING.c[name] for name in ("name", "version", "kind", "digest", "by", "at")]


def _keep(name: str, key: str) -> Statement:
    """Puts in one whole row, or takes the place of the one with its key."""

    def build(d: Dialect) -> Executable:
        new = d.upsert(table(name)).values(given(name))
        others = {column.name: new.excluded[column.name] for column in table(name).columns if column.name != key}
        return new.on_conflict_do_update(index_elements=[key], set_=others)

    return Statement(build)


MAPPINGS = Statement(
    lambda d: select(*MAPPING_HEAD).where(MAPPING.c.name == bindparam("the_name")).order_by(MAPPING.c.version.desc())
)
ALL_MAPPINGS = Statement(lambda d: select(*MAPPING_HEAD).order_by(MAPPING.c.name, MAPPING.c.version.desc()))
CONTENT = Statement(
    lambda d: select(MAPPING.c.content).where(
        MAPPING.c.name == bindparam("the_name"), MAPPING.c.version == bindparam("the_version", type_=Integer())
    )
)
PUBLISH = Statement(lambda d: insert(MAPPING).values(given("mapping_version")))
GET_SETTING = Statement(lambda d: select(SETTING.c.value).where(SETTING.c.name == bindparam("the_name")))
SETTINGS = Statement(
    lambda d: (
        select(SETTING)
        .where(func.substr(SETTING.c.name, 1, func.length(bindparam("prefix", type_=Text()))) == bindparam("prefix"))
        .order_by(SETTING.c.name)
    )
)
KEEP_SETTING = _keep("setting", "name")
FIRST_SETTING = Statement(lambda d: d.upsert(SETTING).values(given("setting")).on_conflict_do_nothing())
GET_SECRET = Statement(lambda d: select(SECRET.c.ciphertext).where(SECRET.c.name == bindparam("the_name")))
SECRETS = Statement(lambda d: select(SECRET).order_by(SECRET.c.name))
KEEP_SECRET = _keep("secret", "name")
DROP_SECRET = Statement(lambda d: delete(SECRET).where(SECRET.c.name == bindparam("the_name")))
USERS = Statement(lambda d: select(USER).order_by(USER.c.name))
KEEP_USER = _keep("user", "name")


class Config(Session):
    """What people set."""

    def publish_mapping(self, kind: str, name: str, digest: str, content: str, by: str, at: float) -> int:
        """Publishes a file; gives its version. What is in force already keeps its number; all else gets the next."""
        newest = self._rows(MAPPINGS, the_name=name)
        same_kind = [row for row in newest if row[2] == kind]
        if same_kind and same_kind[0][3] == digest:
            return int(same_kind[0][1])
        version = int(newest[0][1]) + 1 if newest else 1
        row = as_new(name=name, version=version, kind=kind, digest=digest, content=content, by=by, at=at)
        self._run(PUBLISH, **row)
        return version

    def mapping_version(self, name: str, kind: str | None = None) -> int:
        """The version in force; 0: never published."""
        rows = [row for row in self._rows(MAPPINGS, the_name=name) if kind in (None, row[2])]
        return int(rows[0][1]) if rows else 0

    def mapping_versions(self, name: str | None = None) -> list[MappingVersionRow]:
        """What was published when, by name, newest first."""
        rows = self._rows(ALL_MAPPINGS) if name is None else self._rows(MAPPINGS, the_name=name)
        return [
            MappingVersionRow(name=row[0], version=row[1], kind=row[2], digest=row[3], by=row[4], at=row[5])
            for row in rows
        ]

    def mapping_content(self, name: str, version: int) -> str:
        """A published file, as it was. Raises NotFound."""
        rows = self._rows(CONTENT, the_name=name, the_version=version)
        if not rows:
            raise NotFound(f"{name} has no version {version}", where=f"{name} version {version}")
        return str(rows[0][0])

    # Settings

    def setting(self, name: str) -> Json:
        """A setting; None if it was never set."""
        rows = self._rows(GET_SETTING, the_name=name)
        return decode(rows[0][0]) if rows else None

    def set_setting(self, name: str, value: Json) -> None:
        self._run(KEEP_SETTING, **as_new(name=name, value=encode(value)))

    def settings(self, prefix: str = "") -> dict[str, Json]:
        """Those whose names begin so."""
        return {row[0]: decode(row[1]) for row in self._rows(SETTINGS, prefix=prefix)}

    def instance_id(self) -> str:
        """The name of this store among all hubs: made once, part of every marker and reference that leaves it.

        Made by the first writing transaction that asks; whoever needs a known one sets the setting before.
        """
        found = self.setting(INSTANCE)
        if found is None:
            self._run(FIRST_SETTING, **as_new(name=INSTANCE, value=encode(uuid.uuid4().hex[:12])))
            found = self.setting(INSTANCE)
        return str(found)

    def code_key(self) -> str:
        """What codes of rewards are made with, so that nobody can guess one: made once, known to this store alone.

        It is made in the transaction of the first grant that needs it: a backup with the grant has the key, too.
        """
        found = self.setting(CODE_KEY)
        if found is None:
            self._run(FIRST_SETTING, **as_new(name=CODE_KEY, value=encode(uuid.uuid4().hex + uuid.uuid4().hex)))
            found = self.setting(CODE_KEY)
        return str(found)

    # Secrets

    def secret(self, name: str) -> bytes:
        """Ciphertext of a secret. Raises NotFound."""
        rows = self._rows(GET_SECRET, the_name=name)
        if not rows:
            raise NotFound(f"there is no secret {name}", where=f"secret:{name}", fix=f"set it: hub secrets set {name}")
        return bytes(rows[0][0])

    def set_secret(self, name: str, ciphertext: bytes) -> None:
        self._run(KEEP_SECRET, **as_new(name=name, ciphertext=ciphertext))

    def secrets(self) -> dict[str, bytes]:
        """Name -> ciphertext of all secrets."""
        return {row[0]: bytes(row[1]) for row in self._rows(SECRETS)}

    def drop_secret(self, name: str) -> bool:
        """False: there was none."""
        return self._run(DROP_SECRET, the_name=name) == 1

    # People

    def set_user(self, row: UserRow) -> None:
        """Adds a person, or changes what is known of them."""
        self._run(
            KEEP_USER,
            **as_new(
                name=row.name, role=row.role, password_hash=row.password_hash, active=row.active,
                created_at=row.created_at,
            ),
        )  # fmt: skip

    def users(self) -> dict[str, UserRow]:
        """Name -> person."""
        return {row[0]: _user(row) for row in self._rows(USERS)}


def _user(row: Row) -> UserRow:
    return UserRow(name=row[0], role=row[1], password_hash=row[2], active=bool(row[3]), created_at=row[4])
