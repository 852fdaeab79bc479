"""What an operator does to people by the command: make, import, look at, unlock. All of it is audited."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import BinaryIO

from app.factors.password.model import Form, NewHash
from app.factors.password.service import Passwords
from app.factors.totp import store as apps
from app.factors.totp.model import SEED
from app.factors.totp.service import AuthenticatorApps, provisioning_uri, to_base32
from app.foundation.chance import Chance
from app.foundation.clock import Clock
from app.foundation.slowhash import acceptable
from app.foundation.sql import Database, Transaction
from app.journeys.administration import rules
from app.journeys.administration.model import (
    AppShown,
    ContactShown,
    Invited,
    LockShown,
    Made,
    NotDone,
    PasswordShown,
    Shown,
    Tally,
    Unlocked,
)
from app.journeys.administration.store import Seen
from app.records.attempts.model import Factor
from app.records.attempts.service import Tries
from app.records.audit import store as audit
from app.records.audit.model import Event, Record
from app.records.cases import store as cases
from app.records.cases.model import LINK_LIFE, Kind
from app.records.cases.service import UndoLinks
from app.records.delivery.outbox import Outbox
from app.records.organizations import store as organizations
from app.records.organizations.model import DEFAULT, Organization, Role
from app.records.people import store as people
from app.records.people.model import BadUserId, Person, Status, canonical_user_id
from app.steps import freezing, new_role, roster, staff_lost
from app.steps.enlist import Enlisting, why_no_seed
from app.steps.invite import Invitations
from app.steps.roster import BadFile, BadRow, NewPerson, Problem

OPERATOR = "operator"
BATCH = 500  # rows in one transaction
_HASHES = 32  # passwords in one, so that an import that is stopped loses seconds of work, not minutes
_EVENTS = 20
_FACTORS = (Factor.PASSWORD, Factor.APP, Factor.PIN)


class Administration:
    """People, as the operator sees them."""

    def __init__(
        self,
        *,
        database: Database,
        passwords: Passwords,
        apps: AuthenticatorApps,
        tries: Tries,
        outbox: Outbox,
        undo: UndoLinks,
        clock: Clock,
        chance: Chance,
        issuer: str,
        language: str,
        invitations: Invitations,
        hands: int = 1,
    ) -> None:
        """``hands``: how many passwords are hashed at once; no more than the hasher has slots."""
        self._database = database
        self._passwords = passwords
        self._apps = apps
        self._tries = tries
        self._outbox = outbox
        self._undo = undo
        self._clock = clock
        self._chance = chance
        self._issuer = issuer
        self._language = language
        self._invitations = invitations
        self._enlisting = Enlisting(passwords=passwords, apps=apps, chance=chance)
        self._hands = hands

    # ---- the first organization

    def make_default_organization(self) -> bool:
        """Make the organization `default`; False where it is there already."""
        identifier = self._chance.uuid()
        made = Organization(identifier, DEFAULT, self._clock.now())
        with self._database.begin() as transaction:
            return organizations.add_if_free(transaction, made)

    # ---- one person

    def create(
        self, fields: Mapping[str, object], *, app: bool = False, temporary: bool = True, actor: str = OPERATOR
    ) -> Made:
        """Make one person. Raises NotDone, with all that is wrong in one line.

        ``app``: bind a new authenticator app, whose link is returned once. ``temporary``: a password has to be
        changed, because somebody else has seen it.
        """
        judged = _judge(fields, 0)
        if isinstance(judged, BadRow):
            raise NotDone("; ".join(map(str, judged.problems)))
        named = self._organizations()
        if judged.organization not in named:
            raise NotDone(f"there is no organization {roster.shown(judged.organization)}")
        self._refuse_existing(judged)
        first = self._passwords.first(judged.password) if judged.password else None
        seed = self._chance.octets(SEED) if app else b""
        if app:
            judged = replace(judged, totp_secret=to_base32(seed))
        now = self._clock.now()
        with self._database.begin() as transaction:
            written = self._enlisting.write(
                transaction, [judged], [first], named, now, reason="create", actor=actor, temporary=temporary
            )
            if not written:
                raise NotDone(_exists(judged))
        return Made(written[0], provisioning_uri(seed, written[0].user_id, self._issuer) if seed else "")

    def _refuse_existing(self, person: NewPerson) -> None:
        with self._database.read() as looking:
            if people.find(looking, person.canonical_id) is not None:
                raise NotDone(_exists(person))

    # ---- many people

    def import_people(
        self,
        file: BinaryIO,
        name: str,
        *,
        refused: Callable[[BadRow], None],
        advanced: Callable[[Tally], None],
        dry_run: bool = False,
    ) -> Tally:
        """Make the people of a file who are not there yet; nobody who is there is altered.

        Every row that is not taken is told to ``refused`` at once; ``advanced`` hears after every batch how far
        it is. With ``dry_run`` nothing is written, and ``created`` counts who would be. Raises NotDone.
        """
        tally = Tally()
        named = self._organizations()
        with Seen(self._chance.octets(32)) as seen, ThreadPoolExecutor(self._hands, "first-password") as pool:
            try:
                for batch in _batches(self._good_rows(file, name, named, seen, tally, refused, advanced)):
                    self._take(batch, named, tally, pool, dry_run=dry_run)
                    advanced(tally)
            except BadFile as error:
                raise NotDone(str(error)) from None
        return tally

    def _good_rows(
        self,
        file: BinaryIO,
        name: str,
        named: Mapping[str, str],
        seen: Seen,
        tally: Tally,
        refused: Callable[[BadRow], None],
        advanced: Callable[[Tally], None],
    ) -> Iterator[NewPerson]:
        for raw in roster.read(file, name):
            tally.rows += 1
            judged = raw if isinstance(raw, BadRow) else _judge(raw.fields, raw.line)
            if isinstance(judged, NewPerson):
                judged = _placed(judged, named, seen)
            if isinstance(judged, NewPerson):
                yield judged
            else:
                tally.refused += 1
                refused(judged)
            if tally.rows % BATCH == 0:
                advanced(tally)

    def _take(
        self,
        batch: Sequence[NewPerson],
        named: Mapping[str, str],
        tally: Tally,
        pool: ThreadPoolExecutor,
        *,
        dry_run: bool,
    ) -> None:
        with self._database.read() as looking:
            there = people.which_exist(looking, [person.canonical_id for person in batch])
        new = [person for person in batch if person.canonical_id not in there]
        if dry_run:
            written = len(new)
        else:
            # no slow hash for people who are there already, and none while a transaction is open
            first = list(pool.map(self._first, new)) if any(one.password for one in new) else [None] * len(new)
            with self._database.begin() as transaction:
                now = self._clock.now()
                made = self._enlisting.write(transaction, new, first, named, now, reason="import", actor=OPERATOR)
                written = len(made)
        tally.created += written
        tally.existing += len(batch) - written

    def _first(self, person: NewPerson) -> NewHash | None:
        return self._passwords.first(person.password) if person.password else None

    def _organizations(self) -> dict[str, str]:
        with self._database.read() as looking:
            return {one.name: one.id for one in organizations.everyone(looking)}

    # ---- looking, and helping

    def show(self, typed: str) -> Shown:
        """Everything but secrets. Raises NotDone."""
        now = self._clock.now()
        with self._database.read() as looking:
            person = _find(looking, typed)
            record = self._passwords.find(looking, person.id)
            standings = {factor: self._tries.standing(looking, person.id, factor) for factor in _FACTORS}
            return Shown(
                person=person,
                now=now,
                organizations=tuple(
                    (one.organization.name, one.role.value, one.is_primary)
                    for one in organizations.memberships_of(looking, person.id)
                ),
                contacts=tuple(
                    ContactShown(one.channel.value, one.masked, one.confirmed_at is not None, one.usable(now))
                    for one in people.contacts_of(looking, person.id)
                ),
                password=PasswordShown(
                    record.changed_at,
                    record.must_change,
                    record.compromised,
                    imported=record.form is Form.TYPED,
                    good_until=record.good_until or None,
                    lapsed=record.lapsed(now),
                    locked=record.shut(now),
                )
                if record
                else None,
                apps=tuple(
                    AppShown(one.label, one.state.value, one.bound_at, one.usable_from, one.last_used_at, one.drift)
                    for one in apps.of_person(looking, person.id)
                ),
                locks=tuple(
                    LockShown(
                        factor,
                        standing.consecutive,
                        standing.blocked_until,
                        standing.closed_to_strangers,
                        standing.disabled,
                        locked=standing.locked(now),
                        locked_until=standing.locked_until,
                    )
                    for factor, standing in standings.items()
                ),
                events=audit.of_person(looking, person.id, _EVENTS),
            )

    def unlock(self, typed: str, typed_reason: str, *, actor: str = OPERATOR) -> Unlocked:
        """End the waits of password, app and PIN, and tell the person on every channel. Raises NotDone.

        What has reached the hard cap stays closed: it has to be bound again (NIST SP 800-63B-4 sec. 3.2.2).
        """
        reason = rules.reason(typed_reason)
        now = self._clock.now()
        with self._database.begin() as transaction:
            person = _find(transaction, typed)
            standings = {factor: self._tries.standing(transaction, person.id, factor) for factor in _FACTORS}
            left = tuple(factor for factor, standing in standings.items() if standing.disabled)
            cleared = tuple(
                factor for factor, standing in standings.items() if standing.locked(now) and factor not in left
            )
            for factor in _FACTORS:
                if factor not in left:
                    self._tries.forgive(transaction, person.id, factor)
            if self._passwords.reopen(transaction, person.id, now) and Factor.PASSWORD not in cleared:
                cleared = (Factor.PASSWORD, *cleared)
            details: dict[str, object] = {
                "reason": reason,
                "cleared": [factor.value for factor in cleared],
                "left": [factor.value for factor in left],
            }
            audit.add(
                transaction,
                Record(Event.UNLOCKED, now, person.id, actor, "success", reason="operator", details=details),
            )
            told = self._outbox.notify(
                transaction,
                contacts=[one for one in people.contacts_of(transaction, person.id) if one.usable(now)],
                template="notice_unlocked",
                variables={"at": now, "address": ""},
                language=person.language or self._language,
                now=now,
            )
        return Unlocked(cleared, left, tuple(contact.masked for contact in told))

    def unfreeze(
        self, typed: str, typed_reason: str, *, end_links: bool = False, actor: str = OPERATOR
    ) -> tuple[str, ...]:
        """End the freezing of an account with everything as it is, and tell the person on every channel.

        ``end_links``: whoever reads a contact freezes again and again, so that the links mailed so far end, and the
        notice carries none; the owner has then time to remove that contact.

        Returns the masked contacts that are told. Raises NotDone.
        """
        reason = rules.reason(typed_reason)
        now = self._clock.now()
        with self._database.begin() as transaction:
            person = _find(transaction, typed)
            held = people.hold(transaction, person.id)
            if held is None or not people.unfreeze(transaction, person.id, self._chance.name()):
                raise NotDone(f"{roster.shown(person.user_id)} is not frozen; nothing was changed")
            dispute = cases.living(transaction, person.id)
            if dispute is not None:
                cases.lift(transaction, dispute.id, now)
            since = (dispute.opened_at if dispute else now) - LINK_LIFE
            if end_links:
                cases.end_links(transaction, person.id, now)
            undo = "" if end_links else self._undo.issue(transaction, person.id, Kind.ACCOUNT, now)
            told = self._outbox.notify(
                transaction,
                contacts=people.contacts_since(transaction, person.id, since),
                template="notice_unfrozen",
                variables={"at": now, "address": "", "undo": undo},
                language=person.language or self._language,
                now=now,
            )
            details: dict[str, object] = {
                "reason": reason,
                "told": [contact.id for contact in told],
                "links_ended": end_links,
            }
            audit.add(
                transaction,
                Record(Event.USER_UNFROZEN, now, person.id, actor, "success", reason="operator", details=details),
            )
        return tuple(contact.masked for contact in told)

    def deactivate(self, typed: str, typed_reason: str, *, actor: str = OPERATOR) -> tuple[str, ...]:
        """Shut somebody out: sessions, flows and lanes end. Returns who is told, masked. Raises NotDone."""

        def change(transaction: Transaction, person: Person, now: int) -> bool:
            return freezing.deactivate(transaction, person.id, self._chance.name(), now) is not None

        return self._turn(typed, typed_reason, actor, Event.USER_DEACTIVATED, "notice_deactivated", change)

    def reactivate(self, typed: str, typed_reason: str, *, actor: str = OPERATOR) -> tuple[str, ...]:
        """Let somebody in again who was shut out, with everything as it was. The same otherwise."""

        def change(transaction: Transaction, person: Person, _now: int) -> bool:
            return people.reactivate(transaction, person.id, self._chance.name())

        return self._turn(typed, typed_reason, actor, Event.USER_REACTIVATED, "notice_reactivated", change)

    def _turn(
        self,
        typed: str,
        typed_reason: str,
        actor: str,
        event: Event,
        notice: str,
        change: Callable[[Transaction, Person, int], bool],
    ) -> tuple[str, ...]:
        reason = rules.reason(typed_reason)
        now = self._clock.now()
        with self._database.begin() as transaction:
            person = _find(transaction, typed)
            people.hold(transaction, person.id)
            if not change(transaction, person, now):
                raise NotDone(f"{roster.shown(person.user_id)} is {person.status.value}; nothing was changed")
            told = self._outbox.notify(
                transaction,
                contacts=people.contacts_of(transaction, person.id),
                template=notice,
                variables={"at": now},
                language=person.language or self._language,
                now=now,
            )
            details: dict[str, object] = {"reason": reason, "told": [contact.id for contact in told]}
            turned = Record(event, now, person.id, actor, "success", reason="operator", details=details)
            audit.add(transaction, turned)
            if event is Event.USER_DEACTIVATED:
                staff_lost.tell(self._outbox, transaction, person, turned, self._language)
        return tuple(contact.masked for contact in told)

    def set_role(self, typed: str, organization: str, role: str, *, actor: str = OPERATOR) -> Role:
        """Give a member another role, and tell them, and of new staff all administrators. Returns the old one.

        Raises NotDone.
        """
        if role not in set(Role):
            raise NotDone(f"there is no role {roster.shown(role)}; there are {', '.join(Role)}")
        now = self._clock.now()
        with self._database.begin() as transaction:
            place = organizations.find(transaction, organization)
            if place is None:
                raise NotDone(f"there is no organization {roster.shown(organization)}")
            organizations.hold(transaction, [place.id])
            person = _find(transaction, typed)
            held = [one for one in organizations.memberships_of(transaction, person.id) if one.organization == place]
            if not held or held[0].proposed_at is not None:
                raise NotDone(f"{roster.shown(person.user_id)} is no member of {roster.shown(organization)}")
            old, new = held[0].role, Role(role)
            if old is not new:
                organizations.set_role(transaction, person.id, place.id, old, new)
                told = new_role.tell(self._outbox, transaction, person, place, new, self._language, now)
                if new.rank > old.rank:
                    new_role.tell_administrators(self._outbox, transaction, person, place, new, self._language, now)
                details: dict[str, object] = {
                    "organization": place.name,
                    "role": new.value,
                    "before": old.value,
                    "told": told,
                }
                changed = Record(Event.ROLE_CHANGED, now, person.id, actor, "success", "operator", details=details)
                audit.add(transaction, changed)
        return old

    def invite(self, typed: str, *, actor: str = OPERATOR) -> Invited:
        """Mail somebody the link with which they activate their account. Raises NotDone.

        Refused for whoever uses their account already: an invitation never alters that (security rule 12).
        """
        now = self._clock.now()
        with self._database.begin() as transaction:
            person = _find(transaction, typed)
            if person.status is not Status.ACTIVE:
                raise NotDone(f"{person.user_id} is {person.status.value}")
            if not self._invitations.may_go_to(transaction, person):
                raise NotDone(f"{person.user_id} has a password or an app already; nothing was changed")
            sent = self._invitations.send(transaction, person, self._language, now)
            if sent is None:
                raise NotDone(f"{person.user_id} has no e-mail address to which the link could go")
            mailbox, code = sent
            details: dict[str, object] = {"contact": mailbox.id, "by_code": bool(code)}
            audit.add(transaction, Record(Event.INVITED, now, person.id, actor, "success", details=details))
        return Invited(mailbox.masked, code)


def _judge(fields: Mapping[str, object], line: int) -> NewPerson | BadRow:
    return roster.judge(fields, line, hash_fits=acceptable, seed_fits=why_no_seed)


def _placed(person: NewPerson, named: Mapping[str, str], seen: Seen) -> NewPerson | BadRow:
    """The same, where its organization is known and its User ID stands for the first time in this file."""
    if person.organization not in named:
        reason = f"there is no organization {roster.shown(person.organization)}"
        return BadRow(person.line, (Problem("organization", reason),))
    earlier = seen.before(person.canonical_id, person.line)
    if earlier is not None:
        return BadRow(person.line, (Problem("user_id", f"stands in line {earlier} already"),))
    return person


def _batches(persons: Iterable[NewPerson]) -> Iterator[list[NewPerson]]:
    batch: list[NewPerson] = []
    hashes = 0
    for person in persons:
        batch.append(person)
        hashes += bool(person.password)
        if len(batch) >= BATCH or hashes >= _HASHES:
            yield batch
            batch, hashes = [], 0
    if batch:
        yield batch


def _exists(person: NewPerson) -> str:
    return f"there is somebody with the User ID {roster.shown(person.user_id)} already; nothing was changed"


def _find(transaction: Transaction, typed: str) -> Person:
    try:
        person = people.find(transaction, canonical_user_id(typed))
    except BadUserId:
        person = None
    if person is None:
        raise NotDone(f"there is nobody with the User ID {roster.shown(typed)}")
    return person
