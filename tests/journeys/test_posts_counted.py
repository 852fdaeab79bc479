"""Every posted proof, choice and change counts against the address that it comes from (AddressLimits.attempt)."""

from contextlib import suppress
from typing import Any

import pytest

from app.foundation.refusals import Throttled
from app.foundation.visit import Visit
from tests.doors import POSTED, Door, Guard, stand_at, standing

# a form that is filled in well, so that the count is all that can refuse it
FILLED = {
    "code": "123456",
    "pin": "123456",
    "channel": "sms",
    "password": "a password of somebody",
    "current_password": "a password of somebody",
    "new_password": "a fine new passphrase",
    "confirm_password": "a fine new passphrase",
    "decision": "keep",
    "label": "Phone",
    "question": "first_film",
    "answer": "Casablanca",
    "phone": "+447700900123",
    "email": "other@example.org",
}
TRIES = 30  # of one address in ten minutes
SAVED = {"/sign-in/code", "/step-up/code", "/recovery/code", "/undo/code", "/activate/code"}
# what is limited otherwise: a start, sending by its destination; and what only ends or hides something of one's own
OTHERWISE = {
    "/sessions",
    "/sessions/extend",
    "/rehearsal",
    "/authenticators/recovery-codes/saved",
}
# the doors of one app or contact, new or not, need one; what is posted there is in the tests of their rooms
COUNTED = tuple(
    door
    for door in POSTED
    if door.guard in {Guard.STEP, Guard.SESSION}
    and "<" not in door.rule
    and "confirm" not in door.rule
    and door.rule not in OTHERWISE
)


@pytest.fixture(scope="module")
def house(sqlite_template, tmp_path_factory, valkey_server):
    valkey_server.flush()  # other tests of this process live in later days, and have counted there
    with standing(
        sqlite_template, tmp_path_factory.mktemp("counted"), valkey_server.url, limit_tries_per_address=TRIES
    ) as portal:
        yield portal


@pytest.mark.parametrize("door", COUNTED, ids=lambda door: door.rule)
def test_a_post_from_an_address_that_has_none_left_is_refused(house, door: Door):
    house.base.clock.sleep(86_400)
    user_id = f"jane-{house.base.chance.name()[:8]}"
    phone = f"+49170{int(house.base.chance.name()[:6], 16):08d}"
    house.add(user_id, phone=phone, email=f"{user_id}@example.org", must_change=door.stand == "sign-in/new")
    browser = stand_at(house, door.stand or "session/home", user_id, phone=phone)

    here = Visit(browser.environ["REMOTE_ADDR"], "en", "")
    with suppress(Throttled):
        for _ in range(TRIES):
            house.means.limits.attempt(here)
    fields: dict[str, Any] = {name: FILLED[name] for name in door.fields if name in FILLED}
    if door.rule in SAVED:
        fields["code"] = "0000-0000-0000-0000"
    assert browser.post(door.path, **fields).status_code == 429
