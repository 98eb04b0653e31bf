"""What the image and the compose file promise: no root, no capability, nothing to write to, no secret inside."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE: dict[str, Any] = YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text("utf-8"))


def test_the_containers_have_no_root_no_capability_and_nothing_to_write() -> None:
    users = re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE)
    assert users, "the image names its user"
    assert users[-1].split(":")[0] not in ("0", "root")
    assert set(COMPOSE["services"]) >= {"hub", "worker", "db"}
    for name, service in COMPOSE["services"].items():
        assert str(service["user"]).split(":")[0] not in ("0", "root"), name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert not service.get("privileged"), name
        assert not service.get("cap_add"), name
        assert not any("docker.sock" in str(each) for each in service.get("volumes", ())), name
        for port in service.get("ports", ()):
            assert str(port).startswith("127.0.0.1:"), name


def test_no_secret_is_baked_in_and_the_health_check_needs_none() -> None:
    for name, service in COMPOSE["services"].items():
        for key, value in (service.get("environment") or {}).items():
            if re.search(r"PASSWORD|SECRET|KEY|TOKEN", key):
                assert re.fullmatch(r"\$\{\w+:\?[^}]*\}", str(value)), (name, key)
        check = str(service.get("healthcheck", {}).get("test", ""))
        assert not re.search(r"(?i)secret|password|token|authorization", check), name
    assert not re.search(r"(?im)^(ENV|ARG) .*(secret|password|token)", DOCKERFILE)
    assert "HEALTHCHECK" in DOCKERFILE
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*", "nothing is sent to the builder but what is named"
    assert not [rule for rule in rules if re.search(r"^!.*(\.env|\.git|secret|key|hub\.yaml|data)", rule)]


def test_packages_are_taken_by_their_hash_alone() -> None:
    assert DOCKERFILE.count("pip install --require-hashes") >= 2
    for line in DOCKERFILE.splitlines():
        if re.search(r"pip install(?! --require-hashes)", line):
            assert "--no-index" in line, line
