"""The page of a person: what it tells, to whom, what it never shows, and that looking is written down."""

import re
from datetime import UTC, datetime

import pytest

from app.factors.totp import store as apps
from app.factors.totp.model import AppState
from app.factors.totp.service import to_base32
from app.journeys.support.service import LOOKED_EVERY, PAGE
from app.records.audit import store as audit
from app.records.audit.model import Event, Record
from app.records.cases.model import Action
from app.records.organizations import store as organizations
from app.records.organizations.model import PRESETS, Profile, Role
from app.records.people import store as people
from app.records.people.model import Status
from tests.cast import organization
from tests.edges import refuse
from tests.journeys.behind import happened
from tests.journeys.support.conftest import ANA_EMAIL, ANA_PHONE, Looked, words
from tests.portal import NEW_PASSWORD, PASSWORD, Portal

UNLOCK = "/support/people/ana/unlock"


def test_where_nothing_stands_in_the_way_the_page_says_so_and_how_every_factor_stands(one_portal, desk, ana):
    one_portal.add_codes(ana)
    page = desk.look()
    assert (page.cause, page.sentence) == ("nothing", "Nothing stands in the way.")
    assert {kind: page.state(kind) for kind in ("password", "app", "sms", "email", "recovery_codes")} == {
        "password": ["active"],
        "app": ["active"],
        "sms": ["active"],
        "email": ["active"],
        "recovery_codes": ["active"],
    }
    assert "10 codes left" in page.text
    assert 'data-status="active" data-state="active"' in page.text
    assert "data-remedy" not in page.text
    assert "Why can't Ana Doe get in?" in page.text


def test_a_clock_that_is_off_is_named_with_what_helps(one_portal, desk, ana):
    browser = one_portal.browser()
    browser.recover_to_token("ana")
    assert browser.post("/recovery/token", code=one_portal.code("ana", -3)).status_code == 422
    page = desk.look()
    assert page.sentence == "The app codes are refused because the phone's clock is about 1½ minutes slow."
    assert page.remedy == ("set_clock", "")
    assert page.stories[0] == (
        "Recovery, not finished",
        "badly",
        ["App code refused: the phone's clock is about 1½ minutes slow."],
    )
    assert "Its clock was about 1½ minutes slow," in page.text
    one_portal.base.clock.advance(60)
    assert browser.post("/recovery/token", code=one_portal.code("ana")).status_code == 303
    page = desk.look()
    assert page.cause == "nothing"
    assert "Its clock was right," in page.text


def test_a_locked_password_is_named_with_its_end_and_the_way_to_unlock(one_portal, desk, ana):
    browser = one_portal.browser()
    browser.get("/sign-in")
    browser.post("/sign-in", user_id="ana")
    browser.get("/sign-in/password")
    for n in range(6):
        one_portal.base.clock.advance(400)
        assert browser.post("/sign-in/password", password=f"not the password {n}").status_code in {422, 409}
        if n % 2:
            browser.get("/sign-in")
            browser.post("/sign-in", user_id="ana")
            browser.get("/sign-in/password")
    assert browser.post("/sign-in/password", password=PASSWORD).status_code == 429
    desk.browser.sign_in(one_portal, "sam")
    page = desk.look()
    assert page.cause == "password_waits"
    assert re.fullmatch(r"Sign-in waits until .* UTC after 6 wrong passwords\.", page.sentence)
    assert page.remedy == ("unlock", UNLOCK)
    assert page.state("password") == ["locked"]
    assert 'data-factor="password" data-door="sign_in"' in page.text
    assert page.stories[0][2][-1] == "Password refused unjudged: too many tries."
    one_portal.base.clock.advance(200)
    assert desk.look().cause == "wrong_password"


def test_refusals_without_a_judgement_are_written_down_once_in_five_minutes_and_for_the_known_alone(one_portal, ana):
    one_portal.lock(ana)
    for user_id in ("ana", "nobody"):
        browser = one_portal.browser()
        browser.get("/sign-in")
        browser.post("/sign-in", user_id=user_id)
        browser.get("/sign-in/password")
        for n in range(8):
            browser.post("/sign-in/password", password=f"not the password {n}")
    assert happened(one_portal, ana.id, "excess_rate_limit_exceeded") == 1
    with one_portal.base.database.read() as looking:
        count = looking.exec_driver_sql("SELECT count(*) FROM audit_events WHERE event = 'excess_rate_limit_exceeded'")
        assert count.scalar_one() == 1


def test_pins_that_did_not_arrive_are_counted_with_the_carriers_reason(one_portal, desk, ana):
    browser = one_portal.browser()
    one_portal.phone.plan(refuse(400, 21211), refuse(400, 21211))
    browser.recover_to_pin(one_portal, "ana")
    one_portal.deliver()
    one_portal.base.clock.advance(31)
    assert browser.post("/recovery/pin/send", channel="sms").status_code == 303
    one_portal.deliver()
    page = desk.look()
    assert page.sentence == ("The last 2 PINs by SMS did not arrive: the number is not in service or cannot get SMS.")
    assert page.remedy == ("ask_email", "")
    title, ending, lines = page.stories[0]
    assert (title, ending) == ("Recovery, not finished", "badly")
    assert lines == [
        "App code accepted.",
        *["PIN sent by SMS. ••• ••• 77: did not arrive: the number is not in service or cannot get SMS"] * 2,
    ]
    assert browser.post("/recovery/pin/send", channel="email").status_code == 303
    one_portal.deliver()
    browser.get("/recovery/pin")
    assert browser.post("/recovery/pin", pin=one_portal.last_pin(ANA_EMAIL)).status_code == 303
    assert desk.look().cause == "nothing"


def test_one_recovery_reads_as_one_story_with_everything_that_was_refused_in_it(one_portal, desk, ana):
    browser = one_portal.browser()
    browser.recover_to_token("ana")
    browser.post("/recovery/token", code=one_portal.wrong_code("ana"))
    assert browser.post("/recovery/token", code=one_portal.code("ana")).status_code == 303
    browser.get("/recovery/pin")
    one_portal.deliver()
    right = one_portal.last_pin(ANA_PHONE)
    wrong = "000000" if right != "000000" else "000001"
    browser.post("/recovery/pin", pin=wrong)
    one_portal.base.clock.advance(301)
    browser.post("/recovery/pin", pin=right)
    assert desk.look().cause == "pin_expired"
    browser.post("/recovery/pin/send", channel="sms")
    one_portal.deliver()
    browser.get("/recovery/pin")
    assert browser.post("/recovery/pin", pin=one_portal.last_pin(ANA_PHONE)).status_code == 303
    browser.get("/recovery/password")
    assert browser.post("/recovery/password", new_password="ana", confirm_password="other").status_code == 422
    page = desk.look()
    assert page.cause == "password_refused"
    assert page.sentence.startswith("The last new password was refused: too short, ")
    assert browser.post("/recovery/password", new_password=NEW_PASSWORD, confirm_password=NEW_PASSWORD).location
    title, ending, lines = desk.look().stories[0]
    assert (title, ending) == ("Recovery, finished", "well")
    assert [line.partition(" •••")[0] for line in lines] == [
        "App code refused: wrong.",
        "App code accepted.",
        "PIN sent by SMS.",
        "PIN refused: wrong; 4 tries left.",
        "PIN refused: it had expired.",
        "PIN sent by SMS.",
        "PIN accepted.",
        f"New password refused: {lines[7].partition(': ')[2]}",
        "A new password was set by the recovery.",
    ]
    assert "not the same in both fields" in lines[7]
    again = one_portal.browser()
    again.recover_to_token("ana")
    assert again.post("/recovery/token", code=one_portal.code("ana")).status_code == 303
    again = one_portal.browser()
    again.recover_to_token("ana")
    assert again.post("/recovery/token", code=one_portal.code("ana")).status_code == 422
    page = desk.look()
    assert page.stories[0][2] == ["App code refused: already used."]
    assert page.also == ["just_recovered"]


def test_a_sign_in_is_one_story(one_portal, desk, ana):
    one_portal.browser().sign_in(one_portal, "ana")
    assert desk.look().stories[0] == (
        "Sign-in",
        "well",
        ["Password right.", "App code accepted.", "Signed in with two factors."],
    )


def test_an_invitation_that_ran_out_is_named_with_the_way_to_another(one_portal, desk):
    one_portal.invite("nina", phone="+491700000088", email="nina@example.org")
    page = desk.look("nina")
    assert (page.cause, page.remedy[0]) == ("invitation_open", "open_invitation")
    assert page.state("password") == ["none"]
    assert page.state("app") == ["none"]
    one_portal.base.clock.advance(73 * 3_600)
    desk.browser.sign_in(one_portal, "sam")
    page = desk.look("nina")
    assert page.cause == "invitation_over"
    assert page.sentence.startswith("The activation was never finished; the invitation ran out on 24 September 2026")
    assert page.remedy == ("resend-activation", "/support/people/nina/resend-activation")


def test_a_frozen_and_an_inactive_account_are_named(one_portal, desk, ana):
    with one_portal.base.database.begin() as transaction:
        people.freeze(transaction, ana.id, "x" * 32)
    page = desk.look()
    assert (page.cause, page.remedy) == ("frozen", ("undo_link", ""))
    assert 'data-status="frozen" data-state="locked"' in page.text
    with one_portal.base.database.begin() as transaction:
        people.set_status(transaction, ana.id, Status.INACTIVE)
    page = desk.look()
    assert (page.cause, page.remedy) == ("inactive", ("administrator", ""))


def test_a_disabled_app_is_named_with_the_access_code(one_portal, desk, ana):
    with one_portal.base.database.begin() as transaction:
        (app,) = apps.of_person(transaction, ana.id)
        apps.change_state(transaction, app.id, (AppState.ACTIVE,), AppState.DISABLED, one_portal.base.clock.now())
    page = desk.look()
    assert page.cause == "app_disabled"
    assert page.remedy == ("access-code", "/support/people/ana/access-code")
    assert page.state("app") == ["disabled"]


@pytest.mark.parametrize("user_id", ["sam", "ada", "guest"])
def test_on_themselves_on_staff_and_on_guests_agents_have_no_buttons(one_portal, desk, user_id):
    """Security rule 4."""
    portal = one_portal
    portal.add("ada", app=False, role=Role.ADMINISTRATOR)
    guest = portal.add("guest", app=False, home="other")
    with portal.base.database.begin() as transaction:
        home = organization(transaction, portal.base.chance)
        organizations.join(transaction, guest.id, home.id, Role.MEMBER, is_primary=False)
        sam = people.find(transaction, "sam")
        assert sam
        (of_sam,) = apps.of_person(transaction, sam.id)
        now = portal.base.clock.now()
        apps.change_state(transaction, of_sam.id, (AppState.ACTIVE,), AppState.DISABLED, now)
    page = desk.look(user_id)
    assert page.remedy == ("not_yours", "")
    assert f'href="/support/people/{user_id}/' not in page.text
    assert "You may look at this account and not act on it" in page.text
    assert "other (" not in page.text  # what else somebody belongs to is not theirs to see


def test_of_a_guest_neither_other_organizations_nor_those_who_work_there_are_named(one_portal, desk):
    portal = one_portal
    guest = portal.add("guest", app=False, home="other")
    with portal.base.database.begin() as transaction:
        home = organization(transaction, portal.base.chance)
        organizations.join(transaction, guest.id, home.id, Role.MEMBER, is_primary=False)
        for event, actor, where in (
            (Event.MEMBERSHIP_ACCEPTED, "self", "default"),
            (Event.MEMBERSHIP_ACCEPTED, "self", "Rival Ltd"),
            (Event.ROLE_CHANGED, "agent-of-rival", "Rival Ltd"),
            (Event.UNLOCKED, "agent-of-rival", ""),
        ):
            reason = "operator" if event is Event.UNLOCKED else ""
            details: dict[str, object] = {"organization": where}
            audit.add(transaction, Record(event, 1, guest.id, actor, "success", reason, details=details))
    page = desk.look("guest")
    assert "rival" not in page.text.lower()
    told = {lines[0] for _, _, lines in page.stories}
    assert len(told) == 4
    assert told > {
        "A membership or a role was changed",
        "A membership or a role was changed by staff of another organization",
        "Unlocked by staff of another organization",
    }


def test_looking_is_written_down_once_in_a_quarter_of_an_hour_and_its_owner_sees_it(one_portal, desk, ana):
    """Requirement H-05."""
    for _ in range(3):
        desk.look()
    assert happened(one_portal, ana.id, "sensitive_read") == 1
    one_portal.base.clock.advance(LOOKED_EVERY - 1)
    desk.look()
    assert happened(one_portal, ana.id, "sensitive_read") == 1
    one_portal.base.clock.advance(2)
    desk.look()
    assert happened(one_portal, ana.id, "sensitive_read") == 2
    with one_portal.base.database.read() as looking:
        seen = audit.of_person(looking, ana.id, 1)[0]
    assert (seen.event, seen.actor, seen.reason) == (Event.LOOKED_AT, "sam", "support")
    own = one_portal.browser()
    own.sign_in(one_portal, "ana")
    page = words(own.get("/activity").text)
    assert "Support looked at your account Done · by staff: sam" in page
    assert "sensitive_read" not in desk.look().text


def test_another_agent_is_written_down_beside_the_first(one_portal, desk, ana):
    one_portal.add("tess", role=Role.SUPPORT)
    desk.look()
    other = one_portal.browser()
    other.sign_in(one_portal, "tess")
    assert other.get("/support/people/ana").status_code == 200
    assert happened(one_portal, ana.id, "sensitive_read") == 2


def test_somebody_of_another_organization_and_nobody_get_the_same_bytes(one_portal, desk):
    far = one_portal.add("farah", home="other", email="farah@example.org")

    def answer(user_id: str) -> tuple[int, list[tuple[str, str]], str]:
        got = desk.browser.get(f"/support/people/{user_id}")
        text = re.sub(r'[0-9a-f]{32}|name="csrf_token" value="[^"]*"', "", got.text).replace(user_id, "")
        return got.status_code, [one for one in got.headers if one[0] not in {"X-Request-Id", "Content-Length"}], text

    assert answer("farah") == answer("nobody")
    assert answer("farah")[0] == 404
    assert happened(one_portal, far.id, "sensitive_read") == 0


def test_the_timeline_goes_on_where_it_stopped_and_cuts_no_story(one_portal, desk, ana):
    now = one_portal.base.clock.now()
    with one_portal.base.database.begin() as transaction:
        for n in range(40):
            for event in (Event.APP_FAIL, Event.APP_OK, Event.PIN_SENT):
                details: dict[str, object] = {"journey": "recovery", "flow": f"flow {n}", "channel": "sms"}
                audit.add(transaction, Record(event, now, ana.id, "self", "success", details=details))
    seen, page = [], desk.look()
    while True:
        seen += page.stories
        older = re.search(r'rel="next" href="/support/people/ana\?before=([0-9]+-[0-9]+)#timeline"', page.text)
        if older is None:
            break
        page = desk.look(before=older[1])
        assert len(page.stories) <= PAGE
    assert [len(lines) for _, _, lines in seen] == [3] * 40
    assert desk.look(before="nonsense").stories == desk.look().stories


def test_many_alike_are_one_story_a_page_and_no_page_skips_or_repeats_one(one_portal, desk, ana):
    now = one_portal.base.clock.now()
    with one_portal.base.database.begin() as transaction:
        for n in range(120):
            if n == 90:
                audit.add(transaction, Record(Event.UNLOCKED, now + n // 50, ana.id, "sam", "success", "operator"))
            details: dict[str, object] = {"journey": "sign_in", "flow": f"flow {n}"}
            wrong = (Event.SIGN_IN_FAIL, now + n // 50, ana.id, "self", "failure", "wrong_password")
            audit.add(transaction, Record(*wrong, f"192.0.2.{n // 60}", details))
    counts, page, pages = [], desk.look(), 1
    assert page.text.count('data-remedy="forgotten"') == 2  # the summary's and the timeline's
    while older := re.search(r'rel="next" href="/support/people/ana\?before=([0-9]+-[0-9]+)#timeline"', page.text):
        counts += counted(page)
        page, pages = desk.look(before=older[1]), pages + 1
    counts += counted(page)
    assert pages == 3
    assert counts == [30, 1, PAGE - 31, PAGE, 1]  # the one is the unlock, which keeps apart what it stands between
    assert sum(counts) == 121


def counted(page: Looked) -> list[int]:
    """For how many each story of a page stands."""
    heads = re.findall(r'<div class="head">.*?</div>', page.text, re.DOTALL)
    return [int(found[1]) if (found := re.search(r'data-count="(\d+)"', head)) else 1 for head in heads]


@pytest.mark.parametrize(
    ("addresses", "told"), [("1", "from 192.0.2.1"), ("12", "from several addresses")], ids=["one", "several"]
)
def test_several_refusals_tell_when_they_began_and_ended_and_from_how_many_addresses(
    one_portal, desk, ana, addresses, told
):
    now = one_portal.base.clock.now()
    with one_portal.base.database.begin() as transaction:
        for n in range(50):
            at, address = now - 60 * (50 - n), f"192.0.2.{addresses[n % len(addresses)]}"
            wrong = (Event.SIGN_IN_FAIL, at, ana.id, "self", "failure", "wrong_password")
            audit.add(transaction, Record(*wrong, address, {"journey": "sign_in", "flow": f"flow {n}"}))
    page = desk.look()
    assert [(title, lines) for title, _, lines in page.stories] == [
        ("Sign-in, not finished", ["Password refused: wrong."])
    ]
    (head,) = re.findall(r'<div class="head">(.*?)</div>', page.text, re.DOTALL)
    first, last = (f"{datetime.fromtimestamp(at, UTC):%H:%M} UTC" for at in (now - 3_000, now - 60))
    assert re.search(rf"50 times, first [^,]*, {first}, last [^,]*, {last} · {told}$", words(head).strip())


@pytest.mark.parametrize(("user_id", "part"), [("a/b", "~612f62"), ("..", "~2e2e"), ("~x", "~7e78"), ("ü ?#%", None)])
def test_whoever_is_found_has_a_page_and_actions_whatever_their_user_id(one_portal, desk, user_id, part):
    named = one_portal.add(user_id, app=False, email=ANA_EMAIL)
    found = desk.browser.get("/support/people", query_string={"q": ANA_EMAIL}).text
    (path,) = re.findall(r'<h3><a href="(/support/people/[^"]+)"', found)
    assert path == f"/support/people/{part or '%C3%BC%20%3F%23%25'}"
    page = desk.browser.get(path)
    assert page.status_code == 200
    assert f"<strong data-user-id>{user_id}</strong>" in page.text
    assert happened(one_portal, named.id, "sensitive_read") == 1
    actions = set(re.findall(rf'href="({re.escape(path)}/[a-z-]+)"', page.text))
    assert {one.rpartition("/")[2] for one in actions} == {one.value for one in Action}
    for action in sorted(actions):
        answer = desk.browser.get(action)
        assert answer.status_code == 200, action
        assert f'href="{path}"' in answer.text  # the way back
        assert f'action="{action}"' in answer.text
    freeze = f"{path}/freeze"
    answer = desk.browser.post(freeze, do="ask", reason="Somebody else has the phone")
    assert (answer.status_code, answer.location) == (303, freeze)
    assert desk.browser.get(answer.location).status_code == 200
    assert 'data-status="frozen"' in desk.browser.get(path).text


def test_a_part_of_a_path_that_is_no_user_id_is_nobody(one_portal, desk):
    one_portal.add("~x", app=False)
    for part in ("~x", "~", "~zz", "~ff", "~00"):
        assert desk.browser.get(f"/support/people/{part}").status_code == 404
        assert desk.browser.get(f"/support/people/{part}/unlock").status_code == 404


def everything_secret(portal: Portal, ana) -> set[str]:
    """Values that no page of support may hold, as they are stored and as people know them."""
    with portal.base.database.read() as looking:
        rows = [
            *looking.exec_driver_sql("SELECT hash, history_salt FROM passwords").all(),
            *looking.exec_driver_sql("SELECT digest, digest_key || digest FROM password_history").all(),
            *looking.exec_driver_sql("SELECT seed, mark FROM totp_apps").all(),
            *looking.exec_driver_sql("SELECT stamp FROM people").all(),
            *looking.exec_driver_sql("SELECT address FROM contacts").all(),
            *looking.exec_driver_sql("SELECT id FROM sessions").all(),
            *looking.exec_driver_sql("SELECT id FROM known_browsers").all(),
            *looking.exec_driver_sql("SELECT id FROM lane_links").all(),
            *looking.exec_driver_sql("SELECT id FROM undo_links").all(),
            *looking.exec_driver_sql("SELECT id, message_id, provider_sid FROM outbox").all(),
            *looking.exec_driver_sql("SELECT salt, digest_key FROM recovery_code_sets").all(),
            *looking.exec_driver_sql("SELECT digest FROM recovery_codes").all(),
        ]
    return {str(value) for row in rows for value in row if value and len(str(value)) > 6}


def test_no_secret_stands_on_any_page_of_support(one_portal, desk, ana):
    portal = one_portal
    codes = portal.add_codes(ana)
    portal.browser().post("/recovery/link", user_id="ana")
    browser = portal.browser()
    browser.sign_in(portal, "ana")
    portal.base.clock.advance(30)
    recovering = portal.browser()
    recovering.recover_to_pin(portal, "ana")
    portal.deliver()
    pin = portal.last_pin(ANA_PHONE)
    assert recovering.post("/recovery/pin", pin=pin).status_code == 303
    recovering.get("/recovery/password")
    refused = "password1234"
    recovering.post("/recovery/password", new_password=refused, confirm_password=refused)
    recovering.post("/recovery/password", new_password=NEW_PASSWORD, confirm_password=NEW_PASSWORD)
    secrets = everything_secret(portal, ana) | {PASSWORD, NEW_PASSWORD, refused, pin, ANA_PHONE, ANA_EMAIL, *codes}
    secrets |= {portal.seeds["ana"].hex(), to_base32(portal.seeds["ana"]), portal.code("ana")}
    with portal.base.database.read() as looking:
        flows = {str(one.details.get("flow", "")) for one in audit.of_person(looking, ana.id)} - {""}
    assert flows
    pages = [
        desk.look().text,
        desk.browser.get("/support/people?q=ana").text,
        desk.browser.get("/support/people?q=ana.souza@example.org").text,
    ]
    pages[2] = pages[2].replace('value="ana.souza@example.org"', "")  # what the agent typed stays in the field
    for page in pages:
        assert [secret for secret in secrets | flows if secret in page] == []
        assert ANA_PHONE[-4:] not in page


def test_a_security_question_is_shown_where_it_is_something_and_never_what_it_asks(one_portal, desk, ana):
    assert desk.look().state("security_question") == []
    one_portal.decide(PRESETS[Profile.CLASSIC])
    assert desk.look().state("security_question") == []  # ana has an app
    with one_portal.base.database.begin() as transaction:
        for app in apps.of_person(transaction, ana.id):
            assert apps.change_state(transaction, app.id, (app.state,), AppState.REMOVED, one_portal.base.clock.now())
    assert desk.look().state("security_question") == ["none"]
    asked = "Where did we two meet?"
    new = one_portal.means.answers.prepare(
        person_id=ana.id, user_id="ana", question=asked, asked="", answer="Under the old oak"
    )
    with one_portal.base.database.begin() as transaction:
        one_portal.means.answers.set_first(transaction, ana.id, new, one_portal.base.clock.now())
    page = desk.look()
    assert page.state("security_question") == ["active"]
    assert asked not in page.text
