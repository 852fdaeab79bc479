"""People with more than one app: what shows is the same for everybody, and the chance to guess is not larger."""

from app.factors.totp import rules as totp
from app.factors.totp import store
from app.factors.totp.model import AppState

JANE = {"phone": "+491700000001", "email": "jane@example.org"}


def add_app(portal, person, *, state=AppState.ACTIVE):
    now = portal.base.clock.now()
    seed = portal.base.chance.octets(20)
    with portal.base.database.begin() as transaction:
        app = portal.means.apps.bind(
            transaction, person_id=person.id, seed=seed, label="Other", now=now, usable_from=now
        )
        transaction.execute(store.apps.update().where(store.apps.c.id == app.id).values(state=state.value))
    return seed


def code_of(portal, seed):
    return totp.hotp(seed, totp.step_at(portal.base.clock.now()))


def test_the_code_of_any_of_several_apps_is_right(one_portal):
    jane = one_portal.add("jane", **JANE)
    seed = add_app(one_portal, jane)
    browser = one_portal.browser()
    browser.recover_to_token("jane")
    assert browser.post("/recovery/token", code=code_of(one_portal, seed)).status_code == 303


def test_with_five_apps_the_second_try_of_the_day_is_answered_as_wrong_and_not_judged(one_portal):
    jane = one_portal.add("jane", **JANE)
    for _ in range(4):
        seed = add_app(one_portal, jane)
    browser = one_portal.browser()
    browser.recover_to_token("jane")
    assert browser.post("/recovery/token", code=one_portal.wrong_code("jane")).status_code == 422
    refused = browser.post("/recovery/token", code=code_of(one_portal, seed))
    assert refused.status_code == 422
    assert "/recovery/pin" not in refused.headers.get("Location", "")
    one_portal.base.clock.advance(86_400)
    browser.recover_to_token("jane")
    assert browser.post("/recovery/token", code=code_of(one_portal, seed)).status_code == 303


def test_a_disabled_app_proves_nobody(one_portal):
    jane = one_portal.add("jane", app=False, **JANE)
    seed = add_app(one_portal, jane, state=AppState.DISABLED)
    browser = one_portal.browser()
    browser.recover_to_token("jane")
    assert browser.post("/recovery/token", code=code_of(one_portal, seed)).status_code == 422


def test_an_app_disabled_between_looking_and_accepting_is_not_accepted(one_portal):
    jane = one_portal.add("jane", app=False, **JANE)
    seed = add_app(one_portal, jane)
    now = one_portal.base.clock.now()
    with one_portal.base.database.read() as looking:
        usable = one_portal.means.apps.usable(looking, jane.id, now)
    match = one_portal.means.apps.recognise(usable, code_of(one_portal, seed), now)
    with one_portal.base.database.begin() as transaction:
        transaction.execute(store.apps.update().values(state=AppState.DISABLED.value))
        assert one_portal.means.apps.settle(transaction, match, now).finding == "used"


def test_a_seed_whose_key_left_the_ring_is_like_an_app_whose_codes_are_wrong(one_portal):
    jane = one_portal.add("jane", **JANE)
    with one_portal.base.database.begin() as transaction:
        transaction.execute(store.apps.update().values(seed="1.lost.AAAA"))
    browser = one_portal.browser()
    browser.recover_to_token("jane")
    assert browser.post("/recovery/token", code=one_portal.code("jane")).status_code == 422
    assert jane.id
