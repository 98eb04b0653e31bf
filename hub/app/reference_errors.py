"""docs/errors.md: every code, what it means and what to do, in the order in which a person meets them.

Which codes there are is found by a walk over the code (hub.app.code_walk). Their meaning stands in the table of
hub.core.codes, for mappings and settings, or in `TEXTS` here, for everything else; a code that stands in neither is
shown with the words that the code says with it, so that none is ever left out. Those that connectors give out in their
system's name have a table of their own (hub.app.reference_systems).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from hub.app.carry import DRIFT, WAITS
from hub.app.code_walk import Said, codes_said, read_sources
from hub.app.reference_systems import ITSELF, REPORT, SYSTEMS, text_of
from hub.app.undo_maker import LEFT
from hub.core.codes import CODES

ROOMS = ("hub", "connectors")
LEFT_OUT = ("hub/twins/", "hub/verify/", "hub/kit/contract.py", "hub/core/codes.py", "hub/app/reference")

NEAREST = "The message names the nearest known name, or all of them."
NEXT_PLAN = "Plan again: what is still due is in the next plan."
SEVERAL = "; "  # between the fixes of several cases under one code

# Code -> meaning, what to do. The fix is empty where the code's own words say it best.
TEXTS: Mapping[str, tuple[str, str]] = {
    # Settings and projects, beside those of hub.core.codes
    "CFG-000": ("Settings cannot be used; each fault is listed with a code of its own.", "Mend what is listed."),
    "CFG-035": ("The connection would be read or compared so often that it does little else.", ""),
    "CFG-050": ("There is no hub.yaml in this folder or above it.", ""),
    "CFG-051": ("There is a connection of that name already.", ""),
    "CFG-052": ("There is a project in that folder already; nothing was touched.", ""),
    "CFG-053": ("The address cannot be listened on.", ""),
    "CFG-054": ("The hub does not know under which address the world reaches it.", ""),
    "CFG-AUTH": ("The connector has no sign-in of this kind.", "Take a kind that the message names."),
    "CFG-BASE-URL": ("A setting that is part of the vendor's address is missing, or is no host name.", ""),
    "CFG-FORM": ("What stands under `forms` is no id of a form.", ""),
    "CFG-ORGANIZATION": ("The setting `organization` is no id.", ""),
    "CFG-PAGE": ("What stands under `pages` is no id of a page.", ""),
    "CFG-PROFILE": ("The setting `profile` names no profile of inbound webhooks.", ""),
    "CFG-SCOPE": ("The setting `scope` is none of those that the connector knows.", "Take one that the message names."),
    "CFG-SHEET": ("The setting `spreadsheet` is no id of a spreadsheet.", ""),
    "CFG-SITE": ("The setting `site` is no number.", ""),
    "CFG-WORKSPACE": ("The setting `workspace` is no number.", ""),
    "CFG-ZONE": ("The setting `timezone` names no time zone.", ""),
    "CFG-MARKER": ("The setting `marker` names no metafield.", ""),
    "CFG-SECRET": ("Webhooks cannot be set up without a secret to sign them with.", ""),
    "SEC-ENV": ("hub.yaml says env:NAME, and the environment has no such variable.", "Set it, and start again."),
    "SEC-NONE": ("hub.yaml says secret:NAME, and no such secret is kept.", "`hub secrets set NAME`"),
    "SEC-KEY": (
        "Secrets cannot be opened: the key is missing, unreadable, or another one than they were kept under.",
        "Bring `.hub-key` or `HUB_SECRET_KEY` back, or set the secrets anew.",
    ),
    "SEC-NAME": ("That is no name for a secret.", ""),
    "SEC-EMPTY": ("An empty secret.", ""),
    "PUSH-CANNOT": (
        "A record was deleted elsewhere and is to be archived here; the system can only delete.",
        "Delete it there by hand, or allow it: `deletes: {out: delete}`.",
    ),
    "KPI-SEGMENT": ("A field that does not tell records of a figure apart.", ""),
    "KPI-FAILED": ("A figure that was asked for could not be computed.", ""),
    "KPI-PERIOD": ("What follows `--by` or `--since` is no period or day of the past.", ""),
    "WHY-TIME": ("What follows `--as-of` is no moment.", ""),
    "WHY-SINCE": ("What follows `--since` is no duration.", ""),
    # A person's data
    "ERASE-BUSY": (
        "A write or a reward of this person is under way, and nobody knows yet how it ends.",
        "Let it end first: the message names what it is.",
    ),
    "ERASE-TYPE": ("Only people are erased.", "Name a contact."),
    "EXPORT-WRITE": ("The file for the export cannot be written.", "Name a file in a folder that may be written."),
    "PLAN-NONE": ("No write of the plan was chosen.", "Tick some, or approve all of it."),
    "PLAN-WHOLE": (
        "Single fields of an undo were chosen, and an undo puts whole writes back.",
        "Tick the write instead of its fields.",
    ),
    # Who is who
    "IDN-AMBIGUOUS": (
        "The strong keys of a new record belong to several entities, so nobody can tell whose it is.",
        "Say whose it is with `hub identity always`, or correct the key at a system; then `hub quarantine retry`.",
    ),
    "IDN-BUSY": ("One of the two has a record that is just being created, and may or may not be there.", ""),
    "IDN-EXTRA": ("Pairs are scored with Splink, an optional extra that is not installed.", ""),
    "IDN-ORDER": ("Merges are taken back in turn, the newest first.", ""),
    "IDN-RECORD": ("A ruling on a record that has not arrived needs a record of the other one.", ""),
    "IDN-SAME": ("The two are one entity already.", "To part them: `hub identity split`."),
    "IDN-STATE": ("One of the two is deleted.", "Nothing; only what lives can be merged."),
    "IDN-TYPES": ("A contact and a company are never one.", "Name two of one type."),
    "IDN-UNDONE": ("The merge, pair or ruling was decided or taken back by somebody else.", "Look at the list again."),
    "TRUST-NONE": (
        "Measured trust speaks for no other order of sources: too few values, or their shares differ by chance.",
        "`hub trust` shows the figures.",
    ),
    # People at the console
    "AUTH-SIGN-IN": (
        "The name or the password is wrong; which of them, nobody is told.",
        "Try again, or ask an admin for a link.",
    ),
    "AUTH-SLOW": ("Too many failures to sign in, from this name or this address.", "Wait as long as the message says."),
    "AUTH-LINK": (
        "The sign-in link was used already, or is older than a quarter of an hour.",
        "Ask for another: `hub user link NAME`",
    ),
    "AUTH-SESSION": ("Nobody is signed in here any more.", "Sign in."),
    "AUTH-ROLE": ("Your role does not include this.", "Ask somebody whose role does; the message names the roles."),
    "AUTH-OUT": ("This person is shut out.", "An admin can let them in again."),
    "AUTH-LAST": ("Without this person nobody could administer the hub.", "Make somebody else an admin first."),
    "AUTH-NAME": ("That is no name for a user.", ""),
    "AUTH-USER": ("There is a user of that name already.", ""),
    "AUTH-ROLE-NAME": ("There is no such role.", ""),
    "AUTH-PASSWORD": ("The password is too short or too long, or one of those that are tried first.", ""),
    "AUTH-OWN": ("Nobody approves what they brought about themselves.", "Ask another approver."),
    "DRAFT-STALE": (
        "The file was changed since the draft was begun.",
        "Look at the difference, save the draft again, then publish.",
    ),
    "API-REQUEST": (
        "A call of the API with something missing, or of another shape than described.",
        "The description is at /api/v1/openapi.json.",
    ),
    "AUTH-SCOPE": ("A token needs a name, and scopes that there are.", ""),
    "AUTH-BEYOND": (
        "A token, a role, a link or a password would have given more rights than whoever asked for it has.",
        "Ask somebody who has them, or use a token with those scopes.",
    ),
    "NOTE-TEXT": ("A note is empty, or longer than a note is.", ""),
    # Speaking to systems
    "NET-CONNECT": ("The host did not answer, or there is no such host; nothing was sent.", ""),
    "NET-TLS": ("The secure connection failed; nothing was sent.", "Check the machine's clock and certificates."),
    "NET-CUT": ("The connection broke while an answer was read.", ITSELF),
    "NET-CIRCUIT": ("The host could not be reached several times in a row, so it is left alone for a while.", ITSELF),
    "NET-TOO-BIG": ("The answer was too big or came too slowly; it was not taken.", ITSELF),
    "NET-NOT-JSON": ("The answer is no JSON: a login or maintenance page, most likely.", ITSELF),
    "NET-NOT-CSV": ("The answer is no CSV, or a page of it was cut off on the way.", ITSELF),
    "NET-429": ("The system says: too many calls. The hub waits as long as it is told to.", ITSELF),
    "NET-PAUSED": ("The system asked for a pause that is longer than the run wants to wait.", ITSELF),
    "NET-QUOTA": (
        "A budget of calls is used up, less the share that `reserve` leaves to people.",
        "Nothing; the run goes on when the budget comes back. If it happens often, read less often.",
    ),
    "NET-BUSY": ("The record is locked by somebody else at this moment.", ITSELF),
    "NET-TROUBLE": ("The system answered with an error of its own.", ITSELF),
    "NET-RETRY": ("The call certainly did nothing and may go through later.", ITSELF),
    "NET-UNKNOWN": (
        "A write got no clear answer: it may have been done or not. It is looked up, never just repeated.",
        ITSELF,
    ),
    "NET-404": ("The system has nothing under this address or id.", "Check the id, or the connection's settings."),
    "NET-FORBIDDEN": ("The sign-in is good, but this is not allowed.", "Give the connection's user or key the right."),
    "NET-HEADER": (
        "A value would become a header with a line end or letters that no header has; nothing was sent.",
        "Correct the value at its source.",
    ),
    "NET-REDIRECT": ("The system points to another host, which the hub does not follow.", "Check `base_url`."),
    "NET-STRANGE": ("The system gave a status that nobody documents.", "Look it up at the vendor, or report it."),
    "AUTH-EXPIRED": (
        "The system refuses the credentials. This connection stops, the others go on.",
        "Put new credentials in the place that hub.yaml names, then `hub connections test`.",
    ),
    "AUTH-LATER": ("No token could be had just now, or another process is fetching one.", ITSELF),
    "PAGE-LOOP": ("The system hands out the same page again. The stream stops, its cursor stays.", "Ask the vendor."),
    "PAGE-ORDER": ("A page is not in the order that was asked for. The stream stops, its cursor stays.", "Report it."),
    "HOOK-NONE": ("This system sends no webhooks; its changes are found by reading.", ""),
    "CUR-NONE": ("This system only sends; there is nothing that could be read again.", ""),
    "CUR-LOOP": ("The system keeps handing out the same cursor. The stream stops, its cursor stays.", "Report it."),
    # Webhooks
    "SIG-REFUSED": (
        "A webhook without a good signature, too old, or with no secret to check it by. Nothing of it was kept.",
        "Compare the webhook secret here and at the system, and the clock of this machine.",
    ),
    "HOOK-ADDRESS": (
        "A webhook that names an address which is not the vendor's; it was not followed.",
        "Look at what sends it; nothing was kept.",
    ),
    "HOOK-BODY": ("A webhook whose body is not what this system sends.", "Look at what sends it; nothing was kept."),
    "TRK-BODY": (
        "A call of the tracking API that is no JSON, no call, or packed in an unknown way.",
        "Mend what sends it.",
    ),
    "TRK-SIZE": ("A call or a single message of the tracking API is larger than allowed.", "Send less at once."),
    "TRK-MESSAGE": (
        "A message of a tracking call cannot be one; the others of its call were taken.",
        "Mend what sends it; the message is kept in quarantine.",
    ),
    "HOOK-ACCOUNT": ("A webhook of another account.", "Take this address out of the other account."),
    # Plans
    "PLAN-FILE": ("The file is no plan.", ""),
    "PLAN-WRITE": ("The plan cannot be kept in that file.", ""),
    "AUDIT-WRITE": ("The report of a data audit cannot be written to that file.", ""),
    "PLAN-DIGEST": ("The plan was changed since it was made; nothing was written.", "Make it again, or bring it back."),
    "PLAN-HUB": ("The plan was made by another hub.", ""),
    "PLAN-HELD": ("A guard would keep back some of the plan's writes; nothing was written.", ""),
    "PLAN-REJECTED": ("The plan was rejected.", "Make another."),
    "PLAN-DECIDED": ("The plan does not wait any more: it was decided, or another took its place.", ""),
    **{code: (f"A planned write was not made: {why}.", NEXT_PLAN) for code, why in DRIFT.items()},
    "PLAN-MODE": (f"A planned write was not made: {DRIFT['PLAN-MODE']}.", "Say another mode at the connection."),
    "PLAN-HOLD": (f"A planned write was not made: {DRIFT['PLAN-HOLD']}.", "Release or drop the hold, then plan again."),
    **{code: (f"A planned write was not made yet: {why}.", "Apply the plan again.") for code, why in WAITS.items()},
    **{code: (f"An undo leaves this as it is: {why}.", "Nothing, or do it by hand.") for code, why in LEFT.items()},
    "UNDO-CREATED": (
        f"An undo leaves this as it is: {LEFT['UNDO-CREATED']}.",
        "If it must go: `hub undo --delete-created`",
    ),
    # Records
    "REC-KEY": ("A record cannot be made there without what the system knows it by.", "Map the field that is named."),
    "REC-UNREADABLE": ("A record of a page could not be read; the others were.", "Report it with the message."),
    "LOG-BROKEN": (
        "The log of what people did is not as it was written: an entry was changed, taken out, put in or moved.",
        "Compare it with a backup, and find out who can write to the database.",
    ),
    "REC-KILLS": (
        "A record ended every process that took it in, or fits into no memory. The others went on.",
        "Look at it in the system; then retry it here, or leave it out.",
    ),
    "REC-REJECTED": ("The system refuses the record as it is.", "Mend what the message names, then retry."),
    "REC-CONFLICT": ("The system says that the record is in the way of another one.", "Look at both over there."),
    "REC-MOVED": ("The record changed between reading and writing; it is read and decided again.", ITSELF),
    "REC-FIELD": ("A look-up by something that is no field.", REPORT),
    "REC-ID": ("A write to an id that this system cannot have.", REPORT),
    "REC-OP": ("A kind of write that this stream does not know.", REPORT),
    "REF-WAITS": ("The record names another one that the hub has not read yet.", ""),
    "PUSH-REJECTED": ("The system refuses this value, or the record.", ""),
    "PUSH-EXISTS": (
        "The system has another record with this key, which it does not let two have.",
        "Find out whether it is the same person, and correct the key at one of the systems.",
    ),
    "PUSH-NOT-SENT": ("The write was left for the next run, since its time was up.", ITSELF),
    "PUSH-UNKNOWN": ("A create may or may not have been done, and the system cannot be asked.", ""),
    "SF-412": ("The record changed since it was read; it is read and decided again.", ITSELF),
    "SF-NO-ROW": ("Salesforce's answer leaves a row out, so its write counts as unknown and is looked up.", ITSELF),
    "SF-JOB": ("A query job of Salesforce is still under way; its results are read when it is done.", ITSELF),
    "HS-LABEL": (
        "The mapping names an association by a label that the account does not have.",
        "Make the label in HubSpot (settings, objects, associations), or correct the mapping.",
    ),
    "HS-NO-ROW": ("HubSpot's answer leaves a row out, so its write counts as unknown and is looked up.", ITSELF),
    "HS-SEARCH": ("HubSpot's search takes no more characters than this.", REPORT),
    "REST-SPEC": (
        "The description of an interface is wrong; the message says what, and where.",
        "Do as the message says.",
    ),
    "REST-NO-STREAM": ("The connection describes no list.", ""),
    "REST-NO-LIST": ("The answer holds no list where the description says.", ""),
    "REST-NO-RECORD": ("An answer about one record holds none, or another one.", ""),
    "REST-LOOKUP": ("The interface cannot be asked for records by this field.", ""),
    "REST-OP": ("A kind of write that the description does not name.", REPORT),
    "REST-ID": ("A write to a record without an id.", REPORT),
    "REST-NO-REFERENCE": ("A create without the hub's id.", REPORT),
    "TAP-SETTING": ("A setting of a Singer tap is wrong; the message says what.", "Do as the message says."),
    "TAP-NO-STREAM": ("The connection names no stream of the tap.", ""),
    "TAP-STREAM": ("Something about a stream's settings is wrong; the message says what.", "Do as the message says."),
    "TAP-CATALOG": ("The tap's discovery gave no catalog.", "Say `catalog: none`, if the tap knows no discovery."),
    "TAP-DIED": ("The tap ended with an error.", ""),
    "TAP-LINE": ("A line of the tap cannot be read; the others were taken.", ""),
    "PROG-NOT-THERE": ("A program cannot be run.", ""),
    "PROG-SILENT": ("A program said nothing for so long that it was stopped.", "Give it more time, if that is usual."),
    # Files
    "FILE-PATH": ("The file is not named, leads nowhere, or is outside the project.", ""),
    "FILE-NOT-THERE": ("There is no such file.", ""),
    "FILE-KIND": ("This is a folder or a device, not a file.", ""),
    "FILE-DENIED": ("The hub may not read or write the file.", ""),
    "FILE-BIG": ("The file is larger than allowed.", ""),
    "FILE-MOVING": ("The file is being written at this moment.", ITSELF),
    "FILE-MOVED": ("The file changed between reading and writing; it is read and decided again.", ITSELF),
    "FILE-WRITE": ("The file could not be written; the old one is untouched.", "Look at the disk and its rights."),
    "CSV-NO-STREAM": ("The connection names no file.", ""),
    "CSV-STREAM": ("Something about a stream's settings is wrong; the message says what.", "Do as the message says."),
    "CSV-EMPTY": ("The file has no header.", ""),
    "CSV-HEADER": ("The header cannot be read, or two columns have one name.", ""),
    "CSV-WIDE": ("The table has more columns than allowed.", ""),
    "CSV-COLUMN": ("A column that is named in hub.yaml or the mapping is not in the file.", ""),
    "CSV-BYTES": ("The file or row holds bytes that are not in its encoding.", ""),
    "CSV-QUOTE": ("A quote is not closed, or stands in the middle of a cell.", ""),
    "CSV-LONG": ("The row is longer than allowed.", ""),
    "CSV-NUL": ("A NUL character, which no table holds.", ""),
    "CSV-COLUMNS": ("The row has more or fewer cells than the header.", ""),
    "CSV-KEY-BLANK": ("The row has no key, so it cannot be told from others.", ""),
    "CSV-KEY-TWICE": ("Several rows have one key; none of them is taken.", ""),
    "CSV-MANY": ("More rows than are listed one by one cannot be read.", ""),
    "CSV-OLDER": ("The file is older than the one that was read before.", ""),
    "CSV-UNREAD": (
        "A row was not found, and rows of the file cannot be read: it may be one of them.",
        "Mend those rows.",
    ),
    "CSV-READ-ONLY": ("This file is not written.", "Say `write: in_place` at its stream, if it shall be."),
    "CSV-OP": ("Rows are added and changed, never deleted.", "Delete the row by hand, if it shall go."),
    "CSV-KEY-WRITE": ("The key of a row is never changed.", "Say `direction: in` for this field."),
    "CSV-NO-MARKER": ("A new row needs a column for the hub's id.", "Add the column, and name it as `marker`."),
    "CSV-ENCODE": ("A character that the file's encoding does not have.", "Save the file as UTF-8."),
    "CSV-VALUE": ("A cell holds one text, and this value is none.", "Give the field a wire, such as join."),
    # Triggers
    "RWD-VOID": ("What takes the reward back had happened before it was given.", "Nothing."),
    "TRG-NOBODY": ("Nobody is named for whom it would be done.", "Look at `who:` of the rule, and at the record."),
    "TRG-COOL-DOWN": ("The rule fired for this person not long ago.", "Nothing, if `cool_down:` is meant."),
    "TRG-LIMIT": ("The person had as many as the rule allows in this time.", "Nothing, if that is meant."),
    "TRG-LIMIT-ALL": ("Everybody together had as many as the rule allows.", "Raise `in_all:`, if that is meant."),
    "TRG-APPROVE": ("A person must let it go.", "`hub trigger approve` or `drop`"),
    "TRG-QUIET": ("It is quiet hours; it is done at their end.", "Nothing."),
    "TRG-GONE": ("The rule is gone from triggers.yaml, or does something else now.", "Nothing, if that is meant."),
    "TRG-DROPPED": ("A person said no.", "Nothing."),
    "TRG-TEAM": ("A notice reached nobody, or not everybody.", "Look at `notices:` in hub.yaml."),
    "TRG-WEBHOOK": ("A webhook was not taken, or nobody knows whether it was.", "It is sent again under the same id."),
    "TRG-STATE": ("The firing is not in a state in which that can be decided.", "`hub trigger show` tells its state."),
    # Rewards
    "RWD-NOBODY": ("Nobody is named to receive the reward.", "Look at `who:` of the rule, and at the record."),
    "RWD-ADDRESS": ("The receiver has no e-mail address.", "Add it at a system; later events will pay, this one not."),
    "RWD-LIMIT": ("The person had as many rewards as the rule allows in this time.", "Nothing, if that is meant."),
    "RWD-BUDGET": ("The budget of this period is used up.", "Raise it in rewards.yaml, if that is meant."),
    "RWD-APPROVE": ("The amount is one that a person must let go.", "`hub rewards approve` or `decline`"),
    "RWD-BURST": ("Unusually many rewards within an hour.", "`hub rewards approve` or `decline`"),
    "RWD-CONNECTION": ("Rewards wait for a connection that cannot place orders.", ""),
    "RWD-UNKNOWN": (
        "An order may or may not exist, and the provider cannot tell.",
        "Ask the provider; then `hub rewards confirm` or `decline`.",
    ),
    "RWD-NO-LOOK-UP": ("The provider cannot be asked for an order by our number.", "Ask the provider."),
    "RWD-DIFFERS": ("There is an order with our number, and it is not the one we want.", "Ask the provider."),
    "RWD-DOUBLE": ("Several orders have our number.", "Ask the provider; the hub sends no more for this reward."),
    "RWD-CONTRADICTION": (
        "An order turned up for a reward that was settled otherwise.",
        "Look at both.",
    ),
    "RWD-TAKE-BACK": ("The reward should be taken back, but its order exists already.", "Cancel it at the provider."),
    "RWD-MERGED": (
        "The person has the reward already, under another name that turned out to be his.",
        "`hub rewards approve` or `decline`",
    ),
    "RWD-CATALOGUE": (
        "The provider does not offer this product, or not for this amount.",
        "Correct the rule and `decline`, or `approve` if you know better.",
    ),
    "RWD-HOLD-OUT": ("The person is left out by lot, so that the rule's effect can be measured.", "Nothing."),
    "RWD-COUNTRY": ("The rule names no product for the receiver's country.", "Add it, or `default`, to `products:`."),
    "RWD-POINTS": ("The person has not as many points, or that is no number of them.", "`hub rewards points`"),
    "RWD-STATE": ("This cannot be decided in the state that the reward is in.", ""),
    "DLV-FAILED": (
        "The provider took the message and says that it did not arrive.",
        "Mend the address, or `hub rewards resend` another way; the reward stays one.",
    ),
    "DLV-WAY": ("There is no such connection and template to send a message by.", ""),
    "RWD-LEDGER": ("A reward and its budget do not add up; nothing was moved.", REPORT),
    "PLUM-OP": ("Plum takes orders, and no other writes.", REPORT),
    "PLUM-FIELD": ("An order lacks its product or denomination, or has a field that orders do not have.", REPORT),
    "PLUM-NO-REFERENCE": ("An order without a number, or with one that is too long.", REPORT),
    "PLUM-LOOKUP": ("Plum cannot be asked for this.", REPORT),
    "DLV-TEMPLATE": (
        "A template of messages, or what it needs, is wrong; the message says what.",
        "Do as the message says.",
    ),
    "DLV-SETTING": ("A setting of a channel for messages is wrong; the message says what.", "Do as the message says."),
    "DLV-QR": ("QR codes need a package that is not installed.", ""),
    "DLV-ALERTS": ("Notices need a package that is not installed.", ""),
    "DLV-NO-TEMPLATE": ("A rule gives a message that the connection does not have.", ""),
    "DLV-NO-REFERENCE": ("A message without a number.", REPORT),
    "DLV-OP": ("A channel for messages sends them, and does nothing else.", REPORT),
    "DLV-PHONE": ("The receiver has no telephone number.", ""),
    "MAIL-SETTING": ("A setting of a mail server is wrong; the message says what.", "Do as the message says."),
    "MAIL-LATER": ("The mail server cannot be reached, or takes nothing now; nothing was sent.", ITSELF),
    "MAIL-REFUSED": (
        "The mail server refuses the message or its receiver.",
        "Look at the address; later events will pay.",
    ),
    "MAIL-ADDRESS": ("An address that no mail can go to.", "Correct it at its source."),
    "MAIL-MESSAGE": ("No message can be made of this order.", "Look at the address and the template."),
    # Runs and the store
    "RUN-BUSY": ("Another run has this connection.", "Wait for it; `hub runs list` shows it."),
    "RUN-STOPPED": ("The hub was shut down, or the process was killed. What was done is kept.", ITSELF),
    "RUN-AGAIN": ("A worker could not finish its job: the connection was another's, or the worker ended.", ITSELF),
    "RUN-LEASE": ("Another process has taken this run over.", "Nothing; that process goes on."),
    "STORE-BUSY": ("The database was locked or had to undo a transaction.", ITSELF),
    "STORE-FULL": ("The database's disk is full.", ""),
    "STORE-GONE": ("The database cannot be reached.", ""),
    "STORE-UNKNOWN": ("The connection broke during a commit, so nobody knows whether it was made.", ""),
    "STORE-OPEN": ("The database cannot be opened, or is damaged.", ""),
    "STORE-URL": ("The address is of a database that the hub does not know.", ""),
    "STORE-SQLITE": ("This Python brings a SQLite that is too old.", ""),
    "STORE-OLDER": ("The database is of an older version of the hub.", ""),
    "STORE-NEWER": ("The database is of a newer version of the hub.", ""),
    "STORE-VIEW": ("A name in canonical.yaml cannot be the name of a view or column.", ""),
    "STORE-TEXT": ("A text holds characters that no database keeps.", ""),
    "STORE-NUMBER": ("A number is larger than any database keeps.", ""),
    "STORE-LONG": ("An id is longer than the database keeps.", ""),
    # Everything else
    "HUB-404": ("What was asked for does not exist.", "Check its name or number in the listing."),
    "HUB-000": ("An error without a code of its own.", REPORT),
    "REV-PERSON": ("No machine may decide this.", "Do as the message says."),
    "PLAN-DRIFT": ("What you decided on has changed since you looked, or was decided before.", "Look again."),
}

# Fixes of codes in hub.core.codes whose own words are only a nearest name.
FIXES = {
    **dict.fromkeys(("CFG-010", "CFG-030", "MAP-001", "MAP-002", "MAP-010", "MAP-016", "MAP-045"), NEAREST),
    **dict.fromkeys(("RWD-001", "RWD-002", "RWD-003", "RWD-006"), NEAREST),
    **dict.fromkeys(("TRG-002", "TRG-003", "TRG-009"), NEAREST),
    **dict.fromkeys(("KPI-001", "KPI-004"), NEAREST),
    "RWD-008": "Name `product`, or `products` by country (two letters, ISO 3166) with a `default`.",
    "RWD-009": "Name a figure of kpis.yaml, a field of the event's entity, a number; and no rule twice.",
    "RWD-007": "Write a moment as 2026-12-01T00:00:00Z, a span as 3d, 12h or 30m.",
    "KPI-003": "Add `at:` with one of the record's moments (a retention has none); write a span as 3d, 12h or 30m.",
    "KPI-005": "Write the number; the message suggests one.",
    "KPI-006": "Write the day; the message suggests one. `deadline:` comes after `since:`.",
    "KPI-007": "Set a better target, or mend the figure's `direction:`.",
    "NET-HOST": "Give the vendor's own address, or mark the connection `local: true` for a server on this machine.",
    "MAP-021": "Bring `values:` up to date, or say `unknown: {in: skip}`.",
    "MAP-041": "Name a connector or connection, and give it a place in `sources:`.",
    "MAP-046": "Declare what the function works on, or leave `derived:` out.",
    "MAP-100": "Correct the value at its source, or map another field.",
    "MAP-OUT-UNKNOWN": "Give the value a word under `values:`, or say `unknown: {out: skip}`.",
    "MAP-OUT-SKIPPED": "Nothing, if that is meant.",
}

GROUPS = (
    ("Files and settings", ("CFG-", "SEC-", "NET-HOST"), "Told by `hub mapping check`, and at every start."),
    ("Mappings", ("MAP-0",), "Told by `hub mapping check`. See [the mapping reference](mapping.md)."),
    ("Values", ("MAP-",), "A value that cannot be read or written waits in quarantine; its record goes on."),
    ("Records and writes", ("REC-", "REF-", "IDN-", "PUSH-", "SF-", "HS-"), "Shown in quarantine and in runs."),
    ("Singer taps", ("TAP-", "PROG-"), "Shown in runs and in quarantine. See [Singer taps](singer.md)."),
    ("Described interfaces", ("REST-",), "Told by `hub mapping check` and in runs. See [any REST interface](rest.md)."),
    ("Single systems", (*(f"{each}-" for each in SYSTEMS), "SHEET-"), "Shown in quarantine, in runs and with rewards."),
    ("Files of tables", ("CSV-", "FILE-"), "A row at fault is left out and listed; the other rows go on."),
    ("Speaking to systems", ("NET-", "AUTH-", "PAGE-", "CUR-"), "Shown in `hub runs list` and `hub connections test`."),
    ("Webhooks", ("SIG-", "HOOK-", "TRK-"), "Told to the log of `hub run`; the caller learns nothing."),
    ("Messages", ("DLV-", "MAIL-"), "Shown in `hub rewards list`. See [delivery](delivery.md)."),
    ("Rewards", ("RWD-", "PLUM-", "POINTS-"), "Shown in `hub rewards list`. See [rewards](rewards.md)."),
    ("Key figures", ("KPI-",), "Told by `hub mapping check` and `hub kpis`. See [key figures](kpis.md)."),
    ("Runs and the database", ("RUN-", "STORE-"), ""),
    ("Everything else", ("",), ""),
)  # fmt: skip

HEAD = """# Error codes

Every error has a stable code, a place, what is wrong and what to do. This page lists all codes of the hub; it is made
of the code (`make docs`). Codes that are not here are the system's own: `INVALID_OPTION`, for instance, is HubSpot's
word for a refused value, passed on as it came.

| what comes of an error | |
| --- | --- |
| a fault in settings or a mapping | that connection rests, or uses its last mapping that passed; the others go on |
| a bad value or record | it waits in quarantine; `hub quarantine list` shows it, `hub quarantine retry` does it again |
| a system that cannot be reached | the run says so; the next one goes on where it stopped |
| an unclear answer to a write | it is looked up before anything is sent again |

Exit codes of `hub`: 0 all well, 1 error, 2 bad usage or settings, 3 finished with something that needs a person.
Codes marked as advice are listed and stop nothing. Where one code has several remedies, they are for several cases; the
message itself names the right one. What the hub fills in shows as "…".
"""


def meaning_of(code: str) -> tuple[str, str]:
    """What a code means and what to do, for the person who meets it; empty texts for a code of a system's own."""
    known = CODES.get(code)
    text, fix = (known.text, "") if known else TEXTS.get(code) or text_of(code)
    return text, FIXES.get(code) or fix


@cache  # a walk over every file of the code, which is the same as long as a process runs
def found_codes(root: Path) -> dict[str, Said]:
    """Every code that the code below this folder can say."""
    return codes_said(read_sources(root, *ROOMS, leave=LEFT_OUT))


def errors_page(root: Path) -> str:
    """The page, whole."""
    said = found_codes(root)
    left = [*dict.fromkeys((*CODES, *TEXTS, *said))]
    page = [HEAD]
    for title, beginnings, text in GROUPS:
        here = sorted(code for code in left if code.startswith(beginnings))
        left = [code for code in left if code not in here]
        rows = [_row(code, said.get(code, Said())) for code in here]
        if rows:
            page += [f"## {title}\n", *([f"{text}\n"] if text else []), "| code | meaning | what to do |"]
            page += ["| --- | --- | --- |", *rows, ""]
    return "\n".join(page)


def _row(code: str, said: Said) -> str:
    known = CODES.get(code)
    meaning, fix = meaning_of(code)
    meaning, fix = meaning or SEVERAL.join(said.messages), fix or SEVERAL.join(said.fixes)
    advice = " *Advice.*" if known and not known.stops else ""
    return f"| `{code}` | {_cell(meaning)}{advice} | {_cell(fix)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "\\<").replace("\n", " ")
