"""What administrators do to the people of their organizations, and what these people answer (security rules 4, 12, 13).

Administrators never see or set a password, a key, a PIN or a link. Whose home is another organization is changed by
its administrators alone; here only their membership is. Each change is told to the person on every channel.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from app.factors.totp import store as apps
from app.factors.totp.model import App, AppState
from app.foundation.chance import Chance
from app.foundation.clock import Clock
from app.foundation.ephemeral import Ephemeral
from app.foundation.refusals import Code, Forbidden, OutOfOrder, Refusal, Throttled, Wrong
from app.foundation.secretbox import Keyring, Unreadable, fingerprint
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.journeys.membership import rules
from app.journeys.membership.model import Filing, NewMember, Offer, PersonPage, Place
from app.records.attempts.model import Door
from app.records.attempts.service import AddressLimits, Tries
from app.records.audit import store as audit
from app.records.audit.model import Event, Record
from app.records.delivery.model import Purpose
from app.records.delivery.outbox import Outbox
from app.records.organizations import store as organizations
from app.records.organizations.model import Membership, Organization, Role
from app.records.organizations.rules import strands
from app.records.organizations.store import PROPOSAL_LIFE
from app.records.people import store as people
from app.records.people.model import (
    USER_ID_MAX,
    BadUserId,
    Channel,
    Contact,
    Person,
    Status,
    canonical_user_id,
    is_email,
    is_phone,
    to_path,
)
from app.steps import freezing, new_role, staff_lost
from app.steps.allowed import having
from app.steps.enlist import Enlisting, filed_contacts
from app.steps.invite import Invitations, filed, in_use
from app.steps.presence import Presence, Present
from app.steps.roster import NAME_MAX, NewPerson, showable
from app.steps.staff import Staff, Staffing

PEOPLE = "/admin/people"
_PURPOSE = "activation-code-shown"
_CONTACTS = 4  # that somebody has at most
_NO_CONTACT = Contact("", 0, Channel.EMAIL, "", 0, None, 0, None)
_NOBODIES = 1_024  # counts of proposals to User IDs that nobody has
_BETWEEN = str.maketrans("", "", " \u00a0-()")


@dataclass(frozen=True, slots=True)
class MembershipMeans:
    """What the journey stands on."""

    database: Database
    ephemeral: Ephemeral
    keyring: Keyring
    chance: Chance
    clock: Clock
    limits: AddressLimits
    tries: Tries
    outbox: Outbox
    invitations: Invitations
    enlisting: Enlisting
    presence: Presence
    staffing: Staffing


class Members:
    """The pages of one person under /admin/people."""

    def __init__(self, means: MembershipMeans) -> None:
        self._means = means

    # ---- looking

    def page(self, staff: Staff, user_id: str) -> PersonPage | None:
        """Somebody as they stand; None where there is nobody that these administrators may see."""
        with self._means.database.read() as looking:
            person = self._means.staffing.visible(looking, staff, user_id)
            if person is None:
                return None
            used = in_use(looking, person.id)
            untouched = self._means.invitations.untouched(looking, person)
            bound = apps.of_person(looking, person.id)
            contacts = filed(looking, person.id)
            places = _places(staff, organizations.memberships_of(looking, person.id))
            elsewhere = staff_lost.elsewhere(looking, person)
            last = any(staff_lost.is_last(looking, one, person) for one in elsewhere)
        at_home, is_self = person.home_organization in staff.organization_ids, person.id == staff.person.id
        return PersonPage(
            user_id=person.user_id,
            name=person.name,
            status=person.status,
            path=_path(person),
            made_at=person.created_at,
            places=places,
            at_home=at_home,
            is_self=is_self,
            staff_elsewhere=at_home and bool(elsewhere),
            last_elsewhere=at_home and last,
            in_use=used,
            has_app=_has_app(bound),
            contacts=tuple((one.channel.value, one.masked, one.confirmed_at is not None) for one in contacts),
            acts=rules.acts(
                status=person.status,
                at_home=at_home,
                is_self=is_self,
                in_use=used,
                untouched=untouched,
                member_elsewhere=any(not place.home for place in places),
                role=max((place.role for place in places), key=lambda role: role.rank),
            ),
            handover=self._handed_over(staff, person),
        )

    # ---- somebody new

    def create(self, visit: Visit, session: str | None, typed: NewMember) -> str:
        """Make somebody and invite them; returns the path of their page. Nobody who is there is altered.

        Raises Wrong with everything that is wrong, Throttled, OutOfOrder, Forbidden.
        """
        means = self._means
        staff = means.staffing.administrator(session, visit, fresh=True)
        means.limits.attempt(visit)
        organization = _chosen(staff, typed.organization)
        new = _judged(typed, organization)
        with means.database.begin() as transaction:
            means.staffing.hold(transaction, staff, Role.ADMINISTRATOR)
            now = means.clock.now()
            made = means.enlisting.write(
                transaction,
                [new],
                [None],
                {organization.name: organization.id},
                now,
                reason="create",
                actor=staff.person.user_id,
                address=visit.address,
            )
            if not made:
                raise Wrong(Code.USER_ID_TAKEN, field="user_id")
            self._invite(transaction, visit, staff, made[0], now)
        return _path(made[0])

    def invite(self, visit: Visit, session: str | None, user_id: str) -> bool:
        """Mail somebody the link anew with which they activate their account. False where there is nobody."""

        def change(transaction: Transaction, staff: Staff, person: Person, now: int) -> None:
            _at_home(staff, person)
            if person.status is not Status.ACTIVE:
                raise OutOfOrder(Code.NOT_AS_IT_WAS, due=_path(person))
            if not self._means.invitations.may_go_to(transaction, person):
                raise OutOfOrder(Code.IN_USE, due=_path(person))
            self._invite(transaction, visit, staff, person, now)

        return self._change(visit, session, user_id, change)

    def refile(self, visit: Visit, session: str | None, user_id: str, typed: Filing) -> bool:
        """File other contacts for somebody of whom nothing was proved yet, and invite them there.

        Whatever was mailed to the earlier ones is void. False where there is nobody. Raises Wrong, OutOfOrder.
        """

        def change(transaction: Transaction, staff: Staff, person: Person, now: int) -> None:
            means = self._means
            _at_home(staff, person)
            if person.status is not Status.ACTIVE:
                raise OutOfOrder(Code.NOT_AS_IT_WAS, due=_path(person))
            if not means.invitations.untouched(transaction, person):
                raise OutOfOrder(Code.IN_USE, due=_path(person))
            email, phone, wrong = _judged_contacts(typed.email, typed.phone)
            _raise_all(wrong)
            for one in people.contacts_of(transaction, person.id):
                people.remove_contact(transaction, person.id, one.id, now)
            new = filed_contacts(means.chance, person.id, email=email, phone=phone, confirmed=False, now=now)
            people.add_contacts(transaction, new, now)
            # whoever opened the earlier link goes no further with what they have
            if not people.restamp(transaction, person.id, person.stamp, means.chance.name()):
                raise OutOfOrder(Code.NOT_AS_IT_WAS, due=_path(person))
            details: dict[str, object] = {"with": [one.channel.value for one in new]}
            audit.add(transaction, _record(Event.CONTACTS_FILED, visit, staff, person, now, details))
            self._invite(transaction, visit, staff, person, now)

        return self._change(visit, session, user_id, change)

    def _invite(self, transaction: Transaction, visit: Visit, staff: Staff, person: Person, now: int) -> None:
        means = self._means
        for mailbox in [one for one in filed(transaction, person.id) if one.channel.value == "email"][:1]:
            means.tries.spend_send(transaction, mailbox.address, Door.SIGN_IN)
        sent = means.invitations.send(transaction, person, visit.language, now)
        if sent is None:
            raise Wrong(Code.NO_MAILBOX)
        mailbox, code = sent
        details: dict[str, object] = {"contact": mailbox.id, "by_code": bool(code)}
        audit.add(transaction, _record(Event.INVITED, visit, staff, person, now, details))
        place = _handover_place(staff, person)
        means.ephemeral.drop(place)
        if code:
            plain = json.dumps({"code": code, "until": now + rules.HANDED_OVER}).encode()
            means.ephemeral.put(place, means.keyring.seal(_PURPOSE, plain, place).encode(), rules.HANDED_OVER)

    def _handed_over(self, staff: Staff, person: Person) -> str:
        place = _handover_place(staff, person)
        sealed = self._means.ephemeral.get(place)
        if sealed is None:
            return ""
        try:
            kept = json.loads(self._means.keyring.open(_PURPOSE, sealed.decode(), place))
        except Unreadable:
            return ""
        return str(kept["code"]) if self._means.clock.now() < kept["until"] else ""

    # ---- in and out

    def deactivate(self, visit: Visit, session: str | None, user_id: str) -> bool:
        """Shut somebody out: sessions, flows and lanes end. False where there is nobody. Raises OutOfOrder, Forbidden.

        The home organization may always do that, whatever the person is elsewhere; those organizations are told.
        """

        def change(transaction: Transaction, staff: Staff, person: Person, now: int) -> None:
            _at_home(staff, person)
            if person.id == staff.person.id:
                raise Forbidden(Code.ON_YOURSELF)
            ended = freezing.deactivate(transaction, person.id, self._means.chance.name(), now)
            if ended is None:
                raise OutOfOrder(Code.NOT_AS_IT_WAS, due=_path(person))
            told = self._tell(transaction, visit, person, "notice_deactivated", {}, now)
            details: dict[str, object] = {"sessions_ended": ended, "told": told}
            shut = _record(Event.USER_DEACTIVATED, visit, staff, person, now, details)
            audit.add(transaction, shut)
            staff_lost.tell(self._means.outbox, transaction, person, shut, visit.language)

        return self._change(visit, session, user_id, change)

    def reactivate(self, visit: Visit, session: str | None, user_id: str) -> bool:
        """Let somebody in again, with everything as it was. False where there is nobody."""

        def change(transaction: Transaction, staff: Staff, person: Person, now: int) -> None:
            _at_home(staff, person)
            if not people.reactivate(transaction, person.id, self._means.chance.name()):
                raise OutOfOrder(Code.NOT_AS_IT_WAS, due=_path(person))
            told = self._tell(transaction, visit, person, "notice_reactivated", {}, now)
            audit.add(transaction, _record(Event.USER_REACTIVATED, visit, staff, person, now, {"told": told}))

        return self._change(visit, session, user_id, change)

    # ---- roles and memberships

    def set_role(self, visit: Visit, session: str | None, user_id: str, organization_id: str, typed: str) -> bool:
        """Make a member staff, or staff a member. Administrators may step down themselves, but not the last one.

        Who becomes staff needs an app. That is told to them and to all administrators. False where there is nobody, or
        no such membership. Raises Wrong, OutOfOrder, Forbidden.
        """

        def change(transaction: Transaction, staff: Staff, person: Person, now: int) -> None:
            held = _held(transaction, staff, person, organization_id)
            if typed not in set(Role):
                raise Wrong(Code.MISSING, field="role")
            new, old = Role(typed), held.role
            rises = new.rank > old.rank
            if new is old:
                raise OutOfOrder(Code.NOT_AS_IT_WAS, due=_path(person))
            if rises and person.id == staff.person.id:
                raise Forbidden(Code.ON_YOURSELF)
            if rises:
                # nobody acts on staff: else another organization could put somebody out of their home's reach
                _at_home(staff, person)
            if rises and not _has_app(apps.of_person(transaction, person.id)):
                raise Wrong(Code.NEEDS_APP, field="role")
            if rises and person.status is not Status.ACTIVE:
                raise Wrong(Code.NOT_ACTIVE, field="role")
            self._leave_one(transaction, held, person, field="role")
            organizations.set_role(transaction, person.id, held.organization.id, old, new)
            variables = {"organization": held.organization.name, "role": new.value}
            outbox, place, language = self._means.outbox, held.organization, visit.language
            told = new_role.tell(outbox, transaction, person, place, new, language, now)
            if rises:
                new_role.tell_administrators(outbox, transaction, person, place, new, language, now)
            details: dict[str, object] = {**variables, "before": old.value, "told": told}
            record = _record(Event.ROLE_CHANGED, visit, staff, person, now, details)
            audit.add(transaction, replace(record, organization_id=held.organization.id))

        return self._change(visit, session, user_id, change)

    def remove(self, visit: Visit, session: str | None, user_id: str, organization_id: str) -> bool:
        """End a membership that is not that of the home organization. False where there is none."""

        def change(transaction: Transaction, staff: Staff, person: Person, now: int) -> None:
            held = _held(transaction, staff, person, organization_id)
            if person.id == staff.person.id:
                raise Forbidden(Code.ON_YOURSELF)
            if held.is_primary:
                raise Wrong(Code.AT_HOME)
            self._leave_one(transaction, held, person)
            if not organizations.leave(transaction, person.id, held.organization.id):
                raise OutOfOrder(Code.NOT_AS_IT_WAS, due=PEOPLE)
            variables = {"organization": held.organization.name}
            told = self._tell(transaction, visit, person, "notice_membership_ended", variables, now)
            details: dict[str, object] = {**variables, "role": held.role.value, "told": told}
            record = _record(Event.MEMBERSHIP_ENDED, visit, staff, person, now, details)
            audit.add(transaction, replace(record, organization_id=held.organization.id))

        return self._change(visit, session, user_id, change)

    def propose(self, visit: Visit, session: str | None, typed: str, organization_id: str) -> None:
        """Propose somebody a membership by their exact User ID. The same whether or not there is such a person.

        It has no power before they accept it (security rule 12). Raises Wrong, Throttled, OutOfOrder, Forbidden.
        """
        means = self._means
        staff = means.staffing.administrator(session, visit, fresh=True)
        means.limits.attempt(visit)
        organization = _chosen(staff, organization_id)
        canonical = _canonical(typed)
        with means.database.begin() as transaction:
            means.staffing.hold(transaction, staff, Role.ADMINISTRATOR)
            now = means.clock.now()
            # of nobody in particular: who reads this organization's log must not learn whether there is such a person
            details: dict[str, object] = {"organization": organization.name, "user_id": canonical}
            record = _record(Event.MEMBERSHIP_PROPOSED, visit, staff, None, now, details)
            audit.add(transaction, replace(record, organization_id=organization.id))
            person = people.find(transaction, canonical)
            whom = person if person is not None and person.status is Status.ACTIVE else None
            wanted = self._may_be_asked(transaction, canonical, whom) and whom is not None
            whose = whom.id if whom else 0
            proposed = organizations.propose(transaction, whose, organization.id, now, wanted=wanted)
            self._tell_of_proposal(transaction, visit, whom, organization, now, wanted=proposed)
            details = {"organization": organization.name}
            about = whom if proposed else None
            audit.add_if_known(transaction, _record(Event.NOTICE_SENT, visit, staff, about, now, details))

    def _may_be_asked(self, transaction: Transaction, canonical: str, whom: Person | None) -> bool:
        """Count a proposal; somebody unknown shares a count with others who are."""
        place = whom.id if whom else f"nobody {int(fingerprint(canonical), 16) % _NOBODIES}"
        try:
            self._means.tries.spend_send(transaction, f"proposals to {place}", Door.SIGN_IN)
        except Throttled:
            return False
        return True

    def _tell_of_proposal(
        self,
        transaction: Transaction,
        visit: Visit,
        whom: Person | None,
        organization: Organization,
        now: int,
        *,
        wanted: bool,
    ) -> None:
        """Tell somebody at every contact; as many messages are written where there is nobody to be told."""
        contacts = people.usable_contacts(transaction, whom.id if whom else 0, now)
        path = f"/profile/memberships/{organization.id}"
        for place in range(max(_CONTACTS, len(contacts))):
            there = place < len(contacts)
            self._means.outbox.enqueue(
                transaction,
                contact=contacts[place] if there else _NO_CONTACT,
                template="notice_membership_proposed",
                variables={"organization": organization.name, "path": path, "at": now},
                language=(whom.language if whom else "") or visit.language,
                purpose=Purpose.NOTICE,
                now=now,
                wanted=wanted and there,
            )

    # ---- what all of them have in common

    def _change(
        self,
        visit: Visit,
        session: str | None,
        user_id: str,
        change: Callable[[Transaction, Staff, Person, int], None],
    ) -> bool:
        """Let an administrator change somebody, after a fresh proof, while nobody else changes who is staff.

        False where there is nobody whom they may see, or what was asked for is not there.
        """
        means = self._means
        staff = means.staffing.administrator(session, visit, fresh=True)
        means.limits.attempt(visit)
        try:
            with self._held(staff, user_id) as (transaction, person):
                change(transaction, staff, person, means.clock.now())
        except _NotThereError:
            return False
        return True

    @contextmanager
    def _held(self, staff: Staff, user_id: str) -> Iterator[tuple[Transaction, Person]]:
        """Organizations are held first, then whoever acts, then whom it is about: always in that order."""
        means = self._means
        with means.database.begin() as transaction:
            person = means.staffing.visible(transaction, staff, user_id)
            if person is None:
                raise _NotThereError
            theirs = {one.organization.id for one in organizations.memberships_of(transaction, person.id)}
            organizations.hold(transaction, theirs | set(staff.organization_ids))
            means.staffing.hold(transaction, staff, Role.ADMINISTRATOR)
            people.hold(transaction, person.id)
            present = means.staffing.visible(transaction, staff, user_id)
            if present is None:
                raise _NotThereError
            yield transaction, present

    def _leave_one(self, transaction: Transaction, held: Membership, person: Person, field: str = "") -> None:
        """Raises Wrong where an organization would be left without an administrator who can sign in."""
        if held.role is not Role.ADMINISTRATOR or held.proposed_at is not None:
            return
        if staff_lost.is_last(transaction, held, person):
            raise Wrong(Code.LAST_ADMINISTRATOR, field=field)

    def _tell(
        self,
        transaction: Transaction,
        visit: Visit,
        person: Person,
        name: str,
        variables: Mapping[str, object],
        now: int,
    ) -> list[str]:
        told = self._means.outbox.notify(
            transaction,
            contacts=people.contacts_of(transaction, person.id),
            template=name,
            variables={**variables, "at": now},
            language=person.language or visit.language,
            now=now,
        )
        return [contact.id for contact in told]


class OwnMemberships:
    """What somebody answers to a proposed membership."""

    def __init__(self, means: MembershipMeans) -> None:
        self._means = means

    def page(self, present: Present, organization_id: str) -> Offer | None:
        """What was proposed; None where nothing waits."""
        with self._means.database.read() as looking:
            return self._waiting(looking, present, organization_id)

    def _waiting(self, looking: Transaction, present: Present, organization_id: str) -> Offer | None:
        for one in organizations.memberships_of(looking, present.person.id):
            waits = one.proposed_at is not None and one.proposed_at > present.now - PROPOSAL_LIFE
            if waits and one.organization.id == organization_id and one.proposed_at is not None:
                policies = organizations.policies_of_person(looking, present.person.id, present.now)
                added = organizations.policy_of(looking, one.organization.id, present.now)
                return Offer(
                    one.organization,
                    one.proposed_at,
                    strands((*policies, added), having(looking, present.person.id, present.now)),
                )
        return None

    def decide(self, visit: Visit, session: str | None, organization_id: str, decision: str) -> bool:
        """Accept or decline, after a fresh proof. False where nothing waits. Raises Wrong, Throttled, OutOfOrder."""
        means = self._means
        present = means.presence.fresh(session, visit)
        means.limits.attempt(visit)
        person, now = present.person, present.now
        with means.database.begin() as transaction:
            means.presence.hold(transaction, present)
            offer = self._waiting(transaction, present, organization_id)
            if offer is None:
                return False
            if decision not in {"accept", "decline"}:
                raise Wrong(Code.MISSING, field="decision")
            accepts = decision == "accept"
            answer = organizations.accept if accepts else organizations.decline
            if not answer(transaction, person.id, organization_id, now):
                return False
            event = Event.MEMBERSHIP_ACCEPTED if accepts else Event.MEMBERSHIP_DECLINED
            details: dict[str, object] = {"organization": offer.organization.name}
            audit.add(transaction, Record(event, now, person.id, "self", "success", "", visit.address, details))
            if accepts:
                means.outbox.notify(
                    transaction,
                    contacts=people.contacts_of(transaction, person.id),
                    template="notice_membership_accepted",
                    variables={"organization": offer.organization.name, "at": now, "address": visit.address},
                    language=person.language or visit.language,
                    now=now,
                )
        return True


class _NotThereError(Exception):
    """There is nobody, or nothing, that these administrators may see."""


def _chosen(staff: Staff, organization_id: str) -> Organization:
    """One of their own organizations; the first where none is named. Raises Wrong."""
    for one in staff.organizations:
        if organization_id in {"", one.id}:
            return one
    raise Wrong(Code.NOT_AN_ORGANIZATION, field="organization")


def _held(transaction: Transaction, staff: Staff, person: Person, organization_id: str) -> Membership:
    """Somebody's membership in an organization of these administrators; in the first of them where none is named."""
    for one in organizations.memberships_of(transaction, person.id):
        own = one.organization.id in staff.organization_ids and one.proposed_at is None
        if own and organization_id in {"", one.organization.id}:
            return one
    raise _NotThereError


def _places(staff: Staff, theirs: tuple[Membership, ...]) -> tuple[Place, ...]:
    return tuple(
        Place(one.organization, one.role, one.is_primary)
        for one in theirs
        if one.organization.id in staff.organization_ids and one.proposed_at is None
    )


def _at_home(staff: Staff, person: Person) -> None:
    if person.home_organization not in staff.organization_ids:
        raise Forbidden(Code.NOT_AT_HOME)


def _has_app(bound: tuple[App, ...]) -> bool:
    return any(app.state is AppState.ACTIVE for app in bound)


def _path(person: Person) -> str:
    return f"{PEOPLE}/{to_path(person.user_id)}"


def _handover_place(staff: Staff, person: Person) -> str:
    return f"handover:{staff.present.session.name}:{person.id}"


def _record(
    event: Event, visit: Visit, staff: Staff, person: Person | None, now: int, details: dict[str, object]
) -> Record:
    about = person.id if person else None
    return Record(event, now, about, staff.person.user_id, "success", "administrator", visit.address, details)


def _canonical(typed: str) -> str:
    try:
        return canonical_user_id(typed)
    except BadUserId as error:
        code = {"empty": Code.MISSING, "too long": Code.TOO_LONG}.get(str(error), Code.BAD_CHARACTERS)
        raise Wrong(code, field="user_id", details={"theirs": True}) from None


def _judged(typed: NewMember, organization: Organization) -> NewPerson:
    """Raises Wrong with everything that is wrong."""
    wrong: list[Refusal] = []
    canonical = ""
    try:
        canonical = _canonical(typed.user_id)
    except Wrong as refusal:
        wrong.append(refusal)
    names = {"first_name": typed.first_name.strip(), "last_name": typed.last_name.strip()}
    for field, name in names.items():
        if len(name) > NAME_MAX:
            wrong.append(Wrong(Code.TOO_LONG, field=field))
        elif name and not showable(name):
            wrong.append(Wrong(Code.BAD_CHARACTERS, field=field))
    email, phone, of_contacts = _judged_contacts(typed.email, typed.phone)
    _raise_all([*wrong, *of_contacts])
    return NewPerson(
        user_id=typed.user_id.strip(),
        canonical_id=canonical,
        first_name=names["first_name"],
        last_name=names["last_name"],
        email=email,
        phone=phone,
        organization=organization.name,
    )


def _judged_contacts(typed_email: str, typed_phone: str) -> tuple[str, str, list[Refusal]]:
    """An address and a number as they are kept, and all that is wrong with them."""
    wrong: list[Refusal] = []
    email = typed_email.strip()
    phone = typed_phone[:USER_ID_MAX].strip().translate(_BETWEEN)
    phone = f"+{phone[2:]}" if phone.startswith("00") else phone
    if not is_email(email):
        wrong.append(Wrong(Code.NOT_AN_EMAIL if email else Code.MISSING, field="email", details={"theirs": True}))
    if phone and not is_phone(phone):
        wrong.append(Wrong(Code.NOT_A_PHONE, field="phone"))
    return email, phone, wrong


def _raise_all(wrong: list[Refusal]) -> None:
    if wrong:
        first, *others = wrong
        raise Wrong(first.code, field=first.field, details=first.details, also=tuple(others))
