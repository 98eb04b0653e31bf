"""Another key for the hub's secrets: sealed anew one by one, while the hub runs, and cut off in the middle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from hub.app.bootstrap import STORE_FILE
from hub.app.projects import rotate_secrets, set_secret
from hub.errors import ConfigFault
from hub.runtime.secrets import KEY_FILE, KEY_SETTING, Vault
from hub.store import Store
from tests.projects import make_project

NAMES = ("crm", "shop", "mail")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(KEY_SETTING, raising=False)
    found = make_project(tmp_path)
    for name in NAMES:
        set_secret(found, name, f"the secret of {name}")
    return found


def sealed(project: Path) -> dict[str, bytes]:
    store = Store(f"sqlite:///{project / STORE_FILE}")
    try:
        with store.reading() as tx:
            return tx.secrets()
    finally:
        store.close()


def opens(project: Path, vault: Vault) -> bool:
    return all(vault.unseal(each, name) == f"the secret of {name}" for name, each in sealed(project).items())


def test_all_secrets_are_sealed_anew_and_the_old_key_opens_none(project: Path, tmp_path: Path) -> None:
    stolen, running, before = (project / KEY_FILE).read_text(), Vault(project, {}), sealed(project)
    assert opens(project, running)
    assert rotate_secrets(project) == 3
    assert opens(project, Vault(project, {}))
    assert opens(project, running), "a hub that runs meanwhile goes on"
    assert stolen.strip() not in (project / KEY_FILE).read_text()
    thief = Vault(tmp_path, {KEY_SETTING: stolen.strip()})
    for name, each in sealed(project).items():
        assert each != before[name]
        with pytest.raises(ConfigFault, match="SEC-KEY"):
            thief.unseal(each, name)


def test_keys_of_the_environment_are_changed_by_putting_the_new_one_first(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = (project / KEY_FILE).read_text().strip(), Fernet.generate_key().decode()
    monkeypatch.setenv(KEY_SETTING, f"{new},{old}")
    assert rotate_secrets(project) == 3
    assert opens(project, Vault(project, {KEY_SETTING: new}))


def test_a_change_of_keys_that_was_cut_off_goes_on(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, left = Vault.reseal, [2]

    def dies(self: Vault, *given: Any) -> bytes:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return real(self, *given)

    monkeypatch.setattr(Vault, "reseal", dies)
    with pytest.raises(KeyboardInterrupt):
        rotate_secrets(project)
    monkeypatch.setattr(Vault, "reseal", real)
    keys = (project / KEY_FILE).read_text().split()
    assert len(keys) == 2
    assert opens(project, Vault(project, {})), "both keys are good meanwhile"
    assert rotate_secrets(project) == 3
    assert (project / KEY_FILE).read_text().split() == keys[:1], "no third key"
    assert opens(project, Vault(project, {}))
