"""The only room that knows SQL: what is stored, and a method per question. It keeps, it does not decide."""

from hub.store.store import Store, Tx

__all__ = ["Store", "Tx"]
