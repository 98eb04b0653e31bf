"""A Singer tap of people out of a JSON file, which can be made to misbehave by its config.

Run as a program: `small_tap.py --config FILE [--catalog FILE] [--state FILE] [--discover]`. Config: `people` (a file),
`token` (which it tells everybody), `state_every` (2), `die_at` (a row; only while the file `healed` is not there),
`junk_at` (a row), `silent_at` (a row), `versions`, `log`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

KEYS, HEALTHY = ["id"], 99_999
SCHEMA = {
    "properties": {
        "id": {"type": "integer"}, "email": {"type": ["null", "string"]}, "boss_id": {"type": "integer"},
        "at": {"type": "string", "format": "date-time"}, "vip": {"type": "boolean"},
    }
}  # fmt: skip
JUNK = ["{", "[]", '{"type": "RECORD", "stream": "people"}', '{"type": "RECORD", "stream": "people", "record": {}}',
        '"' + "x" * 200, '{"type": "RECORD", "stream": "people", "record": {"id": 1, "at": "noon"}}']  # fmt: skip


def say(**message: Any) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser()
    for name in ("config", "catalog", "state"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--discover", action="store_true")
    given = parser.parse_args()
    config = json.loads(Path(given.config).read_text())
    sys.stderr.write(f"signing in with {config.get('token')}\n")
    if given.discover:
        entry = {"tap_stream_id": "people", "stream": "people", "schema": SCHEMA, "key_properties": KEYS}
        say(streams=[{**entry, "metadata": [{"breadcrumb": [], "metadata": {}}]}])
        return 0
    chosen = json.loads(Path(given.catalog).read_text())["streams"]
    assert [each["metadata"][0]["metadata"]["selected"] for each in chosen] == [True]
    state = json.loads(Path(given.state).read_text()) if given.state else {}
    return read(config, int(state.get("after", -1)))


def read(config: dict[str, Any], after: int) -> int:
    people = json.loads(Path(config["people"]).read_text())
    with Path(config["log"]).open("a") as log:
        log.write(f"{after}\n")
    say(type="SCHEMA", stream="people", schema=SCHEMA, key_properties=KEYS)
    say(type="SCHEMA", stream="others", schema={}, key_properties=[])
    healthy = Path(config["log"]).with_name("healed").exists()
    for number, row in enumerate(people):
        if number <= after:
            continue
        if number == config.get("die_at", HEALTHY) and not healthy:
            sys.stderr.write(f"the vendor said no to {config.get('token')}\n")
            return 3
        if number == config.get("silent_at", HEALTHY):
            time.sleep(60)
        for line in JUNK if number == config.get("junk_at", HEALTHY) else ():
            sys.stdout.write(line + "\n")
        versions = config.get("versions") or [None]
        version = versions[min(number, len(versions) - 1)]
        say(type="RECORD", stream="people", record=row, **({"version": version} if version else {}))
        say(type="RECORD", stream="others", record={"id": number})
        if (number + 1) % config.get("state_every", 2) == 0:
            say(type="STATE", value={"after": number})
    if config.get("versions"):
        say(type="ACTIVATE_VERSION", stream="people", version=config["versions"][-1])
    if config.get("state_every", 2) < HEALTHY:
        say(type="STATE", value={"after": len(people) - 1})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
