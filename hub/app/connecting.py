"""Connections: from a section of hub.yaml to something that can be spoken to, or to the reason why it cannot.

Doors are opened here and nowhere else. Secrets are resolved at this moment and live only in the door and in what
`connect` is handed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

import orjson

from hub.app.context import Connection, Hub
from hub.app.leases import LEASE_S
from hub.app.publishing import file_of, stem_of
from hub.app.shared_rates import shared_budgets
from hub.connector import Connector, Settings, Stream
from hub.core.checks import stops
from hub.core.mapping import StreamMapping
from hub.errors import ConfigFault, Fault, HubError, NotFound, RetryLater
from hub.runtime.budgets import Budgets
from hub.runtime.clock import Clock
from hub.runtime.cron import Cron
from hub.runtime.files import LocalFiles
from hub.runtime.http import HttpDoor, open_door
from hub.runtime.mail import open_mail
from hub.runtime.process import owner_name
from hub.runtime.programs import LocalPrograms
from hub.runtime.registry import Project
from hub.runtime.secrets import Vault, resolve
from hub.runtime.settings_schema import NOT_SECRET, ConnectionSettings
from hub.runtime.sign_in import Tokens, TokenShelf


class Maker:
    """Makes connections out of a project's settings."""

    def __init__(
        self, hub: Hub, project: Project, vault: Vault, clock: Clock, environ: Mapping[str, str], *, connect: bool
    ) -> None:
        self._hub, self._project, self._vault = hub, project, vault
        self._clock, self._environ, self._connect = clock, environ, connect

    def connection(self, name: str) -> Connection:
        """One connection, ready to be spoken to, or with the fault that keeps it from being used."""
        settings = self._project.settings.connections.get(name)
        connector = self._project.connectors.get(name)
        if settings is None or connector is None or name in self._project.broken:
            return self._unusable(name, settings, connector)
        try:
            return self._usable(settings, connector)
        except HubError as fault:
            return self._faulty(settings, connector, fault)

    def notice_addresses(self) -> Mapping[str, str]:
        """Name -> address of those who are told when something waits for a person. Raises ConfigFault."""
        notices = self._project.settings.notices
        return self._resolve(notices.to, "hub.yaml: notices") if notices is not None else {}

    def secret_of(self, reference: str) -> str:
        """What `secret:NAME` or `env:NAME` of triggers.yaml stands for. Raises ConfigFault."""
        return self._resolve({"secret": reference}, "triggers.yaml")["secret"]

    def _usable(self, settings: ConnectionSettings, connector: Connector) -> Connection:
        given = self._resolved(settings, connector) if self._connect else _unresolved(settings)
        connector = connector if connector.tailored is None else connector.tailored(given)
        streams = _streams(connector, given)
        found = self._plain(settings, connector, given, streams)
        _check_streams(settings, found.mappings, streams)
        if not self._connect:
            return found
        if connector.only_listens or connector.inside:
            return replace(found, api=connector.connect(None, given))
        if connector.local_files:
            files = LocalFiles(self._project.folder, settings.name, self._clock)
            return replace(found, api=connector.connect(files, given))
        if connector.mail:
            mail = open_mail(connector, given, account=settings.name, clock=self._clock)
            return replace(found, api=connector.connect(mail, given), longest_write_s=mail.longest_write_s)
        if connector.local_programs:
            programs = LocalPrograms(
                self._project.folder, settings.name, self._clock, environ=self._environ,
                secrets=[value for key, value in given.auth.items() if key not in NOT_SECRET],
            )  # fmt: skip
            return replace(found, api=connector.connect(programs, given))
        door = open_door(
            connector, given, account=settings.name, base_url=settings.base_url, reserve=settings.reserve,
            clock=self._clock, shelf=self._shelf(settings, given),
            make_budgets=shared_budgets(self._hub) if self._hub.store.many_writers else Budgets,
        )  # fmt: skip
        return replace(
            found,
            api=connector.connect(door, given),
            counts=lambda: _calls(door),
            new_run=door.new_run,
            longest_write_s=door.longest_write_s,
        )

    def _faulty(self, settings: ConnectionSettings, connector: Connector, fault: HubError) -> Connection:
        """A connection that is well described and cannot be spoken to: its links still count, its run fails."""
        given = _unresolved(settings)
        try:
            streams = _streams(connector, given)
        except HubError:
            streams = {}
        found = self._plain(settings, connector, given, streams)
        readable = {name: each for name, each in found.mappings.items() if each.source in streams}
        return replace(found, mappings=readable, fault=fault)

    def _plain(
        self, settings: ConnectionSettings, connector: Connector, given: Settings, streams: Mapping[str, Stream]
    ) -> Connection:
        """Everything but the way out."""
        with self._hub.store.reading() as tx:
            version = tx.mapping_version(stem_of(settings.mapping), "mapping")
        return Connection(
            name=settings.name, connector=connector, api=None, settings=given, mode=settings.mode,
            mappings=self._project.mappings[settings.name].streams, streams=streams, mapping_version=version,
            every_s={name: every for name in streams if isinstance(every := settings.schedule_of(name), float)},
            crons={name: cron for name in streams if isinstance(cron := settings.schedule_of(name), Cron)},
            sweep_s=settings.sweep_s, canary=settings.canary, reserve=settings.reserve,
        )  # fmt: skip

    def _unusable(self, name: str, settings: ConnectionSettings | None, connector: Connector | None) -> Connection:
        return Connection(
            name=name, connector=connector or _nothing(settings.connector if settings else ""), api=None,
            settings=Settings(values={}, auth={}), mode=settings.mode if settings else "observe", mappings={},
            streams={}, fault=ConfigFault(self._faults_of(name, settings)),
        )  # fmt: skip

    def _faults_of(self, name: str, settings: ConnectionSettings | None) -> Sequence[Fault]:
        """What is wrong with one connection: its section of hub.yaml and its mapping file."""
        own = {str(fault) for fault in self._project.settings.faults.get(name, ())}
        places = {settings.mapping, settings.where} if settings else set()
        found = [
            fault
            for fault in self._project.faults
            if stops(fault) and (str(fault) in own or fault.where in places or file_of(fault) in places)
        ]
        return found or [Fault(code="CFG-031", where=name, message="it has no mapping", fix="hub mapping check")]

    def _resolved(self, settings: ConnectionSettings, connector: Connector) -> Settings:
        """Settings as `connect` takes them: secrets resolved, defaults filled in, and what the mapping asks for."""
        defaults = {each.name: each.default for each in connector.settings if each.default is not None}
        return Settings(
            values={**defaults, **settings.settings},
            auth=self._resolve(settings.auth, settings.where),
            webhooks=self._resolve(settings.webhooks, settings.where),
            streams=self._stream_options(settings, connector),
            local=settings.local,
        )

    def _resolve(self, given: Mapping[str, str], where: str) -> dict[str, str]:
        return resolve(given, environ=self._environ, secret=self._secret, where=where)

    def _stream_options(self, settings: ConnectionSettings, connector: Connector) -> dict[str, Mapping[str, object]]:
        options: dict[str, Mapping[str, object]] = {name: dict(each) for name, each in settings.streams.items()}
        if connector.streams_for is not None:
            return options  # a file is read whole
        for mapping in self._project.mappings[settings.name].streams.values():
            asked = _asked(mapping)
            known = options.get(mapping.source, {})
            options[mapping.source] = {**known, **{key: _joined(known.get(key), each) for key, each in asked.items()}}
        return options

    def _secret(self, name: str) -> str:
        with self._hub.store.reading() as tx:
            return self._vault.unseal(tx.secret(name), name)

    def _shelf(self, settings: ConnectionSettings, given: Settings) -> TokenShelf | None:
        """Where rotated refresh tokens are kept; others are cheap to get again and need no shelf."""
        if given.auth.get("kind") != "refresh_token":
            return None
        return token_shelf(self._hub, self._vault, settings.name, given.auth)


def _unresolved(settings: ConnectionSettings) -> Settings:
    """Settings without secrets: enough for a connection that is not spoken to."""
    return Settings(values=settings.settings, auth={}, streams=settings.streams, local=settings.local)


def _streams(connector: Connector, given: Settings) -> dict[str, Stream]:
    streams = connector.streams_for(given) if connector.streams_for is not None else connector.streams
    return {stream.name: stream for stream in streams}


def _check_streams(
    settings: ConnectionSettings, mappings: Mapping[str, StreamMapping], streams: Mapping[str, Stream]
) -> None:
    """Every stream that the mapping reads must be there: of files, only hub.yaml knows. Raises ConfigFault."""
    missing = sorted({each.source for each in mappings.values()} - streams.keys())
    if missing:
        what = f"{settings.mapping} reads {', '.join(missing)}, which {settings.name} does not have"
        fix = f"add it to streams: of {settings.name}"
        raise ConfigFault([Fault(code="CFG-032", where=settings.where, message=what, fix=fix)])


def _asked(mapping: StreamMapping) -> dict[str, Sequence[str]]:
    """What a stream must be read with: fields, and associations if any."""
    asked: dict[str, Sequence[str]] = {"fields": mapping.remote_fields}
    return asked | ({"associations": mapping.associations} if mapping.associations else {})


def _joined(known: object, more: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([*(known if isinstance(known, list | tuple) else ()), *more]))


def _calls(door: HttpDoor) -> dict[str, int]:
    return {operation: count.calls for operation, count in door.counts.snapshot().items()}


def _nothing(name: str) -> Connector:
    """In the place of a connector that does not exist or cannot be loaded."""

    def refuse(*_: object) -> None:
        raise NotFound(f"there is no connector {name}")

    return Connector(
        name=name or "unknown", title=name or "unknown", base_url="", hosts=(), auth=(), limits=(), streams=(),
        connect=refuse, check=refuse, discover=refuse, pull=refuse,  # type: ignore[arg-type]
    )  # fmt: skip


# Tokens


def token_shelf(hub: Hub, vault: Vault, connection: str, credentials: Mapping[str, str]) -> TokenShelf:
    """Keeps a connection's rotated tokens in the store, encrypted, and lets one process refresh at a time.

    Tokens belong to the credentials they were made from: others in hub.yaml start anew.
    """
    name = f"tokens:{connection}"
    made_from = hashlib.sha256(orjson.dumps(dict(credentials), option=orjson.OPT_SORT_KEYS)).hexdigest()

    def save(tokens: Tokens) -> None:
        sealed = vault.seal(orjson.dumps({"from": made_from, "tokens": {**load(), **tokens}}).decode(), name)
        with hub.store.transaction() as tx:
            tx.set_secret(name, sealed)

    def load() -> Tokens:
        with hub.store.reading() as tx:
            sealed = tx.secrets().get(name)
        found = orjson.loads(vault.unseal(sealed, name)) if sealed else {}
        return found["tokens"] if found.get("from") == made_from else {}

    return TokenShelf(save=save, load=load, exclusive=lambda: _exclusive(hub, name))


def _exclusive(hub: Hub, name: str) -> AbstractContextManager[None]:
    """One process at a time, by a lease; whoever waits sees the new tokens afterwards."""
    owner = f"{owner_name()}/{os.urandom(4).hex()}"

    @contextmanager
    def held() -> Iterator[None]:
        deadline = hub.clock.now() + LEASE_S / 2  # before a lease whose holder died runs out
        while True:
            with hub.store.transaction() as tx:
                if tx.lease(name, owner, hub.clock.now(), LEASE_S) is not None:
                    break
            if hub.clock.now() > deadline:
                raise RetryLater("another process keeps the sign-in", code="AUTH-LATER", where=name)
            hub.clock.sleep(0.2)
        try:
            yield
        finally:
            with hub.store.transaction() as tx:
                tx.release(name, owner)

    return held()
