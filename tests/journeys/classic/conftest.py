"""A portal whose organization is classic, and the way of a forgotten password step by step."""

import re

import pytest

from app.records.organizations.model import PRESETS, Profile

PHONE, EMAIL = "+491700000001", "jane@example.org"
FORGOT = "/forgot"
CLASSIC = PRESETS[Profile.CLASSIC]
DAY = 86_400
QUESTION, OAK = "Where did we two meet?", "Under the old oak"


def ask(portal, user_id="jane", **environ):
    browser = portal.browser(**environ)
    assert browser.get(FORGOT).status_code == 200
    return browser.post(FORGOT, user_id=user_id)


def letters(portal, address=EMAIL):
    """What was mailed because somebody asked."""
    portal.deliver()
    return [mail.text for mail in portal.mailbox.to(address) if "asked for a link to reset" in mail.text]


def links(portal, address=EMAIL):
    """The paths of the links that reached a mailbox, oldest first."""
    texts = letters(portal, address)
    return [found[0] for text in texts if (found := re.search(r"/forgot/[A-Za-z0-9_-]{43}", text))]


def link(portal, user_id="jane", address=EMAIL):
    assert ask(portal, user_id).location == f"{FORGOT}?news=asked"
    return links(portal, address)[-1]


def make(portal, path, browser=None):
    """Press the link's button, and read the temporary password off the page."""
    browser = browser or portal.browser()
    browser.get(path)
    answer = browser.post(path)
    assert answer.status_code == 303, answer.text
    return on_page(browser.get(answer.location).text)


def on_page(page):
    found = re.search(r'data-temporary-password="([^"]+)"', page)
    return found[1] if found else None


def reset(portal, user_id="jane", address=EMAIL):
    """Somebody's temporary password."""
    return make(portal, link(portal, user_id, address))


def answer(portal, person=None):
    """Give somebody a security answer, so that none is owed after a sign-in."""
    person = person or portal.jane
    now, answers = portal.base.clock.now(), portal.means.answers
    new = answers.prepare(person_id=person.id, user_id="", question=QUESTION, asked="", answer=OAK)
    with portal.base.database.begin() as transaction:
        assert answers.set_first(transaction, person.id, new, now)


@pytest.fixture
def classic(portal):
    """On each kind of database and store: jane, who has a phone and a mailbox and no app."""
    portal.decide(CLASSIC)
    portal.jane = portal.add("jane", phone=PHONE, email=EMAIL, app=False)
    return portal


@pytest.fixture
def one_classic(one_portal):
    """The same on SQLite and Valkey."""
    one_portal.decide(CLASSIC)
    one_portal.jane = one_portal.add("jane", phone=PHONE, email=EMAIL, app=False)
    return one_portal
