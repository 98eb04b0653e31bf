"""Word to the people who run the hub: by mail, chat or telephone, through apprise where it is installed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from hub.errors import ConfigFault, Fault


class Alerts:
    """Sends notices.

    Args:
        addresses: gives name -> apprise address; asked anew for each notice, since they are secrets that may change.
    """

    def __init__(self, addresses: Callable[[], Mapping[str, str]]) -> None:
        self._addresses = addresses

    def send(self, title: str, text: str) -> list[str]:
        """Tell everybody; gives the names of those who could not be told.

        Raises ConfigFault: apprise is not installed (DLV-ALERTS), or an address is not set.
        """
        try:
            apprise = import_module("apprise")
        except ImportError:
            fault = Fault(code="DLV-ALERTS", where="notices", message="notices need apprise", fix="pip install apprise")
            raise ConfigFault([fault]) from None
        failed = []
        for name, address in self._addresses().items():
            one = apprise.Apprise()  # a fresh one: an old one waits seconds between two messages
            if not one.add(address) or not one.notify(title=title, body=text, body_format="text"):
                failed.append(name)
        return failed
