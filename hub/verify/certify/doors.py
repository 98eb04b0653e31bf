"""The way to the vendor: limits are kept, waits are waited, trouble is told from success, signing in happens once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from math import ceil
from typing import Any

from hub.connector import Auth
from hub.errors import HubError, NeedsReview, RetryLater, SignInExpired
from hub.kit import contract
from hub.kit.contract import NotShown, read_all
from hub.runtime.sign_in import Tokens, TokenShelf
from hub.verify.certify.reading import applied, full, records_of
from hub.verify.certify.stand import CREDENTIALS, RENEWABLE, Stand

MOST_CALLS = 700  # that a check makes to run into a limit
THREADS = 8
DAY_S = 86_400.0


def readable(stand: Stand) -> str:
    """A stream with records to read. Raises NotShown if nothing can be read."""
    for facts in reversed(stand.connector.streams):
        if facts.cursor != "none" and not stand.connector.only_listens:
            return facts.name
    raise NotShown("nothing is read from this vendor: it sends")


def asking(stand: Stand) -> str:
    """A stream whose reads ask the vendor. Raises NotShown where none does: it only delivers."""
    stream, before = readable(stand), stand.calls()
    stand.connector.pull(stand.api, stream, None)
    if stand.calls() == before:
        raise NotShown("its reads ask nobody: it delivers")
    return stream


# Limits


def check_named_wait(stand: Stand) -> str:
    """Contract: no call before Retry-After is over, then everything is read, or the run is told to wait."""
    contract.check_throttling(stand, readable(stand))
    return "a 429 with Retry-After"


def check_unnamed_wait(stand: Stand) -> str:
    """Turned away without a word of how long: the read goes on by itself, or the run is told to come later."""
    stream = readable(stand)
    truth = full(stand, stream)
    stand.vendor.set_faults(script=[{"fault": "throttle"}], throttle_retry_after=None)
    try:
        found = applied({}, records_of(read_all(stand.restarted(), stream)))
    except RetryLater as error:
        return f"told to come later ({error.code})"
    assert found == truth, "turned away, and less was read"
    return "read again after a while"


def check_own_words(stand: Stand) -> str:
    """Calls until the vendor's own limit turns one away, in its own form: told as a wait, and the wait is kept."""
    stream = readable(stand)
    truth = full(stand, stream)
    for _ in range(MOST_CALLS):  # a read may cost many calls, or none
        if stand.calls() >= MOST_CALLS:
            break
        slept = len(stand.clock.slept)
        try:
            stand.connector.pull(stand.api, stream, None)
        except RetryLater as error:
            stand.advance(error.after_s or DAY_S)
            assert full(stand, stream) == truth, "after the wait something else is read"
            return f"{error.code} after {stand.calls()} calls, wait {error.after_s or 0:.0f} s"
        if len(stand.clock.slept) > slept:
            assert stand.vendor.counts()["early"] == 0, "called before the named time was over"
            return f"waited {stand.clock.slept[-1]:.1f} s within the read, after {stand.calls()} calls"
    raise NotShown(f"its limits are wider than {MOST_CALLS} calls at once")


def check_own_pace(stand: Stand) -> str:
    """At the vendor's own limits and with the connector's own budgets nobody is ever turned away."""
    stream = readable(stand)
    wide = stand.settings.values.get("limits", {})
    own = {name: each for name, each in stand.settings.values.items() if name != "limits"}
    paced = stand.with_settings(values=own)
    calls = min(MOST_CALLS // 2, 2 * min((ceil(each / 100) for each in wide.values() if each), default=50))
    for _ in range(max(20, calls)):
        if paced.calls() >= max(20, calls):
            break
        try:
            paced.connector.pull(paced.api, stream, None)
        except RetryLater as error:
            if error.code == "NET-QUOTA":
                break  # a budget of the hub's own: a pause before the vendor has to say anything
            raise
    refused = stand.vendor.counts()["by_status"].get("429", 0)
    assert refused == 0, f"{refused} of {paced.calls()} calls were turned away"
    return f"{paced.calls()} calls, {sum(stand.clock.slept):.0f} s waited, none turned away"


def check_counted(stand: Stand) -> str:
    """Contract: what left the hub is what arrived."""
    stream = readable(stand)
    contract.check_calls(stand, stream)
    return f"{stand.calls()} calls"


# Trouble


def check_failing(stand: Stand) -> str:
    """One 500 and one cut connection on a read: it is asked again, and everything comes."""
    return _through(stand, "error_before", "timeout_before")


def check_half_answer(stand: Stand) -> str:
    """An answer that is cut off in the middle is no shorter list."""
    return _through(stand, "cut")


def check_page_of_html(stand: Stand) -> str:
    """A maintenance page with status 200 is no empty list."""
    return _through(stand, "html")


def check_led_astray(stand: Stand) -> str:
    """A redirect to another host is not followed: credentials never go elsewhere."""
    return _through(stand, "redirect")


def _through(stand: Stand, *faults: str) -> str:
    stream = asking(stand)
    truth = full(stand, stream)
    ends = []
    for fault in faults:
        stand.vendor.set_faults(script=[{"fault": fault}])
        try:
            found = applied({}, records_of(read_all(stand, stream)))
        except (RetryLater, NeedsReview) as error:
            ends.append(f"stopped with {error.code}")
        else:
            assert found == truth, f"{fault}: {len(found)} records of {len(truth)} passed for all"
            ends.append("asked again")
        assert not stand.vendor.set_faults()["script"], f"{fault} never came up"
    return ", ".join(ends)


def check_no_secret_told(stand: Stand) -> str:
    """No error message holds a credential."""
    stream = asking(stand)
    told = []
    for fault in ("error_before", "html", "redirect", "expire_token"):
        stand.vendor.set_faults(script=[{"fault": fault, "times": 9}])
        try:
            read_all(stand.restarted(), stream)
        except HubError as error:
            told.append(f"{error} {error!r} {error.__cause__}")
        stand.vendor.set_faults(script=[])
    found = [value for value in stand.hidden() for text in told if len(value) > 3 and value in text]
    assert not found, "a message holds a credential"
    assert told, "nothing went wrong, so nothing was told"
    return f"{len(told)} messages"


# Signing in


def check_account(stand: Stand) -> str:
    """The check of a connection names the account it reached."""
    if stand.connector.only_listens:
        raise NotShown("it only listens")
    found = stand.connector.check(stand.api)
    assert isinstance(found.get("warnings", []), list), "warnings are a list"
    assert found.get("name"), "nobody could tell what was reached"
    if not found.get("account"):
        raise NotShown("the vendor does not say which account a key belongs to")
    return f"account {found['account']}"


def check_wrong_credentials(stand: Stand) -> str:
    """Credentials that the vendor refuses stop the connection, and are not tried again and again."""
    readable(stand)
    wrong = {name: value if name == "kind" else "wrong" for name, value in stand.settings.auth.items()}
    other = stand.with_settings(auth={**wrong, "private_key": stand.settings.auth.get("private_key", "")})
    before = stand.vendor.counts()["calls"]
    try:
        other.connector.check(other.api)
    except SignInExpired as error:
        asked = int(stand.vendor.counts()["calls"]) - int(before)
        assert asked <= 3, f"asked {asked} times with credentials that were refused"
        return error.code
    except HubError as error:
        raise AssertionError(f"refused credentials end as {error.code}, not as a sign-in to renew") from None
    raise AssertionError("wrong credentials were accepted")


def _renewing(stand: Stand) -> Iterator[tuple[Auth, Stand]]:
    """The connection with each kind of sign-in whose tokens run out. Raises NotShown if there is none."""
    told = stand.candidate.told.get("auth", {}).get("kind")  # the only one that its twin knows
    kinds = [auth for auth in stand.connector.auth if auth.kind in RENEWABLE and told in (None, auth.kind)]
    if not kinds or stand.connector.only_listens:
        raise NotShown("its tokens do not run out")
    for auth in kinds:
        given = {**CREDENTIALS, **stand.settings.auth, "kind": auth.kind}
        stand.twin.tokens.add_refresh(given["refresh_token"])
        yield auth, stand.with_settings(auth={name: value for name, value in given.items() if name != "token"})


def check_renewed(stand: Stand) -> str:
    """A token that ends in the middle of a read is renewed, and the read goes on."""
    ends = []
    for auth, signed in _renewing(stand):
        stream = readable(stand)
        truth = full(signed, stream)
        stand.vendor.set_faults(script=[{"fault": "expire_token"}])
        assert applied({}, records_of(read_all(signed.restarted(), stream))) == truth, f"{auth.kind}: less was read"
        ends.append(auth.kind)
    return ", ".join(ends)


def check_single_flight(stand: Stand) -> str:
    """Many workers find the token dead at once: it is renewed once, and all go on."""
    ends = []
    for auth, signed in _renewing(stand):
        signed.connector.check(signed.api)
        stand.twin.tokens.expire_all(stand.twin.now())
        before = _renewals(stand)
        _at_once(lambda worker=signed: worker.connector.check(worker.api))
        asked = _renewals(stand) - before
        assert asked == 1, f"{auth.kind}: {asked} renewals for {THREADS} workers"
        ends.append(auth.kind)
    return f"{THREADS} workers, one renewal: {', '.join(ends)}"


def _renewals(stand: Stand) -> int:
    known = [auth.token_url.rpartition("/")[2] for auth in stand.connector.auth if auth.token_url]
    return sum(str(call["path"]).endswith(tuple(known)) for call in stand.twin.calls())


def _at_once(work: Any) -> None:
    failed: list[Exception] = []
    start = threading.Barrier(THREADS)

    def run() -> None:
        start.wait()
        try:
            work()
        except HubError as error:
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, f"{len(failed)} of {THREADS} workers stopped: {failed[0]}"


class _Died(BaseException):
    """The process ends here."""


def check_crash_while_renewing(stand: Stand) -> str:
    """The process dies right after the vendor gave new tokens: the next one signs in with what was saved."""
    ends = []
    for auth, signed in _renewing(stand):
        saved = signed.saved
        signed.connector.check(signed.api)
        stand.twin.tokens.expire_all(stand.twin.now())
        dying = signed.restarted(shelf=_shelf(saved, dies=True))
        try:
            dying.connector.check(dying.api)
        except _Died:
            pass
        else:
            raise AssertionError(f"{auth.kind}: a token was used before it was saved")
        after = signed.restarted(shelf=_shelf(saved))
        after.connector.check(after.api)
        again = signed.restarted(shelf=_shelf(saved))
        stand.twin.tokens.expire_all(stand.twin.now())
        again.connector.check(again.api)
        ends.append(f"{auth.kind}{' (rotating)' if auth.rotates else ''}")
    return ", ".join(ends)


def _shelf(saved: dict[str, str], *, dies: bool = False) -> TokenShelf:
    def save(tokens: Tokens) -> None:
        saved.update(tokens)
        if dies:
            raise _Died

    return TokenShelf(save=save, load=lambda: dict(saved))
