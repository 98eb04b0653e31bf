"""A lease's owner tells, on its own machine, whether it still lives."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

from hub.runtime.process import has_died, owner_name


def test_this_process_lives() -> None:
    assert not has_died(owner_name())


def test_a_process_that_ended_has_died() -> None:
    code = "from hub.runtime.process import owner_name; import sys; sys.stdout.write(owner_name())"
    ended = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert has_died(ended.stdout)


def test_a_process_that_nobody_buried_has_died() -> None:
    code = "from hub.runtime.process import owner_name; import sys; sys.stdout.write(owner_name())"
    ended = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert ended.stdout is not None
    owner = ended.stdout.read()
    for _ in range(500):  # it has said all, and is about to end; its pid is kept until this process asks
        if has_died(owner):
            break
        threading.Event().wait(0.02)
    assert has_died(owner)
    ended.communicate()


def test_another_process_with_the_same_pid_is_another() -> None:
    host, pid, started = owner_name().split("/")
    assert has_died(f"{host}/{pid}/{int(started or 0) + 1}")


def test_of_another_machine_nobody_here_can_tell() -> None:
    assert not has_died(f"another-machine/{os.getpid()}/1")
    assert not has_died("somebody")
