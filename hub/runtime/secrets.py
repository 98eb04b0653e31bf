"""Secrets at rest: encrypted under keys from outside the database, so that a copy of it gives nothing away.

Keys come from HUB_SECRET_KEY (one, or several with commas: the first encrypts, all decrypt, so that keys can be
changed), else from the file `.hub-key` beside hub.yaml, which is made when the first secret is kept. Whoever has both
the key and the database has the secrets: back them up apart.

What is sealed carries its name inside: moved to another name in the database, it does not open there.

Invariant: no message, repr or log line of this module holds a secret or a key.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hub.errors import ConfigFault, Fault, NotFound

if TYPE_CHECKING:  # imported where it is used: 6 MB that a hub without kept secrets does without
    from cryptography.fernet import Fernet, MultiFernet

KEY_SETTING = "HUB_SECRET_KEY"
KEY_FILE = ".hub-key"


class Vault:
    """Encrypts and decrypts the hub's secrets.

    Args:
        folder: the project's directory.
        environ: the environment.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._file = folder / KEY_FILE
        self._named = environ.get(KEY_SETTING, "")
        self._keys: tuple[list[str], MultiFernet] | None = None  # their texts, and what they open

    def seal(self, text: str, name: str) -> bytes:
        """Ciphertext of a secret, good under this name alone; makes the key file if there is no key yet."""
        if not self._named and not self._file.exists():
            self._make_key()
        return self._open().encrypt(f"{name}\0{text}".encode())

    def unseal(self, ciphertext: bytes, name: str) -> str:
        """The secret. Raises ConfigFault SEC-KEY if no key opens it, or if it was sealed under another name."""
        from cryptography.fernet import InvalidToken

        fix = f"bring the old key back, or: hub secrets set {name}"
        try:
            sealed_as, mark, text = self._open().decrypt(ciphertext).decode().partition("\0")
        except InvalidToken:
            raise _fault(f"the secret {name} was kept under another key", fix) from None
        if not mark:
            return sealed_as  # sealed before names were
        if sealed_as != name:
            raise _fault(f"the secret {name} was kept under another name", f"hub secrets set {name}")
        return text

    def reseal(self, ciphertext: bytes, name: str) -> bytes:
        """The same secret under the first of the keys. Raises as `unseal`."""
        return self.seal(self.unseal(ciphertext, name), name)

    # Another key

    def begin_change(self) -> None:
        """A new first key in the file; not if keys come from the environment, or a change was begun and not ended."""
        from cryptography.fernet import Fernet

        if not self._named and self._file.exists() and len(self._texts()) == 1:
            self._write_keys([Fernet.generate_key().decode(), *self._texts()])

    def is_changed(self, ciphertext: bytes) -> bool:
        """Whether a secret is under the first key already."""
        from cryptography.fernet import InvalidToken

        try:
            self._key(self._texts()[0]).decrypt(ciphertext)
        except InvalidToken:
            return False
        return True

    def end_change(self) -> None:
        """The first key of the file is the only one from now on."""
        if not self._named and self._file.exists():
            self._write_keys(self._texts()[:1])

    def _write_keys(self, texts: Sequence[str]) -> None:
        """Whole or not at all, and readable by nobody else from its first moment."""
        beside = self._file.with_name(f"{KEY_FILE}.{os.getpid()}")
        try:
            handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.writelines(f"{text}\n" for text in texts)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._file)
        except OSError:
            raise _fault(f"{KEY_FILE} cannot be written", "make the project's folder writable") from None

    # Keys

    def _open(self) -> MultiFernet:
        """All keys as they are now: another process may have changed them a moment ago."""
        from cryptography.fernet import MultiFernet

        texts = self._texts()
        if self._keys is None or self._keys[0] != texts:
            self._keys = texts, MultiFernet([self._key(text) for text in texts])
        return self._keys[1]

    def _texts(self) -> list[str]:
        if self._named:
            return [text.strip() for text in self._named.split(",") if text.strip()]
        try:
            return self._file.read_text("ascii").split()
        except FileNotFoundError:
            fix = f"set {KEY_SETTING}, or bring {KEY_FILE} back"
            raise _fault("there is no key for the hub's secrets", fix) from None
        except (OSError, UnicodeDecodeError):
            raise _fault(f"{KEY_FILE} cannot be read", "give the hub's user the right to read it") from None

    def _key(self, text: str) -> Fernet:
        from cryptography.fernet import Fernet

        try:
            return Fernet(text)
        except ValueError:
            place = KEY_SETTING if self._named else KEY_FILE
            raise _fault(f"{place} holds no key", "a key is 32 random bytes in URL-safe base64") from None

    def _make_key(self) -> None:
        """A fresh key, readable by nobody else from its first moment."""
        from cryptography.fernet import Fernet

        try:
            handle = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return  # another process was first; its key counts
        except OSError:
            fix = f"make the project's folder writable, or set {KEY_SETTING}"
            raise _fault(f"{KEY_FILE} cannot be written", fix) from None
        with os.fdopen(handle, "wb") as file:
            file.write(Fernet.generate_key() + b"\n")


def _fault(message: str, fix: str) -> ConfigFault:
    return ConfigFault([Fault(code="SEC-KEY", where="secrets", message=message, fix=fix)])


def resolve(
    given: Mapping[str, str], *, environ: Mapping[str, str], secret: Callable[[str], str], where: str
) -> dict[str, str]:
    """Settings with `env:NAME` and `secret:NAME` replaced by what they name; other texts stay.

    Args:
        secret: gives a kept secret by name; raises NotFound if there is none.
        where: place in hub.yaml, for messages.

    Raises:
        ConfigFault: every variable that is not set (SEC-ENV) or secret that is not kept (SEC-NONE), together.
    """
    found: dict[str, str] = {}
    faults: list[Fault] = []
    for key, text in given.items():
        kind, _, name = text.partition(":")
        if kind == "env":
            if environ.get(name):
                found[key] = environ[name]
            else:
                faults.append(_missing("SEC-ENV", where, f"{key}: the environment has no {name}", f"set {name}"))
        elif kind == "secret":
            try:
                found[key] = secret(name)
            except NotFound:
                fix = f"hub secrets set {name}"
                faults.append(_missing("SEC-NONE", where, f"{key}: there is no secret {name}", fix))
        else:
            found[key] = text
    if faults:
        raise ConfigFault(faults)
    return found


def _missing(code: str, where: str, message: str, fix: str) -> Fault:
    return Fault(code=code, where=where, message=message, fix=fix)
