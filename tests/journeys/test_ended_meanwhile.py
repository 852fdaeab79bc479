"""A session that ends after a change asked who is there, and before it writes, changes nothing any more.

So somebody who froze the account, or ended the thief's session, has the last word, however slow the change was.
"""

import pytest

from app.foundation.chance import SystemChance
from app.records.audit.model import Event
from app.records.people import store as people
from app.records.people.model import Channel, Contact, Status
from app.records.sessions import store as sessions
from tests.journeys import behind
from tests.meanwhile import before_writing
from tests.portal import Portal

PHONE, EMAIL, OTHER = "+491700000001", "jane@example.org", "+447700900123"
HOME = "/authenticators"
SPENT = {"sessions", "attempts"}  # the end of the session itself, and tries that were counted before


@pytest.fixture
def jane(one_portal):
    return one_portal.add("jane", phone=PHONE, email=EMAIL)


def second_phone(portal: Portal, person) -> str:
    name = SystemChance().name()
    with portal.base.database.begin() as transaction:
        people.add_contact(transaction, Contact(name, person.id, Channel.SMS, OTHER, 1, 1, 1, None), 1)
    return name


def changes(portal, jane):
    """The path of every change and what is typed there."""
    with portal.base.database.read() as looking:
        (app,) = portal.means.apps.usable(looking, jane.id, portal.base.clock.now())
    other = second_phone(portal, jane)
    return {
        "rename": (f"{HOME}/app/{app.id}/rename", {"label": "Mine"}),
        "disable": (f"{HOME}/app/{app.id}/disable", {}),
        "remove": (f"{HOME}/app/{app.id}/remove", {}),
        "synchronize": (
            f"{HOME}/app/{app.id}/synchronize",
            {"code_1": portal.code("jane", 1), "code_2": portal.code("jane", 2)},
        ),
        "codes": (f"{HOME}/recovery-codes", {}),
        "add an address": (f"{HOME}/email/new", {"email": "other@example.org"}),
        "remove a phone": (f"{HOME}/phone/{other}/remove", {}),
        "default": (f"{HOME}/phone/{other}/default", {}),
    }


@pytest.mark.parametrize(
    "change",
    ["rename", "disable", "remove", "synchronize", "codes", "add an address", "remove a phone", "default"],
)
@pytest.mark.parametrize("by", ["end", "freeze"])
def test_a_session_that_ends_before_the_write_writes_nothing(one_portal, jane, change, by):
    path, fields = changes(one_portal, jane)[change]
    database = one_portal.base.database
    browser = one_portal.browser()
    browser.sign_in(one_portal, "jane")
    assert browser.get(path).status_code == 200
    told = []

    def end():
        with database.begin() as transaction:
            if by == "end":
                sessions.end_all(transaction, jane.id)
            else:
                assert people.freeze(transaction, jane.id, "a new stamp")
        told.append({name: rows for name, rows in behind.tables(one_portal).items() if name not in SPENT})

    with before_writing(database, end):
        answer = browser.post(path, **fields)
    assert answer.status_code == 409
    after = {name: rows for name, rows in behind.tables(one_portal).items() if name not in SPENT}
    assert [after] == told


@pytest.mark.parametrize(
    ("done", "page", "number"),
    [(2, "/activate/app", 1), (3, "/activate/codes", 2)],  # codes are counted, drawn, and then bound
)
def test_an_activation_of_somebody_put_out_of_use_meanwhile_binds_nothing(one_portal, done, page, number):
    guest = one_portal.invite("nina", phone=PHONE, email=EMAIL)
    browser = one_portal.browser()
    browser.activate_to(one_portal, guest, done, PHONE)
    shown = browser.get(page).text
    fields = {"label": "Phone", "code": behind.code_of(one_portal, behind.key_on(shown))} if done == 2 else {}
    untouched = []

    def put_out_of_use():
        with one_portal.base.database.begin() as transaction:
            people.set_status(transaction, guest.person.id, Status.INACTIVE)
        untouched.append(behind.tables(one_portal))

    with before_writing(one_portal.base.database, put_out_of_use, number):
        assert browser.post(page, **fields).status_code == 409
    assert untouched == [behind.tables(one_portal)]


def test_a_sign_in_whose_flow_went_on_elsewhere_meanwhile_leaves_no_session(one_portal, jane):
    browser = one_portal.browser()
    browser.sign_in_to_verify("jane")
    flow = behind.flow_key(browser.cookie(behind.SIGN_IN))
    with before_writing(one_portal.base.database, lambda: one_portal.base.ephemeral.drop(flow), 2):
        assert browser.post("/sign-in/verify", code=one_portal.code("jane")).status_code == 409
    assert behind.happened(one_portal, jane.id, "authn_login_success") == 1
    assert behind.sessions(one_portal, jane.id) == []


def test_a_proof_does_not_raise_a_session_that_ended_meanwhile(one_portal, jane):
    browser = one_portal.browser()
    browser.sign_in(one_portal, "jane")
    one_portal.base.clock.advance(30)
    browser.get("/step-up")

    def end():
        with one_portal.base.database.begin() as transaction:
            sessions.end_all(transaction, jane.id)

    with before_writing(one_portal.base.database, end, 2):
        assert browser.post("/step-up", code=one_portal.code("jane")).status_code == 409
    assert behind.happened(one_portal, jane.id, Event.STEPPED_UP.value) == 0
    assert behind.sessions(one_portal, jane.id) == []
