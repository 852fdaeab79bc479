"""An owner with an old app and two contacts, and what a thief does to them behind the doors."""

import re

import pytest

from app.factors.totp import rules as totp
from app.factors.totp import store as totp_store
from app.factors.totp.model import App, AppState
from app.foundation.visit import Visit
from app.journeys.administration.service import Administration
from app.records.audit.model import Event
from app.records.organizations.model import PasswordPolicy
from app.records.people import store as people
from app.records.people.model import Channel, Contact
from app.steps.change import Changes
from app.wiring import build_steps

PHONE = "+491700000001"
EMAIL = "jane@example.org"
THIEFS_PHONE = "+491709999999"
THIEFS_EMAIL = "thief@example.org"
THIEFS_PASSWORD = "the thief has chosen this"
_LINK = re.compile(r"http://localhost(/undo/\S+)")


class Case:
    """Jane's account, with hands for whoever holds it. Every change is told as the journeys tell it."""

    def __init__(self, portal) -> None:
        self.portal = portal
        self.jane = portal.add("jane", phone=PHONE, email=EMAIL)
        self.changes = Changes(outbox=portal.means.outbox, undo=portal.means.undo)
        portal.base.clock.advance(3_600)

    @property
    def now(self) -> int:
        return int(self.portal.base.clock.now())

    @property
    def person(self):
        with self.portal.base.database.read() as looking:
            return people.get(looking, self.jane.id)

    def later(self, seconds: int = 60) -> None:
        self.portal.base.clock.advance(seconds)

    # ---- changes

    def change_password(self, password: str = THIEFS_PASSWORD) -> None:
        means, person = self.portal.means, self.person
        with self.portal.base.database.read() as looking:
            record = means.passwords.find(looking, person.id)
            history = means.passwords.history(looking, person.id)
        prepared = means.passwords.prepare(
            PasswordPolicy(), person, candidate=password, confirm=password, words=[], record=record, history=history
        )
        with self.portal.base.database.begin() as transaction:
            means.passwords.set_new(
                transaction,
                person=person,
                prepared=prepared,
                actor="self",
                address="203.0.113.66",
                language="en",
                reason="changed",
                now=self.now,
            )

    def announce(self, transaction, template: str = "notice_password_changed", before=()) -> None:
        self.changes.announce(
            transaction,
            visit=Visit("203.0.113.66", "en", ""),
            person=self.person,
            event=Event.USER_UPDATED,
            template=template,
            variables={},
            now=self.now,
            before=before,
        )

    def bind_app(self, *, usable_from: int | None = None) -> bytes:
        seed: bytes = self.portal.base.chance.octets(20)
        with self.portal.base.database.begin() as transaction:
            self.portal.means.apps.bind(
                transaction,
                person_id=self.jane.id,
                seed=seed,
                label="New",
                now=self.now,
                usable_from=self.now if usable_from is None else usable_from,
            )
            self.announce(transaction)
        return seed

    def drop_app(self, label: str = "Phone", to: AppState = AppState.REMOVED) -> None:
        removed_at = self.now if to is AppState.REMOVED else None
        with self.portal.base.database.begin() as transaction:
            table = totp_store.apps
            own = (table.c.person_id == self.jane.id, table.c.label == label)
            off = table.update().where(*own).values(state=to.value, removed_at=removed_at, off_at=self.now)
            transaction.execute(off)
            self.announce(transaction)

    def make_codes(self) -> tuple[str, ...]:
        """A set of saved codes that may serve at once; nobody is told."""
        drawn = self.portal.means.codes.draw()
        with self.portal.base.database.begin() as transaction:
            self.portal.means.codes.bind(
                transaction, person_id=self.jane.id, new=drawn, now=self.now, usable_from=self.now
            )
        return tuple(drawn.codes)

    def add_contact(self, channel: Channel, address: str, *, waits: int = 0) -> None:
        with self.portal.base.database.begin() as transaction:
            before = people.contacts_of(transaction, self.jane.id)
            name = self.portal.base.chance.name()
            new = Contact(name, self.jane.id, channel, address, 1, self.now, self.now + waits, None)
            people.add_contact(transaction, new, self.now)
            self.announce(transaction, before=before)

    def remove_contact(self, address: str) -> None:
        with self.portal.base.database.begin() as transaction:
            before = people.contacts_of(transaction, self.jane.id)
            table = people.contacts
            transaction.execute(table.update().where(table.c.address == address).values(removed_at=self.now))
            self.announce(transaction, before=before)

    # ---- what is seen

    def contacts(self) -> set[str]:
        with self.portal.base.database.read() as looking:
            return {contact.address for contact in people.contacts_of(looking, self.jane.id)}

    def all_apps(self) -> tuple[App, ...]:
        with self.portal.base.database.read() as looking:
            return totp_store.of_person(looking, self.jane.id)

    def apps(self) -> dict[str, str]:
        with self.portal.base.database.read() as looking:
            rows = looking.execute(totp_store.apps.select().where(totp_store.apps.c.person_id == self.jane.id))
            return {row.label: row.state for row in rows}

    def links(self, to: str) -> list[str]:
        """The links that reached a number or an address, oldest first."""
        self.portal.deliver()
        if to.startswith("+"):
            texts = [message.body for message in self.portal.phone.to(to)]
        else:
            texts = [message.text for message in self.portal.mailbox.to(to)]
        return [found[1] for text in texts if (found := _LINK.search(text))]

    # ---- what is pressed

    def press(self, link: str, **environ: str):
        """Open a link and press its button; the browser, at the page after it."""
        browser = self.portal.browser(**environ)
        assert browser.get(link).status_code == 200
        answer = browser.post(link)
        assert answer.location == "/undo/choose", answer.text
        assert browser.get("/undo/choose").status_code == 200
        return browser

    def prove(self, browser, code: str = ""):
        return browser.post("/undo/choose", code=code or self.portal.code("jane"))

    def undo(self, link: str, decision: str):
        """The whole journey by the old app."""
        browser = self.press(link)
        assert self.prove(browser).location == "/undo/decide"
        assert browser.get("/undo/decide").status_code == 200
        answer = browser.post("/undo/decide", decision=decision)
        assert answer.location == "/undo/done", answer.text
        assert browser.get("/undo/done").status_code == 200
        return browser

    # ---- who helps

    def operator(self) -> Administration:
        base, means = self.portal.base, self.portal.means
        return Administration(
            database=base.database,
            passwords=means.passwords,
            apps=means.apps,
            tries=means.tries,
            outbox=means.outbox,
            undo=means.undo,
            clock=base.clock,
            chance=base.chance,
            issuer="Keyturn",
            language="en",
            invitations=build_steps(base, means).invitations,
            hands=1,
        )

    def code_of(self, seed: bytes) -> str:
        return totp.hotp(seed, totp.step_at(self.now))


@pytest.fixture
def case(one_portal) -> Case:
    return Case(one_portal)


@pytest.fixture
def both_case(portal) -> Case:
    return Case(portal)
