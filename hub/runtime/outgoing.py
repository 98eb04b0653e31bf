"""Signed webhooks that leave the hub, as in Standard Webhooks (standardwebhooks.com, specification, read 2026-11).

The signature covers id, moment and body; a receiver who keeps ids of some days does each thing once. Addresses are
checked as for connections: public ones over https only, or, marked local, this machine and its networks.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable
from hashlib import sha256
from urllib.parse import urlsplit

import requests

from hub.errors import OutcomeUnknown, RecordRejected, RetryLater
from hub.runtime.addresses import check_url, checked_session

TIMEOUT_S = 10.0
GONE = 410  # the receiver wants no more of it


def signature(secret: str, *, key: str, at: float, body: bytes) -> str:
    """`v1,` and the HMAC of `id.timestamp.body`. A secret that begins with `whsec_` is base64, any other is text."""
    raw = secret.encode()
    if secret.startswith("whsec_"):
        try:
            raw = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            raise RecordRejected("the secret is no base64", code="TRG-WEBHOOK", fix="hub secret set NAME") from None
    told = b".".join((key.encode(), str(int(at)).encode(), body))
    return "v1," + base64.b64encode(hmac.new(raw, told, sha256).digest()).decode()


class Outgoing:
    """Sends webhooks.

    Args:
        secret_of: the value that `secret:NAME` or `env:NAME` stands for; raises ConfigFault.
    """

    def __init__(self, secret_of: Callable[[str], str]) -> None:
        self._secret_of = secret_of

    def post(self, url: str, secret: str, *, local: bool, key: str, at: float, body: bytes) -> int:
        """The status of the answer, a success.

        Raises:
            ConfigFault: the address may not be used, or the secret is not set.
            RetryLater, OutcomeUnknown, RecordRejected: it was not taken, perhaps taken, or is not wanted.
        """
        host = (urlsplit(url).hostname or "").lower()
        checked = check_url(url, hosts=(host,), local=local, where=f"webhook to {host}")
        headers = {
            "content-type": "application/json", "webhook-id": key, "webhook-timestamp": str(int(at)),
            "webhook-signature": signature(self._secret_of(secret), key=key, at=at, body=body),
        }  # fmt: skip
        session = checked_session(local=local)
        try:
            with session.post(
                checked, data=body, headers=headers, timeout=TIMEOUT_S, allow_redirects=False, stream=True
            ) as answer:
                status = answer.status_code
        except requests.ConnectionError as error:
            raise RetryLater(f"no answer from {host}: {type(error).__name__}", code="TRG-WEBHOOK") from None
        except requests.RequestException as error:
            raise OutcomeUnknown(f"the answer of {host} was lost: {type(error).__name__}", code="TRG-WEBHOOK") from None
        finally:
            session.close()
        if 200 <= status < 300:
            return status
        if status == GONE:
            raise RecordRejected(f"{host} wants no more of it: 410", code="TRG-WEBHOOK")
        raise RetryLater(f"{host} answered {status}", code="TRG-WEBHOOK")
