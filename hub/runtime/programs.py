"""The door to other people's programs: what `http` is for vendors, for taps that run as children of the hub.

A program gets no shell, none of the hub's environment but what finds other programs and certificates, and a folder of
its own for what it must read, which is gone when it ends. What it says on stderr goes into the log, without secrets.

Invariant: whoever stops listening stops the program: it runs in a session of its own, all of which is ended together.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import tempfile
import threading
import weakref
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from hub.errors import ConfigFault, Fault, RetryLater
from hub.runtime.clock import Clock
from hub.runtime.log import logger

KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "HTTPS_PROXY", "NO_PROXY")
LINE_BYTES = 16 * 1024 * 1024  # of a longer line only the beginning is kept
SHOWN_BYTES = 1000  # of such a line
CHUNK = 256 * 1024
ENDS_WITHIN_S = 10.0  # after its output has ended
COMPLAINT_LINES = 5


class LocalPrograms:
    """A `ProgramDoor`.

    Args:
        root: the project's directory, in which programs run.
        account: connection name, for messages and the log.
        clock: the hub's clock.
        environ: of the hub, of which `KEPT` is handed on.
        secrets: that no message or line of the log may show.
    """

    def __init__(
        self, root: Path, account: str, clock: Clock, *, environ: Mapping[str, str], secrets: Sequence[str] = ()
    ) -> None:
        self.account = account
        self._root, self._clock = root, clock
        self._environ = {name: environ[name] for name in KEPT if name in environ} | {"PYTHONUNBUFFERED": "1"}
        self._secrets = [secret for secret in secrets if len(secret) >= 4]

    def now(self) -> float:
        return self._clock.now()

    def redact(self, text: str) -> str:
        """The text without this connection's secrets."""
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return text

    def start(self, command: Sequence[str], *, files: Mapping[str, bytes]) -> RunningProgram:
        folder = Path(tempfile.mkdtemp(prefix="hub-program-"))  # mode 0700
        try:
            for name, data in files.items():
                (folder / name).write_bytes(data)
            places = {f"{{{name}}}": str(folder / name) for name in files}
            child = subprocess.Popen(
                [places.get(each, each) for each in command], cwd=self._root, env=self._environ,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise self._not_there(command[0] if command else "", error) from None
        return RunningProgram(self, child, folder)

    def _not_there(self, program: str, error: OSError) -> ConfigFault:
        what = f"{program} cannot be run: {error.strerror or type(error).__name__}"
        fix = "install it, and name it by its path, relative to hub.yaml"
        return ConfigFault([Fault(code="PROG-NOT-THERE", where=self.account, message=what, fix=fix)])


class RunningProgram:
    """A `Program`."""

    def __init__(self, door: LocalPrograms, child: subprocess.Popen[bytes], folder: Path) -> None:
        self._door, self._child = door, child
        self._buffer, self._skipping = bytearray(), False
        self._said: deque[str] = deque(maxlen=COMPLAINT_LINES)
        listener = threading.Thread(
            target=_listen, args=(door, child, self._said), name=f"stderr-{door.account}", daemon=True
        )
        listener.start()
        self._finish = weakref.finalize(self, _finish, child, folder, listener)  # also when nobody wants it any more

    def line(self, *, patience_s: float) -> bytes | None:
        while True:
            end = self._buffer.find(b"\n")
            if end >= 0:
                found = bytes(self._buffer[:end])
                del self._buffer[: end + 1]
                if not self._skipping:
                    return found
                self._skipping = False
            elif len(self._buffer) > LINE_BYTES:
                beginning, skipped = bytes(self._buffer[:SHOWN_BYTES]), self._skipping
                self._buffer.clear()
                self._skipping = True
                if not skipped:
                    return beginning
            elif not self._more(patience_s):
                rest = b"" if self._skipping else bytes(self._buffer)
                self._buffer.clear()
                return rest or None

    def _more(self, patience_s: float) -> bool:
        """Take in what there is; False at the end of its output."""
        output = self._child.stdout
        if output is None or output.closed:  # it was stopped
            return False
        ready, _, _ = select.select([output], [], [], patience_s)
        if not ready:
            self.stop()
            raise RetryLater(
                f"the program said nothing for {patience_s:g} s and was stopped", code="PROG-SILENT",
                where=self._door.account,
            )  # fmt: skip
        chunk = os.read(output.fileno(), CHUNK)
        self._buffer += chunk
        return bool(chunk)

    def end(self) -> int:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(ENDS_WITHIN_S)
        code = self._child.poll()
        self.stop()
        return code if code is not None else -signal.SIGKILL

    def complaint(self) -> str:
        return self._said[-1] if self._said else ""

    def stop(self) -> None:
        self._finish()


def _listen(door: LocalPrograms, child: subprocess.Popen[bytes], said: deque[str]) -> None:
    """Everything a program says on stderr, into the log."""
    log = logger("programs")
    for line in child.stderr or ():
        text = door.redact(line[:SHOWN_BYTES].decode("utf-8", "replace").rstrip())
        if text:
            said.append(text)
            log.info("program says", connection=door.account, line=text)


def _finish(child: subprocess.Popen[bytes], folder: Path, listener: threading.Thread) -> None:
    """End a session of programs and take away what they were given to read."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(5)
    listener.join(5)
    for pipe in (child.stdout, child.stderr):
        if pipe is not None and not listener.is_alive():
            pipe.close()
    shutil.rmtree(folder, ignore_errors=True)
