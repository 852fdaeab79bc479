"""What somebody signed in sees of their authenticators, and does with their password."""

from app.factors.password.service import Passwords
from app.factors.totp import store as apps
from app.foundation.sql import Database, Transaction
from app.journeys.authenticators.model import Action, Overview, Row
from app.records.attempts.model import Factor
from app.records.attempts.service import Tries
from app.records.people import store as people
from app.records.people.model import Person
from app.steps.presence import Present


class Authenticators:
    """The AUTHENTICATORS page."""

    def __init__(self, *, database: Database, passwords: Passwords, tries: Tries) -> None:
        self._database = database
        self._passwords = passwords
        self._tries = tries

    def overview(self, present: Present) -> Overview:
        """Every authenticator, the password first."""
        with self._database.read() as looking:
            rows = (self._password(looking, present), *self._apps(looking, present), *_contacts(looking, present))
        return Overview(rows, present.session.level)

    def _password(self, transaction: Transaction, present: Present) -> Row:
        record = self._passwords.find(transaction, present.person.id)
        if record is None:
            return Row("password", "none")
        state = "expired" if record.change_owed else self._state(transaction, present, Factor.PASSWORD)
        change = Action("change_password", "/authenticators/password")
        return Row("password", state, bound_at=record.changed_at, actions=(change,))

    def _state(self, transaction: Transaction, present: Present, factor: Factor) -> str:
        standing = self._tries.standing(transaction, present.person.id, factor)
        return "locked" if standing.locked(present.now) else "active"

    def _apps(self, transaction: Transaction, present: Present) -> tuple[Row, ...]:
        person: Person = present.person
        return tuple(
            Row(
                "app",
                app.state.value,
                app.label,
                bound_at=app.bound_at,
                last_used_at=app.last_used_at,
                usable_from=app.usable_from if app.usable_from > present.now else None,
            )
            for app in apps.of_person(transaction, person.id)
        )


def _contacts(transaction: Transaction, present: Present) -> tuple[Row, ...]:
    return tuple(
        Row(
            contact.channel.value,
            "active" if contact.confirmed_at is not None else "pending",
            contact.masked,
            bound_at=contact.confirmed_at,
            usable_from=contact.usable_from if contact.usable_from > present.now else None,
        )
        for contact in people.contacts_of(transaction, present.person.id)
    )
