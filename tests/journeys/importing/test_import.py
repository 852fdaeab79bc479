"""An import by an administrator: a dry run that changes nothing, then batches that survive whatever ends them."""

import ast
import csv
import gettext
import io
import json
import threading
from pathlib import Path
from typing import Any

import jinja2
import pytest
import redis
from sqlalchemy import func, select

from app.journeys.importing.model import MOST_BYTES, MOST_ROWS
from app.records.audit import store as audit
from app.records.audit.model import Event
from app.records.organizations import store as organizations
from app.records.organizations.model import Role
from app.records.people import store as people
from tests.cast import organization
from tests.doors import PHONE
from tests.meanwhile import before_saying, dying_before

ROOT = Path(__file__).resolve().parents[3]
IMPORT = "/admin/people/import"
REVIEW = f"{IMPORT}/review"
MAIL = "ada@example.org"


def administrator(portal, user_id="ada", home="default"):
    portal.add(user_id, phone=PHONE, email=MAIL, role=Role.ADMINISTRATOR, home=home)
    return signed_in(portal, user_id)


def signed_in(portal, user_id="ada"):
    browser = portal.browser()
    browser.sign_in(portal, user_id)
    browser.get("/profile")
    return browser


def upload(browser, text, name="people.csv", **fields):
    browser.get(IMPORT)
    data = text if isinstance(text, bytes) else text.encode()
    fields["csrf_token"] = browser.token()
    parts = [f'--x\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{fields[key]}\r\n' for key in fields]
    file = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: text/csv\r\n\r\n'
    # by hand, because the test client would leave a temporary file open
    body = "".join((*parts, file)).encode() + data + b"\r\n--x--\r\n"
    answer = browser.client.post(
        IMPORT, data=body, content_type="multipart/form-data; boundary=x", environ_overrides=browser.environ
    )
    browser.page = answer if answer.status_code == 422 else browser.page
    return answer


def many(number, start=0):
    return "user_id,email\n" + "".join(f"p{n:05},p{n:05}@example.org\n" for n in range(start, start + number))


def count(portal):
    with portal.base.database.read() as looking:
        return int(looking.execute(select(func.count()).select_from(people.people)).scalar_one())


def everything(portal):
    tables = (people.people, people.contacts, organizations.memberships, audit.events)
    with portal.base.database.read() as looking:
        return [[tuple(row) for row in looking.execute(select(table))] for table in tables]


def figures(page):
    found = {}
    for name in ("created", "existing", "refused"):
        _, _, rest = page.partition(f'data-{name}="')
        found[name] = int(rest.partition('"')[0])
    return found


def press(browser):
    browser.get(REVIEW)
    return browser.post(REVIEW)


def reasons(browser):
    answer = browser.get(f"{IMPORT}/report")
    text = answer.text
    answer.close()
    return [(int(row["line"]), row["field"], row["reason"]) for row in csv.DictReader(io.StringIO(text))]


def test_a_dry_run_says_what_would_happen_and_changes_nothing(portal):
    browser = administrator(portal)
    portal.add("jane")
    portal.add("far", home="other")
    before = everything(portal)
    answer = upload(browser, "user_id,email\nnina,nina@example.org\nJANE,x@example.org\nfar,\nbad,none\n,\nnina,\n")
    assert (answer.status_code, answer.location) == (303, REVIEW)
    page = browser.get(REVIEW).text
    assert figures(page) == {"created": 1, "existing": 2, "refused": 3}
    assert everything(portal) == before
    assert 'data-line="5"' in page
    assert reasons(browser) == [
        (3, "user_id", "is taken; nobody was altered"),
        (4, "user_id", "is taken; nobody was altered"),
        (5, "email", "is not an e-mail address"),
        (6, "user_id", "is missing"),
        (7, "user_id", "stands in line 2 already"),
    ]
    assert everything(portal) == before


def test_the_rows_become_people_of_the_organization_and_a_second_run_changes_nothing(portal):
    browser = administrator(portal)
    header = "user_id,first_name,last_name,email,phone,role,organization"
    text = f"{header}\nNina,Nina,Doe,n@example.org,+447700900123,member,\n"
    upload(browser, text)
    assert press(browser).location == REVIEW
    assert figures(browser.get(REVIEW).text) == {"created": 1, "existing": 0, "refused": 0}
    with portal.base.database.read() as looking:
        nina = people.find(looking, "nina")
        assert nina is not None
        (held,) = organizations.memberships_of(looking, nina.id)
        filed = people.contacts_of(looking, nina.id)
        (made,) = audit.of_person(looking, nina.id, only=[Event.USER_CREATED])
    assert (held.organization.name, held.role, held.is_primary) == ("default", Role.MEMBER, True)
    assert [(one.address, one.confirmed_at) for one in filed] == [("+447700900123", None), ("n@example.org", None)]
    assert (made.actor, made.reason, made.address) == ("ada", "import", "192.0.2.10")
    before = everything(portal)
    upload(browser, text)
    assert figures(browser.get(REVIEW).text) == {"created": 0, "existing": 1, "refused": 0}
    press(browser)
    assert everything(portal) == before
    portal.deliver()
    assert not portal.mailbox.to("n@example.org")


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("password", "a fine old passphrase", "cannot be set by an administrator; people choose it themselves"),
        ("password_hash", "$argon2id$v=19$m=1,t=1,p=1$YQ$YQ", "can be imported by the operator's command alone"),
        ("totp_secret", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", "can be imported by the operator's command alone"),
        ("contacts_verified", True, "can be imported by the operator's command alone"),
        ("contacts_verified", False, "can be imported by the operator's command alone"),
        ("contacts_verified", "true", "can be imported by the operator's command alone"),
        ("role", "administrator", "can only be member here; make staff on the page of the person"),
        ("role", "support", "can only be member here; make staff on the page of the person"),
        ("role", ["member"], "can only be member here; make staff on the page of the person"),
        ("organization", "other", "is not the one that you chose"),
        ("organization", "Default", "is not the one that you chose"),
    ],
)
def test_proofs_roles_and_other_organizations_are_refused_and_the_row_says_why(one_portal, field, value, reason):
    """Security rule 12."""
    browser = administrator(one_portal)
    one_portal.add("far", home="other")
    upload(browser, json.dumps({"user_id": "nina", field: value}), "people.jsonl")
    assert reasons(browser) == [(1, field, reason)]
    assert press(browser).status_code == 409
    assert count(one_portal) == 2


def test_another_organizations_id_is_not_taken(one_portal):
    browser = administrator(one_portal)
    with one_portal.base.database.begin() as transaction:
        other = organization(transaction, one_portal.base.chance, "other")
    answer = upload(browser, many(1), organization=other.id)
    assert answer.status_code == 422
    assert browser.get(REVIEW).location == IMPORT


def test_nobody_sees_or_goes_on_with_what_another_session_uploaded(one_portal):
    portal = one_portal
    browser = administrator(portal)
    upload(browser, many(3))
    for other in (administrator(portal, "bob"), administrator(portal, "eve", home="other")):
        for path in (REVIEW, f"{IMPORT}/status", f"{IMPORT}/report"):
            assert other.get(path).location == IMPORT
        other.get(IMPORT)
        assert other.post(REVIEW).status_code == 409
    portal.base.clock.advance(60)
    again = signed_in(portal)
    assert again.get(REVIEW).location == IMPORT
    assert count(portal) == 3


def test_what_is_kept_is_sealed(one_portal):
    browser = administrator(one_portal)
    upload(browser, "user_id,email\nnina,nina@example.org\n")
    keys = list(one_portal.base.ephemeral._ask("KEYS", "import*"))
    kept = [one_portal.base.ephemeral.get(key.decode()) for key in keys]
    assert len(kept) == 1
    assert b"nina" not in (kept[0] or b"")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"", "x.csv"),
        (b"name\nx\n", "x.csv"),
        (b"[]", "x.json"),
        ("user_id\nx".encode("utf-16"), "x.csv"),
        (b"user_id\n", "x.csv"),
    ],
)
def test_what_is_no_import_is_refused_at_its_field(one_portal, data, name):
    answer = upload(administrator(one_portal), data, name)
    assert (answer.status_code, 'id="file-error"' in answer.text) == (422, True)


def test_no_file_at_all_is_refused_at_its_field(one_portal):
    browser = administrator(one_portal)
    browser.get(IMPORT)
    answer = browser.post(IMPORT)
    assert (answer.status_code, 'id="file-error"' in answer.text) == (422, True)


def test_too_many_rows_and_too_large_a_file_are_refused(one_portal):
    browser = administrator(one_portal)
    assert upload(browser, "user_id\n" + "x\n" * (MOST_ROWS + 1)).status_code == 422
    assert upload(browser, b"user_id\n" + b"#" * MOST_BYTES).status_code == 422
    assert upload(browser, b"user_id\n" + b"#" * (MOST_BYTES + 20_000)).status_code == 413
    assert upload(browser, many(MOST_ROWS)).status_code == 303


def test_a_file_goes_nowhere_else_and_strangers_send_no_large_one_here(one_portal):
    browser = administrator(one_portal)
    browser.get(IMPORT)
    token = browser.token()
    assert browser.post("/admin/people/new", file=(io.BytesIO(b"x"), "x.csv")).status_code == 400
    assert browser.post(IMPORT, file=(io.BytesIO(b"x"), "x.csv"), other=(io.BytesIO(b"x"), "y.csv")).status_code == 400
    stranger = one_portal.browser()
    stranger.get("/sign-in")
    large = (io.BytesIO(b"x" * 70_000), "x.csv")
    assert stranger.post(IMPORT, csrf_token=token, file=large).status_code == 413
    assert stranger.post(IMPORT, file=(io.BytesIO(b"x"), "x.csv")).status_code == 400


def test_a_long_import_goes_on_press_by_press_and_a_reload_tells_how_far_it_is(one_portal):
    browser = administrator(one_portal)
    upload(browser, many(2_250))
    told = []
    for _ in range(3):
        assert press(browser).status_code == 303
        told.append(browser.get(f"{IMPORT}/status").json)
    assert [(one["taken"], one["done"]) for one in told] == [(1_000, False), (2_000, False), (2_250, True)]
    page = browser.get(REVIEW)
    assert figures(page.text) == {"created": 2_250, "existing": 0, "refused": 0}
    assert press(browser).status_code == 409
    assert count(one_portal) == 2_251


def test_an_import_that_the_store_leaves_in_the_middle_goes_on_without_half_rows_or_twins(portal, redis_url):
    """The store refuses to write just after the second batch was committed: nobody is told how far it is."""
    browser = administrator(portal)
    upload(browser, many(1_750))
    browser.get(REVIEW)
    with redis.Redis.from_url(redis_url) as store:

        def full():
            store.config_set("maxmemory", 1)

        try:
            with before_saying(portal.base.database, "INSERT INTO people", full, 2):
                assert browser.post(REVIEW).status_code == 503
        finally:
            store.config_set("maxmemory", 0)
    assert browser.get(f"{IMPORT}/status").json["taken"] == 500
    assert count(portal) == 1_001
    for _ in range(2):
        assert press(browser).status_code == 303
    assert count(portal) == 1_751
    assert figures(browser.get(REVIEW).text) == {"created": 1_250, "existing": 500, "refused": 0}
    with portal.base.database.read() as looking:
        joined = looking.execute(select(func.count()).select_from(organizations.memberships)).scalar_one()
        reached = looking.execute(select(func.count()).select_from(people.contacts)).scalar_one()
    assert (joined, reached) == (1_751, 1_750 + 2)


def test_a_batch_that_is_killed_leaves_none_of_its_rows(one_portal):
    """All but the last of it is written, and nothing committed."""
    browser = administrator(one_portal)
    upload(browser, many(1_750))
    browser.get(REVIEW)
    with dying_before(one_portal.base.database, "INSERT INTO audit_events", 2), pytest.raises(KeyboardInterrupt):
        browser.post(REVIEW)
    assert count(one_portal) == 501
    for _ in range(2):
        press(browser)
    assert count(one_portal) == 1_751


def test_two_presses_at_the_same_time_make_nobody_twice(portal):
    browser = administrator(portal)
    upload(browser, many(2_000))
    browser.get(REVIEW)
    token, cookie = browser.token(), browser.cookie("keyturn-session")
    gate, codes = threading.Barrier(2), []
    own = browser.cookie("keyturn")

    def go():
        other = portal.browser()
        other.client.set_cookie("keyturn-session", cookie)
        other.client.set_cookie("keyturn", own)
        gate.wait()
        codes.append(other.post(REVIEW, csrf_token=token).status_code)

    racers = [threading.Thread(target=go) for _ in range(2)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert set(codes) <= {303, 409}
    while not browser.get(f"{IMPORT}/status").json["done"]:
        assert press(browser).status_code == 303
    assert count(portal) == 2_001


def test_a_lost_role_or_an_old_proof_stops_it(one_portal):
    browser = administrator(one_portal)
    upload(browser, many(3))
    one_portal.base.clock.advance(301)
    browser.get(REVIEW)
    assert browser.post(REVIEW).status_code == 409
    assert count(one_portal) == 1
    browser = signed_in(one_portal)
    upload(browser, many(3))
    with one_portal.base.database.begin() as transaction:
        transaction.execute(organizations.memberships.update().values(role="member"))
    assert browser.post(REVIEW).status_code == 403
    assert count(one_portal) == 1


def test_after_fifteen_minutes_the_file_is_forgotten(one_portal):
    """The store forgets it by its own clock."""
    browser = administrator(one_portal)
    upload(browser, many(3))
    left = one_portal.base.ephemeral._ask("TTL", *one_portal.base.ephemeral._ask("KEYS", "import*"))
    assert 890 <= int(left) <= 900


def test_no_cell_of_the_report_is_a_formula(one_portal):
    browser = administrator(one_portal)
    upload(browser, json.dumps({"user_id": "x", "=1+1": 1}), "x.jsonl")
    ((_, _, reason),) = reasons(browser)
    assert reason == "there is no field '=1+1'"
    upload(browser, '{"user_id": "=x", "email": "no"}\n', "x.jsonl")
    assert not [cell for row in reasons(browser) for cell in row if str(cell).startswith(("=", "+", "-", "@"))]


def test_every_reason_is_said_in_german_too():
    """What roster.py and the import say of a row has its words in the template."""
    catalogue = gettext.translation("keyturn", ROOT / "translations", languages=["de"])
    environment: Any = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROOT / "templates"), extensions=["jinja2.ext.i18n"], autoescape=True
    )
    environment.install_gettext_translations(catalogue, newstyle=True)
    why = environment.get_template("importing/_words.html").module.why
    said = set()
    for path in ("app/steps/roster.py", "app/journeys/importing/rules.py", "app/journeys/importing/service.py"):
        for node in ast.walk(ast.parse((ROOT / path).read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                said.add(node.value)
    fixed = {
        text
        for text in said
        if text.startswith(("is ", "must be", "can ", "cannot ", "holds", "names a field", "a quote"))
    }
    left = {"is not a hash of an allowed scheme and cost", "must be true or false", "is too long", "is none of "}
    left |= {"is longer than ", "is shorter than ", "is ", "holds characters that cannot be typed"}
    assert len(fixed - left) > 12
    for reason in fixed - left:
        assert str(why(reason)) != reason, reason
    for reason in ("stands in line 7 already", "is longer than 255 characters", "has 3 fields instead of 4"):
        assert str(why(reason)) != reason
