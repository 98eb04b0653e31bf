"""A project as people handle it: made, checked, given connections and secrets, its database brought up to date."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from hub.app.bootstrap import opened, store_url, user_name
from hub.app.key_check import check_streams
from hub.core.canonical import Canonical, CanonicalField
from hub.core.checks import stops
from hub.errors import ConfigFault, Fault, HubError
from hub.model import Json
from hub.runtime.clock import SystemClock
from hub.runtime.registry import (
    MAPPINGS,
    SETTINGS_FILE,
    SHIPPED,
    Schema,
    connector_names,
    load_connector,
    load_project,
)
from hub.runtime.secrets import KEY_FILE, Vault
from hub.runtime.settings_edit import add_connection as write_connection
from hub.store import Store
from hub.store.rows import ViewColumn, ViewSpec

IGNORED = f"# Data and keys: never committed.\nhub.db*\n{KEY_FILE}\nhub.env\n"
SECRET_NAME = re.compile(r"[A-Za-z0-9_.-]{1,80}")

Dict = dict[str, Json]


# Making


def init_project(folder: Path) -> list[str]:
    """Make a project: hub.yaml, mappings/ and .gitignore; gives the files that were written.

    Raises:
        ConfigFault: CFG-052 there is a project already; nothing was touched.
    """
    if (folder / SETTINGS_FILE).exists():
        message, fix = "there is a project already", "choose another folder"
        raise ConfigFault([Fault(code="CFG-052", where=folder.name or ".", message=message, fix=fix)])
    mappings = folder / MAPPINGS
    mappings.mkdir(parents=True, exist_ok=True)
    shutil.copy(SHIPPED / SETTINGS_FILE, folder / SETTINGS_FILE)
    written = [SETTINGS_FILE]
    for path in sorted(SHIPPED.glob("*.yaml")):
        if path.name != SETTINGS_FILE and not (mappings / path.name).exists():
            shutil.copy(path, mappings / path.name)
            written.append(f"{MAPPINGS}/{path.name}")
    if not (folder / ".gitignore").exists():
        (folder / ".gitignore").write_text(IGNORED, "utf-8")
        written.append(".gitignore")
    return written


def add_connection(
    folder: Path, name: str, connector: str, *, settings: Mapping[str, str], auth: Mapping[str, str], base_url: str = ""
) -> list[str]:
    """Add a connection to hub.yaml, in mode observe, with the shipped mapping if there is none yet.

    Args:
        settings: as the connector lists them.
        auth: kind, and references (env:NAME, secret:NAME); empty: the connector's first kind, with names made up.
        base_url: of a local server (a twin); the connection is marked local.

    Returns:
        What must be set before the connection works: names of environment variables and secrets.

    Raises:
        ConfigFault: an unknown connector, a name that is taken, or a section that does not pass.
    """
    found = load_connector(connector)
    if not auth and found.auth:
        auth = {"kind": found.auth[0].kind, **_references(name, found.auth[0].kind)}
    section: Dict = {"connector": connector, "mode": "observe"}
    section |= {"auth": dict(auth)} if auth else {}
    section |= {"settings": dict(settings)} if settings else {}
    section |= {"local": True, "base_url": base_url} if base_url else {}
    write_connection(folder / SETTINGS_FILE, name, section)
    shipped, own = SHIPPED / f"{connector}.yaml", folder / MAPPINGS / f"{connector}.yaml"
    if shipped.exists() and not own.exists():
        own.parent.mkdir(exist_ok=True)
        shutil.copy(shipped, own)
    return [text for text in auth.values() if text.startswith(("env:", "secret:"))]


# What each kind of sign-in needs (hub.connector.Auth).
SIGN_IN_NEEDS = {
    "token": ("token",),
    "basic": ("username", "password"),
    "client_credentials": ("client_id", "client_secret"),
    "refresh_token": ("client_id", "client_secret", "refresh_token"),
}


def _references(name: str, kind: str) -> dict[str, str]:
    prefix = name.upper().replace("-", "_")
    return {key: f"env:{prefix}_{key.upper()}" for key in SIGN_IN_NEEDS.get(kind, ())}


def connectors() -> list[Dict]:
    """Every connector that is installed, with the settings it takes."""
    found = [load_connector(name) for name in connector_names()]
    return [
        {
            "connector": each.name, "title": each.title, "streams": [stream.name for stream in each.streams],
            "auth": [auth.kind for auth in each.auth], "settings": [setting.name for setting in each.settings],
        }
        for each in found
    ]  # fmt: skip


# Checking


def check_project(folder: Path, *, mappings: Path | None = None, live: bool = False) -> list[Dict]:
    """Every fault in hub.yaml and the mappings, advice included; empty if there is none.

    Args:
        mappings: folder of the mappings, if not the project's.
        live: also hold the mappings against the live systems.
    """
    schemas, unreachable = _live_schemas(folder) if live else ({}, [])
    try:
        faults: Iterable[Fault] = load_project(folder, mappings=mappings, schemas=schemas).faults
    except ConfigFault as found:
        faults = found.faults
    return [{**asdict(fault), "stops": stops(fault)} for fault in (*faults, *unreachable)]


def _live_schemas(folder: Path) -> tuple[dict[str, Schema], list[Fault]]:
    """Connection -> fields of the streams that its mapping reads; and why some could not be asked."""
    schemas: dict[str, Schema] = {}
    faults: list[Fault] = []
    with opened(folder) as hub:
        for name, connection in hub.connections.items():
            try:
                connection.require()
                discover = connection.connector.discover
                schemas[name] = {stream: discover(connection.api, stream) for stream in connection.in_order()}
            except HubError as error:
                faults.append(Fault(code=error.code, where=name, message=error.message, fix=error.fix))
    return schemas, faults


def check_data(folder: Path) -> tuple[list[Dict], list[Dict]]:
    """Whether keys identify in what the systems hold now: counts per stream and key, and advice."""
    with opened(folder) as hub:
        counts, faults = check_streams(hub)
    return [asdict(each) for each in counts], [{**asdict(fault), "stops": stops(fault)} for fault in faults]


# Secrets


def set_secret(folder: Path, name: str, value: str) -> None:
    """Keep a secret, encrypted; hub.yaml names it as secret:NAME.

    Raises:
        ConfigFault: SEC-NAME, SEC-EMPTY; SEC-KEY if there is no usable key.
    """
    if not SECRET_NAME.fullmatch(name):
        raise _refused("SEC-NAME", "that is no name for a secret", "letters, digits, dots, - and _, at most 80")
    if not value:
        raise _refused("SEC-EMPTY", "an empty secret", "type it when asked, or pipe it in")
    sealed = Vault(folder, os.environ).seal(value, name)
    store = _store(folder)
    try:
        with store.transaction() as tx:
            tx.set_secret(name, sealed)
            tx.audit(user_name(), "secret set", name, None, None, SystemClock().now())
    finally:
        store.close()


def secret_names(folder: Path) -> list[Dict]:
    """Names of the secrets that people set; never their values."""
    store = _store(folder)
    try:
        with store.reading() as tx:
            return [{"secret": name} for name in sorted(tx.secrets()) if SECRET_NAME.fullmatch(name)]
    finally:
        store.close()


def rotate_secrets(folder: Path) -> int:
    """Seal every secret anew, under a new key; the old one opens nothing afterwards. Gives how many.

    A key in the file is replaced; where keys come from the environment, the new one must stand there first already.
    The hub may run meanwhile: until the end both keys are good. Cut off, it goes on when it is called again.

    Raises:
        ConfigFault: SEC-KEY, a secret is under neither key.
    """
    vault, store = Vault(folder, os.environ), _store(folder)
    try:
        vault.begin_change()
        while behind := _behind(vault, store):
            for name in behind:
                _reseal(vault, store, name)
        vault.end_change()
        with store.transaction() as tx:
            tx.audit(user_name(), "secrets sealed anew", "secrets", None, len(tx.secrets()), SystemClock().now())
            return len(tx.secrets())
    finally:
        store.close()


def _behind(vault: Vault, store: Store) -> list[str]:
    with store.reading() as tx:
        return [name for name, sealed in tx.secrets().items() if not vault.is_changed(sealed)]


def _reseal(vault: Vault, store: Store, name: str) -> None:
    """In a transaction of its own: a process that renews a token at this moment waits, or is waited for."""
    with store.transaction() as tx:
        tx.set_secret(name, vault.reseal(tx.secret(name), name))


def _refused(code: str, message: str, fix: str) -> ConfigFault:
    return ConfigFault([Fault(code=code, where="secrets", message=message, fix=fix)])


def _store(folder: Path) -> Store:
    settings = load_project(folder).settings
    return Store(store_url(folder, settings.store_url, os.environ))


# The database


def upgrade(folder: Path) -> tuple[str, list[str]]:
    """Bring the project's database to this code's tables, and its views to the declared types.

    Returns:
        The number that the database is at, and the names of its views.
    """
    from hub.store.migrate import upgrade as migrate  # Alembic costs every start a tenth of a second

    project = load_project(folder)
    url = store_url(folder, project.settings.store_url, os.environ)
    number = migrate(url)
    store = Store(url)
    try:
        return number, store.create_views(view_specs(project.canonical))
    finally:
        store.close()


def view_specs(canonical: Canonical) -> list[ViewSpec]:
    """One typed view per entity type, for people with SQL tools."""
    return [
        ViewSpec(entity_type=name, columns=[c for field in entity.fields.values() for c in _columns(field)])
        for name, entity in canonical.entities.items()
    ]


_SAME = ("integer", "decimal", "boolean", "date", "instant")  # canonical types that SQL knows; others are text
_SQL_TYPES = {**dict(zip(_SAME, _SAME, strict=True)), "ref": "integer", "set": "json"}


def _columns(field: CanonicalField) -> list[ViewColumn]:
    name = field.name.replace(".", "_")
    if field.kind == "group":
        return [
            ViewColumn(name=part, path=(field.name, part), type=_SQL_TYPES.get(kind, "text"))
            for part, kind in field.parts.items()
        ]
    if field.kind == "consent":
        return [ViewColumn(name=name, path=(field.name, "state"))]
    if field.type == "money":
        return [
            ViewColumn(name=f"{name}_minor", path=(field.name, "minor"), type="integer"),
            ViewColumn(name=f"{name}_currency", path=(field.name, "currency")),
        ]
    return [ViewColumn(name=name, path=(field.name,), type=_SQL_TYPES.get(field.type, "text"))]
