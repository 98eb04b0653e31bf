"""Commands for who is who: look at pairs, merge, split, keep apart, rule, scan."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from hub.cli import show
from hub.cli.options import HERE, MANY, AsJson, Folder, Limit, Note, project

PairId = Annotated[int, typer.Argument(min=1, help="Its number in the list.")]
End = Annotated[str, typer.Argument(help="contact:42, contact:ann@example.org, or a record: CONNECTION/STREAM/ID.")]


def review_pairs(
    later: Annotated[bool, typer.Option("--later", help="Pairs that were put off.")] = False,
    merges: Annotated[bool, typer.Option("--merges", help="Merges that stand, and can be split.")] = False,
    rulings: Annotated[bool, typer.Option("--rulings", help="What people ruled: never, always.")] = False,
    crowded: Annotated[bool, typer.Option("--crowded", help="Keys that too many share: they join nobody.")] = False,
    parted: Annotated[bool, typer.Option("--parted", help="Records that came back after a merge.")] = False,
    limit: Limit = MANY,
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """Pairs that may be one, the likeliest first, with why."""
    from hub.app import bootstrap, identity

    with bootstrap.opened(project(folder), connect=False) as hub:
        if merges:
            rows, columns = (
                identity.list_merges(hub),
                ["merge", "survivor", "survivor_is", "alias", "alias_is", "by", "at"],
            )
        elif rulings:
            rows, columns = identity.list_rulings(hub), ["ruling", "kind", "first", "second", "by", "note", "at"]
        elif parted:
            rows, columns = identity.list_parted(hub), ["record", "entity", "entity_is", "one_with", "at"]
        elif crowded:
            rows, columns = identity.list_crowded(hub), ["key", "value", "entities", "at"]
        else:
            rows = identity.list_pairs(hub, state="later" if later else "open")
            columns = ["pair", "score", "first", "first_is", "second", "second_is", "because", "at"]
    show.table(rows, columns, json=json, none="nothing to look at", limit=limit)


def show_pair(pair: PairId, folder: Folder = HERE, json: AsJson = False) -> None:
    """One pair side by side: every field with both values, what it says, and where they live."""
    from hub.app import bootstrap, identity

    with bootstrap.opened(project(folder), connect=False) as hub:
        show.record(identity.show_pair(hub, pair), json=json)


def merge(
    first: Annotated[str, typer.Argument(help="Who stays: contact:42, a record, or the number of a pair.")],
    second: Annotated[str | None, typer.Argument(help="Who becomes a name of it; none with a pair.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Without asking.")] = False,
    note: Note = "",
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """Make two one. Shows first what becomes of each field and system, and what no split could undo."""
    from hub.app import bootstrap, identity

    if second is None and not first.isdigit():
        raise typer.BadParameter("name two, or the number of a pair", param_hint="SECOND")
    with bootstrap.opened(project(folder), connect=False) as hub:
        one, other = (first, second) if second is not None else identity.pair_ends(hub, int(first))
        if not yes:
            _ask(identity.preview_merge(hub, one, other), json=json)
        show.record(identity.merge(hub, one, other, by=bootstrap.user_name(), note=note), json=json)


def _ask(preview: dict[str, Any], *, json: bool) -> None:
    """What would happen, and the question."""
    if json or not sys.stdin.isatty():
        raise typer.BadParameter("nobody is there to ask: give --yes", param_hint="--yes")
    show.record(preview, json=False)
    typer.confirm(f"Merge {preview['alias']} into {preview['survivor']}?", abort=True, err=True)


def split(
    entity: Annotated[str, typer.Argument(help="contact:42, a record, or the number of a merge.")],
    rejoin: Annotated[bool, typer.Option("--rejoin", help="Keys may join the two again.")] = False,
    preview: Annotated[bool, typer.Option("--preview", help="Only show what both would be.")] = False,
    note: Note = "",
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """Take a merge back, the newest of this entity: values, links and every system are as they were."""
    from hub.app import bootstrap, identity

    with bootstrap.opened(project(folder), connect=False) as hub:
        if preview:
            show.record(identity.preview_unmerge(hub, entity), json=json)
            return
        by = bootstrap.user_name()
        show.record(identity.unmerge(hub, entity, by=by, note=note, apart=not rejoin), json=json)


def never(first: End, second: End, note: Note = "", folder: Folder = HERE, json: AsJson = False) -> None:
    """These two are never one, whatever keys say."""
    from hub.app import bootstrap, identity

    with bootstrap.opened(project(folder), connect=False) as hub:
        show.record(identity.never(hub, first, second, by=bootstrap.user_name(), note=note), json=json)


def always(first: End, second: End, note: Note = "", folder: Folder = HERE, json: AsJson = False) -> None:
    """These two are one: merged now, or as soon as the record that is not there yet arrives."""
    from hub.app import bootstrap, identity

    with bootstrap.opened(project(folder), connect=False) as hub:
        show.record(identity.always(hub, first, second, by=bootstrap.user_name(), note=note), json=json)


def lift(
    ruling: Annotated[int, typer.Argument(min=1, help="Its number: hub identity review --rulings.")],
    note: Note = "",
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """Take a ruling (never, always) back."""
    from hub.app import bootstrap, identity

    with bootstrap.opened(project(folder), connect=False) as hub:
        show.record(identity.lift(hub, ruling, by=bootstrap.user_name(), note=note), json=json)


def later(pair: PairId, note: Note = "", folder: Folder = HERE, json: AsJson = False) -> None:
    """Put a pair off: it leaves the list of those that wait."""
    from hub.app import bootstrap, identity

    with bootstrap.opened(project(folder), connect=False) as hub:
        show.record(identity.later(hub, pair, by=bootstrap.user_name(), note=note), json=json)


def scan(
    kinds: Annotated[
        list[str] | None, typer.Option("--type", help="Only this entity type, as often as needed.")
    ] = None,
    above: Annotated[float, typer.Option(min=0.5, max=1.0, help="How likely one they must be.")] = 0.9,
    folder: Folder = HERE,
    json: AsJson = False,
) -> None:
    """Look for pairs that may be one, over the whole store; they go to the list, nothing is merged."""
    from hub.app import bootstrap
    from hub.app.scan import scan as look

    with bootstrap.opened(project(folder), connect=False) as hub:
        rows = look(hub, kinds=kinds or (), above=above, by=bootstrap.user_name())
    show.table(rows, ["type", "compared", "found", "new", "known", "apart"], json=json, none="no type can be compared")
