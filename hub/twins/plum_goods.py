"""What Plum sells and in which form it shows it: products, vouchers, orders, times and amounts.

The vendor works in GMT+5:30 and writes times without a zone; a wallet has one currency, products have their own.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pycountry

from hub.twins.records import Fields, Record

Json = Any

ZONE = timezone(timedelta(hours=5, minutes=30))
CENT = Decimal("0.01")
# Units of a currency for one euro: the twin's own table, no market's.
RATES = {"EUR": "1", "USD": "1.08", "GBP": "0.85", "CHF": "0.95", "PLN": "4.3", "INR": "92", "JPY": "165", "SEK": "11"}
_NAMES = {"US": "USA", "GB": "UK", "AE": "UAE"}  # spelled by the vendor in its own way

BLANK_PRODUCT: Fields = {
    "name": "Gift card",
    "description": "",
    "termsAndConditionsInstructions": "<p>As stated on the card.</p>",
    "expiryAndValidity": "<p>12 Months</p>",
    "redemptionInstructions": "<p>Enter the code at the till.</p>",
    "categories": "Shopping",
    "imageUrl": "https://img.example.test/card.jpg",
    "currencyCode": "EUR",
    "countryCode": "DE",
    "valueType": "fixed_denomination",
    "minValue": 0,
    "maxValue": 0,
    "valueDenominations": "10,25,50",
    "tatInDays": 0,
    "usageType": "",
    "deliveryType": "realtime",
    "fee": 0,
    "discount": 0,
    "orderQuantityLimit": 10,
    "voucherType": "code",  # code, codePin or url
    "stock": None,  # pieces left; None: never out
    "kyc": False,  # needs a check of the client that was not made
}
BLANK_ORDER: Fields = {
    "poNumber": None,
    "productId": "5671",
    "productName": "Gift card",
    "quantity": 1,
    "denomination": 0,
    "email": None,
    "contact": None,
    "tag": "",
    "orderDate": "2026-01-01 00:00:00",
    "orderTotal": 0,
    "discountPercent": 0,
    "amountCharged": 0,
    "currencyCode": "EUR",
    "currencyValue": 1.0,
    "orderStatus": "complete",
    "deliveryStatus": "delivered",
    "due": None,  # when a delayed order will have its codes
    "vouchers": [],
}
HIDDEN = ("voucherType", "stock", "kyc")  # kept by the supplier, not shown in the catalogue
CATALOGUE: dict[str, Fields] = {
    "5671": {"name": "Test Shop eGift", "categories": "Fashion,Home &amp; Living"},
    "5672": {"name": "Coffee House eGift", "currencyCode": "USD", "countryCode": "US", "voucherType": "codePin"},
    "5673": {"name": "Outdoor Store eGift", "deliveryType": "delayed", "tatInDays": 2},
    "5674": {
        "name": "Any Amount eGift",
        "currencyCode": "GBP",
        "countryCode": "GB",
        "valueType": "open_value",
        "minValue": 500,
        "maxValue": 5,  # swapped, as some suppliers send them
        "valueDenominations": "",
        "voucherType": "url",
    },
    "5675": {"name": "Sold Out eGift", "stock": 0},
}


def local_text(at: float) -> str:
    return datetime.fromtimestamp(at, ZONE).strftime("%Y-%m-%d %H:%M:%S")


def local_day(at: float) -> str:
    return datetime.fromtimestamp(at, ZONE).strftime("%Y-%m-%d")


def number(value: Decimal) -> int | float:
    """An amount as JSON shows it: without needless decimals."""
    return int(value) if value == value.to_integral_value() else float(value)


def country_name(code: str) -> str:
    found = pycountry.countries.get(alpha_2=code)
    return _NAMES.get(code) or (str(getattr(found, "common_name", found.name)) if found else code)


def rate_of(currency: str, wallet: str) -> Decimal:
    """Units of `currency` for one unit of the wallet's."""
    return Decimal(RATES.get(currency, "1")) / Decimal(RATES.get(wallet, "1"))


def allows(product: Fields, denomination: Decimal) -> bool:
    if product["valueType"] == "open_value":
        bounds = sorted((Decimal(str(product["minValue"])), Decimal(str(product["maxValue"]))))
        return bounds[0] <= denomination <= bounds[1]
    return denomination in {Decimal(part) for part in str(product["valueDenominations"]).split(",") if part.strip()}


def charged(product: Fields, total: Decimal, wallet: str) -> Decimal:
    """What an order takes from the wallet: discount off, fee on, in the wallet's currency."""
    percent = 100 - Decimal(str(product["discount"])) + Decimal(str(product["fee"]))
    return (total * percent / 100 / rate_of(product["currencyCode"], wallet)).quantize(CENT, ROUND_HALF_UP)


def show_product(record: Record, wallet: str, *, with_rate: bool) -> Fields:
    fields = {name: value for name, value in record.fields.items() if name not in HIDDEN}
    code, currency = fields["countryCode"], fields["currencyCode"]
    found = pycountry.currencies.get(alpha_3=currency)
    rate = float(rate_of(currency, wallet))
    return {
        "productId": int(record.id) if record.id.isdigit() else record.id,
        **fields,
        "lastUpdateDate": local_text(record.modified),
        "currencyName": str(found.name) if found else currency,
        "countryName": country_name(code),
        "countries": [{"code": code, "name": country_name(code)}],
        "exchangeRateRule": rate,
        "exchangeRate": rate if with_rate else None,
        "isCommon": "0",
    }


def make_vouchers(order_id: str, order: Fields, product: Fields, at: float) -> list[Fields]:
    """The codes of an order: the same ones however often they are asked for."""
    vouchers = []
    for piece in range(order["quantity"]):
        secret = hashlib.sha256(f"{order_id}/{piece}".encode()).hexdigest().upper()
        code, kind = f"TEST-{secret[:4]}-{secret[4:8]}", product["voucherType"]
        vouchers.append(
            {
                "productId": _product_id(order),
                "orderId": int(order_id),
                "voucherCode": f"https://redeem.example.test/c/{secret[:12].lower()}" if kind == "url" else code,
                "pin": str(int(secret[8:14], 16))[-4:] if kind == "codePin" else "",
                "validity": local_day(at + 365 * 86_400),
                "amount": order["denomination"],
                "currency": order["currencyCode"],
                "country": product["countryCode"],
                "type": kind,
                "currencyValue": order["currencyValue"],
            }
        )
    return vouchers


def show_order(order_id: str, order: Fields) -> Fields:
    """An order as placing and asking for it answer. A delayed one has no vouchers yet."""
    detail = {
        "orderId": int(order_id),
        "productId": _product_id(order),
        "productName": order["productName"],
        "currencyCode": order["currencyCode"],
        "productStatus": order["deliveryStatus"],
        "denomination": order["denomination"],
    }
    return {
        "orderId": int(order_id),
        "poNumber": order["poNumber"],
        "orderTotal": order["orderTotal"],
        "rawOrderTotal": order["orderTotal"],
        "orderDiscount": "",
        "rawOrderDiscount": "",
        "discountPercent": str(order["discountPercent"]),
        "currencyCode": order["currencyCode"],
        "currencyValue": order["currencyValue"],
        "amountCharged": order["amountCharged"],
        "orderStatus": order["orderStatus"],
        "deliveryStatus": order["deliveryStatus"],
        "tag": order["tag"],
        "quantity": order["quantity"],
        "vouchers": order["vouchers"],
        "voucherDetails": [detail],
    }


def show_history(record: Record) -> Fields:
    """A row of the order history: states begin with a capital here, and there are no codes."""
    order = record.fields
    line = {
        "productName": order["productName"],
        "receiverMobileNumber": order["contact"] or "",
        "price": order["denomination"],
        "quantity": order["quantity"],
        "orderProductStatus": order["deliveryStatus"],
    }
    return {
        "orderId": int(record.id),
        "orderDate": order["orderDate"],
        "email": order["email"],
        "deliveryStatus": order["deliveryStatus"].capitalize(),
        "tag": order["tag"],
        "poNumber": order["poNumber"],
        "products": [line],
    }


def _product_id(order: Fields) -> int | str:
    product: str = order["productId"]
    return int(product) if product.isdigit() else product
