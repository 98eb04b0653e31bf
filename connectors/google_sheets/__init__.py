"""Google Sheets (API v4), on the hub's door: any table of a spreadsheet as a system, both ways, by key columns.

Docs: Google Workspace, Sheets API reference and concepts, "Usage limits", "Developer metadata"; OAuth 2.0 for service
accounts.

    hub.yaml, per stream: {tab: People (or the number after gid=), key: [Email], write: never | in_place,
                           listing: partial | complete, marker: Hub Id}

A record's id is its key; its data are {column: value} as the sheet holds them, its etag its own cells. The header is
the first row that has all key columns, wherever it stands; blank columns, and columns of a name that was there before,
are left alone. A row without key, or with the key of another, is a fault; a formula that failed says nothing.

Nothing in a sheet has an id or a time, so every read is the whole tab. Rows move while people work, so no row is ever
written by its number: a row that is to be changed gets a mark of ours (developer metadata, which moves with it), is
read back by that mark, and written by it only if its cells are still those that the change was made for. New rows go
below the table and need a column for the hub's id, by which they are found again if an answer is lost. What is written
is stored as it is: nothing of it becomes a formula. The sheet must be shared with the service account's address.
"""

from __future__ import annotations

from connectors.google_sheets.reading import check, connect, discover, fetch, find, pull, streams_for
from connectors.google_sheets.writing import push
from hub.connector import Auth, Connector, RateLimit, Setting

READS = ("read", "find_rows", "read_rows")
WRITES = ("mark_rows", "write_rows", "append")
TOKENS = "https://oauth2.googleapis.com/token"
SCOPE = "https://www.googleapis.com/auth/spreadsheets"

CONNECTOR = Connector(
    name="google_sheets",
    title="Google Sheets",
    base_url="https://sheets.googleapis.com",
    hosts=("sheets.googleapis.com", "oauth2.googleapis.com"),
    auth=(
        Auth(kind="jwt_bearer", token_url=TOKENS, scope=SCOPE),
        Auth(kind="refresh_token", token_url=TOKENS),
        Auth(kind="token"),
    ),
    # "Usage limits": 60 a minute for a user in a project, reads and writes each; a service account is one user
    limits=(
        RateLimit(name="reads", calls=60, per_s=60.0, operations=READS),
        RateLimit(name="writes", calls=60, per_s=60.0, operations=WRITES),
    ),
    streams=(),
    streams_for=streams_for,
    settings=(Setting(name="spreadsheet", text="Id in the address, between /d/ and the next /", required=True),),
    connect=connect,
    check=check,
    discover=discover,
    pull=pull,
    fetch=fetch,
    find=find,
    push=push,
    docs="https://developers.google.com/workspace/sheets/api/reference/rest",
)
