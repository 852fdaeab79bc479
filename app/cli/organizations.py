"""`keyturn org …`: organizations, and what each of them decides."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from app.cli.door import json_option, json_text
from app.cli.house import open_house, read_settings

if TYPE_CHECKING:
    from app.journeys.policy.model import Book, Preview
    from app.journeys.policy.service import Draft, Organizations, Policies
    from app.records.organizations.model import Organization, Policy


@click.group()
def org() -> None:
    """Make organizations, and set their rules."""


@org.command("create")
@click.argument("name")
@json_option
def create(name: str, *, as_json: bool) -> None:
    """Make an organization. Its policy is the profile standard until another is set."""
    with _offices() as (organizations, _):
        made = organizations.create(name)
    if as_json:
        click.echo(json_text({"id": made.id, "name": made.name, "created_at": made.created_at}))
        return
    click.echo(f"made {made.name} ({made.id})")


@org.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """List the organizations with their profile and how many people they have."""
    with _offices() as (organizations, _):
        found = organizations.everyone()
    if as_json:
        click.echo(
            json_text(
                [
                    {"id": one.id, "name": one.name, "profile": policy.profile.value, "people": people}
                    for one, policy, people in found
                ]
            )
        )
        return
    for one, policy, people in found:
        click.echo(f"{one.name:<24} {policy.profile.value:<10} {people:>8} people   {one.id}")


@org.command("policy")
@click.argument("name")
@click.option("--profile", type=click.Choice(["standard", "classic"]), help="Begin from the rules of a profile.")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Set one rule; may be given several times.")
@click.option("--from", "from_day", default="", metavar="YYYY-MM-DD", help="The day from which it holds.")
@click.option("--by-sms", is_flag=True, help="With --from: tell by SMS whoever has no e-mail address.")
@click.option("--dry-run", is_flag=True, help="Show what would change and whom it would strand; change nothing.")
@json_option
def policy(
    name: str, *, profile: str | None, sets: tuple[str, ...], from_day: str, by_sms: bool, dry_run: bool, as_json: bool
) -> None:
    """Show the policy of an organization, or change it.

    --profile sets all rules to those of the profile and keeps context words, countries and support contacts; --set
    applies after it. People who would be stranded by a change do not stop it: look with --dry-run first.
    """
    typed = dict(_pair(one) for one in sets)
    with _offices() as (_, policies):
        organization = policies.find(name)
        if not (profile or typed or dry_run):
            if from_day:
                raise click.UsageError("--from needs a change")
            _show(policies.book(organization), as_json=as_json)
            return
        draft = _draft(typed, profile, from_day, by_sms=by_sms)
        _change(policies, organization, draft, dry_run=dry_run, as_json=as_json)


@contextmanager
def _offices() -> Iterator[tuple["Organizations", "Policies"]]:
    from app import wiring
    from app.journeys.administration.model import NotDone
    from app.journeys.policy import model
    from app.journeys.policy.service import Organizations, Policies

    with open_house(read_settings(), prepare=False) as house:
        means = wiring.build_means(house.base)
        stands_on = wiring.build_policies(house.base, means, wiring.build_steps(house.base, means))
        try:
            yield Organizations(stands_on), Policies(stands_on)
        except (model.NotDone, model.NotTaken) as error:
            raise NotDone(str(error)) from None


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--set {text}: must be KEY=VALUE")
    return key.strip(), value


def _draft(typed: dict[str, str], profile: str | None, from_day: str, *, by_sms: bool) -> "Draft":
    from app.journeys.policy.service import Draft
    from app.records.organizations.model import Profile

    return Draft(typed, Profile(profile) if profile else None, from_day, by_sms=by_sms)


def _change(
    policies: "Policies", organization: "Organization", draft: "Draft", *, dry_run: bool, as_json: bool
) -> None:
    from app.journeys.policy import rules

    book = policies.book(organization)
    edited = policies.edited(book, draft)
    holds_from = rules.holds_from(draft.from_day, edited.policy, book.now)
    found = policies.preview(organization, edited.policy)
    decided = None if dry_run else policies.decide(organization, draft)
    changes = rules.changes(book.present, edited.policy)
    saved = decided is not None
    if as_json:
        shown: dict[str, Any] = {
            "saved": saved,
            "version": decided.version.number if decided else None,
            "changes": [asdict(one) for one in changes],
            "holds_from": holds_from,
            "preview": _preview_json(found),
        }
        click.echo(json_text(shown))
        return
    for one in changes:
        click.echo(f"{one.key}: {one.old or '(none)'} -> {one.new or '(none)'}")
    if edited.raised:
        click.echo("password.min_length is 15 now, because a password that alone opens something needs as many")
    if not changes:
        click.echo("nothing changes")
    click.echo(_told(found))
    if saved:
        since = f" from {moment(holds_from)} on" if holds_from > book.now else ""
        click.echo(f"saved as version {decided.version.number if decided else ''}{since}")


def _preview_json(found: "Preview") -> dict[str, int]:
    return {
        "people": found.people,
        "lose_recovery": found.recovery,
        "lose_sign_in": found.sign_in,
        "owe_a_password": found.owing,
    }


def _told(found: "Preview") -> str:
    return (
        f"of {found.people} people, {found.recovery} could no longer recover, {found.sign_in} no longer sign "
        f"in, {found.owing} would owe a new password at once"
    )


def _show(book: "Book", *, as_json: bool) -> None:
    from app.journeys.policy.rules import texts
    from app.records.organizations.rules import departures

    present: Policy = book.present
    if as_json:
        click.echo(
            json_text(
                {
                    "organization": book.organization.name,
                    "profile": present.profile.value,
                    "settings": texts(present),
                    "departures": [asdict(one) for one in departures(present)],
                    "staged": {"version": book.staged.number, "holds_from": book.staged.holds_from}
                    if book.staged
                    else None,
                    "versions": [
                        {
                            "number": one.version.number,
                            "made_at": one.version.made_at,
                            "made_by": one.version.made_by,
                            "holds_from": one.version.holds_from,
                            "standing": one.standing.value,
                            "changes": [asdict(change) for change in one.changes],
                        }
                        for one in book.versions
                    ],
                }
            )
        )
        return
    click.echo(f"{book.organization.name}: profile {present.profile.value}")
    for key, text in texts(present).items():
        click.echo(f"  {key:<26} {text}")
    for departure in departures(present):
        click.echo(f"departs from {departure.source} [{departure.setting}]: {departure.sentence}")
    for one in book.versions:
        version = one.version
        since = f"from {moment(version.holds_from)}" if version.holds_from > version.made_at else "at once"
        changed = ", ".join(change.key for change in one.changes) or "nothing"
        click.echo(
            f"version {version.number}: {one.standing.value}, by {version.made_by} on {moment(version.made_at)}, "
            f"{since}: {changed}"
        )


def moment(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%MZ}"
