"""From a project's folder to a running hub: the only place where the world's parts are made and put together.

Files are drafts, the store runs: a changed file that passes its checks is published as a numbered version; one that
does not leaves the last published version in force. A connection that cannot be used (no credentials, a host that is
not the vendor's, a mapping that never passed) is kept with its fault, and the others go on without it.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

from hub.app.connecting import Maker
from hub.app.context import Hub
from hub.app.derived import after_merges, compute_hook
from hub.app.events import merge_hook
from hub.app.publishing import as_published, publish_changes, with_published
from hub.app.restored import is_copy
from hub.app.rewards import reward_hook, setup_of
from hub.app.triggers import computed_hook, trigger_hook
from hub.core.rewards import Rewards
from hub.core.triggers import Triggers
from hub.errors import ConfigFault, Fault
from hub.runtime.alerts import Alerts
from hub.runtime.clock import Clock, SystemClock
from hub.runtime.log import configure
from hub.runtime.memory import suit_pages
from hub.runtime.outgoing import Outgoing
from hub.runtime.registry import SETTINGS_FILE, Project, load_project
from hub.runtime.secrets import Vault
from hub.runtime.settings_schema import NOT_SECRET
from hub.store import Store

STORE_FILE = "hub.db"
URL_SETTING = "HUB_DATABASE_URL"


def find_project(start: Path) -> Path:
    """The nearest folder with a hub.yaml, from here upwards. Raises ConfigFault CFG-050 if there is none."""
    here = start.resolve()
    for folder in (here, *here.parents):
        if (folder / SETTINGS_FILE).is_file():
            return folder
    message, fix = f"there is no {SETTINGS_FILE} here or above", "hub init DIR makes a project; --project DIR names one"
    raise ConfigFault([Fault(code="CFG-050", where=start.name or ".", message=message, fix=fix)])


def store_url(project: Path, given: str, environ: Mapping[str, str]) -> str:
    """The database's URL: hub.yaml's, else the environment's, else SQLite beside hub.yaml.

    Args:
        given: `store.url` of hub.yaml; an `env:NAME` that is not set counts as not given.
    """
    if given.startswith("env:"):
        given = environ.get(given.removeprefix("env:"), "")
    url = given or environ.get(URL_SETTING, "")
    if not url:
        return f"sqlite:///{project / STORE_FILE}"
    if url.startswith("sqlite:///") and not url.startswith("sqlite:////"):  # relative to the project, not to the shell
        return f"sqlite:///{project / url.removeprefix('sqlite:///')}"
    return url


@contextmanager
def opened(project: Path, *, publish: bool = False, connect: bool = True) -> Iterator[Hub]:
    """`open_hub`, closed afterwards."""
    hub = open_hub(project, publish=publish, connect=connect)
    try:
        yield hub
    finally:
        hub.store.close()


def open_hub(
    project_dir: Path,
    *,
    clock: Clock | None = None,
    environ: Mapping[str, str] | None = None,
    url: str = "",
    publish: bool = False,
    connect: bool = True,
    by: str = "",
) -> Hub:
    """A hub over a project's files and store.

    Args:
        clock: the world's; the machine's unless given.
        environ: where env: references look; the process's environment unless given.
        url: of the store, instead of the project's own.
        publish: changed files become versions.
        connect: False opens no doors: for what only reads the store.
        by: who publishes; the user of the machine unless given.

    Raises:
        ConfigFault: what all connections share is broken; or the store is of another version.
    """
    suit_pages()
    clock, environ = clock or SystemClock(), os.environ if environ is None else environ
    project = load_project(project_dir)
    store = Store(url or store_url(project_dir, project.settings.store_url, environ))
    try:
        if publish:
            publish_changes(store, project, by=by or user_name(), at=clock.now())
        project = with_published(store, project)
        hub = Hub(
            store=store, canonical=project.canonical, connections={}, clock=clock, instance=_instance(store),
            copied=is_copy(store), vault=Vault(project_dir, environ), reads_ahead=True,
        )  # fmt: skip
        _furnish(hub, project, clock, environ, connect=connect)
    except BaseException:
        store.close()
        raise
    return hub


def refresh_hub(hub: Hub, *, by: str = "", environ: Mapping[str, str] | None = None) -> dict[str, int]:
    """Take in what changed, in place; gives file -> version of what was published.

    Args:
        by: publishes what changed in the project's files; "": only what somebody published elsewhere is taken in.

    Nobody may be at work with the hub's connections meanwhile: each is made anew.

    Raises:
        ConfigFault: what all connections share is broken; everything is as it was.
    """
    versions: dict[str, int] = {}
    if by:
        project = load_project(hub.projects.folder)
        versions = publish_changes(hub.store, project, by=by, at=hub.clock.now())
        project = with_published(hub.store, project)
    else:
        project = as_published(hub.store, hub.projects.folder)
    _furnish(hub, project, SystemClock(), os.environ if environ is None else environ, connect=True)
    return versions


def _furnish(hub: Hub, project: Project, clock: Clock, environ: Mapping[str, str], *, connect: bool) -> None:
    """What a hub takes from its project."""
    hub.canonical, hub.guards, hub.projects = project.canonical, project.settings.guards, project
    if hub.vault is None:
        raise ValueError("a project's hub keeps secrets")
    maker = Maker(hub, project, hub.vault, clock, environ, connect=connect)
    names = dict.fromkeys((*project.settings.connections, *project.settings.faults))
    hub.connections = {name: maker.connection(name) for name in names}
    if hub.copied:
        hub.connections = {name: replace(each, mode="observe") for name, each in hub.connections.items()}
    hub.tell = Alerts(maker.notice_addresses).send if project.settings.notices is not None else None
    hub.post = Outgoing(maker.secret_of).post if connect else None
    _with_rewards(hub, project)


def user_name() -> str:
    """Who runs this command, for the audit log."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _instance(store: Store) -> str:
    """The store's own name; asked for in a reading transaction first, since it is made only once."""
    with store.reading() as tx:
        found = tx.setting("instance_id")
    if found is not None:
        return str(found)
    with store.transaction() as tx:
        return tx.instance_id()


def _with_rewards(hub: Hub, project: Project) -> None:
    """Events, sums and grants follow in the transaction of the change; without rules, events and sums still do."""
    none = Rewards(currency=project.settings.hub.currency, zone=ZoneInfo(project.settings.hub.timezone))
    with hub.store.reading() as tx:
        told = tx.mapping_versions("triggers")
    version = next((each.version for each in told if each.kind == "triggers"), 0)
    hub.rewards, hub.derived = project.rewards or none, project.derived
    hub.triggers = replace(project.triggers or Triggers(zone=none.zone), version=version)
    settle = merge_hook(project.canonical, currency=project.settings.hub.currency)
    hub.on_changes = reward_hook(
        hub.rewards, project.canonical, compute=compute_hook(project.derived, project.canonical),
        then=trigger_hook(hub.triggers),
    )  # fmt: skip
    hub.on_computed = computed_hook(setup_of(hub.rewards, project.canonical), hub.triggers)
    hub.on_merges = after_merges(settle, project.derived, project.canonical)


# What fronts need of the outside world


def start_logging(hub: Hub) -> None:
    """The process's log, in which no credential of any connection can appear."""
    secrets = [
        value
        for each in hub.connections.values()
        for given in (each.settings.auth, each.settings.webhooks)
        for key, value in given.items()
        if key not in NOT_SECRET
    ]
    configure(secrets=secrets)


def listen_fault(host: str, port: int, why: str) -> ConfigFault:
    """The error for an address that cannot be listened on."""
    fault = Fault(code="CFG-053", where=f"{host}:{port}", message=f"cannot listen: {why}", fix="choose another --port")
    return ConfigFault([fault])
