"""`hub run` as a process: it answers, does its work, and ends cleanly when told."""

from __future__ import annotations

import http.client
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.projects import edit, make_project

COMMAND = [sys.executable, "-c", "from hub.cli import main; main()", "run", "--port", "0"]


@contextmanager
def running(project: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The process, and the port it listens on."""
    process = subprocess.Popen(COMMAND, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "runs at http://127.0.0.1:" in line, line or process.communicate()[1]
        yield process, int(line.rpartition(":")[2])
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def status(port: int) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as client:
        client.request("GET", "/health")
        return client.getresponse().status


def until_written(path: Path, text: str) -> bool:
    pause = threading.Event()
    for _ in range(400):
        if text in path.read_text("utf-8"):
            return True
        pause.wait(0.05)
    return False


def test_a_hub_answers_syncs_at_once_and_ends_cleanly_on_sigterm(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    with running(project) as (process, port):
        assert status(port) == 200
        assert until_written(project / "data" / "right.csv", "+49301234567")
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=30)
    assert process.returncode == 0, log
    assert '"event": "stopped"' in log
    assert "Traceback" not in log
    assert "example.org" not in log


def test_a_broken_connection_stops_nobody(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    edit(project, "mappings/left.yaml", "entity: contact", "entity: contakt")
    with running(project) as (process, port):
        assert status(port) == 200
        process.send_signal(signal.SIGINT)
        _, log = process.communicate(timeout=30)
    assert process.returncode == 0, log


def test_what_all_share_stops_it_at_once_with_code_2(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    edit(project, "mappings/canonical.yaml", "type: email", "type: emial")
    done = subprocess.run(COMMAND, cwd=project, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "canonical.yaml:8" in done.stderr
    assert "Traceback" not in done.stderr
