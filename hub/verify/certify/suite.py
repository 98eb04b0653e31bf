"""The whole suite: every check by name, run on a connector, with what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hub.app.runs import Watch, unwatched
from hub.errors import HubError
from hub.kit import contract
from hub.kit.contract import NotShown
from hub.model import Json
from hub.verify.certify import doors, hooks, reading, rewards, values, writing
from hub.verify.certify.stand import Candidate, Stuck, Tampered, Wrap, stand_of

PASSED, FAILED, NOT_OFFERED = "passed", "failed", "not offered"
VENDORS_OWN = {"limit_scale": 1.0}  # the vendor's real limits


@dataclass(frozen=True, kw_only=True)
class Check:
    """One rule. `run` takes the stand, and the stream if it is asked of each."""

    group: str
    name: str
    run: Callable[..., str | None]
    each: bool = True  # asked of every stream; else once
    options: Mapping[str, Json] = field(default_factory=dict)  # of the twin
    between: Callable[[Candidate, str], Wrap] | None = None  # who stands between hub and vendor


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a check found: at one stream, or of the whole."""

    status: str
    detail: str = ""
    stream: str = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A check and what it found everywhere."""

    check: Check
    found: Sequence[Found]
    seconds: float

    @property
    def status(self) -> str:
        """Failed if it failed anywhere; passed if it could be shown somewhere."""
        known = {each.status for each in self.found}
        return next((status for status in (FAILED, PASSED) if status in known), NOT_OFFERED)

    @property
    def detail(self) -> str:
        """What there is to say in one line: the failures, else what was seen, else why it does not apply."""
        shown = [each for each in self.found if each.status == self.status and each.detail]
        told: dict[str, list[str]] = {}
        for each in shown:
            told.setdefault(each.detail, []).append(each.stream)
        lines = [f"{', '.join(filter(None, streams))}: {text}".removeprefix(": ") for text, streams in told.items()]
        text = "; ".join(lines) if self.status == FAILED else _shortened(lines)
        return f"not offered by the vendor: {text}" if self.status == NOT_OFFERED else text

    def document(self) -> dict[str, Json]:
        found = [{"stream": each.stream, "status": each.status, "detail": each.detail} for each in self.found]
        return {
            "group": self.check.group, "check": self.check.name, "status": self.status, "detail": self.detail,
            "found": found, "seconds": round(self.seconds, 3),
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """All rows of one connector."""

    connector: str
    rows: Sequence[Row]

    @property
    def ok(self) -> bool:
        return not any(row.status == FAILED for row in self.rows)

    def counts(self) -> dict[str, int]:
        return {status: sum(row.status == status for row in self.rows) for status in (PASSED, FAILED, NOT_OFFERED)}

    def table(self) -> list[dict[str, Json]]:
        """A line per check, for people."""
        return [
            {"group": row.check.group, "check": row.check.name, "status": row.status, "detail": row.detail}
            for row in self.rows
        ]

    def totals(self) -> dict[str, Json]:
        """One line of them all."""
        seconds = round(sum(row.seconds for row in self.rows), 1)
        return {"connector": self.connector, **self.counts(), "seconds": seconds}

    def document(self) -> dict[str, Json]:
        rows = [row.document() for row in self.rows]
        return {"connector": self.connector, "ok": self.ok, "counts": self.counts(), "checks": rows}


def _shortened(lines: Sequence[str]) -> str:
    return lines[0] + (f"; and {len(lines) - 1} more" if len(lines) > 1 else "") if lines else ""


def certify(
    given: Candidate,
    checks: Sequence[Check] | None = None,
    *,
    watch: Watch = unwatched,
    wrap: Wrap = lambda twin: twin,
) -> Certificate:
    """Run the suite on a connector; what it finds is data, never an exception.

    Args:
        given: the connector and its twin.
        checks: some of the suite; None: all.
        watch: told of each check before it runs.
        wrap: puts somebody between hub and vendor, who may write down what is asked.
    """
    rows = []
    for number, check in enumerate(SUITE if checks is None else checks, 1):
        watch(given.connector.name, check.group, check.name, number)
        began = time.monotonic()
        streams = [facts.name for facts in given.connector.streams] if check.each else [""]
        found = [run_check(given, check, stream, wrap) for stream in streams]
        found = found or [Found(status=NOT_OFFERED, detail="each connection declares its own streams")]
        rows.append(Row(check=check, found=found, seconds=time.monotonic() - began))
    return Certificate(connector=given.connector.name, rows=rows)


def run_check(given: Candidate, check: Check, stream: str, beside: Wrap) -> Found:
    """One check at one stream, on a vendor of its own."""
    between = check.between(given, stream) if check.between is not None else _nobody
    try:
        _rule_out(given, check, stream)
        if check.run is _describe:
            return Found(status=PASSED, detail=_describe(given))
        with stand_of(given, wrap=lambda twin: beside(between(twin)), **check.options) as stand:
            detail = check.run(stand, stream) if check.each else check.run(stand)
    except NotShown as reason:
        return Found(status=NOT_OFFERED, detail=str(reason), stream=stream)
    except (AssertionError, HubError) as broken:
        return Found(status=FAILED, detail=str(broken) or type(broken).__name__, stream=stream)
    except Exception as bug:  # noqa: BLE001  (a bug is a failed check, and the table goes on)
        return Found(status=FAILED, detail=f"a bug: {type(bug).__name__}: {bug}", stream=stream)
    return Found(status=PASSED, detail=detail or "", stream=stream)


def _rule_out(given: Candidate, check: Check, stream: str) -> None:
    """Raises NotShown for what the declared facts rule out, without asking anybody."""
    if check.each and given.connector.only_listens:
        raise NotShown("nothing is read from this vendor: it sends")
    if check.group == "Writing" and not given.connector.stream(stream).writes:
        raise NotShown("nothing is written here")
    if check.group == "Rewards" and not any(facts.gives for facts in given.connector.streams):
        raise NotShown("no rewards are given here")
    if check.group == "Webhooks" and given.connector.parse is None:
        raise NotShown("the vendor sends no webhooks")


def _nobody(twin: Any) -> Any:
    return twin


def _describe(given: Candidate) -> str:
    contract.check_description(given.connector)
    return f"{len(given.connector.streams)} streams, {len(given.connector.limits)} limits"


def _stuck(given: Candidate, stream: str) -> Wrap:
    return lambda twin: Stuck(twin, lambda body: body)


def _strange_fields(given: Candidate, stream: str) -> Wrap:
    return lambda twin: Tampered(twin, contract.add_unknown_field)


def _spoilt_row(given: Candidate, stream: str) -> Wrap:
    return lambda twin: Tampered(twin, partial(contract.spoil_one_row, id_key=_id_key(given, stream), stream=stream))


def _huge_id(given: Candidate, stream: str) -> Wrap:
    return lambda twin: Tampered(twin, partial(values.enlarge_one_id, id_key=_id_key(given, stream), stream=stream))


def _id_key(given: Candidate, stream: str) -> str:
    return given.connector.stream(stream).id_path.rsplit(".", 1)[-1]


def _bad_row(stand: Any, stream: str) -> None:
    reading.listed(stand, stream)
    contract.check_bad_row(stand, stream, lambda: stand.vendor.altered)


def _unknown_fields(stand: Any, stream: str) -> None:
    reading.listed(stand, stream)
    contract.check_unknown_fields(stand, stream)


def _repeated(stand: Any, stream: str) -> None:
    reading.longer_than_a_page(stand, stream)
    contract.check_repeated_token(stand, stream)


def _fetched(stand: Any, stream: str) -> None:
    contract.check_fetch(stand, stream)


def _of(group: str, *rows: tuple[str, Callable[..., str | None]], **more: Any) -> list[Check]:
    return [Check(group=group, name=name, run=run, **more) for name, run in rows]


SUITE: Sequence[Check] = (
    *_of(
        "Facts",
        ("what it says of itself fits together", _describe),
        ("a connection is named", doors.check_account),
        each=False,
    ),
    *_of(
        "Facts",
        ("the live fields are told", values.check_schema),
        ("the mapping keeps its laws", values.check_mapping_laws),
    ),
    *_of(
        "Reading",
        ("every record once", reading.check_paging),
        ("another process goes on anywhere", reading.check_restart),
        ("no gap and no repeat while rows change", reading.check_moving),
        ("workers share a first load", reading.check_parts),
        ("one moment across a page edge", reading.check_equal_stamps),
        ("incremental = full", reading.check_incremental),
        ("an edit is seen", reading.check_edit),
        ("a new record is seen", reading.check_add),
        ("a delete is seen", reading.check_delete),
        ("a restore is seen", reading.check_restore),
        ("a merge is seen", reading.check_merge),
        ("nothing is new where nothing happened", reading.check_idle),
        ("what shows late is found", reading.check_late),
        ("a list that lags is waited for", reading.check_lag),
        ("a record by id is that of the list", _fetched),
        ("an unknown id is nobody", reading.check_unknown_id),
        ("calls against the minimum", reading.check_minimum),
    ),
    *_of("Reading", ("a page handed out for ever is found out", _repeated), between=_stuck),
    *_of("Reading", ("a bad row does not stop its page", _bad_row), between=_spoilt_row),
    *_of("Reading", ("a field nobody documented is kept", _unknown_fields), between=_strange_fields),
    *_of(
        "Writing",
        ("an update is what is stored", writing.check_update),
        ("a create carries the hub's id", writing.check_create),
        ("it is found by the hub's id", writing.check_find),
        ("a delete is carried out, twice is once", writing.check_remove),
        ("an update of nobody makes nobody", writing.check_nobody),
        ("a bad row in a batch fails alone", writing.check_partial_batch),
        ("a full batch, calls against the minimum", writing.check_full_batch),
        ("a write over an edit is refused", writing.check_stale),
        ("a lost answer is unknown", writing.check_lost_answer),
        ("a failed answer is unknown", writing.check_failed_answer),
        ("a lost create is settled to one record", writing.check_lost_create),
        ("a write turned away did not happen", writing.check_turned_away),
        ("normal form, out and back", values.check_round_trip),
    ),
    *_of(
        "Rewards",
        ("what is offered can be named in a rule", rewards.check_offer),
        ("the same number again is one order", rewards.check_repeated),
        ("what cannot be ordered fails alone", rewards.check_unfilled),
        ("what becomes of an order is told", rewards.check_followed),
    ),
    *_of("Rewards", ("the balance is told", rewards.check_balance), each=False),
    *_of("Limits", ("an unnamed wait ends", doors.check_unnamed_wait), each=False),
    *_of(
        "Limits",
        ("a named wait is kept", doors.check_named_wait),
        ("the vendor's own way to say too fast", doors.check_own_words),
        ("at its own pace it is never turned away", doors.check_own_pace),
        each=False,
        options=VENDORS_OWN,
    ),
    *_of("Limits", ("every call is counted once", doors.check_counted), each=False),
    *_of(
        "Trouble",
        ("a 500 and a cut line are asked again", doors.check_failing),
        ("half an answer is no list", doors.check_half_answer),
        ("a page of HTML is no empty list", doors.check_page_of_html),
        ("a redirect elsewhere is not followed", doors.check_led_astray),
        ("no credential stands in a message", doors.check_no_secret_told),
        each=False,
    ),
    *_of(
        "Sign-in",
        ("refused credentials stop the connection", doors.check_wrong_credentials),
        ("a token that ends is renewed", doors.check_renewed),
        ("many workers, one renewal", doors.check_single_flight),
        ("a crash while renewing loses no token", doors.check_crash_while_renewing),
        each=False,
    ),
    *_of(
        "Webhooks",
        ("genuine: accepted", hooks.check_genuine),
        ("unsigned: refused", hooks.check_unsigned),
        ("altered: refused", hooks.check_altered),
        ("forged: refused", hooks.check_forged),
        ("another's secret: refused", hooks.check_other_secret),
        ("no secret set: refused", hooks.check_no_secret),
        ("two secrets: both good", hooks.check_two_secrets),
        ("old: refused", hooks.check_old),
        ("from the future: refused", hooks.check_early),
        ("replayed: the same keys", hooks.check_replayed),
        ("it leads to the record", hooks.check_names_record),
        ("garbage stops nothing", hooks.check_garbage),
        each=False,
    ),
    *_of("Values", *((f"{kind}, read", partial(values.read_text, kind)) for kind in values.HOSTILE)),
    *_of("Values", *((f"{kind}, written", partial(values.write_text, kind)) for kind in values.HOSTILE)),
    *_of("Values", ("an id of 19 digits", values.check_huge_ids), between=_huge_id),
    *_of("Values", *((kind, partial(values.check_moment, kind)) for kind in values.MOMENTS)),
)
