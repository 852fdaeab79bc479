"""What stands behind the doors, for tests that say what must not have changed there."""

import re
from collections.abc import Mapping
from typing import Any

import redis
from sqlalchemy import select

from app.factors.totp import rules as totp
from app.factors.totp.service import from_base32
from app.foundation.sql import metadata
from app.records.audit.store import events
from app.records.delivery.store import outbox
from app.records.flows.service import _key
from app.records.organizations import store as organizations
from app.records.organizations.model import Role
from app.records.people import store as people
from app.records.people.model import Person
from app.records.sessions import store as sessions_store
from tests.cast import organization as cast_organization
from tests.edges import _PIN
from tests.portal import Browser, Portal

RECOVERY = "keyturn-recovery"
SIGN_IN = "keyturn-sign-in"


_FULL_WIDTH = {ordinal: ordinal + 0xFEE0 for ordinal in range(0x21, 0x7F)}


def full_width(text: str) -> str:
    """The same ASCII characters as they stand in East Asian text; NFKC makes them plain again."""
    return text.translate(_FULL_WIDTH)


def tables(portal: Portal) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with portal.base.database.read() as looking:
        return {
            table.name: sorted((tuple(row) for row in looking.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
        }


def stored(url: str) -> dict[bytes, bytes]:
    """Every plain value of the ephemeral store but the limits' counters, by its key."""
    with redis.Redis.from_url(url) as client:
        keys = [key for key in client.scan_iter() if client.type(key) == b"string"]
        return {key: client.get(key) or b"" for key in keys}


def flow_key(cookie: str | None) -> str:
    """Where the flow of a cookie is kept."""
    assert cookie is not None
    return _key(cookie)


def happened(portal: Portal, person_id: int, event: str) -> int:
    """How often an event was written down for somebody."""
    with portal.base.database.read() as looking:
        found = looking.execute(select(events.c.id).where(events.c.person_id == person_id, events.c.event == event))
        return len(found.all())


def sessions(portal: Portal, person_id: int) -> list[tuple[list[str], int]]:
    """The proofs and the level of each living session of somebody, the one used last first."""
    with portal.base.database.read() as looking:
        person = people.get(looking, person_id)
        assert person is not None
        found = sessions_store.of_person(looking, person_id, person.stamp, portal.base.clock.now())
    return [([proof.factor for proof in session.proofs], session.level) for session in found]


def queued(portal: Portal, template: str = "pin") -> list[Mapping[str, Any]]:
    """The rows of the outbox made from a template, oldest first."""
    with portal.base.database.read() as looking:
        rows = looking.execute(select(outbox).where(outbox.c.template == template).order_by(outbox.c.created_at))
        return [dict(row._mapping) for row in rows]


def pins_by_sms(portal: Portal, number: str) -> list[str]:
    """The PINs that reached a phone, oldest first."""
    return [found["pin"] for text in portal.phone.to(number) if (found := _PIN.search(text.body))]


def pins_by_email(portal: Portal, address: str) -> list[str]:
    """The PINs that reached a mailbox, oldest first."""
    return [found["pin"] for mail in portal.mailbox.to(address) if (found := _PIN.search(mail.text))]


def key_on(page: str) -> bytes:
    """The key of a new app, as its page shows it."""
    found = re.search(r'data-totp-key="([A-Z2-7 ]+)"', page)
    assert found, page
    return from_base32(found[1])


def code_of(portal: Portal, seed: bytes) -> str:
    """What an app with that key shows now."""
    return totp.hotp(seed, totp.step_at(portal.base.clock.now()))


def shown_codes(page: str) -> list[str]:
    """The recovery codes on a page."""
    return re.findall(r'data-recovery-code="([^"]+)"', page)


def signs_in(portal: Portal, user_id: str, password: str, address: str = "198.51.100.77") -> bool:
    """Whether a password is right at sign-in; one try."""
    browser = portal.browser(REMOTE_ADDR=address)
    browser.get("/sign-in")
    assert browser.post("/sign-in", user_id=user_id).status_code == 303
    browser.get("/sign-in/password")
    answer = browser.post("/sign-in/password", password=password)
    assert answer.status_code in {303, 422}, answer.text
    return answer.status_code == 303


def lands_on(browser: Browser, path: str, *, within: int = 4) -> str:
    """Follow redirections from a path to the page that is shown at last."""
    for _ in range(within):
        answer = browser.get(path)
        if answer.status_code != 303:
            assert answer.status_code == 200, answer.text
            return path
        assert answer.location is not None
        path = answer.location
    raise AssertionError(f"redirected {within} times, at last to {path}")


def join(portal: Portal, person: Person, organization: str, proposed_at: int | None = None) -> None:
    """Make somebody a member of another organization, who has accepted that unless it still is proposed."""
    with portal.base.database.begin() as transaction:
        found = cast_organization(transaction, portal.base.chance, organization)
        organizations.join(transaction, person.id, found.id, Role.MEMBER, is_primary=False, proposed_at=proposed_at)


def reasons(portal: Portal, person_id: int, event: str) -> list[str]:
    """Why an event happened to somebody, each time, oldest first."""
    with portal.base.database.read() as looking:
        found = looking.execute(
            select(events.c.reason)
            .where(events.c.person_id == person_id, events.c.event == event)
            .order_by(events.c.id)
        )
        return [str(row.reason) for row in found]
