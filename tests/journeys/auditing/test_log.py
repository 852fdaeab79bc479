"""/admin/audit: administrators see what happened in their own organization, narrowed down, and take it along."""

import csv
import html
import json
import re
from datetime import UTC, datetime
from io import StringIO

import pytest
from sqlalchemy import delete, update

from app.journeys.auditing.service import ON_A_PAGE, Auditing
from app.records.audit import store
from app.records.audit.model import Event, Record
from app.records.organizations import store as organizations
from app.records.organizations.model import Role
from app.records.people import store as people
from tests.cast import organization
from tests.doors import EMAIL, PHONE
from tests.journeys.behind import tables

PAGE = "/admin/audit"
EXPORT = "/admin/audit/export"
SECRET = "203.0.113.77"  # of the other organization's events


@pytest.fixture
def house(one_portal):
    """Ada administers one organization, eve another; each has people."""
    one_portal.add("ada", phone=PHONE, role=Role.ADMINISTRATOR)
    one_portal.add("sam", phone=PHONE, role=Role.SUPPORT)
    one_portal.add("eve", phone=PHONE, role=Role.ADMINISTRATOR, home="other")
    one_portal.add("jane", phone=PHONE)
    one_portal.add("far", phone=PHONE, home="other")
    return one_portal


@pytest.fixture
def ada(house):
    """Ada's browser."""
    browser = house.browser()
    browser.sign_in(house, "ada")
    return browser


def person_of(portal, user_id):
    with portal.base.database.read() as looking:
        return people.find(looking, user_id)


def happen(portal, user_id, event=Event.APP_FAIL, count=1, **changes):
    """Something happens to somebody, a second apart."""
    person = person_of(portal, user_id)
    values = {"actor": "self", "outcome": "failure", "reason": "wrong", "address": "192.0.2.44", "details": {}}
    now = portal.base.clock.now()
    records = [Record(event, now - at, person.id, **{**values, **changes}) for at in range(count)]
    with portal.base.database.begin() as transaction:
        store.add_many(transaction, records)


def save(browser, **fields):
    """An export, read to its end."""
    response = browser.post(EXPORT, **fields)
    assert response.status_code == 200, response.text
    assert response.data is not None
    response.close()
    return response


def shown(response):
    """The events of a page: name and number."""
    found = re.findall(r'data-event="([^"]+)" data-outcome="[^"]+" data-number="([0-9]+)"', response.text)
    return [(name, int(number)) for name, number in found]


def names(response):
    return [name for name, _ in shown(response)]


def test_a_page_says_what_happened_to_whom_from_where_and_when_exactly(house, ada):
    happen(house, "jane", reason="clock_off", details={"journey": "sign_in", "half_minutes": 3})
    page = ada.get(PAGE).text
    assert "App code refused: it was of another time" in page
    assert 'href="/admin/audit?person=jane"' in page
    assert "from 192.0.2.44" in page
    assert f"{datetime.fromtimestamp(house.base.clock.now(), UTC):%Y-%m-%d %H:%M:%S}" in page
    assert "<dt>half_minutes</dt><dd>3</dd>" in page
    assert "<dt>Event</dt><dd>authn_token_fail</dd>" in page


def test_what_was_written_of_an_event_is_shown_as_text_whatever_it_is(house, ada):
    happen(house, "jane", details={"<b>": "<script>alert(1)</script>", "list": ["<i>"]}, address="<u>")
    page = ada.get(PAGE).text
    assert "<script>alert" not in page
    assert "<i>" not in page
    assert "<u>" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_who_did_it_is_named_where_it_was_somebody_else(house, ada):
    happen(house, "jane", Event.UNLOCKED, actor="operator", reason="operator", outcome="success")
    happen(house, "jane", Event.UNLOCKED, actor="sam", reason="operator", outcome="success")
    page = ada.get(PAGE).text
    assert "by the operator of this site" in page
    assert "by staff: sam" in page
    assert "The account was unlocked by support" in page
    assert names(ada.get(PAGE, query_string={"actor": "SAM"})) == ["authn_login_unlock"]


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"person": "far"},
        {"person": "f"},
        {"event": "authn_token_fail"},
        {"outcome": "failure"},
        {"actor": "self"},
        {"actor": "eve"},
        {"from": "2020-01-01"},
        {"to": "2030-01-01"},
        {"before": "99999999999.999999999999999999"},
        {"before": "99999999999.999999999999999999", "person": "far"},
        {"organization": "other", "organization_id": "other"},
    ],
)
def test_no_filter_shows_an_administrator_anything_of_another_organization(house, ada, query):
    happen(house, "far", address=SECRET, details={"journey": SECRET})
    happen(house, "far", Event.UNLOCKED, actor="eve", address=SECRET, outcome="success")
    happen(house, "jane")
    page = ada.get(PAGE, query_string=query)
    assert page.status_code == 200
    assert SECRET not in page.text
    assert not re.search(r"<a [^>]*>(far|eve)</a>", page.text)
    for form in ("csv", "jsonl"):
        saved = save(ada, format=form, **query)
        assert SECRET not in saved.text


def test_an_administrator_of_both_sees_both_and_which_is_which(house, ada):
    with house.base.database.begin() as transaction:
        other = organization(transaction, house.base.chance, "other")
        organizations.join(transaction, person_of(house, "ada").id, other.id, Role.ADMINISTRATOR, is_primary=False)
    happen(house, "far", address=SECRET)
    happen(house, "jane")
    page = ada.get(PAGE, query_string={"event": "authn_token_fail"})
    assert len(shown(page)) == 2
    assert SECRET in page.text
    assert f"{SECRET} · other" in page.text


def test_a_role_of_support_or_one_that_waits_shows_nothing(house, ada):
    with house.base.database.begin() as transaction:
        other = organization(transaction, house.base.chance, "other")
        organizations.join(
            transaction, person_of(house, "ada").id, other.id, Role.ADMINISTRATOR, is_primary=False, proposed_at=1
        )
    happen(house, "far", address=SECRET)
    assert SECRET not in ada.get(PAGE).text
    for user_id in ("sam", "jane"):
        browser = house.browser()
        browser.sign_in(house, user_id)
        assert browser.get(PAGE).status_code == 403
        assert browser.post(EXPORT, format="csv").status_code == 403


def test_a_session_of_one_mailed_pin_is_asked_for_more(house):
    house.add("amy", email=EMAIL, role=Role.ADMINISTRATOR)
    browser = house.browser()
    browser.sign_in_by_pin(house, "amy", EMAIL)
    assert browser.get(PAGE).location == "/step-up"
    assert browser.post(EXPORT, format="csv").status_code == 409


# ---- narrowing down


def test_each_filter_narrows_down(house, ada):
    happen(house, "jane")
    happen(house, "jane", Event.UNLOCKED, actor="operator", outcome="success")
    happen(house, "sam", Event.APP_REUSE)

    def found(**query):
        return names(ada.get(PAGE, query_string=query))

    assert found(person="JA") == ["authn_login_unlock", "authn_token_fail"]
    assert found(event="authn_token_reuse") == ["authn_token_reuse"]
    assert found(outcome="failure", person="s") == ["authn_token_reuse"]
    assert found(actor="operator") == ["authn_login_unlock"]
    today = f"{datetime.fromtimestamp(house.base.clock.now(), UTC):%Y-%m-%d}"
    assert len(found(**{"from": today, "to": today})) > 3
    assert found(to="2020-01-01") == []
    assert found(**{"from": "2999-01-01"}) == []


@pytest.mark.parametrize(
    ("field", "typed", "says"),
    [
        ("from", "yesterday", "This is no day"),
        ("from", "2026-02-30", "This is no day"),
        ("to", "0000-01-01", "This is no day"),
        ("to", "9999-12-31", "This is no day"),
        ("to", "\uff12\uff10\uff12\uff16-01-01", "This is no day"),
        ("event", "nothing", "Choose from the list"),
        ("outcome", "perhaps", "Choose from the list"),
        ("person", "x" * 256, "longer than it can be"),
        ("person", "a\x00b", "cannot be used here"),
        ("actor", "a\u202eb", "cannot be used here"),
    ],
)
def test_a_filter_that_cannot_be_meant_is_told_at_its_field_and_nothing_typed_is_lost(house, ada, field, typed, says):
    others = {"person": "jane", "outcome": "failure", "actor": "operator"}
    page = ada.get(PAGE, query_string={**others, field: typed})
    assert page.status_code == 422
    error = re.search(rf'id="{field}-error"[^>]*>.*?<b>(.*?)</b>', page.text, re.DOTALL)
    assert error
    assert says in html.unescape(error[1])
    assert f'id="{field}"' in page.text
    for name, value in {**others, field: typed}.items():
        escaped = html.escape(value)
        assert f'value="{escaped}"' in page.text or f"<option selected>{escaped}" in page.text or name == "outcome"
    assert ada.post(EXPORT, format="csv", **{**others, field: typed}).status_code == 422


def test_all_that_is_wrong_is_told_at_once(house, ada):
    page = ada.get(PAGE, query_string={"from": "x", "to": "y", "event": "z"})
    assert page.status_code == 422
    assert [name for name in ("from", "to", "event", "person") if f'id="{name}-error"' in page.text] == [
        "from",
        "to",
        "event",
    ]
    crossed = ada.get(PAGE, query_string={"from": "2026-02-02", "to": "2026-02-01"})
    assert (crossed.status_code, "last day is before" in crossed.text) == (422, True)


# ---- pages


def test_the_pages_have_every_event_once_in_its_order_whatever_happens_meanwhile(house, ada):
    happen(house, "jane", Event.APP_REUSE, count=ON_A_PAGE + 7)
    happen(house, "jane", Event.APP_REUSE, count=ON_A_PAGE + 7)  # two at each moment
    path, found = f"{PAGE}?event=authn_token_reuse", []
    while path:
        page = ada.get(path)
        found += [number for _, number in shown(page)]
        assert len(shown(page)) <= ON_A_PAGE
        happen(house, "jane", Event.APP_REUSE)
        older = re.search(r'rel="next" href="([^"]+)"', page.text)
        path = html.unescape(older[1]) if older else ""
    assert len(found) == len(set(found)) == 2 * (ON_A_PAGE + 7)
    assert 'href="/admin/audit?event=authn_token_reuse">Newest' in page.text


@pytest.mark.parametrize("before", ["x", "1", "1.", "-1.5", "1.2.3", "9" * 40 + ".1", "1." + "9" * 40])
def test_a_place_that_no_page_names_is_the_newest(house, ada, before):
    happen(house, "jane")
    assert names(ada.get(PAGE, query_string={"before": before, "person": "jane"})) == ["authn_token_fail"]


# ---- looking writes nothing, taking along is an event


def test_looking_writes_nothing(house, ada):
    before = tables(house)
    ada.get(PAGE)
    ada.get(PAGE, query_string={"person": "jane"})
    ada.get(PAGE, query_string={"from": "x"})
    assert tables(house) == before


def test_an_export_has_all_that_fits_and_is_an_event_itself(house, ada):
    happen(house, "jane", count=ON_A_PAGE + 5)
    happen(house, "sam", Event.APP_REUSE)
    saved = save(ada, format="jsonl", person="ja", event="authn_token_fail")
    lines = [json.loads(line) for line in saved.text.splitlines()]
    assert len(lines) == ON_A_PAGE + 5
    assert {(line["user_id"], line["event"]) for line in lines} == {("jane", "authn_token_fail")}
    assert lines[0]["id"] > lines[-1]["id"] or lines[0]["time"] > lines[-1]["time"]
    assert saved.headers["Content-Disposition"] == 'attachment; filename="audit-log.jsonl"'
    assert int(saved.headers["Content-Length"]) == len(saved.data)
    (event, *_) = names(ada.get(PAGE))
    assert event == "audit_log_exported"
    page = html.unescape(ada.get(PAGE).text)
    assert '{"event": "authn_token_fail", "person": "ja"}' in page
    assert "The audit log was saved to a file" in ada.get("/activity").text


def test_an_export_as_csv_holds_no_formula(house, ada):
    happen(house, "jane", actor="=HYPERLINK(1)", reason="+1", details={"a": "=1"})
    saved = save(ada, format="csv", person="jane")
    assert saved.mimetype == "text/csv"
    (row,) = csv.DictReader(StringIO(saved.text))
    assert (row["user_id"], row["actor"], row["reason"]) == ("jane", "'=HYPERLINK(1)", "'+1")


def test_an_export_needs_the_token_and_a_form_that_there_is(house, ada):
    before = tables(house)
    assert ada.post(EXPORT, token=False, format="csv").status_code == 400
    assert ada.post(EXPORT, format="xlsx").status_code == 422
    assert ada.post(EXPORT).status_code == 422
    assert ada.get(EXPORT).status_code == 405
    assert tables(house) == before


def test_an_export_after_the_role_was_taken_away_is_refused(house, ada):
    ada.get(PAGE)
    memberships = organizations.memberships
    with house.base.database.begin() as transaction:
        transaction.execute(
            update(memberships)
            .where(memberships.c.person_id == person_of(house, "ada").id)
            .values(role=Role.SUPPORT.value)
        )
    assert ada.post(EXPORT, format="csv").status_code == 403


# ---- whether the log is whole


@pytest.fixture
def auditing(house):
    return Auditing(house.base.database, house.base.keyring, house.base.clock, keep_days=400, seals_to=None)


def test_the_page_says_when_the_log_was_sealed_and_found_whole(house, ada, auditing):
    page = ada.get(PAGE).text
    assert "was not checked yet" in page
    assert "was not sealed yet" in page
    auditing.seal()
    auditing.verify()
    page = ada.get(PAGE).text
    assert "data-checked" in page
    assert "The log was whole when it was checked" in page
    assert "It was last sealed at" in page


def test_the_page_says_what_was_found_to_be_touched(house, ada, auditing):
    happen(house, "jane")
    auditing.seal()
    with house.base.database.begin() as transaction:
        transaction.execute(update(store.events).where(store.events.c.id == 1).values(actor="nobody"))
    auditing.verify()
    page = ada.get(PAGE).text
    assert "Event 1 was edited in the database." in page
    assert "data-checked" not in page


def test_a_cut_that_only_a_seal_from_outside_shows_is_not_taken_back_without_one(house, ada, auditing, tmp_path):
    auditing.seal()
    happen(house, "jane")
    newest = auditing.seal()
    kept = tmp_path / "seals"
    kept.write_text(f"2026-01-01T00:00:00Z {newest.number} {newest.chain}\n")
    with house.base.database.begin() as transaction:
        transaction.execute(delete(store.events).where(store.events.c.id >= newest.first_id))
        transaction.execute(delete(store.seals).where(store.seals.c.number == newest.number))
    auditing.verify(kept)
    said = "which was kept outside, is not in the log"
    assert said in ada.get(PAGE).text
    auditing.verify()
    assert said in ada.get(PAGE).text
    kept.write_text("2026-01-01T00:00:00Z 1 " + auditing.verify().head.chain + "\n")
    auditing.verify(kept)
    assert said not in ada.get(PAGE).text


def test_the_worker_checks_once_a_day(house, auditing):
    assert auditing.check() is not None
    house.base.clock.advance(86_399)
    assert auditing.check() is None
    house.base.clock.advance(1)
    assert auditing.check() is not None
