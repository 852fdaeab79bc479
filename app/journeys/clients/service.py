"""API clients: made, given a new secret, and ended, by administrators and by the operator's command."""

import json
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from app.foundation.chance import Chance
from app.foundation.clock import Clock
from app.foundation.ephemeral import Ephemeral
from app.foundation.refusals import Code, OutOfOrder, Wrong
from app.foundation.secretbox import Keyring, Unreadable, fingerprint
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.journeys.clients.model import PAGE, SHOWN, ClientsPage, NewSecret, NotDone, Shown
from app.records.audit import store as audit
from app.records.audit.model import Event, Record
from app.records.clients import store
from app.records.clients.model import NAME_MAX, OVERLAP, ApiClient
from app.records.organizations import store as organizations
from app.records.organizations.model import Organization, Role
from app.steps.staff import Staff, Staffing

_PURPOSE = "api-client-secret"
_OPERATOR = "operator"
_NOT_SHOWN = frozenset({"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class ClientMeans:
    """What the journey stands on."""

    database: Database
    ephemeral: Ephemeral
    keyring: Keyring
    chance: Chance
    clock: Clock
    staffing: Staffing


class Clients:
    """The page /admin/api-clients: an administrator, who gave a fresh proof for each change."""

    def __init__(self, means: ClientMeans) -> None:
        self._means = means

    def page(self, staff: Staff) -> ClientsPage:
        """The clients of the administrator's organizations."""
        now = self._means.clock.now()
        names = {one.id: one.name for one in staff.organizations}
        with self._means.database.read() as looking:
            clients = store.of(looking, staff.organization_ids)
        shown = tuple(
            Shown(one, names[one.organization_id], one.former_until if one.former_until > now else 0) for one in clients
        )
        return ClientsPage(shown, staff.organizations, self._fresh(staff, clients))

    def find(self, staff: Staff, client_id: str) -> ApiClient | None:
        """A client in use of the administrator's organizations; None for any other."""
        with self._means.database.read() as looking:
            found = store.find(looking, client_id)
        if found is None or found.revoked_at is not None or found.organization_id not in staff.organization_ids:
            return None
        return found

    def create(self, visit: Visit, session: str | None, name: str, organization_id: str) -> None:
        """Make a client; its secret can be read on the page for a while. Raises Wrong, Forbidden, OutOfOrder."""
        name = named(name)

        def change(transaction: Transaction, staff: Staff, now: int) -> NewSecret:
            if organization_id not in staff.organization_ids:
                raise Wrong(Code.NOT_AN_ORGANIZATION, field="organization")
            made = drawn(self._means.chance, organization_id, name, staff.person.user_id, now)
            store.add(transaction, made.client)
            return made

        self._change(visit, session, Event.API_CLIENT_CREATED, change)

    def rotate(self, visit: Visit, session: str | None, client_id: str, *, at_once: bool) -> None:
        """Give a client a new secret. Raises Forbidden, OutOfOrder."""

        def change(transaction: Transaction, staff: Staff, now: int) -> NewSecret:
            client = self._own(transaction, staff, client_id)
            return renewed(self._means.chance, transaction, client, now, at_once=at_once)

        self._change(visit, session, Event.API_CLIENT_ROTATED, change)

    def revoke(self, visit: Visit, session: str | None, client_id: str) -> None:
        """End a client for good. Raises Forbidden, OutOfOrder."""

        def change(transaction: Transaction, staff: Staff, now: int) -> NewSecret:
            client = self._own(transaction, staff, client_id)
            if not store.revoke(transaction, client.id, now):
                raise OutOfOrder(Code.NOT_AS_IT_WAS, due=PAGE)
            return NewSecret(client, "")

        self._change(visit, session, Event.API_CLIENT_REVOKED, change)

    def hide(self, staff: Staff) -> None:
        """Show the new secret no more."""
        self._means.ephemeral.drop(_place(staff))

    def _own(self, transaction: Transaction, staff: Staff, client_id: str) -> ApiClient:
        client = store.find(transaction, client_id)
        if client is None or client.organization_id not in staff.organization_ids:
            raise OutOfOrder(Code.NOT_AS_IT_WAS, due=PAGE)
        return client

    def _change(
        self,
        visit: Visit,
        session: str | None,
        event: Event,
        change: Callable[[Transaction, Staff, int], NewSecret],
    ) -> None:
        means = self._means
        staff = means.staffing.administrator(session, visit, fresh=True)
        now = means.clock.now()
        with means.database.begin() as transaction:
            means.staffing.hold(transaction, staff, Role.ADMINISTRATOR)
            done = change(transaction, staff, now)
            audit.add(transaction, record(event, done.client, staff.person.user_id, now, visit.address))
            if done.secret:
                # before it counts: a secret that nobody can read would only be in the way
                self._keep(staff, done, now)

    def _keep(self, staff: Staff, new: NewSecret, now: int) -> None:
        place = _place(staff)
        plain = json.dumps([new.client.id, new.secret, now + SHOWN]).encode()
        self._means.ephemeral.put(place, self._means.keyring.seal(_PURPOSE, plain, place).encode(), SHOWN)

    def _fresh(self, staff: Staff, clients: tuple[ApiClient, ...]) -> NewSecret | None:
        place = _place(staff)
        sealed = self._means.ephemeral.get(place)
        try:
            kept = self._means.keyring.open(_PURPOSE, sealed.decode(), place) if sealed else b'["", "", 0]'
        except Unreadable:
            return None
        client_id, secret, until = json.loads(kept)
        client = next((one for one in clients if one.id == client_id), None)
        if client is None or until <= self._means.clock.now() or fingerprint(secret) != client.secret:
            return None
        return NewSecret(client, secret)


class OperatorsClients:
    """The same for the command, whose operator is asked for no proof."""

    def __init__(self, *, database: Database, chance: Chance, clock: Clock) -> None:
        self._database = database
        self._chance = chance
        self._clock = clock

    def everyone(self, organization: str = "") -> tuple[tuple[ApiClient, Organization], ...]:
        """All clients, or those of an organization by name. Raises NotDone."""
        with self._database.read() as looking:
            only = [_organization(looking, organization).id] if organization else None
            names = {one.id: one for one in organizations.everyone(looking)}
            return tuple((one, names[one.organization_id]) for one in store.of(looking, only))

    def create(self, organization: str, name: str) -> NewSecret:
        """Make a client for an organization. Raises NotDone."""
        now = self._clock.now()
        try:
            name = named(name)
        except Wrong:
            raise NotDone(f"a name needs 1 to {NAME_MAX} characters that can be seen") from None
        with self._database.begin() as transaction:
            made = drawn(self._chance, _organization(transaction, organization).id, name, _OPERATOR, now)
            store.add(transaction, made.client)
            audit.add(transaction, record(Event.API_CLIENT_CREATED, made.client, _OPERATOR, now))
        return made

    def rotate(self, client_id: str, *, at_once: bool) -> NewSecret:
        """Give a client a new secret. Raises NotDone."""
        now = self._clock.now()
        with self._database.begin() as transaction:
            try:
                made = renewed(self._chance, transaction, _client(transaction, client_id), now, at_once=at_once)
            except OutOfOrder:
                raise NotDone(f"{client_id} was revoked or changed meanwhile") from None
            audit.add(transaction, record(Event.API_CLIENT_ROTATED, made.client, _OPERATOR, now))
        return made

    def revoke(self, client_id: str) -> ApiClient:
        """End a client for good. Raises NotDone."""
        now = self._clock.now()
        with self._database.begin() as transaction:
            client = _client(transaction, client_id)
            if not store.revoke(transaction, client.id, now):
                raise NotDone(f"{client_id} was revoked already")
            audit.add(transaction, record(Event.API_CLIENT_REVOKED, client, _OPERATOR, now))
        return client


def named(typed: str) -> str:
    """A client's name as it is kept. Raises Wrong."""
    name = " ".join(typed.split()) if len(typed) <= 4 * NAME_MAX else typed
    if not name:
        raise Wrong(Code.MISSING, field="name")
    if len(name) > NAME_MAX:
        raise Wrong(Code.TOO_LONG, field="name")
    if any(unicodedata.category(one) in _NOT_SHOWN for one in name):
        raise Wrong(Code.BAD_CHARACTERS, field="name")
    return name


def drawn(chance: Chance, organization_id: str, name: str, by: str, now: int) -> NewSecret:
    """A client that is not stored yet, with its secret."""
    secret = chance.token()
    return NewSecret(ApiClient(chance.uuid(), organization_id, name, fingerprint(secret), now, by), secret)


def renewed(chance: Chance, transaction: Transaction, client: ApiClient, now: int, *, at_once: bool) -> NewSecret:
    """Another secret for a client. Raises OutOfOrder where it was revoked or somebody was faster."""
    secret = chance.token()
    if not store.rotate(transaction, client, fingerprint(secret), 0 if at_once else now + OVERLAP, now):
        raise OutOfOrder(Code.NOT_AS_IT_WAS, due=PAGE)
    return NewSecret(client, secret)


def record(event: Event, client: ApiClient, actor: str, now: int, address: str = "") -> Record:
    """What was done with a client, for the administrators of its organization."""
    return Record(
        event=event,
        at=now,
        person_id=None,
        actor=actor,
        outcome="success",
        address=address,
        details={"client": client.id, "name": client.name},
        organization_id=client.organization_id,
    )


def _organization(transaction: Transaction, name: str) -> Organization:
    found = organizations.find(transaction, name)
    if found is None:
        raise NotDone(f"there is no organization {name}")
    return found


def _client(transaction: Transaction, client_id: str) -> ApiClient:
    found = store.find(transaction, client_id)
    if found is None:
        raise NotDone(f"there is no API client {client_id}")
    return found


def _place(staff: Staff) -> str:
    return f"api-client-secret:{staff.present.session.name}"
