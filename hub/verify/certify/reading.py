"""Reading: nothing is missed, nothing is invented, whatever happens meanwhile and wherever a read stops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from math import ceil

import orjson

from hub.connector import Page, Stream, WebhookEvent, WebhookRequest
from hub.kit import contract
from hub.kit.contract import NotShown, read_all, records_of
from hub.model import Json, SourceRecord
from hub.verify.certify import hands
from hub.verify.certify.hands import HOUR_S
from hub.verify.certify.stand import Stand

GONE = ("delete", "archive", "merged_into")
State = dict[str, Json]  # external id -> the record's data
URL = "http://127.0.0.1:9/hooks/x"  # nobody answers there: messages are read from the vendor's log
SECRET = "whsec_certify"
CLOSE_S = 3.0  # between two rows of a crowd, so that pages break inside a lookback as well as outside
MOST_CROWD = 2_100
FEW_PAGES = 500  # of more than that two pages must do
SPARE_CALLS = 4  # what a read may ask for besides its pages: schema, lists of forms, an empty last page


def applied(state: State, records: Iterable[SourceRecord]) -> State:
    """What is known after these records."""
    known = dict(state)
    for record in records:
        if record.op in GONE:
            known.pop(record.external_id, None)
        else:
            known[record.external_id] = orjson.loads(orjson.dumps(dict(record.data)))
    return known


def full(stand: Stand, stream: str) -> State:
    """All that the vendor has, as a new process reads it."""
    return applied({}, records_of(read_all(stand.restarted(), stream)))


def first_read(stand: Stand, stream: str) -> tuple[State, Json]:
    """What is known after a first read, some records being of today, and where the next one begins; an hour later."""
    hands.newcomers(stand, stream)
    pages = read_all(stand, stream)
    stand.advance(HOUR_S)
    return applied({}, records_of(pages)), pages[-1].next_cursor


def next_read(stand: Stand, stream: str, cursor: Json) -> list[Page]:
    """The next read, by a new process, when the vendor's lists have caught up."""
    stand.advance(max(60.0, 2 * stand.connector.stream(stream).lag_s))
    return read_all(stand.restarted(), stream, cursor)


def dated(stand: Stand, stream: str) -> Stream:
    """The stream's facts. Raises NotShown if nothing there tells that a record changed."""
    facts = stand.connector.stream(stream)
    if facts.cursor == "none":
        raise NotShown("only webhooks tell of these records")
    if facts.modified_path is None and facts.cursor not in ("snapshot", "events"):
        raise NotShown("its records have no time of change; only a sweep sees edits")
    return facts


def listed(stand: Stand, stream: str) -> Stream:
    """The stream's facts. Raises NotShown if there is no list to read."""
    facts = stand.connector.stream(stream)
    if facts.cursor == "none":
        raise NotShown("only webhooks tell of these records")
    return facts


# What stands still


def check_paging(stand: Stand, stream: str) -> str:
    """Contract, with the vendor's own count of what is alive."""
    rows = stand.twin.snapshot(stream) if stream in stand.twin.streams else None
    live = None if rows is None else sum(not row["deleted"] for row in rows.values())
    contract.check_paging(stand, stream, live)
    return f"{live} records" if live is not None else ""


def check_restart(stand: Stand, stream: str) -> str:
    """Another process goes on from any cursor: nothing that matters is in anybody's head."""
    listed(stand, stream)
    whole = full(stand, stream)
    pages: list[Page] = []
    cursor: Json = None
    while not pages or not pages[-1].complete:
        pages.append(stand.connector.pull(stand.restarted().api, stream, cursor))
        cursor = orjson.loads(orjson.dumps(pages[-1].next_cursor))
        assert len(pages) < contract.MOST_PAGES, "no end"
    assert applied({}, records_of(pages)) == whole, "a read continued by others brings something else"
    return f"{len(pages)} pages"


def check_equal_stamps(stand: Stand, stream: str) -> str:
    """More records of one moment than a page holds: every one comes, once."""
    size = _page(listed(stand, stream))
    before = full(stand, stream)
    hands.crowd(stand, stream, size + 5)
    pages = read_all(stand.restarted(), stream)
    ids = [record.external_id for record in records_of(pages) if record.op not in GONE]
    missing = len(before) + size + 5 - len(set(ids))
    assert missing == 0, f"{missing} of {size + 5} records of one moment are missing"
    assert len(set(ids)) == len(ids), "records of one moment come twice"
    return f"{size + 5} records of one moment, {len(pages)} pages"


def check_idle(stand: Stand, stream: str) -> str:
    """Where nothing happened the next read brings nothing that was not known, and ends where the next begins."""
    listed(stand, stream)
    known, cursor = first_read(stand, stream)
    pages = next_read(stand, stream, cursor)
    news = [each for each in records_of(pages) if each.op in GONE and each.external_id in known]
    assert not news, "a record is gone that nobody touched"
    assert applied(known, records_of(pages)) == known, "something is new where nothing happened"
    return f"{len(records_of(pages))} records come again"


def check_minimum(stand: Stand, stream: str) -> str:
    """A read of everything costs hardly more calls than the vendor's pages require."""
    facts = listed(stand, stream)
    least = facts.minimum.get("read")
    if not least:
        raise NotShown("the connector names no minimum")
    before = stand.calls()
    read_all(stand, stream)  # the schema and the like are known from here on
    first = stand.calls()
    records = len(records_of(read_all(stand, stream)))
    used, needed = stand.calls() - first, max(1, ceil(records / least))
    assert used <= 2 * needed + SPARE_CALLS, f"{used} calls for {records} records; {needed} would do"
    return f"{used} calls for {records} records, {needed} at least (the first time {first - before})"


# What moves


def check_moving(stand: Stand, stream: str) -> str:
    """Rows change, come and go between two pages: this read and the next miss nothing.

    Nothing comes twice as it was, but where pages are counted by place: there they overlap, so that no row slips away.
    """
    facts = listed(stand, stream)
    longer_than_a_page(stand, stream)
    hands.newcomers(stand, stream)
    page = stand.connector.pull(stand.api, stream, None)
    if page.complete:
        raise NotShown("the vendor hands out everything at once")
    done = _disturb(stand, stream, facts)
    pages = [page, *read_all(stand, stream, page.next_cursor)]
    stand.advance(HOUR_S)
    later = next_read(stand, stream, pages[-1].next_cursor)
    known = applied(applied({}, records_of(pages)), records_of(later))
    _compare(stand, known, full(stand, stream), later, facts)
    twice = _repeats(records_of(pages))
    assert not twice or facts.cursor == "offset", f"{twice} records come twice as they were"
    return f"{len(pages)} pages, {twice} rows twice; meanwhile {', '.join(done)}"


def _repeats(records: Sequence[SourceRecord]) -> int:
    """Records that were handed out once more, unchanged, within one read."""
    seen = Counter((record.external_id, record.op, orjson.dumps(dict(record.data))) for record in records)
    return sum(number - 1 for number in seen.values())


def longer_than_a_page(stand: Stand, stream: str) -> None:
    """So many records that reading takes a few pages. Raises NotShown where nobody would load so many."""
    size = _page(listed(stand, stream))
    hands.crowd(stand, stream, 2 * size + 3 if size <= FEW_PAGES else size + 3, apart_s=CLOSE_S)


def _disturb(stand: Stand, stream: str, facts: Stream) -> list[str]:
    done: list[str] = []
    if facts.modified_path is not None or facts.cursor in ("snapshot", "events"):
        for place in (-1, -2):
            _do(done, "edited", partial(hands.edit, stand, stream, at=place))
    _do(done, "added", lambda: hands.add(stand, stream))
    _do(done, "deleted", lambda: hands.remove(stand, stream))
    if not done:
        raise NotShown("people cannot touch these records")
    return done


def check_parts(stand: Stand, stream: str) -> str:
    """A first load that workers share: all parts, and what the next read brings, are what a full read finds."""
    facts, split = listed(stand, stream), stand.connector.split
    if split is None:
        raise NotShown("one worker reads a first load")
    longer_than_a_page(stand, stream)
    shared = stand.with_settings(values={**stand.settings.values, "split_from": 2})
    starts = split(shared.api, stream, 4)
    if len(starts) < 2:
        raise NotShown("one worker reads a first load of these records")
    parts: list[list[Page]] = []
    done: list[str] = []
    for start in orjson.loads(orjson.dumps(list(starts))):
        parts.append(read_all(shared.restarted(), stream, start))
        done = done or _disturb(stand, stream, facts)  # from the first part on
    read = [record for pages in parts for record in records_of(pages)]
    stand.advance(HOUR_S)
    later = next_read(stand, stream, parts[-1][-1].next_cursor)
    known = applied(applied({}, read), records_of(later))
    _compare(stand, known, full(stand, stream), later, facts)
    assert not _repeats(read), "parts overlap"
    return f"{len(parts)} parts, {len(read)} records; meanwhile {', '.join(done)}"


def check_incremental(stand: Stand, stream: str) -> str:
    """What was known, and what the next read brings, is what a full read finds."""
    facts = listed(stand, stream)
    known, cursor = first_read(stand, stream)
    done = _disturb(stand, stream, facts)
    pages = next_read(stand, stream, cursor)
    _compare(stand, applied(known, records_of(pages)), full(stand, stream), pages, facts)
    return ", ".join(done)


def _compare(stand: Stand, known: State, truth: State, pages: Sequence[Page], facts: Stream) -> None:
    """Both agree, but for deletes that this vendor tells in another way than by a read of changes."""
    aside = stand.candidate.hands(facts.name).get("aside", ())
    known, truth = ({key: _without(data, aside) for key, data in each.items()} for each in (known, truth))
    if facts.deletes == "listing" and pages[-1].listing_complete:
        there = {record.external_id for record in records_of(pages)}
        known = {external_id: data for external_id, data in known.items() if external_id in there}
    extra = known.keys() - truth.keys()
    assert not extra or facts.deletes in ("absent", "event", "listing"), f"{len(extra)} deleted records still stand"
    assert truth.keys() <= known.keys(), f"{len(truth.keys() - known.keys())} records were never told of"
    stale = [external_id for external_id in truth if known[external_id] != truth[external_id]]
    assert not stale, f"{len(stale)} records are not what they are now, the first {_first_difference(known, truth)}"


def _without(data: Json, aside: Sequence[str]) -> Json:
    return {name: value for name, value in data.items() if name not in aside}


def _first_difference(known: State, truth: State) -> str:
    external_id = next(each for each in truth if known[each] != truth[each])
    old, new = known[external_id], truth[external_id]
    names = [name for name in {*old, *new} if old.get(name) != new.get(name)]
    return f"{external_id}: {', '.join(sorted(names)[:3])}"


def check_edit(stand: Stand, stream: str) -> str:
    """An edit by hand comes with the next read."""
    dated(stand, stream)
    known, cursor = first_read(stand, stream)
    hands.edit(stand, stream)
    changed = {key for key, data in full(stand, stream).items() if known.get(key) != data}
    assert changed, "nobody can see the edit in a full read: what PEOPLE of the twin edits is not in its records"
    records = records_of(next_read(stand, stream, cursor))
    told = applied(known, records)
    assert all(told[key] != known.get(key) for key in changed), "an edit was not told of"
    return f"with {len(records)} records in all"


def check_add(stand: Stand, stream: str) -> str:
    """A new record comes with the next read."""
    listed(stand, stream)
    known, cursor = first_read(stand, stream)
    hands.add(stand, stream)
    new = full(stand, stream).keys() - known.keys()
    assert new, "nobody can see the new record in a full read: what PEOPLE of the twin adds is no record"
    assert new <= applied({}, records_of(next_read(stand, stream, cursor))).keys(), "a new record was not told of"
    return ""


def check_delete(stand: Stand, stream: str) -> str:
    """A delete is told in the way that the connector declares, and a read by id agrees."""
    facts = stand.connector.stream(stream)
    known, cursor = first_read(stand, stream)
    stand.twin.set_webhook(URL, SECRET)
    hands.remove(stand, stream)
    gone = known.keys() - full(stand, stream).keys()
    if not gone:
        raise NotShown("what is deleted there cannot be told from the rest by reading")
    ways = ways_of_delete(stand, stream, next_read(stand, stream, cursor), gone)
    wanted = {"tombstone": ("read",), "archived": ("read",), "event": ("read", "webhook"), "listing": ("listing",),
              "absent": ("by id", "read", "webhook")}[facts.deletes]  # fmt: skip
    assert set(wanted) & set(ways), f"declared as {facts.deletes}; seen by {', '.join(ways) or 'nothing'}"
    assert stand.connector.fetch is None or "by id" in ways, "a read by id still finds it"
    return f"seen by {', '.join(ways)}"


def ways_of_delete(stand: Stand, stream: str, pages: Sequence[Page], gone: Iterable[str]) -> list[str]:
    """How the hub would learn that these are gone: read, listing, by id, webhook."""
    lost, records = set(gone), records_of(pages)
    ways = []
    if lost <= {record.external_id for record in records if record.op in GONE}:
        ways.append("read")
    if pages[-1].listing_complete and not lost & {record.external_id for record in records if record.op not in GONE}:
        ways.append("listing")
    if stand.connector.fetch is not None:
        found = stand.connector.fetch(stand.api, stream, sorted(lost))
        if not [each for each in found if each.external_id in lost and each.op not in GONE]:
            ways.append("by id")
    if lost <= {event.external_id for event in events_told(stand) if event.stream == stream}:
        ways.append("webhook")
    return ways


def events_told(stand: Stand) -> list[WebhookEvent]:
    """What the vendor's messages so far say, as the connector reads them."""
    if stand.connector.parse is None:
        return []
    return [event for each in messages(stand) for event in stand.connector.parse(stand.settings, each)]


def messages(stand: Stand) -> list[WebhookRequest]:
    """What the vendor has sent so far, without repeats, as the web hands it over."""
    stand.twin.hooks.pump(force=True)
    return [
        WebhookRequest(
            method="POST", url=URL, headers={name.lower(): value for name, value in sent.headers.items()},
            body=sent.body.encode(), received_at=sent.at,
        )
        for sent in stand.twin.hooks.log
        if sent.attempt == 0
    ]  # fmt: skip


def check_restore(stand: Stand, stream: str) -> str:
    """What was taken out of the bin is there again with the next read."""
    listed(stand, stream)
    known, _ = first_read(stand, stream)
    record_id = hands.remove(stand, stream)
    gone = known.keys() - full(stand, stream).keys()
    stand.advance(HOUR_S)
    pages = read_all(stand, stream)
    stand.advance(HOUR_S)
    hands.restore(stand, stream, record_id)
    back = gone & full(stand, stream).keys()
    if not back:
        raise NotShown("what is put back there is not the record that went")
    told = applied({}, records_of(next_read(stand, stream, pages[-1].next_cursor)))
    assert back <= told.keys(), "a record that was put back was not told of"
    return ""


def check_merge(stand: Stand, stream: str) -> str:
    """Two records that people made one: the lost id names what it became, or is at least seen to be gone."""
    listed(stand, stream)
    known, cursor = first_read(stand, stream)
    stand.twin.set_webhook(URL, SECRET)
    hands.merge(stand, stream)
    truth = full(stand, stream)
    gone = known.keys() - truth.keys()
    assert gone, "a merge that a full read does not show"
    pages = next_read(stand, stream, cursor)
    told = {each.external_id: each for each in records_of(pages) if each.op in GONE}
    if not gone <= told.keys() and stand.connector.fetch is not None:
        told |= {each.external_id: each for each in stand.connector.fetch(stand.api, stream, sorted(gone))}
    assert gone <= told.keys(), "the lost record is not seen to be gone"
    if not stand.connector.merging:
        return "the lost record is gone; what it became is not told"
    names = [told[each].merged_into for each in gone if told[each].op == "merged_into"]
    if not names and any(event.kind == "merged" for event in events_told(stand)):
        return "a webhook tells of the merge; no read does"
    assert names, "merging is declared, and the lost record does not say what it became"
    assert all(name in truth for name in names), "it became a record that is not there"
    return "the lost id names what it became"


# What comes late


def check_late(stand: Stand, stream: str) -> str:
    """A record that becomes visible late, with an older time of change, is found by the lookback."""
    facts = dated(stand, stream)
    if facts.lookback_s <= 0:
        raise NotShown("it reads everything each time" if facts.cursor == "snapshot" else "it has no lookback to show")
    known, cursor = first_read(stand, stream)
    late_s = min(facts.lookback_s / 2, 900.0)
    stand.twin.set_faults(late_visible_s=late_s)
    hands.edit(stand, stream)
    pages = read_all(stand.restarted(), stream, cursor)
    stand.advance(late_s)
    stand.twin.set_faults(late_visible_s=0.0)
    stand.advance(60.0)
    told = applied(applied(known, records_of(pages)), records_of(next_read(stand, stream, pages[-1].next_cursor)))
    _compare(stand, told, full(stand, stream), pages, facts)
    return f"{late_s:.0f} s late"


def check_lag(stand: Stand, stream: str) -> str:
    """A list that lags behind is waited for: what it did not show yet comes with a later read."""
    facts = dated(stand, stream)
    if facts.consistency != "lagging":
        raise NotShown("its lists do not lag")
    known, cursor = first_read(stand, stream)
    lag_s = 0.9 * (min(facts.lag_s, facts.lookback_s) if facts.lookback_s else facts.lag_s)
    stand.twin.set_faults(index_lag_s=lag_s, replica_lag_s=lag_s)
    hands.edit(stand, stream)
    pages = read_all(stand.restarted(), stream, cursor)
    stand.advance(lag_s + 60.0)
    stand.twin.set_faults(index_lag_s=0.0, replica_lag_s=0.0)
    told = applied(applied(known, records_of(pages)), records_of(next_read(stand, stream, pages[-1].next_cursor)))
    _compare(stand, told, full(stand, stream), pages, facts)
    return f"{lag_s:.0f} s behind"


# By id


def check_unknown_id(stand: Stand, stream: str) -> str:
    """An id that is none of the vendor's is a record that is not there: no error, and nothing invented."""
    if stand.connector.fetch is None:
        raise NotShown("nothing is fetched by id")
    known = next(iter(full(stand, stream)), "") if listed(stand, stream) else ""
    if not known:
        raise NotShown("the vendor has no record")
    other = known[:-4] + "9" * 4 if known[-4:].isalnum() else f"{known}9999"
    found = stand.connector.fetch(stand.api, stream, [known, other])
    there = {each.external_id: each.op for each in found}
    assert there.get(known) == "upsert", "an unknown id hides the known one"
    assert there.get(other, "delete") in GONE, f"an id of nobody is answered by {there.get(other)}"
    return ""


def _page(facts: Stream) -> int:
    if facts.page_size > MOST_CROWD:
        raise NotShown(f"a page of {facts.page_size} holds more than anybody would load")
    return facts.page_size


def _do(done: list[str], name: str, work: Callable[[], object]) -> None:
    """One thing that people do, if they can."""
    try:
        work()
    except NotShown:
        return
    done.append(name)
