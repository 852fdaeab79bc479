"""The administrator's plots: what they count, of whom, and that counting once by the hour comes to the same."""

import re
import threading
from html import unescape

import pytest
from sqlalchemy import delete, func, select

from app.journeys.dashboard.service import Counting
from app.records.audit import store as audit
from app.records.audit.model import Event, Record
from app.records.delivery.store import outbox
from app.records.figures.store import figures
from app.records.organizations.model import Role
from tests.journeys import behind
from tests.portal import NEW_PASSWORD

PAGE = "/admin/dashboard"
HOUR, DAY = 3_600, 86_400


@pytest.fixture
def ada(portal):
    portal.add("ada", email="ada@example.org", role=Role.ADMINISTRATOR)


@pytest.fixture
def one_ada(one_portal):
    one_portal.add("ada", email="ada@example.org", role=Role.ADMINISTRATOR)


def signed_in(portal, user_id="ada"):
    portal.base.clock.advance(30)  # a code of one's own for each time
    browser = portal.browser(REMOTE_ADDR="203.0.113.80")
    browser.sign_in(portal, user_id)
    return browser


def totals(portal, browser, span=""):
    """What the page says of each thing that is counted: section and name, and how often."""
    answer = browser.get(PAGE + span)
    assert answer.status_code == 200, answer.text
    found = {}
    for section, body in re.findall(
        r'<section class="plotted stack" aria-labelledby="(\w+)">(.*?)</section>', answer.text, re.DOTALL
    ):
        for name, total in re.findall(r'<span class="name">(.*?)</span> <strong class="figure">(.*?)</strong>', body):
            found[section, unescape(name).partition(",")[0]] = unescape(total)
    return {key: total for key, total in found.items() if total not in {"0", "0.00"}}


def counting(portal):
    return Counting(portal.base.database, portal.base.clock)


def live_a_little(portal):
    """A recovery that is finished, one that is not, wrong proofs, messages."""
    portal.add("jane", phone="+491700000001", email="jane@example.org")
    portal.add("paul", email="paul@example.org")
    browser = portal.browser()
    browser.recover_to_token("jane")
    browser.post("/recovery/token", code=portal.wrong_code("jane"))
    browser.recover_to_password(portal, "jane", "+491700000001")
    done = browser.post("/recovery/password", new_password=NEW_PASSWORD, confirm_password=NEW_PASSWORD)
    assert done.status_code == 303
    unfinished = portal.browser()
    unfinished.recover_to_pin(portal, "paul")
    unfinished.post("/recovery/pin", pin="00000000")
    unfinished.post("/recovery/pin", pin="00000001")
    behind.signs_in(portal, "paul", "a wrong one altogether")
    portal.deliver()


LIVED = {
    ("recoveries", "Begun"): "2",
    ("recoveries", "Finished"): "1",
    ("causes", "Wrong password at sign-in"): "1",
    ("causes", "Wrong app code"): "1",
    ("causes", "Wrong PIN"): "2",
    ("sms", "Accepted"): "2",  # "Accepted, not confirmed"
    ("email", "Accepted by the mail server"): "2",
    ("spend", "PINs sent"): "1",
    ("spend", "PINs that were typed"): "1",
    ("spend", "Notices"): "1",
    ("spend", "Cost"): "0.16",
}


def test_the_page_counts_what_happened_today(portal, ada):
    live_a_little(portal)
    browser = signed_in(portal)
    assert totals(portal, browser) == LIVED
    assert totals(portal, browser, "?span=hours") == LIVED
    assert totals(portal, browser, "?span=nonsense") == LIVED


def test_hours_that_the_worker_has_counted_come_to_the_same(portal, ada):
    live_a_little(portal)
    at_once = totals(portal, signed_in(portal))
    assert counting(portal).count() > 28 * 24
    assert at_once == totals(portal, signed_in(portal)) == LIVED
    portal.base.clock.advance(4 * DAY + HOUR)
    counting(portal).count()
    with portal.base.database.begin() as transaction:  # now the page knows it from the hours alone
        transaction.execute(delete(audit.events))
        transaction.execute(delete(outbox))
    browser = signed_in(portal)
    assert totals(portal, browser) == LIVED
    assert totals(portal, browser, "?span=hours") == {}
    portal.base.clock.advance(26 * DAY)
    counting(portal).count()
    assert totals(portal, signed_in(portal)) == {}


def test_an_hour_is_counted_once_whoever_counts(portal, ada):
    live_a_little(portal)
    portal.base.clock.advance(4 * DAY)
    ready = threading.Barrier(4)

    def count() -> None:
        ready.wait()
        counting(portal).count()

    counters = [threading.Thread(target=count) for _ in range(4)]
    for one in counters:
        one.start()
    for one in counters:
        one.join()
    counting(portal).count()
    assert counting(portal).count() == 0
    with portal.base.database.read() as looking:
        assert looking.execute(select(func.count()).select_from(figures)).scalar_one() > 0
    assert totals(portal, signed_in(portal)) == LIVED


def test_an_hour_is_counted_only_when_late_events_have_come(one_portal, one_ada):
    jane = one_portal.add("jane", phone="+491700000001")
    clock = one_portal.base.clock
    clock.advance(HOUR - clock.now() % HOUR)  # on the hour
    before = clock.now() - 1
    counting(one_portal).count()
    with one_portal.base.database.begin() as transaction:
        audit.add(transaction, Record(Event.SIGN_IN_FAIL, before, jane.id, "self", "failure", "wrong_password"))
    clock.advance(300)
    counting(one_portal).count()
    assert totals(one_portal, signed_in(one_portal)) == {("causes", "Wrong password at sign-in"): "1"}


def test_administrators_see_their_own_organization_only(one_portal, one_ada):
    one_portal.add("eve", email="eve@example.org", role=Role.ADMINISTRATOR, home="elsewhere")
    live_a_little(one_portal)
    assert totals(one_portal, signed_in(one_portal, "eve")) == {}
    counting(one_portal).count()
    one_portal.base.clock.advance(4 * DAY)
    counting(one_portal).count()
    browser = signed_in(one_portal, "eve")
    assert totals(one_portal, browser) == {}
    assert "elsewhere" in browser.get(PAGE).text
    assert "default" not in browser.get(PAGE).text


@pytest.mark.parametrize("role", [Role.MEMBER, Role.SUPPORT])
def test_nobody_but_an_administrator_sees_it(one_portal, role):
    one_portal.add("sam", email="sam@example.org", role=role)
    assert signed_in(one_portal, "sam").get(PAGE).status_code == 403


def test_looking_writes_nothing(one_portal, one_ada):
    live_a_little(one_portal)
    browser = signed_in(one_portal)
    browser.get(PAGE)
    before = behind.tables(one_portal)
    browser.get(PAGE)
    browser.get(f"{PAGE}?span=hours")
    assert behind.tables(one_portal) == before


def test_every_plot_stands_as_a_table_too(one_portal, one_ada):
    live_a_little(one_portal)
    page = signed_in(one_portal).get(PAGE).text
    assert page.count('role="img" aria-label=') == 25
    tables = re.findall(r"<table>.*?</table>", page, re.DOTALL)
    assert len(tables) == 5
    for table in tables:
        assert "<caption>" in table
        assert table.count('<th scope="row">') == 31
        assert 'scope="col"' in table
    assert "2026-09-21" in tables[0]


def test_an_empty_installation_says_so_and_draws_nothing(one_portal, one_ada):
    with one_portal.base.database.begin() as transaction:
        transaction.execute(audit.events.delete())
    page = signed_in(one_portal).get(PAGE).text
    assert "Nobody has recovered a password in this time." in page
    assert "<table>" not in page
    assert 'class="bars"' not in page
