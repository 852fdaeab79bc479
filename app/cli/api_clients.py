"""`keyturn api-client …`: programs that may look at tokens."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from app.cli.door import json_option, json_text
from app.cli.house import open_house, read_settings

if TYPE_CHECKING:
    from app.journeys.clients.model import NewSecret
    from app.journeys.clients.service import OperatorsClients


@click.group("api-client")
def api_client() -> None:
    """Make and end API clients: programs that may introspect and revoke tokens."""


@api_client.command("create")
@click.argument("name")
@click.option("--organization", default="default", show_default=True)
@json_option
def create(name: str, *, organization: str, as_json: bool) -> None:
    """Make an API client. Its secret is printed once, and kept nowhere."""
    with _office() as clients:
        _tell(clients.create(organization, name), as_json=as_json)


@api_client.command("list")
@click.option("--organization", default="", help="Only those of one organization.")
@json_option
def list_(*, organization: str, as_json: bool) -> None:
    """List the API clients."""
    with _office() as clients:
        found = clients.everyone(organization)
    if as_json:
        rows = [
            {
                "client_id": one.id,
                "name": one.name,
                "organization": place.name,
                "created_at": one.created_at,
                "created_by": one.created_by,
                "rotated_at": one.rotated_at,
                "revoked_at": one.revoked_at,
            }
            for one, place in found
        ]
        click.echo(json_text(rows))
        return
    for one, place in found:
        made = f"{datetime.fromtimestamp(one.created_at, UTC):%Y-%m-%d}"
        state = "revoked" if one.revoked_at else "in use"
        click.echo(f"{one.id}  {one.name:<24} {place.name:<24} {state:<8} made {made} by {one.created_by}")


@api_client.command("rotate")
@click.argument("client_id")
@click.option("--at-once", is_flag=True, help="The earlier secret ends now, instead of in 24 hours.")
@json_option
def rotate(client_id: str, *, at_once: bool, as_json: bool) -> None:
    """Give an API client a new secret."""
    with _office() as clients:
        _tell(clients.rotate(client_id, at_once=at_once), as_json=as_json)


@api_client.command("revoke")
@click.argument("client_id")
@json_option
def revoke(client_id: str, *, as_json: bool) -> None:
    """End an API client for good."""
    with _office() as clients:
        ended = clients.revoke(client_id)
    click.echo(json_text({"client_id": ended.id, "revoked": True}) if as_json else f"revoked {ended.name} ({ended.id})")


def _tell(new: "NewSecret", *, as_json: bool) -> None:
    client = new.client
    if as_json:
        click.echo(json_text({"client_id": client.id, "client_secret": new.secret, "name": client.name}))
        return
    click.echo(f"client_id      {client.id}")
    click.echo(f"client_secret  {new.secret}")
    click.echo("The secret is shown this once. Keep it in the program's own store of secrets.")


@contextmanager
def _office() -> Iterator["OperatorsClients"]:
    from app.journeys.administration.model import NotDone
    from app.journeys.clients import model
    from app.journeys.clients.service import OperatorsClients

    with open_house(read_settings(), prepare=False) as house:
        base = house.base
        try:
            yield OperatorsClients(database=base.database, chance=base.chance, clock=base.clock)
        except model.NotDone as error:
            raise NotDone(str(error)) from None
