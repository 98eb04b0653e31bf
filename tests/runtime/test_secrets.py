"""Secrets are unreadable without their key, keys can be changed, and no message gives anything away."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from hub.errors import ConfigFault, NotFound
from hub.runtime.secrets import KEY_FILE, KEY_SETTING, Vault, resolve

SECRET = "correct horse battery staple"


def key() -> str:
    return Fernet.generate_key().decode()


def test_what_is_sealed_can_be_opened_by_the_next_process(tmp_path: Path) -> None:
    sealed = Vault(tmp_path, {}).seal(SECRET, "crm")
    assert SECRET.encode() not in sealed
    assert Vault(tmp_path, {}).unseal(sealed, "crm") == SECRET


def test_the_key_file_is_made_readable_by_nobody_else(tmp_path: Path) -> None:
    Vault(tmp_path, {}).seal(SECRET, "crm")
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600


def test_a_key_in_the_environment_leaves_no_file(tmp_path: Path) -> None:
    environ = {KEY_SETTING: key()}
    sealed = Vault(tmp_path, environ).seal(SECRET, "crm")
    assert not (tmp_path / KEY_FILE).exists()
    assert Vault(tmp_path, environ).unseal(sealed, "crm") == SECRET


def test_keys_are_changed_by_putting_the_new_one_first(tmp_path: Path) -> None:
    old, new = key(), key()
    sealed = Vault(tmp_path, {KEY_SETTING: old}).seal(SECRET, "crm")
    both = Vault(tmp_path, {KEY_SETTING: f"{new}, {old}"})
    assert both.unseal(sealed, "crm") == SECRET
    again = both.seal(SECRET, "crm")
    assert Vault(tmp_path, {KEY_SETTING: new}).unseal(again, "crm") == SECRET


def test_what_is_sealed_under_one_name_opens_under_no_other(tmp_path: Path) -> None:
    """Whoever can write to the database cannot have one system's token sent to another."""
    vault = Vault(tmp_path, {})
    sealed = vault.seal(SECRET, "crm")
    with pytest.raises(ConfigFault, match="another name") as found:
        vault.unseal(sealed, "shop")
    assert SECRET not in str(found.value)
    altered = bytes([*sealed[:-20], sealed[-20] ^ 1, *sealed[-19:]])
    with pytest.raises(ConfigFault, match="SEC-KEY"):
        vault.unseal(altered, "crm")


def test_a_secret_that_was_sealed_before_names_were_still_opens(tmp_path: Path) -> None:
    given = key()
    assert Vault(tmp_path, {KEY_SETTING: given}).unseal(Fernet(given).encrypt(SECRET.encode()), "crm") == SECRET


def test_nothing_is_sealed_twice_alike(tmp_path: Path) -> None:
    """A fresh nonce each time, in one process and in the next: equal secrets do not show."""
    sealed = {Vault(tmp_path, {}).seal(SECRET, "crm") for _ in range(50)}
    vault = Vault(tmp_path, {})
    sealed |= {vault.seal(SECRET, "crm") for _ in range(50)}
    assert len(sealed) == 100
    assert len({base64.urlsafe_b64decode(each)[9:25] for each in sealed}) == 100, "the nonces of the Fernet tokens"


@pytest.mark.parametrize("environ", [{KEY_SETTING: "hunter2-hunter2"}, {KEY_SETTING: Fernet.generate_key().decode()}])
def test_a_wrong_key_is_a_coded_fault_without_the_key_or_the_secret(tmp_path: Path, environ: dict[str, str]) -> None:
    sealed = Vault(tmp_path, {}).seal(SECRET, "crm")
    with pytest.raises(ConfigFault) as found:
        Vault(tmp_path, environ).unseal(sealed, "crm")
    assert found.value.code == "SEC-KEY"
    assert SECRET not in str(found.value)
    assert environ[KEY_SETTING] not in str(found.value)


def test_a_lost_key_file_says_what_to_do(tmp_path: Path) -> None:
    sealed = Vault(tmp_path, {}).seal(SECRET, "crm")
    (tmp_path / KEY_FILE).unlink()
    with pytest.raises(ConfigFault, match=KEY_FILE):
        Vault(tmp_path, {}).unseal(sealed, "crm")


def secret(name: str) -> str:
    if name != "crm":
        raise NotFound("no such secret")
    return SECRET


def test_references_are_replaced_and_plain_settings_stay() -> None:
    given = {"kind": "token", "token": "secret:crm", "client_id": "env:ID", "username": "ann"}
    found = resolve(given, environ={"ID": "c1"}, secret=secret, where="hub.yaml:3")
    assert found == {"kind": "token", "token": SECRET, "client_id": "c1", "username": "ann"}


def test_all_missing_references_are_told_at_once_with_what_to_do() -> None:
    given = {"token": "secret:other", "client_id": "env:ID", "client_secret": "env:EMPTY"}
    with pytest.raises(ConfigFault) as found:
        resolve(given, environ={"EMPTY": ""}, secret=secret, where="hub.yaml:3")
    assert [(fault.code, fault.where, fault.fix) for fault in found.value.faults] == [
        ("SEC-NONE", "hub.yaml:3", "hub secrets set other"),
        ("SEC-ENV", "hub.yaml:3", "set ID"),
        ("SEC-ENV", "hub.yaml:3", "set EMPTY"),
    ]
