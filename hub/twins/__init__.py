"""Simulated vendors ("twins"): stateful servers on loopback that speak a vendor's own wire format.

Each vendor is one module with ``make(**options) -> Twin`` and ``TWIN = make``; what they share is in ``kit``.
Twins are built from the vendors' documentation and import nothing else of the hub, so that a mistake in the hub
(in signing, paging, parsing) cannot be made a second time on the other side and go unseen.
"""
