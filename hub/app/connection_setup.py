"""Connections as people set them up in the console: the form of a connector, credentials straight into the vault.

What is typed as a credential is sealed before anything else happens, and never shown or logged again; hub.yaml gets
a reference to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hub.app.context import Hub
from hub.app.listings import Dict
from hub.app.projects import SIGN_IN_NEEDS, add_connection
from hub.app.reference_connectors import SIGN_INS
from hub.app.runs import connection_of
from hub.app.transact import commit
from hub.connector import Connector
from hub.errors import ConfigFault, Fault, HubError
from hub.model import Json
from hub.runtime.registry import SETTINGS_FILE, connector_names, load_connector
from hub.runtime.settings_edit import change_connection
from hub.runtime.settings_schema import MODES, NOT_SECRET
from hub.store import Tx

SECRET = "secret:"  # how hub.yaml refers to what is kept
NOTHING: Mapping[str, Mapping[str, Json]] = {}
MODE_TEXTS = {
    "observe": "The system is read; nothing is written to it.",
    "propose": "Nothing is written before a person approved the plan of it.",
    "canary": "A few records are written at once; the rest waits for approval.",
    "live": "The system is read and written.",
}


def connector_forms() -> list[Dict]:
    """Every connector that is installed, as a form: how one signs in, and its settings."""
    return [_form(load_connector(name)) for name in connector_names()]


def connector_form(name: str) -> Dict:
    """Raises ConfigFault CFG-030 for an unknown one."""
    return _form(load_connector(name))


def _form(connector: Connector) -> Dict:
    return {
        "connector": connector.name, "title": connector.title, "files": connector.local_files,
        "streams": [stream.name for stream in connector.streams], "webhooks": connector.parse is not None,
        "auth": [
            {
                "kind": auth.kind, "text": SIGN_INS.get(auth.kind, auth.kind).partition(": ")[2],
                "fields": [
                    {"name": name, "secret": name not in NOT_SECRET} for name in SIGN_IN_NEEDS.get(auth.kind, ())
                ],
            }
            for auth in connector.auth
            if auth.kind != "none"
        ],
        "settings": [
            {"name": each.name, "text": each.text, "required": each.required, "default": each.default}
            for each in connector.settings
            if not each.secret
        ],
    }  # fmt: skip


def add(
    hub: Hub, name: str, connector: str, *, kind: str = "", credentials: Mapping[str, str], settings: Mapping[str, str],
    base_url: str = "", by: str,
) -> None:  # fmt: skip
    """Add a connection in mode observe. Credentials are kept encrypted as `NAME.key`.

    Raises:
        ConfigFault: an unknown connector, a name that is taken, a credential that is missing, a section that does not
        pass. Nothing is kept then.
    """
    form = connector_form(connector)
    wanted = next((auth for auth in form["auth"] if auth["kind"] == kind), None)
    if form["auth"] and wanted is None:
        raise _fault("CFG-033", name, "choose how to sign in", f"one of {', '.join(a['kind'] for a in form['auth'])}")
    if name in hub.connections:
        raise _fault("CFG-051", name, f"there is a connection {name} already", "choose another name")
    fields = wanted["fields"] if wanted else []
    missing = [each["name"] for each in fields if not credentials.get(each["name"], "").strip()]
    if missing:
        raise _fault("CFG-033", name, f"missing: {', '.join(missing)}", "fill everything in that the sign-in needs")
    auth, secrets = {"kind": kind} if wanted else {}, {}
    for each in fields:
        value = credentials[each["name"]].strip()
        if each["secret"]:
            auth[each["name"]] = f"secret:{name}.{each['name']}"
            secrets[f"{name}.{each['name']}"] = value
        else:
            auth[each["name"]] = value
    given = {key: value.strip() for key, value in settings.items() if value.strip()}
    _keep_secrets(hub, secrets, by=by)
    try:
        add_connection(_folder(hub), name, connector, settings=given, auth=auth, base_url=base_url.strip())
    except HubError:
        commit(hub, lambda tx: [tx.drop_secret(secret) for secret in secrets])
        raise
    commit(hub, lambda tx: tx.audit(by, "connection added", name, None, {"connector": connector}, hub.clock.now()))


def _keep_secrets(hub: Hub, secrets: Mapping[str, str], *, by: str) -> None:
    if hub.vault is None:
        raise _fault("SEC-KEY", "secrets", "this hub keeps no secrets", "open a project")
    sealed = {name: hub.vault.seal(value, name) for name, value in secrets.items()}

    def keep(tx: Tx) -> None:
        for name, ciphertext in sealed.items():
            tx.set_secret(name, ciphertext)
            tx.audit(by, "secret set", name, None, None, hub.clock.now())

    commit(hub, keep)


def kept_credentials(hub: Hub, name: str) -> list[str]:
    """What of a connection's sign-in is kept encrypted here, and so can be given anew: its keys."""
    return sorted(_sealed(hub, name))


def renew_credentials(hub: Hub, name: str, credentials: Mapping[str, str], *, by: str) -> list[str]:
    """Keep other credentials in the place of those that are kept; an empty one stays as it is. Gives what is new.

    Raises:
        NotFound: no such connection. ConfigFault CFG-033: nothing was given, or something that is not kept here.
    """
    connection_of(hub, name)
    sealed = _sealed(hub, name)
    given = {key: value.strip() for key, value in credentials.items() if value.strip()}
    if not given or given.keys() - sealed.keys():
        fix = f"one of {', '.join(sorted(sealed))}" if sealed else "hub.yaml says where its credentials stand"
        raise _fault("CFG-033", name, "no credential that is kept here", fix)
    _keep_secrets(hub, {sealed[key]: value for key, value in given.items()}, by=by)
    return sorted(given)


def _sealed(hub: Hub, name: str) -> dict[str, str]:
    """Key of the sign-in -> the name under which it is kept."""
    found = hub.projects.settings.connections.get(name) if hub.projects is not None else None
    auth = found.auth if found is not None else {}
    return {
        key: value.removeprefix(SECRET)
        for key, value in auth.items()
        if isinstance(value, str) and value.startswith(SECRET)
    }


def set_mode(hub: Hub, name: str, mode: str, *, by: str) -> None:
    """Say in hub.yaml what may be done at a system; takes effect when the project is taken in anew.

    Raises:
        NotFound: no such connection. ConfigFault: no such mode.
    """
    old = connection_of(hub, name).mode
    if mode not in MODES:
        raise _fault("CFG-012", name, f"there is no mode {mode[:20]}", f"modes are: {', '.join(MODES)}")
    change_section(hub, name, {"mode": mode})
    commit(hub, lambda tx: tx.audit(by, "mode changed", name, old, mode, hub.clock.now()))


def change_section(
    hub: Hub, name: str, changes: Mapping[str, Json], streams: Mapping[str, Mapping[str, Json]] = NOTHING
) -> None:
    """Set keys of a connection in hub.yaml, and of its streams, wholly or not at all. Raises ConfigFault."""
    change_connection(_folder(hub) / SETTINGS_FILE, name, changes, streams)


def keep_secret(hub: Hub, name: str, value: str, *, by: str) -> None:
    """Seal a secret under a name that hub.yaml can refer to. Raises ConfigFault SEC-KEY."""
    _keep_secrets(hub, {name: value}, by=by)


def _folder(hub: Hub) -> Path:
    if hub.projects is None:
        raise _fault("CFG-050", "hub.yaml", "this hub has no project", "open one")
    folder: Path = hub.projects.folder
    return folder


def _fault(code: str, where: str, message: str, fix: str) -> ConfigFault:
    return ConfigFault([Fault(code=code, where=where, message=message, fix=fix)])
