"""Staff at a door: somebody signed in with two factors who holds a role, and whom they may see and act on."""

from dataclasses import dataclass

from app.foundation.refusals import Code, Forbidden
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.records.organizations import store as organizations
from app.records.organizations.model import Membership, Organization, Role
from app.records.people import store as people
from app.records.people.model import BadUserId, Person, canonical_user_id
from app.steps.presence import Presence, Present


@dataclass(frozen=True, slots=True)
class Staff:
    """Somebody who holds a role, at this request. ``organizations`` are those in which it is held, home first."""

    present: Present
    organizations: tuple[Organization, ...]

    @property
    def person(self) -> Person:
        """Who it is."""
        return self.present.person

    @property
    def organization_ids(self) -> tuple[str, ...]:
        """What any look at the records is limited to."""
        return tuple(one.id for one in self.organizations)


class Staffing:
    """Lets staff in, and shows them their own organizations only (ASVS 8.2.1, 8.2.2)."""

    def __init__(self, *, database: Database, presence: Presence) -> None:
        self._database = database
        self._presence = presence

    def support(self, cookie: str | None, visit: Visit, *, fresh: bool = False) -> Staff:
        """An agent, or an administrator. ``fresh``: with a proof less than five minutes old.

        Raises Forbidden where no such role is held, OutOfOrder where nobody is signed in with two factors.
        """
        return self._let_in(cookie, visit, Role.SUPPORT, fresh=fresh)

    def administrator(self, cookie: str | None, visit: Visit, *, fresh: bool = False, used: bool = True) -> Staff:
        """The same for administrators alone. ``used`` False where a script asks."""
        return self._let_in(cookie, visit, Role.ADMINISTRATOR, fresh=fresh, used=used)

    def _let_in(self, cookie: str | None, visit: Visit, least: Role, *, fresh: bool, used: bool = True) -> Staff:
        presence = self._presence
        present = presence.fresh(cookie, visit) if fresh else presence.full(cookie, visit, used=used)
        with self._database.read() as looking:
            held = _held(organizations.memberships_of(looking, present.person.id), least)
        if not held:
            raise Forbidden(Code.NOT_STAFF)
        return Staff(present, held)

    def hold(self, transaction: Transaction, staff: Staff, least: Role) -> None:
        """Keep staff and session as they are until the caller's transaction ends. Raises Forbidden, OutOfOrder.

        The role is asked for again: it may have been taken away since the page was opened.
        """
        self._presence.hold(transaction, staff.present)
        held = {one.id for one in _held(organizations.memberships_of(transaction, staff.person.id), least)}
        if not held >= set(staff.organization_ids):
            raise Forbidden(Code.NOT_STAFF)

    def visible(self, transaction: Transaction, staff: Staff, user_id: str) -> Person | None:
        """The person of a User ID, as far as these staff may see them; None for others, and for nobody, alike."""
        try:
            person = people.find(transaction, canonical_user_id(user_id))
        except BadUserId:
            return None
        if person is None:
            return None
        theirs = organizations.memberships_of(transaction, person.id)
        seen = any(one.organization.id in staff.organization_ids and one.proposed_at is None for one in theirs)
        return person if seen else None

    def may_act_on(self, transaction: Transaction, staff: Staff, person: Person) -> bool:
        """Whether these staff may act on somebody: not on themselves, nor on other staff, nor on people whose home
        organization is another (security rule 4)."""
        if person.id == staff.person.id or person.home_organization not in staff.organization_ids:
            return False
        # a role that waits to be accepted counts here: who is about to become staff is no longer theirs to change
        return all(one.role is Role.MEMBER for one in organizations.memberships_of(transaction, person.id))


def _held(memberships: tuple[Membership, ...], least: Role) -> tuple[Organization, ...]:
    held = [one for one in memberships if one.proposed_at is None and one.role.rank >= least.rank]
    return tuple(one.organization for one in sorted(held, key=lambda one: not one.is_primary))
