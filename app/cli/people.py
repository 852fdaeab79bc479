"""`keyturn user …`: make people, look at them, help them."""

import io
import sys
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING

import click

from app.cli.door import json_option, json_text
from app.cli.house import open_house, read_settings
from app.cli.importing import import_
from app.records.attempts.model import FOREVER

if TYPE_CHECKING:
    from app.journeys.administration.model import LockShown, Made, PasswordShown, Shown

_PASSWORD_BYTES = 8_192


@click.group()
def user() -> None:
    """Make people, look at them, unlock and unfreeze them."""


@user.command("create")
@click.argument("user_id")
@click.option("--first-name", default="")
@click.option("--last-name", default="")
@click.option("--email", default="")
@click.option("--phone", default="", help="E.164, such as +12025550123.")
@click.option("--contacts-verified", is_flag=True, help="Both are known to be theirs, and count at once.")
@click.option("--role", default="member", show_default=True, help="member, support or administrator")
@click.option("--organization", default="default", show_default=True)
@click.option("--password", "ask", is_flag=True, help="Ask for a temporary password.")
@click.option("--password-stdin", "read", is_flag=True, help="Read a temporary password from standard input.")
@click.option("--keep-password", is_flag=True, help="They chose the password themselves; it need not be changed.")
@click.option("--app", is_flag=True, help="Bind an authenticator app; its QR code is shown once.")
@json_option
def create(
    user_id: str, *, ask: bool, read: bool, keep_password: bool, app: bool, as_json: bool, **fields: object
) -> None:
    """Make one person."""
    if ask and read:
        raise click.UsageError("--password and --password-stdin exclude each other")
    if keep_password and not (ask or read):
        raise click.UsageError("--keep-password needs a password")
    settings = read_settings()
    password = _password_from(sys.stdin.buffer) if read else ""
    if ask:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    with open_house(settings, prepare=True) as house:
        made = house.people.create(
            {"user_id": user_id, "password": password, **fields}, app=app, temporary=not keep_password
        )
    if as_json:
        told: dict[str, object] = {"user_id": made.person.user_id, "name": made.person.name}
        click.echo(json_text({**told, "otpauth_uri": made.uri} if made.uri else told))
        return
    click.echo(f"made {made.person.name} ({made.person.user_id}), {fields['role']} of {fields['organization']}")
    if made.uri:
        _show_app(made)


def _password_from(stream: IO[bytes]) -> str:
    typed = stream.read(_PASSWORD_BYTES + 1)
    if len(typed) > _PASSWORD_BYTES:
        raise click.ClickException("the password is too long")
    try:
        password = typed.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise click.ClickException("the password is not UTF-8") from None
    if not password:
        raise click.ClickException("there is no password on standard input")
    return password


def _show_app(made: "Made") -> None:
    import qrcode

    code = qrcode.QRCode(border=2)
    code.add_data(made.uri)
    picture = io.StringIO()
    code.print_ascii(out=picture, invert=True)
    click.echo("\nFor the authenticator app, shown this once:")
    with suppress(UnicodeEncodeError):  # a terminal without block characters still gets the link
        click.echo(picture.getvalue())
    click.echo(made.uri)


@user.command("show")
@click.argument("user_id")
@json_option
def show(user_id: str, *, as_json: bool) -> None:
    """Show how somebody stands: state, contacts, factors, locks, what happened last. Never a secret."""
    with open_house(read_settings(), prepare=False) as house:
        shown = house.people.show(user_id)
    if as_json:
        click.echo(json_text(_shown_json(shown)))
        return
    person, now = shown.person, shown.now
    click.echo(f"{person.user_id}   {person.name}   {person.status.value}   made {moment(person.created_at)}")
    for name, role, primary in shown.organizations:
        click.echo(f"  organization  {name}, {role}{' (home)' if primary else ''}")
    for contact in shown.contacts:
        state = "usable" if contact.usable else "waiting" if contact.confirmed else "not confirmed"
        click.echo(f"  {contact.channel:<13} {contact.masked}   {state}")
    if shown.password is None:
        click.echo("  password      none")
    else:
        click.echo(f"  password      {_password(shown.password)}")
    for app in shown.apps:
        used = f"last used {moment(app.last_used_at)}" if app.last_used_at else "never used"
        state = f"counts from {moment(app.usable_from)}" if app.usable_from > now else app.state
        click.echo(f"  app           {app.label!r}   {state}   bound {moment(app.bound_at)}   {used}")
    if not shown.apps:
        click.echo("  app           none")
    for lock in shown.locks:
        click.echo(f"  {lock.factor.value + ' tries':<13} {_lock(lock, now)}")
    for event in shown.events:
        about = " ".join(part for part in (event.outcome, event.reason, event.address, f"by {event.actor}") if part)
        click.echo(f"  {moment(event.at)}  {event.event.value}  {about}")


def _password(password: "PasswordShown") -> str:
    owed = "compromised, " if password.compromised else "temporary, " if password.must_change else ""
    until = f", good until {moment(password.good_until)}" if password.good_until else ""
    if password.lapsed:
        until = f", lapsed{': locked until unlocked or recovered' if password.locked else ''}"
    imported = ", imported" if password.imported else ""
    return f"{owed}set {moment(password.changed_at)}{until}{imported}"


def _lock(lock: "LockShown", now: int) -> str:
    run = f"{lock.consecutive} wrong in a row" if lock.consecutive else "none wrong"
    if lock.disabled:
        return f"closed: {run}; has to be bound again"
    if lock.locked_until >= FOREVER:
        return f"locked until unlocked or recovered: {run}"
    if lock.locked_until > now:
        return f"locked until {moment(lock.locked_until)}: {run}"
    if lock.closed_to_strangers:
        return f"closed to unknown browsers: {run}"
    if lock.blocked_until > now:
        return f"waits until {moment(lock.blocked_until)}: {run}"
    return run


def moment(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%SZ}"


def _shown_json(shown: "Shown") -> dict[str, object]:
    person = shown.person
    return {
        "user_id": person.user_id,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "status": person.status.value,
        "created_at": person.created_at,
        "organizations": [
            {"name": name, "role": role, "is_primary": primary} for name, role, primary in shown.organizations
        ],
        "contacts": [asdict(contact) for contact in shown.contacts],
        "password": asdict(shown.password) if shown.password else None,
        "apps": [asdict(app) for app in shown.apps],
        "locks": [asdict(lock) for lock in shown.locks],
        "events": [
            {
                "at": event.at,
                "event": event.event.value,
                "outcome": event.outcome,
                "reason": event.reason,
                "actor": event.actor,
                "address": event.address,
                "details": event.details,
            }
            for event in shown.events
        ],
    }


@user.command("invite")
@click.argument("user_id")
@json_option
def invite(user_id: str, *, as_json: bool) -> None:
    """Mail somebody the link with which they activate their account; it is good for 72 hours.

    Where no phone is filed an activation code is shown once, to be handed over.
    """
    with open_house(read_settings(), prepare=False) as house:
        done = house.people.invite(user_id)
    if as_json:
        click.echo(json_text(asdict(done)))
        return
    click.echo(f"invited: the link goes to {done.destination}")
    if done.activation_code:
        click.echo(f"activation code, to be handed over, shown only now: {done.activation_code}")


@user.command("unlock")
@click.argument("user_id")
@click.option("--reason", required=True, help="Why; it is written down, and shown to the person.")
@json_option
def unlock(user_id: str, *, reason: str, as_json: bool) -> None:
    """End the waits of password, app and PIN. The person is told on every channel."""
    with open_house(read_settings(), prepare=False) as house:
        done = house.people.unlock(user_id, reason)
    if as_json:
        click.echo(json_text({"cleared": list(done.cleared), "left": list(done.left), "told": list(done.told)}))
        return
    click.echo(f"unlocked: {', '.join(done.cleared) or 'nothing was locked'}")
    if done.left:
        click.echo(f"still closed, to be bound again: {', '.join(done.left)}")
    click.echo(f"told: {', '.join(done.told) or 'nobody, there is no confirmed contact'}")


@user.command("requests")
@click.argument("user_id")
@json_option
def requests(user_id: str, *, as_json: bool) -> None:
    """Show what agents ask to do for somebody and have not done, with the numbers that `approve` takes."""
    from app.journeys.approvals.model import NobodyThere

    with open_house(read_settings(), prepare=False) as house:
        try:
            found = house.approvals.open_requests(user_id)
        except NobodyThere:
            raise click.ClickException("there is nobody with that User ID") from None
    if as_json:
        click.echo(json_text({"requests": [asdict(one) for one in found]}))
        return
    for one in found:
        click.echo(f"{one.id}  {one.action}  {one.state}  asked by {one.agent}: {one.reason}")
    if not found:
        click.echo("nothing is asked for")


@user.command("approve")
@click.argument("request_id", metavar="NUMBER")
@click.option("--reason", required=True, help="Why, 10 to 500 characters; it is written down, and shown to the person.")
@json_option
def approve(request_id: str, *, reason: str, as_json: bool) -> None:
    """Agree, as the second agent would, to what another agent asked for. The person is told on every channel."""
    from app.foundation.refusals import OutOfOrder, Wrong
    from app.journeys.approvals.model import NobodyThere

    with open_house(read_settings(), prepare=False) as house:
        try:
            request = house.approvals.confirm_by_operator(request_id, reason)
        except NobodyThere:
            raise click.ClickException("there is no request of that number") from None
        except Wrong:
            raise click.ClickException("the reason must be one line of 10 to 500 characters") from None
        except OutOfOrder:
            raise click.ClickException("that request does not wait for a second agent; nothing was changed") from None
    earliest = datetime.fromtimestamp(request.ready_at or 0, UTC).strftime("%Y-%m-%d %H:%M UTC")
    if as_json:
        click.echo(json_text({"request": request.id, "state": request.state.value, "ready_at": request.ready_at}))
        return
    click.echo(f"agreed; an agent may carry it out from {earliest}, unless it is cancelled before")


@user.command("unfreeze")
@click.argument("user_id")
@click.option("--reason", required=True, help="Why; it is written down, and shown to the person.")
@click.option("--end-links", is_flag=True, help="Links in notices so far end: somebody freezes again and again.")
@json_option
def unfreeze(user_id: str, *, reason: str, end_links: bool, as_json: bool) -> None:
    """Open a frozen account again, with everything as it is now. The person is told on every channel."""
    with open_house(read_settings(), prepare=False) as house:
        told = house.people.unfreeze(user_id, reason, end_links=end_links)
    _say_told("open again", told, as_json=as_json)


@user.command("deactivate")
@click.argument("user_id")
@click.option("--reason", required=True, help="Why; it is written down.")
@json_option
def deactivate(user_id: str, *, reason: str, as_json: bool) -> None:
    """Shut somebody out: sessions, flows and known browsers end. They are told on every channel."""
    with open_house(read_settings(), prepare=False) as house:
        told = house.people.deactivate(user_id, reason)
    _say_told("deactivated", told, as_json=as_json)


@user.command("reactivate")
@click.argument("user_id")
@click.option("--reason", required=True, help="Why; it is written down.")
@json_option
def reactivate(user_id: str, *, reason: str, as_json: bool) -> None:
    """Let somebody in again who was shut out, with everything as it was. They are told on every channel."""
    with open_house(read_settings(), prepare=False) as house:
        told = house.people.reactivate(user_id, reason)
    _say_told("active again", told, as_json=as_json)


def _say_told(what: str, told: tuple[str, ...], *, as_json: bool) -> None:
    if as_json:
        click.echo(json_text({"told": list(told)}))
        return
    click.echo(f"{what}; told: {', '.join(told) or 'nobody, there is no confirmed contact'}")


@user.command("role")
@click.argument("user_id")
@click.argument("role")
@click.option("--organization", default="default", show_default=True)
@json_option
def role(user_id: str, role: str, *, organization: str, as_json: bool) -> None:
    """Make a member support, administrator or member again. They are told, and of new staff all administrators."""
    with open_house(read_settings(), prepare=False) as house:
        old = house.people.set_role(user_id, organization, role)
    if as_json:
        click.echo(json_text({"before": old.value, "role": role}))
        return
    click.echo(f"{user_id} is {role} of {organization} (before: {old.value})")


user.add_command(import_)
