"""Making people: the row, contacts, membership, proofs and what is written down of it, in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from app.factors.password.model import NewHash
from app.factors.password.service import Passwords
from app.factors.totp.service import AuthenticatorApps, BadSeed, from_base32
from app.foundation.chance import Chance
from app.foundation.sql import Transaction
from app.records.audit import store as audit
from app.records.audit.model import Event, Record
from app.records.organizations import store as organizations
from app.records.people import store as people
from app.records.people.model import Channel, Contact, Person, Status
from app.steps.roster import NewPerson

_LABEL = "App"


class Enlisting:
    """Makes people who are not there yet; nobody who is there is altered (security rule 12)."""

    def __init__(self, *, passwords: Passwords, apps: AuthenticatorApps, chance: Chance) -> None:
        self._passwords = passwords
        self._apps = apps
        self._chance = chance

    def write(
        self,
        transaction: Transaction,
        batch: Sequence[NewPerson],
        first: Sequence[NewHash | None],
        named: Mapping[str, str],
        now: int,
        *,
        reason: str,
        actor: str,
        address: str = "",
        temporary: bool = True,
    ) -> list[Person]:
        """Make those whose User ID is free, with all that belongs to them; return them.

        ``first`` are their password hashes, ``named`` the ids of organizations by name. ``temporary``: a password
        has to be changed, because somebody else has seen it.
        """
        wanted = [self._person(one, named, now) for one in batch]
        ids = people.add_many(transaction, wanted)
        hashes = {one.canonical_id: given for one, given in zip(batch, first, strict=True)}
        new = [one for one in batch if one.canonical_id in ids]
        people.add_contacts(
            transaction,
            [
                contact
                for one in new
                for contact in filed_contacts(
                    self._chance,
                    ids[one.canonical_id],
                    email=one.email,
                    phone=one.phone,
                    confirmed=one.contacts_verified,
                    now=now,
                )
            ],
            now,
        )
        organizations.join_many(
            transaction, [(ids[one.canonical_id], named[one.organization], one.role) for one in new]
        )
        for one in new:
            self._prove(transaction, one, ids[one.canonical_id], hashes[one.canonical_id], now, temporary=temporary)
        audit.add_many(transaction, [_created(one, ids[one.canonical_id], now, reason, actor, address) for one in new])
        made = {person.canonical_id: person for person in wanted}
        return [replace(made[one.canonical_id], id=ids[one.canonical_id]) for one in new]

    def _person(self, one: NewPerson, named: Mapping[str, str], now: int) -> Person:
        return Person(
            id=0,
            user_id=one.user_id,
            canonical_id=one.canonical_id,
            first_name=one.first_name,
            last_name=one.last_name,
            status=Status.ACTIVE,
            stamp=self._chance.name(),
            language="",
            home_organization=named[one.organization],
            created_at=now,
        )

    def _prove(
        self,
        transaction: Transaction,
        one: NewPerson,
        person_id: int,
        first: NewHash | None,
        now: int,
        *,
        temporary: bool,
    ) -> None:
        if first is not None:
            self._passwords.first_password(transaction, person_id, first, must_change=temporary, now=now)
        elif one.password_hash:
            imported = self._passwords.imported(one.password_hash)
            self._passwords.first_password(transaction, person_id, imported, must_change=False, now=now)
        if one.totp_secret:
            seed = from_base32(one.totp_secret)
            self._apps.bind(transaction, person_id=person_id, seed=seed, label=_LABEL, now=now, usable_from=now)


def filed_contacts(
    chance: Chance, person_id: int, *, email: str, phone: str, confirmed: bool, now: int
) -> list[Contact]:
    """The contacts that somebody else files for a person; an empty address is none."""
    # confirmed by the directory they come from: no waiting time for what is imported (security rule 6)
    return [
        Contact(
            id=chance.name(),
            person_id=person_id,
            channel=channel,
            address=address,
            position=0,
            confirmed_at=now if confirmed else None,
            usable_from=now,
            removed_at=None,
        )
        for channel, address in ((Channel.SMS, phone), (Channel.EMAIL, email))
        if address
    ]


def why_no_seed(base32: str) -> str:
    """What is wrong with the key of an app; empty where nothing is."""
    try:
        from_base32(base32)
    except BadSeed as error:
        return str(error)
    return ""


def _created(one: NewPerson, person_id: int, now: int, reason: str, actor: str, address: str) -> Record:
    with_what = [name for name in ("phone", "email", "password", "password_hash", "totp_secret") if getattr(one, name)]
    details: dict[str, object] = {
        "organization": one.organization,
        "role": one.role.value,
        "with": with_what,
        "contacts_verified": one.contacts_verified,
    }
    return Record(Event.USER_CREATED, now, person_id, actor, "success", reason, address, details)
