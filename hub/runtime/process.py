"""Who this process is, for leases: a name that tells, on the same machine, whether its bearer still lives."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def owner_name() -> str:
    """`host/pid/start` of this process."""
    return f"{socket.gethostname()}/{os.getpid()}/{_started(os.getpid())}"


def has_died(owner: str) -> bool:
    """True if a process of this machine bore that name and is gone; False if it lives, or nobody here can tell.

    What stands behind another slash (one of its threads) says nothing.

    The pid alone is not enough: the machine may have given it to another process since.
    """
    host, _, rest = owner.partition("/")
    pid, _, started = rest.partition("/")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False  # it lives, as another user
    return _has_ended(int(pid)) or started.partition("/")[0] != _started(int(pid))


def _has_ended(pid: int) -> bool:
    """It is dead, and only its parent has not asked how it died (a zombie)."""
    return _stat(pid)[:1] in (["Z"], ["X"])


def _started(pid: int) -> str:
    """When a process began, in the kernel's own ticks; "" where the system does not say (then pids must do)."""
    return "".join(_stat(pid)[19:20])  # field 22 of the line, counted behind the name (proc(5))


def _stat(pid: int) -> list[str]:
    """What the kernel says of a process, from the field behind its name on (its state); nothing where it does not."""
    try:
        line = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace")
    except OSError:
        return []
    return line.rpartition(")")[2].split()
