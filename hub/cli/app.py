"""The tree of commands, and what becomes of errors. Imports are late, so that `hub --help` answers at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from hub.cli import (
    auditing,
    certifying,
    configuring,
    explaining,
    identifying,
    measuring,
    people,
    persons,
    planning,
    reviewing,
    rewarding,
    running,
    told,
    triggering,
    verifying,
)
from hub.cli.options import AsJson
from hub.errors import ConfigFault, HubError

DEBUG, DEBUG_SETTING = "--debug", "HUB_DEBUG"


def _group(text: str) -> typer.Typer:
    return typer.Typer(help=text, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)


app = _group("Keeps a company's tools in agreement with one true record of every customer.")


@app.callback()
def _root(debug: Annotated[bool, typer.Option(DEBUG, help="Show the traceback of an error.")] = False) -> None:
    """Looked at where errors are caught (`run`)."""


@app.command()
def version(json: AsJson = False) -> None:
    """Version of the hub, of Python, and of the database's tables."""
    from hub.app.about import about
    from hub.cli import show

    show.record(about(), json=json)


for name, command in (
    ("init", configuring.init),
    ("demo", running.demo),
    ("twins", running.twins),
    ("discover", configuring.discover),
    ("plan", planning.plan),
    ("apply", planning.apply),
    ("undo", planning.undo),
    ("sync", running.sync),
    ("reconcile", running.reconcile),
    ("panic", running.panic),
    ("run", running.run),
    ("worker", running.worker),
    ("why", explaining.why),
    ("history", explaining.history),
    ("timeline", explaining.timeline),
    ("segments", explaining.segments),
    ("forecast", explaining.forecast),
    ("show", explaining.show_entity),
    ("replay", explaining.replay),
    ("audit", auditing.audit),
    ("trust", auditing.trust),
    ("export", persons.export),
    ("erase", persons.erase),
    ("goals", measuring.goals),
    ("status", running.status),
):
    app.command(name)(command)

connections = _group("The systems that the hub is connected to.")
connections.command("list")(configuring.list_connections)
connections.command("add")(configuring.add_connection)
connections.command("test")(configuring.try_connections)
connections.command("hooks")(configuring.list_hooks)
connections.command("backfill")(configuring.backfill)
app.add_typer(connections, name="connections")

connector = _group("What speaks to the systems.")
connector.command("certify")(certifying.certify)
connector.callback()(lambda: None)  # a group, though it has one command
app.add_typer(connector, name="connector")

mapping = _group("How systems and the one record relate.")
mapping.command("check")(configuring.check_mappings)
mapping.command("publish")(configuring.publish_draft)
app.add_typer(mapping, name="mapping")

conflicts = _group("Values that could not simply agree.")
conflicts.command("list")(reviewing.list_conflicts)
conflicts.command("show")(reviewing.show_conflict)
conflicts.command("resolve")(reviewing.resolve_conflict)
conflicts.command("release")(reviewing.release_conflict)
app.add_typer(conflicts, name="conflicts")

runs = _group("What ran, and what came of it.")
runs.command("list")(running.list_runs)
runs.command("show")(running.show_run)
app.add_typer(runs, name="runs")

plans = _group("Writes that wait for approval, and what was decided about them.")
plans.command("list")(planning.list_plans)
plans.command("show")(planning.show_plan)
plans.command("approve")(planning.approve_plan)
plans.command("reject")(planning.reject_plan)
app.add_typer(plans, name="plans")

holds = _group("Implausible changes that wait for a person.")
holds.command("list")(reviewing.list_holds)
holds.command("release")(reviewing.release_hold)
holds.command("drop")(reviewing.drop_hold)
app.add_typer(holds, name="holds")

quarantine = _group("What could not be mapped, checked or written.")
quarantine.command("list")(reviewing.list_quarantine)
quarantine.command("show")(reviewing.show_quarantine)
quarantine.command("retry")(reviewing.retry_quarantine)
app.add_typer(quarantine, name="quarantine")

identity = _group("Who is who: pairs, merges, splits, rulings.")
identity.command("review")(identifying.review_pairs)
identity.command("show")(identifying.show_pair)
identity.command("merge")(identifying.merge)
identity.command("split")(identifying.split)
identity.command("never")(identifying.never)
identity.command("always")(identifying.always)
identity.command("lift")(identifying.lift)
identity.command("later")(identifying.later)
identity.command("scan")(identifying.scan)
app.add_typer(identity, name="identity")

rewards = _group("What is owed and given to whom.")
rewards.command("list")(reviewing.list_rewards)
rewards.command("show")(reviewing.show_reward)
rewards.command("approve")(reviewing.approve_reward)
rewards.command("decline")(reviewing.decline_reward)
rewards.command("confirm")(reviewing.confirm_reward)
rewards.command("cancel")(rewarding.cancel)
rewards.command("resend")(rewarding.resend)
rewards.command("points")(rewarding.points)
rewards.command("use")(rewarding.use)
rewards.command("overspent")(rewarding.overspent)
rewards.command("check")(rewarding.check)
rewards.command("reconcile")(rewarding.reconcile)
rewards.command("wallet")(rewarding.wallet)
rewards.command("screen")(rewarding.screen)
rewards.command("report")(rewarding.report)
rewards.command("milestones")(rewarding.milestones)
rewards.command("try")(rewarding.try_rule)
app.add_typer(rewards, name="rewards")

trigger = _group("What the hub does when something happens.")
trigger.command("list")(triggering.list_triggers)
trigger.command("firings")(triggering.list_firings)
trigger.command("show")(triggering.show_firing)
trigger.command("try")(triggering.try_trigger)
trigger.command("approve")(triggering.approve_firing)
trigger.command("drop")(triggering.drop_firing)
app.add_typer(trigger, name="trigger")

kpis = _group("Key figures over what the hub knows.")
kpis.command("list")(measuring.list_kpis)
kpis.command("show")(measuring.show_kpi)
app.add_typer(kpis, name="kpis")

secrets = _group("Credentials, encrypted beside the project.")
secrets.command("set")(configuring.set_secret)
secrets.command("list")(configuring.list_secrets)
secrets.command("rotate")(configuring.rotate_secrets)
app.add_typer(secrets, name="secrets")

users = _group("Who may sign in to the console.")
users.command("add")(people.add_user)
users.command("list")(people.list_users)
users.command("disable")(people.disable_user)
users.command("enable")(people.enable_user)
users.command("link")(people.link_user)
app.add_typer(users, name="user")

log = _group("What people did.")
log.command("list")(told.list_log)
log.command("head")(told.head_of_log)
log.command("verify")(told.verify_log)
app.add_typer(log, name="log")

db = _group("The hub's database.")
db.command("upgrade")(configuring.upgrade_database)
db.command("restored")(configuring.restored_database)
app.add_typer(db, name="db")

verify = _group("Proofs that the engine keeps its laws.")
verify.command("convergence")(verifying.convergence)
verify.command("consent")(verifying.consent)
verify.command("rewards")(verifying.rewards)
verify.command("unmerge")(verifying.unmerge)
verify.command("undo")(verifying.undo)
verify.command("mapping")(verifying.mapping)
verify.command("all")(verifying.every)
app.add_typer(verify, name="verify")


def run(argv: Sequence[str]) -> int:
    """Carry a command line out; gives the exit code."""
    try:
        typer.main.get_command(app).main(args=list(argv), prog_name="hub", standalone_mode=True)
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 1 if done.code else 0
    except HubError as error:
        if DEBUG in argv[:1] or os.environ.get(DEBUG_SETTING):
            raise
        from hub.cli import show

        show.problem(error)
        return 2 if isinstance(error, ConfigFault) else 1
    except BrokenPipeError:  # `hub … | head` is no error
        sys.stderr.close()
        return 0
    return 0
