"""Faults planted on purpose, one at a time, to prove that the laws can fail. Empty outside of `hub verify` and tests.

Each name takes one mechanism out of the real engine; `hub.verify.convergence.PLANTABLE` says which.
"""

from __future__ import annotations

PLANTED: set[str] = set()
