"""Serve a Salesforce and a HubSpot twin that know one invented company, until stopped.

Usage: python tests/e2e/company_twins.py <now, epoch seconds> <seed> <people>
"""

from __future__ import annotations

import sys
import threading

from hub.twins import hubspot, salesforce
from hub.twins.company import fill, generate
from hub.twins.server import serve

LATENCY_S = 0.02  # of each call, so that there is a time in which a call is under way


def main(now: str, seed: str, people: str) -> None:
    """Start both on free ports, say where they are, and wait."""
    twins = {"salesforce": salesforce.make(limit_scale=0.0), "hubspot": hubspot.make(limit_scale=0.0)}
    fill(generate(int(seed), int(people), now=float(now)), twins)
    running = {name: serve(twin) for name, twin in twins.items()}
    for name, twin in twins.items():
        twin.set_faults(latency_s=LATENCY_S)
        sys.stdout.write(f"{name} {running[name].base_url}\n")
    sys.stdout.flush()
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
