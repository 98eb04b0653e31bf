"""A running hub takes in what another process publishes, and goes on as it was where that is no use."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hub.app.bootstrap import open_hub
from hub.app.service import Service
from hub.app.worker import Worker
from hub.model import Json
from tests.projects import edit, make_project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path)


@pytest.fixture
def elsewhere(project: Path, tmp_path: Path) -> Path:
    """Another machine's copy of the project's files, over the same store."""
    return Path(shutil.copytree(project, tmp_path / "elsewhere"))


@pytest.fixture
def service(project: Path, database_url: str) -> Iterator[Service]:
    hub = open_hub(project, environ={}, url=database_url, publish=True, by="test")
    found = Service(hub, make_worker=lambda hub: Worker(hub, look_s=0.05), look_s=0.05)
    found.start()
    yield found
    found.stop()
    hub.store.close()


def publish(folder: Path, url: str) -> None:
    open_hub(folder, environ={}, url=url, publish=True, by="somebody").store.close()


def until(true: Callable[[], bool], within_s: float = 20.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.02)
    return False


def names(service: Service) -> set[Json]:
    with service.hub.store.reading() as tx:
        return {entity.values.get("name") for entity in tx.entities_page("contact")}


def remote_of_name(service: Service) -> str:
    return next(
        rule.remote_in for rule in service.hub.connections["left"].mappings["people"].rules if rule.name == "name"
    )


def test_a_mapping_published_elsewhere_is_at_work_without_a_restart(
    service: Service, elsewhere: Path, database_url: str
) -> None:
    assert until(lambda: "Ann" in names(service))
    edit(elsewhere, "mappings/left.yaml", "name: {remote: Name}", "name: {remote: Id, direction: in}")
    publish(elsewhere, database_url)
    assert until(lambda: "1" in names(service)), "nobody noticed"
    assert service.hub.connections["left"].mapping_version == 2


def test_what_this_machine_has_in_its_files_is_not_published_by_that(
    service: Service, project: Path, elsewhere: Path, database_url: str
) -> None:
    edit(project, "mappings/right.yaml", "name: {remote: Name}", "name: {remote: No, direction: in}")  # a draft
    edit(elsewhere, "mappings/left.yaml", "name: {remote: Name}", "name: {remote: Id, direction: in}")
    publish(elsewhere, database_url)
    assert until(lambda: remote_of_name(service) == "Id")
    assert service.hub.connections["right"].mapping_version == 1
    with service.hub.store.reading() as tx:
        assert tx.mapping_version("right") == 1


def test_what_cannot_be_used_leaves_everything_at_work(service: Service) -> None:
    assert until(lambda: "Ann" in names(service))
    before = service.hub.connections["left"]
    with service.hub.store.transaction() as tx:
        tx.publish_mapping("canonical", "canonical", "broken", "language: nonsense", "somebody", 1.0)
    time.sleep(0.5)
    assert service.hub.connections["left"] is before
    service.run_now("left", by="test")
    assert until(lambda: service.progress("left") is None)
