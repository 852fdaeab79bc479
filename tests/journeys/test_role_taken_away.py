"""Staff who lose what lets them in after a request was admitted, and before it writes, write nothing any more.

Every door at which staff post is tried. Each is tried untouched as well, or a refusal would prove nothing.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from sqlalchemy import update
from werkzeug.test import TestResponse

from app.factors.totp import store as apps
from app.foundation.visit import Visit
from app.records.cases import store as cases
from app.records.clients.store import api_clients
from app.records.organizations import store as organizations
from app.records.organizations.model import STANDARD, Role, Version
from app.records.people import store as people
from app.records.people.model import Person
from app.records.sessions import store as sessions
from app.records.sessions.model import APP, PASSWORD, SessionProof
from app.steps import freezing
from app.steps.presence import Presence
from app.wiring import build_steps
from tests.cast import organization
from tests.doors import OWN, Guard, standing
from tests.journeys import behind
from tests.meanwhile import before_writing
from tests.portal import Browser, Portal

STAFF = {Guard.SUPPORT: Role.SUPPORT, Guard.ADMINISTRATOR: Role.ADMINISTRATOR}
BELOW = {Role.SUPPORT: Role.MEMBER, Role.ADMINISTRATOR: Role.SUPPORT}
REASON = "Jane lost her phone on the train"
DAY = 86_400
IMPORT = "/admin/people/import"


@dataclass
class House:
    """An organization with Sam, who asks, and staff and people of their own for each test."""

    portal: Portal
    presence: Presence
    sam: Browser
    home: str
    count: int = 0

    def add(self, role: Role = Role.MEMBER, **given: Any) -> Person:
        """Somebody with a phone and a mailbox that nobody else has."""
        self.count += 1
        name = f"{role.value[:5]}-{self.count:03}"
        contacts = {"phone": f"+4917000{self.count:05}", "email": f"{name}@example.org"}
        return self.portal.add(name, role=role, **{**contacts, **given})

    def guest(self) -> Person:
        """Somebody who was invited."""
        self.count += 1
        name = f"guest-{self.count:03}"
        return self.portal.invite(name, phone=f"+4917000{self.count:05}", email=f"{name}@example.org").person

    def staff(self, role: Role) -> "Actor":
        """Somebody signed in with a fresh proof, who opened a page."""
        person, browser, base = self.add(role, app=False, password=""), self.portal.browser(), self.portal.base
        with base.database.begin() as transaction:
            proofs = (SessionProof(PASSWORD, base.clock.now()), SessionProof(APP, base.clock.now()))
            cookie = self.presence.enter(transaction, Visit("192.0.2.10", "en", "sign-in"), person, proofs).cookie
        browser.client.set_cookie("keyturn-session", cookie)
        browser.get("/profile")
        return Actor(person, browser, role)

    def contacts(self, person: Person) -> dict[str, str]:
        """The ids of somebody's contacts by their channel."""
        with self.portal.base.database.read() as looking:
            return {one.channel.value: one.id for one in people.contacts_of(looking, person.id)}

    def asked(self, person: Person, action: str, state: str) -> str:
        """A request of Sam's that has come so far. Its id."""
        answer = self.sam.post(f"/support/people/{person.user_id}/{action}", **fields_of(self, person, action))
        assert answer.status_code == 303, answer.text
        table, now = cases.requests, self.portal.base.clock.now()
        with self.portal.base.database.begin() as transaction:
            own = update(table).where(table.c.person_id == person.id)
            transaction.execute(own.values(state=state, ready_at=now, approved_at=now, expires_at=now + DAY))
            return str(transaction.execute(table.select().where(table.c.person_id == person.id)).one().id)


@dataclass(frozen=True)
class Actor:
    """Somebody who works at a door."""

    person: Person
    browser: Browser
    role: Role


@pytest.fixture(scope="module")
def house(sqlite_template, valkey_server, tmp_path_factory):
    with standing(sqlite_template, tmp_path_factory.mktemp("house"), valkey_server.url) as portal:
        portal.add("sam", phone="+491710000001", role=Role.SUPPORT)
        with portal.base.database.begin() as transaction:
            home = organization(transaction, portal.base.chance).id
        sam = portal.browser()
        sam.sign_in(portal, "sam")
        sam.get("/profile")
        yield House(portal, build_steps(portal.base, portal.means).presence, sam, home)


# ---- every door at which staff write, and what is sent there


def fields_of(house: House, person: Person, action: str) -> dict[str, Any]:
    """What is asked for with one action on somebody."""
    fields: dict[str, Any] = {"do": "ask", "reason": REASON}
    if action == "unlock":
        house.portal.lock(person)
    if action == "remove-app":
        with house.portal.base.database.read() as looking:
            fields["app"] = apps.of_person(looking, person.id)[0].id
    if action == "contact":
        house.count += 1
        fields["address"] = f"+4917000{house.count:05}"
    if action not in {"freeze", "resend-activation"}:
        fields["contact"] = house.contacts(person)["email"]
    return fields


Sent = tuple[str, dict[str, Any]]


def ask(action: str) -> Callable[[House, Actor], Sent]:
    def prepare(house: House, _actor: Actor) -> Sent:
        person = house.guest() if action == "resend-activation" else house.add()
        return f"/support/people/{person.user_id}/{action}", fields_of(house, person, action)

    return prepare


def go_on(action: str, do: str) -> Callable[[House, Actor], Sent]:
    def prepare(house: House, _actor: Actor) -> Sent:
        person = house.guest() if action == "resend-activation" else house.add()
        request = house.asked(person, action, "granted")
        return f"/support/people/{person.user_id}/{action}", {"do": do, "request": request}

    return prepare


def review(decision: str) -> Callable[[House, Actor], Sent]:
    def prepare(house: House, _actor: Actor) -> Sent:
        return f"/support/approvals/{house.asked(house.add(), 'remove-app', 'second')}", {"decision": decision}

    return prepare


def act(name: str, whom: Callable[[House], Person], **fields: str) -> Callable[[House, Actor], Sent]:
    def prepare(house: House, _actor: Actor) -> Sent:
        person = whom(house)
        return f"/admin/people/{person.user_id}/{name}", {"organization": house.home, **fields}

    return prepare


def shut_out(house: House) -> Person:
    person = house.add()
    with house.portal.base.database.begin() as transaction:
        assert people.deactivate(transaction, person.id, house.portal.base.chance.name())
    return person


def from_elsewhere(house: House) -> Person:
    person = house.add(home="other")
    with house.portal.base.database.begin() as transaction:
        organizations.join(transaction, person.id, house.home, Role.MEMBER, is_primary=False)
    return person


def create(house: House, _actor: Actor) -> Sent:
    house.count += 1
    name = f"new-{house.count:03}"
    return "/admin/people/new", {"user_id": name, "email": f"{name}@example.org", "organization": house.home}


def propose(house: House, _actor: Actor) -> Sent:
    return "/admin/people/propose", {"user_id": house.add(home="other").user_id, "organization": house.home}


def import_rows(house: House, actor: Actor) -> Sent:
    house.count += 1
    upload(actor, f"user_id,email\nrow-{house.count:03},row-{house.count:03}@example.org\n")
    return f"{IMPORT}/review", {}


def upload(actor: Actor, text: str) -> TestResponse:
    """By hand, because the test client would leave a temporary file open."""
    file = 'Content-Disposition: form-data; name="file"; filename="people.csv"\r\nContent-Type: text/csv'
    token = f'Content-Disposition: form-data; name="csrf_token"\r\n\r\n{actor.browser.token()}'
    answer = actor.browser.client.post(
        IMPORT,
        data=f"--x\r\n{token}\r\n--x\r\n{file}\r\n\r\n{text}\r\n--x--\r\n".encode(),
        content_type="multipart/form-data; boundary=x",
        environ_overrides=actor.browser.environ,
    )
    assert answer.status_code == 303, answer.text
    return answer


def new_client(house: House, _actor: Actor) -> Sent:
    return "/admin/api-clients", {"name": "Billing", "organization": house.home}


def client(name: str) -> Callable[[House, Actor], Sent]:
    def prepare(house: House, actor: Actor) -> Sent:
        path, fields = new_client(house, actor)
        assert actor.browser.post(path, **fields).status_code == 303
        with house.portal.base.database.read() as looking:
            made = looking.execute(api_clients.select().where(api_clients.c.created_by == actor.person.user_id)).one()
        return f"{path}/{made.id}/{name}", {}

    return prepare


def test_message(house: House, actor: Actor) -> Sent:
    return "/admin/delivery", {"contact": house.contacts(actor.person)["sms"]}


test_message.__test__ = False  # type: ignore[attr-defined]


def newest(house: House) -> int:
    with house.portal.base.database.read() as looking:
        return len(organizations.versions(looking, house.home))


def new_policy(path: str) -> Callable[[House, Actor], Sent]:
    def prepare(house: House, _actor: Actor) -> Sent:
        number = newest(house)
        fields = {"password_min_length": str(13 + number % 7), "based_on": str(number), "organization": house.home}
        return path, fields

    return prepare


def withdraw_policy(house: House, _actor: Actor) -> Sent:
    now, number = house.portal.base.clock.now(), newest(house) + 1
    policy = replace(STANDARD, password=replace(STANDARD.password, min_length=20))
    with house.portal.base.database.begin() as transaction:
        assert organizations.add_version(transaction, Version(house.home, number, policy, now, "test", now + 30 * DAY))
    return "/admin/policy/withdraw", {"based_on": str(number), "organization": house.home}


def save(path: str, **fields: str) -> Callable[[House, Actor], Sent]:
    return lambda house, _actor: (path, {"organization": house.home, **fields})


_PERSON = "/support/people/<user_id>"
ROWS: dict[str, tuple[str, Callable[[House, Actor], Sent]]] = {
    **{
        f"ask for {action}": (f"{_PERSON}/{action}", ask(action))
        for action in ("unlock", "resend-activation", "access-code", "remove-app", "contact", "freeze")
    },
    "carry out": (f"{_PERSON}/access-code", go_on("access-code", "carry-out")),
    "withdraw": (f"{_PERSON}/contact", go_on("contact", "withdraw")),
    "confirm": ("/support/approvals/<request_id>", review("confirm")),
    "refuse": ("/support/approvals/<request_id>", review("refuse")),
    "invite": ("/admin/people/<user_id>/invite", act("invite", House.guest)),
    "file contacts": (
        "/admin/people/<user_id>/contacts",
        act("contacts", House.guest, email="filed.anew@example.org"),
    ),
    "deactivate": ("/admin/people/<user_id>/deactivate", act("deactivate", House.add)),
    "reactivate": ("/admin/people/<user_id>/reactivate", act("reactivate", shut_out)),
    "set a role": ("/admin/people/<user_id>/role", act("role", House.add, role="support")),
    "remove": ("/admin/people/<user_id>/remove", act("remove", from_elsewhere)),
    "create": ("/admin/people/new", create),
    "propose": ("/admin/people/propose", propose),
    "import": (f"{IMPORT}/review", import_rows),
    "save the people": ("/admin/people/export", save("/admin/people/export", list="everybody")),
    "save the log": ("/admin/audit/export", save("/admin/audit/export", format="csv")),
    "save the stranded": ("/admin/policy/stranded", new_policy("/admin/policy/stranded")),
    "decide a policy": ("/admin/policy", new_policy("/admin/policy")),
    "withdraw a policy": ("/admin/policy/withdraw", withdraw_policy),
    "make a client": ("/admin/api-clients", new_client),
    "rotate a client": ("/admin/api-clients/<client_id>/rotate", client("rotate")),
    "revoke a client": ("/admin/api-clients/<client_id>/revoke", client("revoke")),
    "test the delivery": ("/admin/delivery", test_message),
}
WRITE_NO_ROW = {
    IMPORT: "keeps the file for this sign-in alone; the rows are written by the review, which asks again",
    "/admin/api-clients/hide": "drops the copy of a secret that was shown to this sign-in",
    "/admin/policy/preview": "shows what would follow",
}
POSTED = {door.rule: STAFF[door.guard] for door in OWN if door.guard in STAFF and "POST" in door.methods}


def test_every_door_at_which_staff_post_is_here():
    assert {rule for rule, _ in ROWS.values()} | set(WRITE_NO_ROW) == set(POSTED)


# ---- how somebody loses what let them in


def lose_the_role(portal: Portal, actor: Actor) -> None:
    with portal.base.database.begin() as transaction:
        home = actor.person.home_organization
        assert organizations.set_role(transaction, actor.person.id, home, actor.role, BELOW[actor.role])


def lose_the_session(portal: Portal, actor: Actor) -> None:
    with portal.base.database.begin() as transaction:
        assert sessions.end_all(transaction, actor.person.id) == 1


def be_deactivated(portal: Portal, actor: Actor) -> None:
    base = portal.base
    with base.database.begin() as transaction:
        assert freezing.deactivate(transaction, actor.person.id, base.chance.name(), base.clock.now()) == 1


LOSSES = {lose_the_role: 403, lose_the_session: 409, be_deactivated: 409}


def keys(portal: Portal) -> set[bytes]:
    """What the ephemeral store keeps."""
    return set(portal.base.ephemeral._ask("KEYS", "*"))


def said(answer: TestResponse) -> tuple[int, str]:
    """Status and page, but for what is drawn for each page."""
    text = re.sub(r'name="csrf_token" value="[^"]*"', "", answer.text)
    return answer.status_code, re.sub(r"[0-9a-f]{32}", "", text)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__.replace("_", " "))
@pytest.mark.parametrize("row", ROWS)
def test_whoever_loses_it_before_the_write_writes_nothing_and_is_refused_as_if_it_was_lost_before(house, row, loss):
    portal, (rule, prepare) = house.portal, ROWS[row]
    actor = house.staff(POSTED[rule])
    path, fields = prepare(house, actor)
    kept: list[Any] = []

    def lose() -> None:
        loss(portal, actor)
        kept.append((behind.tables(portal), keys(portal)))

    with before_writing(portal.base.database, lose):
        answer = actor.browser.post(path, **fields)
    assert answer.status_code == LOSSES[loss], answer.text
    assert (behind.tables(portal), keys(portal)) == kept[0]
    assert said(answer) == said(actor.browser.post(path, **fields))
    answer.close()


@pytest.mark.parametrize("row", ROWS)
def test_untouched_it_is_done(house, row):
    rule, prepare = ROWS[row]
    actor = house.staff(POSTED[rule])
    path, fields = prepare(house, actor)
    before = behind.tables(house.portal)
    answer = actor.browser.post(path, **fields)
    assert answer.status_code in {200, 303}, answer.text
    assert behind.tables(house.portal) != before
    answer.close()


def test_what_writes_no_row_writes_none(house):
    actor = house.staff(Role.ADMINISTRATOR)
    before = behind.tables(house.portal)
    upload(actor, "user_id,email\nnobody,nobody@example.org\n")
    assert actor.browser.post("/admin/api-clients/hide").status_code == 303
    path, fields = new_policy("/admin/policy/preview")(house, actor)
    assert actor.browser.post(path, **fields).status_code == 200
    assert behind.tables(house.portal) == before


@pytest.mark.parametrize("row", ["ask for freeze", "deactivate", "save the log"])
def test_of_two_organizations_the_one_that_is_left_stands_in_for_neither(house, row):
    rule, prepare = ROWS[row]
    portal, actor = house.portal, house.staff(POSTED[rule])
    with portal.base.database.begin() as transaction:
        other = organization(transaction, portal.base.chance, "other")
        organizations.join(transaction, actor.person.id, other.id, actor.role, is_primary=False)
    path, fields = prepare(house, actor)
    kept: list[Any] = []

    def lose() -> None:
        lose_the_role(portal, actor)
        kept.append(behind.tables(portal))

    with before_writing(portal.base.database, lose):
        assert actor.browser.post(path, **fields).status_code == 403
    assert behind.tables(portal) == kept[0]
