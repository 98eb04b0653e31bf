"""How fast the hub is, as ratios to a floor measured in the same run: `python -m bench`, or `make bench`.

people      the invented people, in the shapes of the two systems
source      both systems as an HTTP server in a process of its own: just the list endpoints
floor       the least that a load can cost: fetch, decode, one tuple a record, one statement a page
load        the hub doing the same with mapping, cleaning, matching, merging, shadows and history
case        one measurement in a process of its own
soak        half an hour of people and faults, and then all must be well (`make soak`)
parts       a first load by several workers
webhooks    from an edit's webhook to the write in the other system, twenty a second
goals       what must hold, what we aim at, and the median of some runs
connectors  the two systems as connectors without a vendor's SDK, over the same door
project     the mappings
"""
