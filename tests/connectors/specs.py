"""Requests of a connector, held against the vendor's own OpenAPI files, where those are at hand.

They are in the folder that HUB_SPECS names, or in `shared/specs` beside this checkout: one folder per vendor.
"""

from __future__ import annotations

import os
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

SETTING = "HUB_SPECS"
BIGCOMMERCE = {  # beginning of a path -> its file; the store and its coupons have none
    "/v3/customers": "customers.v3.yml",
    "/v2/orders": "orders.v2.oas2.yml",
    "/v3/carts": "carts.v3.yml",
    "/v3/hooks": "webhooks.v3.yml",
}


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


def specs_of(vendor: str) -> Path:
    """The folder of a vendor's files; skips, with a word, where it is not there."""
    beside = [each / "shared" / "specs" for each in Path(ROOT).parents]
    places = [Path(os.environ[SETTING])] if os.environ.get(SETTING) else beside
    found = next((each / vendor for each in places if (each / vendor).is_dir()), None)
    if found is None:
        pytest.skip(f"no OpenAPI files of {vendor}: neither in {SETTING}, nor in shared/specs beside this checkout")
    return found


def spec_of(vendor: str) -> Path:
    """The vendor's file, where it is one."""
    return specs_of(vendor) / "openapi.yaml"


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


def bigcommerce_problems(specs: Path, asked: Sequence[Request]) -> tuple[list[str], int]:
    """What the schemas object to, and how many calls they were asked about."""
    from openapi_core import OpenAPI
    from openapi_core.exceptions import OpenAPIError
    from openapi_core.testing import MockRequest

    apis = {name: OpenAPI.from_file_path(str(specs / name)) for name in BIGCOMMERCE.values()}
    problems, checked = [], 0
    for request in asked:
        name = next((file for start, file in BIGCOMMERCE.items() if request.path.startswith(start)), None)
        if name is None:
            continue
        call = MockRequest(
            "https://api.bigcommerce.com", request.method.lower(), f"/stores/twin{request.path}",
            args={key: values[0] for key, values in request.query.items()},
            headers={"X-Auth-Token": "t", **{key.title(): value for key, value in request.headers.items()}},
            data=request.body or None, content_type=request.headers.get("content-type", "application/json"),
        )  # fmt: skip
        checked += 1
        try:
            apis[name].validate_request(call)
        except OpenAPIError as error:
            problems.append(f"{request.method} {request.path} {request.query}: {error} {error.__cause__}")
    return problems, checked


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
