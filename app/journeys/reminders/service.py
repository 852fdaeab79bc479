"""People are told by e-mail, some days before, that their password expires (requirement C-02)."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.factors.password.service import Passwords
from app.foundation.clock import Clock
from app.foundation.sql import Database, Transaction
from app.journeys.reminders import queries, rules
from app.records.delivery.outbox import Outbox
from app.records.organizations import store as organizations
from app.records.people import store as people
from app.records.people.model import Status

_AT_ONCE = 50  # people who are told in one transaction
_NOTICE = "notice_password_expires"


@dataclass(frozen=True, slots=True)
class RemindersMeans:
    """What the duty stands on. ``language`` is for those who chose none."""

    database: Database
    passwords: Passwords
    outbox: Outbox
    clock: Clock
    language: str


class Reminders:
    """The worker's duty."""

    def __init__(self, means: RemindersMeans, *, at_once: int = _AT_ONCE) -> None:
        self._means = means
        self._at_once = at_once

    def remind(self) -> int:
        """Queue what is due, some people at a time. Returns how many were told now.

        Costs one look at the policies where no organization lets passwords expire.
        """
        now = self._means.clock.now()
        with self._means.database.read() as looking:
            in_force = organizations.policies_in_force(looking, now)
        ages: dict[int, list[str]] = {}
        for organization, policy in in_force.items():
            if policy.password.max_age_days:
                ages.setdefault(policy.password.max_age_days, []).append(organization)
        return sum(self._of_age(ages, age, now) for age in sorted(ages))

    def _of_age(self, ages: Mapping[int, list[str]], age: int, now: int) -> int:
        told = 0
        for days, after, until in rules.windows(age, now):
            behind = (after, 0)
            while True:
                with self._means.database.read() as looking:
                    found = queries.unreminded(looking, ages[age], days, after, until, behind, self._at_once)
                if not found:
                    break
                behind = found[-1]
                with self._means.database.begin() as transaction:
                    told += sum(self._remind(transaction, person_id, now) for _, person_id in found)
        return told

    def _remind(self, transaction: Transaction, person_id: int, now: int) -> bool:
        """Tell one person, if it is due by the strictest of their policies and nobody was faster."""
        means = self._means
        record, person = means.passwords.find(transaction, person_id), people.get(transaction, person_id)
        policy = organizations.policy_of_person(transaction, person_id, now).password
        expires_at = record.expires_at(policy) if record else None
        if record is None or person is None or expires_at is None:
            return False
        if person.status is not Status.ACTIVE or record.change_owed:
            return False
        days = rules.due(policy.max_age_days, expires_at, now)
        if days is None or not means.passwords.reminded(transaction, person_id, record.changed_at, days):
            return False
        if days == rules.OVER:
            return False
        told = means.outbox.notify(
            transaction,
            contacts=people.usable_mailboxes(transaction, person_id, now),
            template=_NOTICE,
            variables={"expires_at": expires_at, "days": -(-(expires_at - now) // rules.DAY)},
            language=person.language or means.language,
            now=now,
        )
        return bool(told)
