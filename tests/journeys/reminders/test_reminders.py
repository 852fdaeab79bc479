"""People are told by e-mail, once each, that their password expires."""

import threading
from dataclasses import replace

import pytest
from sqlalchemy import event

from app.journeys.reminders.rules import DAY
from app.journeys.reminders.service import Reminders, RemindersMeans
from app.records.organizations.model import PRESETS, Profile
from app.records.people.model import Status
from app.wiring import build_reminders
from tests.journeys import behind
from tests.meanwhile import before_writing
from tests.portal import NEW_PASSWORD, opened

EMAIL = "jane@example.org"
STANDARD = PRESETS[Profile.STANDARD]
EXPIRING = replace(STANDARD, password=replace(STANDARD.password, max_age_days=90))


def reminders(portal, at_once=50):
    base, means = portal.base, portal.means
    return Reminders(
        RemindersMeans(
            database=base.database, passwords=means.passwords, outbox=means.outbox, clock=base.clock, language="en"
        ),
        at_once=at_once,
    )


def told(portal):
    return len(behind.queued(portal, "notice_password_expires"))


def walk(portal, days):
    """Look once a day, as a worker does at least; returns after how many days somebody was told."""
    found, worker = [], build_reminders(portal.base, portal.means)
    for day in range(1, days + 1):
        portal.base.clock.advance(DAY)
        if worker.remind():
            found.append(day)
        assert worker.remind() == 0
    return found


def test_a_password_that_expires_after_90_days_is_told_of_14_7_and_1_days_before(one_portal):
    one_portal.decide(EXPIRING)
    one_portal.add("jane", email=EMAIL, phone="+491700000001", language="de")
    assert walk(one_portal, 100) == [76, 83, 89]
    assert {row["channel"] for row in behind.queued(one_portal, "notice_password_expires")} == {"email"}


def test_the_letter_goes_out_with_the_day_in_it(one_portal):
    one_portal.decide(EXPIRING)
    one_portal.add("jane", email=EMAIL)
    one_portal.base.clock.advance(83 * DAY)
    assert build_reminders(one_portal.base, one_portal.means).remind() == 1
    one_portal.deliver()
    letter = one_portal.mailbox.to(EMAIL)[-1]
    assert "expires in 7 days" in letter.subject
    assert "http://localhost/authenticators/password" in letter.text


def test_a_worker_that_was_away_tells_of_the_day_that_is_left_and_not_of_those_before(one_portal):
    one_portal.decide(EXPIRING)
    one_portal.add("jane", email=EMAIL)
    one_portal.base.clock.advance(85 * DAY)
    worker = build_reminders(one_portal.base, one_portal.means)
    assert (worker.remind(), worker.remind(), told(one_portal)) == (1, 0, 1)
    one_portal.base.clock.advance(4 * DAY)
    assert (worker.remind(), told(one_portal)) == (1, 2)


def test_a_change_of_the_password_ends_them_and_begins_anew(one_portal):
    one_portal.decide(EXPIRING)
    one_portal.add("jane", email=EMAIL)
    one_portal.base.clock.advance(76 * DAY)
    worker = build_reminders(one_portal.base, one_portal.means)
    assert worker.remind() == 1
    change(one_portal)
    assert walk(one_portal, 90) == [76, 83, 89]


def change(portal):
    browser = portal.browser()
    browser.sign_in(portal, "jane")
    browser.get("/authenticators/password")
    answer = browser.post(
        "/authenticators/password",
        current_password="correct horse battery staple",
        new_password=NEW_PASSWORD,
        confirm_password=NEW_PASSWORD,
    )
    assert answer.status_code == 303


def test_a_change_between_the_look_and_the_letter_ends_it(one_portal):
    one_portal.decide(EXPIRING)
    one_portal.add("jane", email=EMAIL)
    one_portal.base.clock.advance(76 * DAY)
    with before_writing(one_portal.base.database, lambda: change(one_portal)):
        assert build_reminders(one_portal.base, one_portal.means).remind() == 0
    assert told(one_portal) == 0


def test_the_strictest_of_several_policies_counts(one_portal):
    one_portal.decide(EXPIRING)
    one_portal.decide(replace(STANDARD, password=replace(STANDARD.password, max_age_days=60)), "Strict")
    jane = one_portal.add("jane", email=EMAIL)
    behind.join(one_portal, jane, "Strict")
    one_portal.add("sam", email="sam@example.org", home="Strict")
    one_portal.add("ann", email="ann@example.org")
    behind.join(one_portal, one_portal.add("pat", email="pat@example.org"), "Strict", proposed_at=1)
    one_portal.base.clock.advance(46 * DAY)
    worker = build_reminders(one_portal.base, one_portal.means)
    assert worker.remind() == 2
    one_portal.base.clock.advance(30 * DAY)
    assert worker.remind() == 2  # of jane it is over; of ann and pat the 90 days are near


def test_nobody_is_told_whose_password_has_to_be_changed_anyway_or_who_is_not_active(one_portal):
    one_portal.decide(EXPIRING)
    one_portal.add("jane", email=EMAIL, must_change=True)
    one_portal.add("kim", email="kim@example.org", status=Status.INACTIVE)
    one_portal.add("lou", phone="+491700000001")
    assert walk(one_portal, 92) == []
    assert told(one_portal) == 0


def test_where_no_organization_lets_passwords_expire_nothing_but_the_policies_is_looked_at(one_portal):
    one_portal.decide(STANDARD)
    one_portal.add("jane", email=EMAIL)
    one_portal.base.clock.advance(200 * DAY)
    said = []

    def says(_connection, _cursor, sql, *_):
        said.append(sql)

    worker = build_reminders(one_portal.base, one_portal.means)
    engine = one_portal.base.database._reader
    event.listen(engine, "before_cursor_execute", says)
    try:
        assert worker.remind() == 0
    finally:
        event.remove(engine, "before_cursor_execute", says)
    assert len([sql for sql in said if sql.startswith("SELECT")]) == 1


@pytest.mark.parametrize("at_once", [1, 3, 50])
def test_two_workers_tell_everybody_once(portal, at_once):
    portal.decide(EXPIRING)
    for number in range(7):
        portal.add(f"jane{number}", email=f"jane{number}@example.org")
    portal.base.clock.advance(76 * DAY)
    start, counts = threading.Barrier(2), []

    def work():
        worker = reminders(portal, at_once)
        start.wait()
        counts.append(worker.remind())

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 7
    assert told(portal) == 7
    assert reminders(portal).remind() == 0


def test_a_worker_that_is_overtaken_between_look_and_write_tells_nobody_twice(one_portal):
    one_portal.decide(EXPIRING)
    one_portal.add("jane", email=EMAIL)
    one_portal.base.clock.advance(76 * DAY)
    with before_writing(one_portal.base.database, lambda: reminders(one_portal).remind()):
        assert reminders(one_portal).remind() == 0
    assert told(one_portal) == 1


def test_letters_to_many_at_once_do_not_use_up_the_hour_of_pins_and_links(sqlite_database, valkey_url, clock, keyring):
    with opened(sqlite_database, valkey_url, clock, keyring, limit_messages_per_hour=4) as portal:
        portal.decide(EXPIRING)
        portal.add("jane", email=EMAIL, phone="+491700000001")
        for number in range(5):
            portal.add(f"pat{number}", email=f"pat{number}@example.org")
        clock.advance(76 * DAY)
        assert reminders(portal).remind() == 6
        browser = portal.browser()
        browser.get("/recovery/link")
        assert browser.post("/recovery/link", user_id="jane").status_code == 303
        assert len(behind.queued(portal, "lane_link")) == 1
        assert portal.browser().sign_in_by_pin(portal, "jane", "+491700000001").location == "/authenticators"
