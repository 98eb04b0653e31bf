"""Finds connectors, and reads a project: hub.yaml and the folder mappings. Every fault is listed at once.

A fault of one connection (its section, its mapping file, its connector) takes that connection out and leaves the
others running; a fault of what all share (hub.yaml itself, canonical.yaml) stops the hub. Connectors are found by
looking, in the package `connectors` and under the entry-point group `hub.connectors`; there is no list.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from zoneinfo import ZoneInfo

from hub.connector import Connector, Field, Settings
from hub.core.canonical import Canonical
from hub.core.canonical_file import read_canonical
from hub.core.checks import check_file, check_together, stops
from hub.core.computed import Derived
from hub.core.computed_file import parse_derived
from hub.core.derived import FUNCTIONS
from hub.core.document import Document, Sheet, nearest
from hub.core.goals import Goal, parse_goals
from hub.core.kpis import Kpis
from hub.core.kpis_file import parse_kpis
from hub.core.mapping_file import Hub, MappingFile, extend_canonical, read_mapping
from hub.core.milestones_file import parse_milestones
from hub.core.rewards import Rewards
from hub.core.rewards_file import parse_rules
from hub.core.triggers import Triggers
from hub.core.triggers_file import parse_triggers
from hub.errors import ConfigFault, Fault
from hub.runtime.addresses import check_url
from hub.runtime.settings_schema import ConnectionSettings, ProjectSettings, find_secrets, read_settings
from hub.runtime.slots import slots_fault
from hub.runtime.yaml import load_yaml

SETTINGS_FILE = "hub.yaml"
LIMITS = "limits"  # a setting of every connection: {limit name: calls}, for accounts that have other figures
CANONICAL_FILE = "canonical.yaml"
REWARDS_FILE = "rewards.yaml"
REWARDS = "rewards"  # whose faults those of rewards.yaml are
DERIVED_FILE = "derived.yaml"
TRIGGERS_FILE = "triggers.yaml"
TRIGGERS = "triggers"  # whose faults those of triggers.yaml are
KPIS_FILE = "kpis.yaml"
GOALS_FILE = "goals.yaml"
KPIS = "kpis"  # whose faults those of kpis.yaml and goals.yaml are
MAPPINGS = "mappings"
GROUP = "hub.connectors"
SHIPPED = Path(__file__).resolve().parents[2] / MAPPINGS  # beside the package, in a checkout and in a wheel

Schema = Mapping[str, Sequence[Field]]  # stream -> live fields


# Connectors


def connector_names() -> tuple[str, ...]:
    """Names of all connectors that are installed, shipped ones first; nothing is imported."""
    package = importlib.import_module("connectors")
    shipped = [module.name for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_")]
    return tuple(dict.fromkeys((*sorted(shipped), *sorted(_third_party()))))


@cache
def _third_party() -> Mapping[str, EntryPoint]:
    """Connectors of other packages. What is installed stays so while a process runs; to ask is a search of all."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def load_connector(name: str) -> Connector:
    """The connector of that name.

    Raises:
        ConfigFault: CFG-030 there is none, CFG-040 it cannot be loaded.
    """
    if name not in connector_names():
        hint = nearest(name, connector_names())
        raise ConfigFault([Fault(code="CFG-030", where=name, message=f"no connector {name}", fix=hint)])
    third_party = _third_party()
    try:
        module = third_party[name].load() if name in third_party else importlib.import_module(f"connectors.{name}")
    except Exception as reason:
        what = f"connector {name} cannot be loaded: {type(reason).__name__}: {reason}"
        raise ConfigFault([Fault(code="CFG-040", where=name, message=what, fix="install what it needs")]) from reason
    found = module if isinstance(module, Connector) else getattr(module, "CONNECTOR", None)
    if not isinstance(found, Connector):
        what = f"connector {name} holds no CONNECTOR"
        raise ConfigFault([Fault(code="CFG-040", where=name, message=what, fix="see docs, Writing a connector")])
    return found


# Projects


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project as its files have it."""

    folder: Path
    settings: ProjectSettings
    canonical: Canonical
    mappings: Mapping[str, MappingFile]  # connection -> its file; those with faults, too
    connectors: Mapping[str, Connector]  # connection -> its connector
    rewards: Rewards | None  # None: the project has no rewards.yaml, or one with faults
    derived: Derived | None = None  # None: the project has no derived.yaml
    triggers: Triggers | None = None  # None: the project has no triggers.yaml, or one with faults
    kpis: Kpis | None = None  # None: the project has no kpis.yaml, or one with faults
    goals: Mapping[str, Goal] = field(default_factory=dict)  # those of goals.yaml that pass
    faults: tuple[Fault, ...] = ()  # everything found, advice included
    broken: frozenset[str] = frozenset()  # connections that may not run
    documents: Mapping[str, Document] = field(default_factory=dict, repr=False)  # file -> what was read

    @property
    def connections(self) -> Mapping[str, ConnectionSettings]:
        """Connections that may run, in the order of hub.yaml."""
        return {name: each for name, each in self.settings.connections.items() if name not in self.broken}

    @property
    def stopping(self) -> tuple[Fault, ...]:
        """Faults that keep something from running."""
        return tuple(fault for fault in self.faults if stops(fault))

    def require(self) -> Project:
        """This project, if nothing in it is broken. Raises ConfigFault with all faults that stop."""
        if self.stopping:
            raise ConfigFault(self.stopping)
        return self


def load_project(
    folder: Path,
    *,
    mappings: Path | None = None,
    schemas: Mapping[str, Schema] | None = None,
    load: Callable[[str], Connector] = load_connector,
) -> Project:
    """Read and check a project.

    Args:
        folder: where hub.yaml is.
        mappings: folder of the mappings, if it is not `mappings` beside hub.yaml.
        schemas: connection -> live schema; without it the checks against live systems are left out.

    Raises:
        ConfigFault: what all connections share is broken; it carries everything found until then.
    """
    sheet = Sheet(load_yaml(folder / SETTINGS_FILE))
    settings = read_settings(sheet)
    state = _Loading(folder=mappings or folder / MAPPINGS, settings=settings)
    state.documents[SETTINGS_FILE] = sheet.document
    state.faults[""] += sheet.faults
    connectors = _connectors(state, load)
    sheets = _mapping_sheets(state)
    canonical, derived = _with_derived(state, _canonical(state, list(sheets.values())))
    if canonical is None or any(stops(fault) for fault in state.faults[""]):
        raise ConfigFault([fault for fault in state.all_faults(sheets) if stops(fault)])
    files = _mappings(state, sheets, canonical, connectors, schemas or {})
    if any(stops(fault) for fault in state.faults[""]):
        raise ConfigFault([fault for fault in state.all_faults(sheets) if stops(fault)])
    kpis = _kpis(state, canonical)
    rewards = _rewards(state, canonical, kpis)
    return Project(
        folder=folder,
        settings=settings,
        canonical=canonical,
        mappings=files,
        connectors=connectors,
        derived=derived,
        rewards=rewards,
        triggers=_triggers(state, canonical, rewards),
        kpis=kpis,
        goals=_goals(state, kpis),
        faults=tuple(state.all_faults(sheets)),
        broken=frozenset(name for name in settings.connections if state.is_broken(name, sheets)),
        documents=state.documents,
    )


@dataclass(slots=True, kw_only=True)
class _Loading:
    """What is gathered on the way. Faults: "" for what all share, connection -> its own, REWARDS, TRIGGERS
    and KPIS for theirs."""

    folder: Path
    settings: ProjectSettings
    faults: dict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))
    documents: dict[str, Document] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, found in self.settings.faults.items():
            self.faults[name] += found

    def read(self, name: str, owner: str) -> Sheet | None:
        """A file of the folder; None, with its faults noted, if it cannot be read."""
        try:
            document = load_yaml(self.folder / name)
        except ConfigFault as fault:
            self.faults[owner] += fault.faults
            return None
        self.documents[name] = document
        sheet = Sheet(document)
        find_secrets(sheet)
        return sheet

    def all_faults(self, sheets: Mapping[str, Sheet]) -> list[Fault]:
        """Each fault once: shared ones, then connection by connection, then those of rewards and figures."""
        names = ["", *self.settings.faults, REWARDS, TRIGGERS, KPIS]
        found = [fault for name in names for fault in (*_of_sheet(sheets, self, name), *self.faults[name])]
        return list(dict.fromkeys(found))

    def is_broken(self, name: str, sheets: Mapping[str, Sheet]) -> bool:
        return name not in _used(self, sheets) or any(
            stops(fault) for fault in (*_of_sheet(sheets, self, name), *self.faults[name])
        )


def _of_sheet(sheets: Mapping[str, Sheet], state: _Loading, name: str) -> Sequence[Fault]:
    """Faults of the mapping file that a connection uses."""
    connection = state.settings.connections.get(name)
    sheet = sheets.get(connection.mapping) if connection else None
    return sheet.faults if sheet else ()


def _used(state: _Loading, sheets: Mapping[str, Sheet]) -> Mapping[str, Sheet]:
    """Connection -> its mapping's sheet, where both could be read."""
    connections = state.settings.connections.values()
    return {each.name: sheets[each.mapping] for each in connections if each.mapping in sheets}


# Steps


def _connectors(state: _Loading, load: Callable[[str], Connector]) -> dict[str, Connector]:
    """Connection -> its connector; what the section says is held against what the connector knows."""
    found = {}
    for name, settings in state.settings.connections.items():
        try:
            found[name] = load(settings.connector)
        except ConfigFault as fault:
            state.faults[name] += [replace(each, where=settings.where) for each in fault.faults]
            continue
        try:
            found[name] = as_described(settings, found[name])
        except ConfigFault as fault:
            state.faults[name] += [_placed(state, name, each) for each in fault.faults]
            continue
        state.faults[name] += check_connection(settings, found[name])
    return found


def as_described(settings: ConnectionSettings, connector: Connector) -> Connector:
    """The connector as a connection describes it, if it is one that is described there. Raises ConfigFault."""
    if connector.tailored is None:
        return connector
    given = Settings(
        values=settings.settings,
        auth=settings.auth,
        streams=settings.streams,
        local=settings.local or bool(settings.base_url),
    )
    return replace(connector.tailored(given), tailored=connector.tailored)


def _placed(state: _Loading, name: str, fault: Fault) -> Fault:
    """A fault at a place in a connection's section, with its line."""
    path = ("connections", name, *fault.where.split("."))
    return replace(
        fault, where=state.documents[SETTINGS_FILE].where(path), message=f"{name}: {fault.where}: {fault.message}"
    )


def check_connection(settings: ConnectionSettings, connector: Connector) -> list[Fault]:
    """What a connection's section says, held against what its connector knows."""
    found = []

    def fault(code: str, message: str, fix: str) -> None:
        found.append(Fault(code=code, where=settings.where, message=f"{settings.name}: {message}", fix=fix))

    kinds = [auth.kind for auth in connector.auth]
    kind = settings.auth.get("kind", "none")
    if kinds and kind not in kinds and not (kind == "none" and (connector.local_files or connector.local_programs)):
        fault("CFG-033", f"{connector.title} is not signed in to by {kind}", f"auth: kind is one of {', '.join(kinds)}")
    known = {each.name for each in connector.settings} | {LIMITS}
    for key in settings.settings:
        if key not in known:
            fault("CFG-033", f"{connector.title} has no setting {key}", nearest(key, known))
    budgets = {limit.name for limit in connector.limits}
    own = settings.settings.get(LIMITS, {})
    for name, calls in own.items() if isinstance(own, Mapping) else [(str(own), None)]:
        if name not in budgets or not isinstance(calls, int) or calls < 1:
            what = f"{connector.title} has no limit {name}, or {calls} is no number of calls"
            fault("CFG-033", what, nearest(name, budgets))
    for each in connector.settings:
        if each.required and each.name not in settings.settings:
            fault("CFG-033", f"{connector.title} needs the setting {each.name}", each.text)
    streams = [stream.name for stream in connector.streams]
    for stream in settings.streams:
        if streams and stream not in streams:
            fault("CFG-032", f"{connector.title} has no stream {stream}", nearest(stream, streams))
    if settings.base_url:
        try:
            check_url(settings.base_url, hosts=connector.hosts, local=settings.local, where=settings.where)
        except ConfigFault as refusal:
            found += refusal.faults
    return found


def _mapping_sheets(state: _Loading) -> dict[str, Sheet]:
    """File -> its sheet; a file that several connections use is read once."""
    sheets: dict[str, Sheet] = {}
    for name, settings in state.settings.connections.items():
        if settings.mapping in sheets:
            continue
        sheet = state.read(settings.mapping, name)
        if sheet is not None:
            sheets[settings.mapping] = sheet
    return sheets


def _canonical(state: _Loading, sheets: Sequence[Sheet]) -> Canonical | None:
    sheet = state.read(CANONICAL_FILE, "")
    if sheet is None:
        return None
    canonical = read_canonical(sheet, derived=FUNCTIONS, currency=state.settings.hub.currency)
    state.faults[""] += sheet.faults
    return extend_canonical(canonical, sheets)


def _with_derived(state: _Loading, canonical: Canonical | None) -> tuple[Canonical | None, Derived | None]:
    """canonical.yaml with the fields of derived.yaml; mappings write them like any other, so its faults are all's."""
    if canonical is None or not (state.folder / DERIVED_FILE).exists():
        return canonical, None
    sheet = state.read(DERIVED_FILE, "")
    if sheet is None:
        return canonical, None
    hub = state.settings.hub
    derived, extended = parse_derived(sheet, canonical, currency=hub.currency, zone=ZoneInfo(hub.timezone))
    state.faults[""] += sheet.faults
    return extended, derived


def _mappings(
    state: _Loading,
    sheets: Mapping[str, Sheet],
    canonical: Canonical,
    connectors: Mapping[str, Connector],
    schemas: Mapping[str, Schema],
) -> dict[str, MappingFile]:
    """Connection -> its mapping, checked by itself and together with the others."""
    hub = Hub(currency=state.settings.hub.currency, country=state.settings.hub.country)
    by_file = {file: read_mapping(sheet, canonical, hub) for file, sheet in sheets.items()}
    files = {
        name: by_file[each.mapping] for name, each in state.settings.connections.items() if each.mapping in by_file
    }
    for name, file in files.items():
        settings, connector = state.settings.connections[name], connectors.get(name)
        if file.connector != settings.connector:
            what = f"{settings.mapping} is a mapping for {file.connector}, not for {settings.connector}"
            fix = "name the connection's own mapping"
            state.faults[name].append(Fault(code="CFG-031", where=settings.where, message=what, fix=fix))
        streams = {stream.name: stream for stream in connector.streams} if connector else None
        state.faults[name] += check_file(file, streams=streams, schema=schemas.get(name))
    sources = state.documents[CANONICAL_FILE].where(("sources",))
    together = check_together(files, canonical, connectors=connector_names(), where=sources)
    for name, faults in together.items():
        state.faults[name] += faults
    return files


def _rewards(state: _Loading, canonical: Canonical, kpis: Kpis | None) -> Rewards | None:
    if not (state.folder / REWARDS_FILE).exists():
        return None
    sheet = state.read(REWARDS_FILE, REWARDS)
    if sheet is None:
        return None
    rewards = parse_rules(
        sheet,
        canonical,
        currency=state.settings.hub.currency,
        zone=ZoneInfo(state.settings.hub.timezone),
        connections=state.settings.connections,
    )
    milestones = parse_milestones(
        sheet, canonical, kpis or Kpis(), rewards.budgets, connections=state.settings.connections
    )
    rewards = replace(rewards, milestones=milestones)
    state.faults[REWARDS] += sheet.faults
    return rewards if not any(stops(fault) for fault in sheet.faults) else None


def _triggers(state: _Loading, canonical: Canonical, rewards: Rewards | None) -> Triggers | None:
    if not (state.folder / TRIGGERS_FILE).exists():
        return None
    sheet = state.read(TRIGGERS_FILE, TRIGGERS)
    if sheet is None:
        return None
    hub = state.settings.hub
    triggers = parse_triggers(
        sheet,
        canonical,
        budgets=rewards.budgets if rewards is not None else {},
        taken=rewards.rules if rewards is not None else (),
        currency=hub.currency,
        zone=ZoneInfo(hub.timezone),
        connections=state.settings.connections,
        check_slots=slots_fault,
    )
    state.faults[TRIGGERS] += sheet.faults
    return triggers if not any(stops(fault) for fault in sheet.faults) else None


def _kpis(state: _Loading, canonical: Canonical) -> Kpis | None:
    if not (state.folder / KPIS_FILE).exists():
        return None
    sheet = state.read(KPIS_FILE, KPIS)
    if sheet is None:
        return None
    hub = state.settings.hub
    kpis = parse_kpis(sheet, canonical, currency=hub.currency, zone=ZoneInfo(hub.timezone))
    state.faults[KPIS] += sheet.faults
    return kpis if not any(stops(fault) for fault in sheet.faults) else None


def _goals(state: _Loading, kpis: Kpis | None) -> Mapping[str, Goal]:
    """A goal with a fault is left out; the others stand."""
    if not (state.folder / GOALS_FILE).exists():
        return {}
    sheet = state.read(GOALS_FILE, KPIS)
    if sheet is None:
        return {}
    goals = parse_goals(sheet, kpis or Kpis())
    state.faults[KPIS] += sheet.faults
    return goals
