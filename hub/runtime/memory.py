"""How this process deals with memory: pages of records come and go, and should leave nothing to be done behind them."""

from __future__ import annotations

import gc
import sys

COLLECT_AFTER = 200_000  # new containers between two searches for circles; CPython's own figure is 700

# Parameters of glibc's allocator (mallopt(3)).
TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8
KEPT_BYTES = 64 << 20  # free memory at the end of the heap that stays ours
OWN_MAP_BYTES = 16 << 20  # what is larger is mapped by itself, and given back at once


def suit_pages() -> None:
    """Make memory fit for pages.

    A page makes some hundred thousand objects that die with it, none of them in a circle: a third of the time of taking
    it in would go into looking for circles. They are still looked for, whenever that many objects have stayed.

    And what one page frees, the next one takes: glibc would give it back to the system in between, and each of its
    pieces would be fetched again by a page fault, which on a virtual machine costs as much as reading a record. All
    threads share one heap, since they take turns anyway, and several heaps would each keep what they once needed.
    """
    gc.set_threshold(COLLECT_AFTER, *gc.get_threshold()[1:])
    if not sys.platform.startswith("linux"):
        return
    import ctypes  # not needed elsewhere

    set_option = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
    if set_option is not None:
        for option, value in ((ARENA_MAX, 1), (TRIM_THRESHOLD, KEPT_BYTES), (MMAP_THRESHOLD, OWN_MAP_BYTES)):
            set_option(option, value)
