"""A transaction is there wholly or not at all, wherever the process dies; who comes too late is told to come again."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from hub.errors import ConfigFault, HubError, OutcomeUnknown, RetryLater
from hub.store import Store, Tx

POINTS = ("begin", "commit:before", "commit:after")


class Crash(BaseException):
    """The process dies here: no `except Exception` sees it."""


class Seam:
    """Notes where it was called; dies at one of the points, once."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.dies_at = ""

    def __call__(self, point: str) -> None:
        self.seen.append(point)
        if point == self.dies_at:
            self.dies_at = ""
            raise Crash(point)


@pytest.fixture(params=["stored", "memory"])
def seamed(request: pytest.FixtureRequest, store_url: str) -> Iterator[tuple[Store, Seam]]:
    seam = Seam()
    store = Store("sqlite://" if request.param == "memory" else store_url, seam=seam)
    yield store, seam
    store.close()


def setting(store: Store, name: str) -> object:
    with store.reading() as tx:
        return tx.setting(name)


def test_the_seam_is_called_around_every_writing_transaction(seamed: tuple[Store, Seam]) -> None:
    store, seam = seamed
    with store.transaction():
        pass
    with store.reading() as tx:
        tx.setting("a")
    assert seam.seen == ["begin", "commit:before", "commit:after"]


@pytest.mark.parametrize("point, kept", [("begin", None), ("commit:before", None), ("commit:after", 1)])
def test_what_a_crash_leaves(seamed: tuple[Store, Seam], point: str, kept: object) -> None:
    store, seam = seamed
    seam.dies_at = point
    with pytest.raises(Crash), store.transaction() as tx:
        tx.set_setting("a", 1)
        tx.reserve_ids("entity", 5)
    assert setting(store, "a") == kept
    with store.transaction() as tx:  # the next process goes on at once
        tx.set_setting("b", 2)
    assert setting(store, "b") == 2


def test_any_exception_takes_everything_back(store: Store) -> None:
    with pytest.raises(KeyError), store.transaction() as tx:
        tx.set_setting("a", 1)
        tx.set_cursor("crm", "contacts", {"page": 2})
        raise KeyError("a bug")
    with store.reading() as tx:
        assert tx.setting("a") is None
        assert tx.cursor("crm", "contacts") is None


def test_a_relaxed_transaction_is_as_whole_as_any_other(store: Store) -> None:
    with store.transaction(relaxed=True) as tx:
        tx.set_setting("a", 1)
    with pytest.raises(KeyError), store.transaction(relaxed=True) as tx:
        tx.set_setting("a", 2)
        raise KeyError("a bug")
    assert setting(store, "a") == 1


def test_reading_writes_nothing(store: Store) -> None:
    with store.reading() as tx, pytest.raises(RuntimeError, match="writes nothing"):
        tx.set_setting("a", 1)


def test_reading_sees_one_moment_throughout(store: Store) -> None:
    read: list[object] = []
    with store.reading() as tx:
        read.append(tx.setting("a"))
        in_a_thread(lambda: set_setting(store, "a", 1))
        read.append(tx.setting("a"))
    assert read == [None, None]
    assert setting(store, "a") == 1


def test_a_thread_has_one_transaction_at_a_time(store: Store) -> None:
    with store.transaction(), pytest.raises(RuntimeError, match="already"), store.reading():
        pass
    with store.transaction() as tx:  # and may have the next
        tx.set_setting("a", 1)


def test_all_calls_of_a_transaction_share_one_version_and_the_next_has_a_higher_one(store: Store) -> None:
    with store.transaction() as tx:
        first = tx.next_version()
        assert tx.next_version() == first
    with store.transaction() as tx:
        assert tx.next_version() > first


def test_ids_are_never_handed_out_twice(store: Store) -> None:
    drawn: list[int] = []
    lock = threading.Lock()

    def draw() -> None:
        for n in (1, 3, 50, 1, 7):
            with store.transaction() as tx:
                ids = tx.reserve_ids("link", n)
                assert len(ids) == n
            with lock:
                drawn.extend(ids)

    in_threads([draw] * 4)
    assert len(drawn) == 4 * 62
    assert len(set(drawn)) == len(drawn)


def test_only_known_kinds_have_ids(store: Store) -> None:
    with store.transaction() as tx, pytest.raises(ValueError, match="no ids"):
        tx.reserve_ids("mistyped", 1)


def test_memory_is_shared_by_all_threads() -> None:
    store = Store("sqlite://")
    in_a_thread(lambda: set_setting(store, "a", 1))
    assert setting(store, "a") == 1
    store.close()


def test_two_stores_in_memory_are_two() -> None:
    one, other = Store("sqlite://"), Store("sqlite://")
    set_setting(one, "a", 1)
    assert setting(other, "a") is None
    one.close()
    other.close()


def test_threads_write_one_after_the_other_without_losing_anything(store: Store) -> None:
    def add() -> None:
        for _ in range(10):
            retried(store, lambda tx: tx.add_run_stream(1, "contacts", "in", {"seen": 1}))

    with store.transaction() as tx:
        assert tx.start_run("crm", "sync", 1.0) == 1
        tx.add_run_stream(1, "contacts", "in", {"seen": 0})
    in_threads([add] * 4)
    with store.reading() as tx:
        assert tx.run_streams(1)[0].counts == {"seen": 40}


# Meeting others


@contextmanager
def impatient(url: str) -> Iterator[Store]:
    """A second process, as far as the database can tell, that waits only a moment."""
    store = Store(url, wait_s=0.1)
    yield store
    store.close()


def test_a_locked_database_says_busy(
    store: Store, store_url: str, add_entities: Callable[[Tx, int], list[int]]
) -> None:
    with store.transaction() as tx:
        ids = add_entities(tx, 2)
    with impatient(store_url) as other, store.transaction() as tx:
        tx.entities(ids, lock=True)

        def meet() -> None:
            with other.transaction() as late:
                late.entities(ids, lock=True)

        (error,) = in_threads([meet])
    assert isinstance(error, RetryLater)
    assert error.code == "STORE-BUSY"


def test_a_thread_that_waits_too_long_says_busy(store_url: str) -> None:
    if not store_url.startswith("sqlite"):
        pytest.skip("PostgreSQL has no single writer")
    with impatient(store_url) as store, store.transaction():
        (error,) = in_threads([lambda: set_setting(store, "a", 1)])
    assert isinstance(error, RetryLater)
    assert error.code == "STORE-BUSY"


def test_a_deadlock_ends_with_one_who_goes_on_and_one_who_is_told_to_run_again(
    store: Store, add_entities: Callable[[Tx, int], list[int]]
) -> None:
    """A locks 1, B locks 2, A wants 2, B wants 1. (On SQLite B waits at the door, and both go on.)"""
    with store.transaction() as tx:
        first, second = add_entities(tx, 2)
    meeting = threading.Barrier(2)

    def lock(one: int, other: int) -> None:
        with store.transaction() as tx:
            tx.entities([one], lock=True)
            if tx._database.dialect.name == "postgresql":
                meeting.wait(10)
            tx.entities([other], lock=True)

    errors = in_threads([lambda: lock(first, second), lambda: lock(second, first)])
    told = [(type(error), error.code) for error in errors]
    assert told == ([(RetryLater, "STORE-BUSY")] if store._database.dialect.name == "postgresql" else [])


def test_locks_taken_in_one_call_never_make_a_deadlock(
    store: Store, add_entities: Callable[[Tx, int], list[int]]
) -> None:
    with store.transaction() as tx:
        ids = add_entities(tx, 40)

    def lock(order: list[int]) -> None:
        for _ in range(5):
            with store.transaction() as tx:
                assert len(tx.entities(order, lock=True)) == 40

    assert in_threads([lambda: lock(ids), lambda: lock(ids[::-1]), lambda: lock(ids[20:] + ids[:20])]) == []


def test_a_swallowed_error_is_no_commit(store: Store, add_links: Callable[..., list[int]]) -> None:
    """PostgreSQL would answer COMMIT with ROLLBACK and no error; the store says that nothing was done."""

    def swallow(tx: Tx) -> None:
        tx.set_setting("a", 1)
        add_links(tx, 1)
        row = next(iter(tx.links_by_keys("crm", "contacts", ["r1"]).values()))
        row.id = 2
        with pytest.raises(RetryLater):
            tx.insert_links([row])

    postgres = store._database.dialect.name == "postgresql"
    with ExitStack() as stack:
        if postgres:
            stack.enter_context(pytest.raises(RetryLater))
        tx = stack.enter_context(store.transaction())
        swallow(tx)
    assert setting(store, "a") == (None if postgres else 1)


def test_two_pages_with_one_new_person_make_one_entity(
    store: Store, add_entities: Callable[[Tx, int], list[int]]
) -> None:
    """Both look for the key before either has stored it; without the lock both would find nobody."""
    email = [("email", "ann@example.org")]
    start = threading.Barrier(4)

    def bring() -> None:
        start.wait(10)

        def page(tx: Tx) -> None:
            if not tx.find_by_keys("contact", email):
                time.sleep(0.05)
                (made,) = add_entities(tx, 1)
                tx.set_keys([(made, "contact", set(email))])

        retried(store, page)

    assert in_threads([bring] * 4) == []
    with store.reading() as tx:
        assert len(tx.find_by_keys("contact", email)["email", "ann@example.org"]) == 1
        assert len(tx.entities_page()) == 1


# Losing the database


def end_other_connections(url: str) -> None:
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")  # or the list would never change
    with engine.connect() as connection:
        others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        connection.execute(text(f"SELECT pg_terminate_backend(pid) {others}"))
        while connection.scalar(text(f"SELECT count(*) {others}")):
            time.sleep(0.01)
    engine.dispose()


@pytest.fixture
def on_postgres(store: Store, store_url: str) -> Store:
    if store_url.startswith("sqlite"):
        pytest.skip("SQLite has no connection to lose")
    return store


def test_a_connection_lost_in_a_page_means_the_page_runs_again(on_postgres: Store, store_url: str) -> None:
    with pytest.raises(RetryLater) as lost, on_postgres.transaction() as tx:
        tx.set_setting("a", 1)
        end_other_connections(store_url)
        tx.set_setting("b", 1)
    assert lost.value.code == "STORE-BUSY"
    set_setting(on_postgres, "c", 1)
    with on_postgres.reading() as tx:
        assert tx.settings() == {"c": 1}


def test_a_connection_lost_before_the_commit_was_asked_for_did_not_commit(on_postgres: Store, store_url: str) -> None:
    with pytest.raises((RetryLater, OutcomeUnknown)) as lost, on_postgres.transaction() as tx:
        tx.set_setting("a", 1)
        end_other_connections(store_url)
    assert lost.value.code in ("STORE-BUSY", "STORE-UNKNOWN")
    assert setting(on_postgres, "a") is None


def test_a_restart_of_the_database_between_two_pages_is_not_noticed(on_postgres: Store, store_url: str) -> None:
    in_threads([lambda: set_setting(on_postgres, "a", 1)] * 4)  # several connections wait in the pool
    end_other_connections(store_url)
    for n in range(6):
        set_setting(on_postgres, "b", n)
    assert setting(on_postgres, "b") == 5


@pytest.mark.parametrize(
    "url, code",
    [
        ("sqlite:////no/such/folder/hub.db", "STORE-OPEN"),
        ("postgresql://hub@127.0.0.1:1/hub", "STORE-GONE"),
        ("mysql://127.0.0.1/hub", "STORE-URL"),
    ],
)
def test_a_database_that_cannot_be_used_is_named_with_what_to_do(url: str, code: str) -> None:
    with pytest.raises(HubError) as refused:
        Store(url)
    assert refused.value.code == code
    assert refused.value.fix


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database " * 100)
    with pytest.raises(ConfigFault) as refused:
        Store(f"sqlite:///{tmp_path / 'notes.txt'}")
    assert refused.value.code == "STORE-OPEN"
    assert (tmp_path / "notes.txt").read_text() == "not a database " * 100


# How the tests meet


def set_setting(store: Store, name: str, value: object) -> None:
    with store.transaction() as tx:
        tx.set_setting(name, value)


def retried(store: Store, work: Callable[[Tx], None]) -> None:
    for _ in range(50):
        try:
            with store.transaction() as tx:
                work(tx)
        except RetryLater:
            continue
        return
    raise AssertionError("busy for ever")


def in_threads(works: list[Callable[[], None]]) -> list[HubError]:
    """Runs them side by side; gives the errors of ours that came out, raises any other."""
    errors: list[BaseException] = []

    def run(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - handed to the thread that asserts
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for error in errors:
        if not isinstance(error, HubError):
            raise error
    return [error for error in errors if isinstance(error, HubError)]


def in_a_thread(work: Callable[[], None]) -> None:
    assert in_threads([work]) == []


def test_a_copy_of_a_database_lies_elsewhere(store_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    store = Store(store_url)
    place = store.place
    store.close()
    again = Store(store_url)
    assert again.place == place is not None
    again.close()
    if store_url.startswith("sqlite"):
        shutil.copy(tmp_path / "hub.db", tmp_path / "copy.db")
        copy = Store(f"sqlite:///{tmp_path / 'copy.db'}")
        assert copy.place != place
        copy.close()
        return
    server, template = request.getfixturevalue("postgres"), request.getfixturevalue("migrated_postgres")
    with server.database(template=template) as url:
        copy = Store(url)
        assert copy.place != place
        copy.close()


def test_what_lies_in_memory_has_no_copies() -> None:
    store = Store("sqlite://")
    assert store.place is None
    store.close()
