"""Use cases: the only room that joins core, store and runtime."""
