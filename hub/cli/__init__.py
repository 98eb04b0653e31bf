"""The command line: thin. Every command calls one function of the app and shows what it gives.

Exit codes: 0 all well, 1 error, 2 bad usage or configuration, 3 finished with rows that need a person.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the `hub` command."""
    from hub.cli.app import run

    sys.exit(run(sys.argv[1:]))
