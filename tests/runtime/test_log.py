"""No secret and no address of a person reaches the log, however it got into an event."""

from __future__ import annotations

import io
import json
import logging

from hub.runtime.log import configure, logger

TOKEN = "pat-eu1-0123456789"


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_json_line_with_its_time_and_part() -> None:
    stream = io.StringIO()
    configure(stream=stream, text=False)
    logger("worker").info("started", connections=["a", "b"])
    (line,) = lines(stream)
    assert (line["event"], line["part"], line["level"], line["connections"]) == (
        "started",
        "worker",
        "info",
        ["a", "b"],
    )
    assert str(line["timestamp"]).endswith("Z")


def test_known_secrets_are_taken_out_of_every_text() -> None:
    stream = io.StringIO()
    configure(secrets=[TOKEN], stream=stream, text=False)
    detail = {"url": f"https://x/?t={TOKEN}", "more": [TOKEN, 7]}
    logger("worker").warning(f"refused {TOKEN}", detail=detail, why=ValueError(TOKEN))
    assert TOKEN not in stream.getvalue()
    (line,) = lines(stream)
    assert line["event"] == "refused …"
    assert line["detail"] == {"url": "https://x/?t=…", "more": ["…", 7]}


def test_a_secret_learnt_later_is_hidden_from_then_on() -> None:
    stream = io.StringIO()
    configure(stream=stream, text=False).hide([TOKEN])
    logger("worker").info(TOKEN)
    assert TOKEN not in stream.getvalue()


def test_keys_that_name_secrets_are_hidden_whatever_they_hold() -> None:
    stream = io.StringIO()
    configure(stream=stream, text=False)
    logger("worker").info("x", access_token="t", headers={"Authorization": "Bearer t", "X-Signature": "s", "Host": "h"})
    (line,) = lines(stream)
    assert line["access_token"] == "…"
    assert line["headers"] == {"Authorization": "…", "X-Signature": "…", "Host": "h"}


def test_what_libraries_log_is_redacted_too() -> None:
    stream = io.StringIO()
    configure(secrets=[TOKEN], stream=stream, text=False)
    logging.getLogger("some.library").warning("calling with %s", TOKEN)
    (line,) = lines(stream)
    assert (line["part"], line["event"], line["level"]) == ("some.library", "calling with …", "warning")


def test_addresses_of_people_are_hidden_also_in_tracebacks() -> None:
    stream = io.StringIO()
    configure(stream=stream, text=False)
    try:
        raise ValueError("ann@example.org is wrong")
    except ValueError:
        logger("worker").exception("bug", path="/customers/ann%40example.org")
    assert "example.org" not in stream.getvalue()
    assert "ValueError" in stream.getvalue()
