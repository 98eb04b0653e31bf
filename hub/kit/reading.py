"""Times, money and booleans as vendors write them, into what the hub computes with.

A time is epoch seconds (float, UTC); money is integer minor units. Nothing is guessed: what cannot be read raises
ValueError, and the connector turns that into a fault of the one row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from email.utils import formatdate

from hub.core.values import currency_exponent
from hub.errors import HubError
from hub.model import Json, SourceRecord


def read_rows(
    rows: Iterable[dict[str, Json]], read: Callable[[dict[str, Json]], SourceRecord], *, id_key: str
) -> tuple[list[SourceRecord], list[dict[str, str]]]:
    """Records, and faults in the form of `Page.faults`: a row that cannot be read does not stop its page.

    Args:
        rows: decoded rows of a page.
        read: one row to a record; raises KeyError, TypeError, AttributeError or ValueError if it cannot.
        id_key: where the row's id stands.
    """
    records, faults = [], []
    for row in rows:
        try:
            records.append(read(row))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            external_id = str(row.get(id_key, "")) if isinstance(row, dict) else ""
            message = f"the row has no usable id or time ({type(error).__name__})"
            fault = {"external_id": external_id, "code": "REC-UNREADABLE", "message": message}
            faults.append({**fault, "fix": "look at the record over there"})
    return records, faults


def parse_time(text: str) -> float:
    """ISO 8601 with zone ("2026-11-02T08:10:00.000+0000", "…Z") to epoch seconds. A time without zone is refused."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without zone")
    return moment.timestamp()


def parse_epoch_ms(value: str | int | float) -> float:
    """Epoch milliseconds, as number or text, to epoch seconds."""
    return float(value) / 1000.0


def to_iso(at: float, *, digits: int = 3) -> str:
    """Epoch seconds as "2026-11-02T08:10:00.123Z" with so many digits of a second, rounded down."""
    factor = 10**digits
    ticks = int(at * factor + 1e-4)  # a stamp read from text comes back as the same text
    moment = datetime.fromtimestamp(ticks // factor, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}.{ticks % factor:0{digits}d}Z" if digits else f"{moment}Z"


def to_http_date(at: float) -> str:
    """Epoch seconds as an HTTP date, whole seconds, rounded down (RFC 9110, 5.6.7)."""
    return formatdate(int(at), usegmt=True)


def parse_minor(amount: str | int | Decimal, currency: str) -> int:
    """A decimal amount ("12.50") in minor units (1250). Raises ValueError for floats and for more digits than fit."""
    if isinstance(amount, float):
        raise ValueError("money as a float")
    try:
        minor = Decimal(amount).scaleb(currency_exponent(currency))
    except InvalidOperation:
        raise ValueError("not an amount") from None
    except HubError as error:
        raise ValueError(error.message) from None
    if not minor.is_finite() or minor != minor.to_integral_value():
        raise ValueError("more digits than the currency has")
    return int(minor)


def to_amount(minor: int, currency: str) -> str:
    """Minor units (1250) as a decimal amount ("12.50")."""
    exponent = currency_exponent(currency)
    return f"{Decimal(minor).scaleb(-exponent):.{exponent}f}"


def parse_bool(value: object) -> bool | None:
    """True and False as booleans, words or digits; None and "" are None. Raises ValueError for anything else."""
    if value is None or value == "":
        return None
    word = str(value).strip().lower()
    if word in ("true", "1", "yes", "y", "on"):
        return True
    if word in ("false", "0", "no", "n", "off"):
        return False
    raise ValueError("not a yes or no")
