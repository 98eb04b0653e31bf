"""`hub connector certify`: every connector at work on its twin, over real HTTP, judged by one suite.

The rules themselves are `hub.kit.contract` and the modules of checks here; `suite` lists them all. A connector brings
nothing of its own but what it declares (`hub.connector`), its twin, and the twin's `PEOPLE`: what people at that vendor
can do to its records where the shape of the rows does not tell.
"""
