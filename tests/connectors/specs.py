"""Requests of a connector, held against the vendor's own OpenAPI file where it lies beside this checkout."""

from __future__ import annotations

import importlib.util
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from ruamel.yaml import YAML

from hub.twins.kit import Request, Response
from hub.verify.certify.stand import Tampered
from tests.house.source import ROOT

SPECS = next((each / "shared" / "specs" for each in Path(ROOT).parents if (each / "shared" / "specs").is_dir()), Path())


class Recorder(Tampered):
    """A twin behind somebody who writes down what it is asked."""

    def __init__(self, twin: Any) -> None:
        super().__init__(twin, lambda body: None)
        self.tamper = lambda body: None
        object.__setattr__(self, "asked", [])

    def handle(self, request: Request) -> Response:
        self.asked.append(request)
        response: Response = self.twin.handle(request)
        return response


def spec_of(name: str) -> Path:
    """The vendor's file; skips, with a word, where it is not there."""
    path = SPECS / name / "openapi.yaml"
    if not path.exists():
        pytest.skip(f"no folder shared/specs with an OpenAPI file of {name} beside this checkout")
    if importlib.util.find_spec("openapi_core") is None:
        pytest.skip("openapi-core is not installed")
    return path


def check_requests(file: Path, requests: Sequence[Request], *, prefix: str = "", unlisted: Sequence[str] = ()) -> int:
    """Every request is one that the file describes: path, method, parameters (none unknown), body. Gives how many.

    Args:
        prefix: path of the server in the file.
        unlisted: paths (regular expressions) that the vendor has by its documentation, and the file has not.
    """
    from openapi_core import Config, OpenAPI
    from openapi_core.testing import MockRequest

    document = YAML(typ="safe").load(file)
    spec = OpenAPI.from_file_path(str(file), config=Config(spec_validator_cls=None))
    server = _server(document)
    checked = 0
    for request in requests:
        if any(re.fullmatch(pattern, request.path) for pattern in unlisted):
            continue
        path_there = prefix + request.path.removeprefix(prefix)
        query = dict(parse_qsl(request.target.partition("?")[2], keep_blank_values=True))
        made = MockRequest(
            server, request.method.lower(), path_there, args=query, headers=dict(request.headers),
            data=request.body or None, content_type=request.headers.get("content-type", "application/json"),
        )  # fmt: skip
        with warnings.catch_warnings():  # of sign-ins that openapi-core does not know; the twin checks them
            warnings.filterwarnings("ignore", "Unsupported scheme type")
            spec.validate_request(made)
        unknown = {
            name for name in query if not _knows(document, request.method, path_there.removeprefix(prefix), name)
        }
        assert not unknown, f"{request.method} {request.path}: {sorted(unknown)} is not in the vendor's file"
        checked += 1
    return checked


def _server(document: Any) -> str:
    url = str(document["servers"][0]["url"])
    for name, each in document["servers"][0].get("variables", {}).items():
        url = url.replace(f"{{{name}}}", each["default"])
    return re.match(r"https?://[^/]+", url)[0]  # type: ignore[index]


def _knows(document: Any, method: str, path: str, name: str) -> bool:
    """Whether the operation declares this query parameter; filter[id] counts as the object parameter filter."""
    for template, item in document["paths"].items():
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, path) and method.lower() in item:
            declared = [*item.get("parameters", ()), *item[method.lower()].get("parameters", ())]
            names = {_resolved(document, each)["name"] for each in declared}
            if name in names or name.partition("[")[0] in names:
                return True
    return False


def _resolved(document: Any, node: Any) -> Any:
    reference = node.get("$ref")
    if not reference:
        return node
    found = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part.replace("~1", "/").replace("~0", "~")]
    return found
