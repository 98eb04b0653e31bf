"""`make verify` in a checkout: all goals, and the page about them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hub.verify.trust import PARTS, run

ROOT = Path(__file__).parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(prog="make verify", description=__doc__)
    parser.add_argument("--base", type=int, help="first seed; none: the day's")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=(), help="these parts; none: all")
    asked = parser.parse_args()
    met = run(ROOT, base=asked.base, only=asked.only, say=lambda line: print(line, flush=True))  # noqa: T201
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
