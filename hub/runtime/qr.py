"""QR codes, by segno where it is installed."""

from __future__ import annotations

import io
from importlib import import_module

from hub.errors import ConfigFault, Fault


def qr_png(text: str) -> bytes:
    """A picture of a text; of a claim link, and of nothing that is worth anything by itself.

    Raises ConfigFault DLV-QR: segno is not installed.
    """
    try:
        segno = import_module("segno")
    except ImportError:
        fault = Fault(code="DLV-QR", where="qr", message="QR codes need segno", fix="pip install segno")
        raise ConfigFault([fault]) from None
    picture = io.BytesIO()
    segno.make(text, error="m", micro=False).save(picture, kind="png", scale=6, border=4)
    return picture.getvalue()
