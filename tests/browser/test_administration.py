"""What an administrator does, in real browsers: people, import, roles, policy, messages, figures and the log."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from app.factors.totp.service import from_base32
from app.records.organizations.model import Role
from tests.browser.inspection import faults, narrow_faults
from tests.browser.reception import Reception, receiving
from tests.browser.visitor import DESKTOP, PHONE, Arrive, Visitor
from tests.edges import refuse
from tests.services import RedisServer

pytestmark = pytest.mark.browser

OWN = "+491700000001"
NEW = "seven lanterns over the mill"


@pytest.fixture
def office(sqlite_template: Path, valkey_server: RedisServer, tmp_path: Path) -> Iterator[Reception]:
    """One with Ada, an administrator, and Jane and Paul, of whom Paul has no e-mail address."""
    with receiving(sqlite_template, tmp_path, valkey_server) as office:
        office.portal.add("ada", phone=OWN, email="ada@example.org", role=Role.ADMINISTRATOR)
        office.portal.add("jane", phone="+491700000002", email="jane@example.org")
        office.portal.add("paul", phone="+491700000003")
        yield office


@pytest.fixture(params=["scripts", "no-scripts"])
def ada(request: pytest.FixtureRequest, office: Reception, arrive: Arrive) -> Visitor:
    """Ada at ADMINISTRATION: at a desk with scripts, and on a phone without."""
    scripted = request.param == "scripts"
    visitor = arrive(office.address, viewport=DESKTOP if scripted else PHONE, java_script_enabled=scripted)
    office.enter(visitor, "ada").page.get_by_role("link", name="ADMINISTRATION").click()
    visitor.at("/admin/people")
    return visitor


def part(visitor: Visitor, name: str) -> Page:
    """A part of ADMINISTRATION."""
    visitor.page.get_by_role("navigation", name="Administration").get_by_role("link", name=name).click()
    expect(visitor.page.get_by_role("navigation", name="Administration").locator("[aria-current]")).to_have_text(name)
    return visitor.page


def scripted(page: Page) -> bool:
    """Whether it runs scripts."""
    return page.viewport_size == DESKTOP


def sound(page: Page) -> bool:
    """Whether nothing is wrong with the page; without scripts only what is too wide or too small is seen."""
    found = faults(page) if scripted(page) else narrow_faults(page)
    assert found == []
    return True


def saved(page: Page, button: Locator) -> str:
    """What a press of a button saves as a file."""
    with page.expect_download() as download:
        button.click()
    return download.value.path().read_text()


# ---- people


def test_somebody_is_made_and_invited_and_activates_the_account(
    office: Reception, arrive: Arrive, ada: Visitor
) -> None:
    page = ada.page
    page.get_by_role("link", name="Invite somebody new").click()
    ada.send("Make and invite", user_id="nina", first_name="Nina", email="nina at home", phone="+491700000777")
    expect(ada.field("email")).to_be_focused()
    expect(ada.field("email")).to_have_accessible_description(
        re.compile("is not an e-mail address|e-mail address", re.IGNORECASE)
    )
    expect(ada.field("user_id")).to_have_value("nina")
    ada.send("Make and invite", email="nina@example.org")
    ada.at("/admin/people/nina")
    expect(page.get_by_role("status").first).to_contain_text("the invitation is on its way")
    expect(page.locator("[data-state=pending]")).to_contain_text("never activated")

    office.portal.deliver()
    link = re.search(r"/activate/\S+", office.portal.mailbox.to("nina@example.org")[-1].text)
    assert link
    nina = arrive(office.address, viewport=PHONE)
    nina.go(link[0])
    nina.send("Send the PIN and begin")
    office.portal.deliver()
    nina.send(pin=office.portal.last_pin("+491700000777"))
    nina.send("Save the password", new_password=NEW, confirm_password=NEW)
    nina.send("Yes, go on")
    office.portal.seeds["nina"] = from_base32(nina.page.locator("[data-totp-key]").inner_text())
    nina.send("Add the app", label="Phone", code=office.portal.code("nina"))
    nina.send("Make ten codes")
    nina.send("I have saved them")
    nina.at("/activate/done")
    office.seen.add("nina")
    office.enter(nina, "nina", NEW)
    page.reload()
    expect(page.get_by_role("main").locator("[data-state=active]")).to_be_visible()


def test_a_file_is_judged_row_by_row_and_only_then_taken(office: Reception, ada: Visitor) -> None:
    page = ada.page
    told: list[str] = []
    rows = "".join(f"p{n:04},p{n:04}@example.org\n" for n in range(1_200))
    file = f"user_id,email\n{rows}jane,\n,nobody@example.org\nbad,none\n".encode()
    page.get_by_role("link", name="Import many").click()
    ada.send("Judge the file")
    expect(ada.alert).to_be_visible()  # no file
    ada.field("file").set_input_files({"name": "people.csv", "mimeType": "text/csv", "buffer": file})
    ada.send("Judge the file")
    ada.at("/admin/people/import/review")
    for name, count in (("created", 1_200), ("existing", 1), ("refused", 2)):
        expect(page.locator(f"[data-{name}]")).to_have_attribute(f"data-{name}", str(count))
    expect(page.locator("[data-line]")).to_have_text(
        [re.compile("Line 1203.*is missing", re.DOTALL), re.compile("Line 1204", re.DOTALL)]
    )
    report = saved(page, page.get_by_role("link", name="All rows that are not taken, as CSV"))
    assert [row["line"] for row in csv.DictReader(io.StringIO(report))] == ["1202", "1203", "1204"]
    ada.go("/admin/people?q=p0")
    expect(page.get_by_text("Nobody.")).to_be_visible()

    ada.go("/admin/people/import/review")
    if scripted(page):

        def tell(taken: str) -> None:  # the library marks what it is given, which a method of a list does not let it
            told.append(taken)

        page.expose_function("told", tell)
        page.evaluate(
            """new MutationObserver(() => told(document.querySelector("[data-taken]").textContent))
                .observe(document.querySelector("[data-taken]"), { childList: true })"""
        )
        ada.button("Make 1200 people").click()
    else:
        ada.send("Make 1200 people")
        expect(page.get_by_role("heading", level=1)).to_have_text("The import is under way")
        told.append(page.locator("[data-taken]").inner_text())
        ada.send("Go on")
    expect(page.get_by_role("heading", level=1)).to_have_text("The import is done")
    expect(page.get_by_text("All rows that can be taken were taken.")).to_be_visible()
    assert told[0] == "1000"
    expect(page.locator("[data-created]")).to_have_attribute("data-created", "1200")
    page.get_by_role("link", name="Never activated").click()
    expect(page.locator("[data-user=p0000]")).to_be_visible()


def test_a_role_is_given_to_whoever_has_an_app_and_one_administrator_stays(office: Reception, ada: Visitor) -> None:
    office.portal.add("olaf", email="olaf@example.org", app=False)
    page = ada.page

    def becomes(user_id: str, role: str) -> None:
        ada.go(f"/admin/people/{user_id}")
        page.get_by_role("link", name="Change role").click()
        page.get_by_label(role).check()
        ada.send("Change the role")

    becomes("ada", "member")
    expect(ada.alert).to_contain_text("This is the last active administrator")
    becomes("olaf", "administrator")
    expect(ada.alert).to_contain_text("authenticator app")
    expect(page.get_by_label("administrator")).to_be_focused()
    assert sound(page)
    becomes("jane", "administrator")
    expect(page.get_by_role("status").first).to_contain_text("The role was changed.")
    expect(page.get_by_text("(administrator)")).to_be_visible()
    office.portal.deliver()
    assert "administrator" in office.portal.mailbox.to("jane@example.org")[-1].text
    becomes("ada", "member")
    ada.at("/profile")
    expect(page.get_by_role("status").first).to_contain_text("You stepped down.")
    expect(page.get_by_role("link", name="ADMINISTRATION")).to_have_count(0)


# ---- the policy


def test_a_policy_is_typed_wrong_previewed_saved_and_staged(office: Reception, ada: Visitor) -> None:
    page = part(ada, "Policy")
    ada.send("Save", password_min_length="7")
    expect(ada.field("password_min_length")).to_be_focused()
    expect(ada.field("password_min_length")).to_have_accessible_description(re.compile("8"))
    ada.send("Save", password_min_length="14", support_openings_2="17:00-08:00")
    expect(ada.field("support_openings_0")).to_be_focused()
    expect(ada.alert).to_be_in_viewport()
    ada.field("support_openings_2").fill("")
    ada.field("recovery_second").select_option("email")
    for _ in range(2):  # whatever is on the page, Enter in a field does not save
        ada.field("password_min_length").press("Enter")
    preview = page.locator("[data-preview]")
    expect(preview).to_contain_text("Least length: 12 becomes 14")
    expect(preview.locator("[data-people]")).to_have_text("3")
    expect(preview.locator("[data-recovery]")).to_have_text("1")
    expect(preview.locator("[data-stranded]")).to_have_attribute("data-stranded", "paul")
    listed = saved(page, preview.get_by_role("button", name="Save the list as CSV"))
    assert [row["user_id"] for row in csv.DictReader(io.StringIO(listed))] == ["paul"]
    save = preview.get_by_role("button", name="Save", exact=True)
    expect(page.locator("form.policy .busy")).to_have_count(
        0, timeout=5_000
    )  # the page stayed, and can be gone on with
    save.click()
    expect(ada.field("known")).to_be_focused()
    ada.field("known").check()
    save.click()
    expect(page.get_by_role("status").first).to_contain_text("The policy was saved and holds now.")
    expect(page.locator("[data-version='1']")).to_have_attribute("data-standing", "holds")

    ada.field("holds_from").fill("2026-10-01")
    ada.send("Save", password_min_length="16")
    expect(page.get_by_role("status").first).to_contain_text("The policy was saved for its day.")
    expect(page.locator("[data-staged]")).to_contain_text("October")
    expect(ada.field("password_min_length")).to_have_value("14")


# ---- messages, figures, the log


def test_a_test_message_is_followed_to_what_the_provider_says(office: Reception, ada: Visitor) -> None:
    page = part(ada, "Messages")
    portal = office.portal
    ada.send("Test SMS to ••• ••• 01")
    expect(page.locator("[data-state]")).to_contain_text("On its way to the operator")
    portal.deliver()
    assert "this is a test message" in portal.phone.to(OWN)[-1].body
    portal.phone.tell(portal.phone.to(OWN)[-1].sid, "delivered")
    office.clock.advance(5)
    portal.deliver()
    if not scripted(page):
        page.reload()
    expect(page.locator("[data-state=delivered]")).to_contain_text("Delivered to your phone")
    office.clock.advance(60)
    portal.phone.plan(refuse(400, 21211))
    ada.send("Test SMS to ••• ••• 01")
    portal.deliver()
    if not scripted(page):
        page.reload()
    expect(page.locator("[data-reason]")).to_have_text("the number is not in service or cannot get SMS")


def test_every_plot_can_be_read_as_a_table(office: Reception, ada: Visitor) -> None:
    browser = office.portal.browser(HTTP_HOST=office.address.removeprefix("http://"))
    browser.recover_to_pin(office.portal, "jane")
    office.portal.deliver()
    page = part(ada, "Dashboard")
    for name, column, figure in (("Recoveries", "Begun", "1"), ("What SMS cost", "PINs sent", "1")):
        section = page.get_by_role("region", name=name, exact=True).first
        plot = section.get_by_role("img", name=re.compile(f"{column}: 1 in all"))
        expect(plot).to_be_visible()
        section.get_by_text("As a table").click()
        table = section.get_by_role("table", name=name)
        heads = table.get_by_role("columnheader").all_inner_texts()
        cells = table.get_by_role("row", name=re.compile("^2026-09-21")).get_by_role("cell").all_inner_texts()
        assert cells[heads.index(column) - 1] == figure


def test_the_log_is_filtered_and_saved_and_members_do_not_come_in(
    office: Reception, arrive: Arrive, ada: Visitor
) -> None:
    page = part(ada, "Audit log")
    ada.field("to").fill("2026-09-01")
    ada.field("from").fill("2026-09-21")
    ada.send("Show")
    expect(ada.alert).to_be_visible()
    ada.go("/admin/audit")
    ada.field("event").select_option("authn_login_success")
    ada.send("Show", person="ada")
    expect(page.locator("[data-event]").first).to_be_visible()
    assert {one.get_attribute("data-event") for one in page.locator("[data-event]").all()} == {"authn_login_success"}
    rows = list(csv.DictReader(io.StringIO(saved(page, ada.button("Save as CSV")))))
    assert {row["event"] for row in rows} == {"authn_login_success"}
    expect(page.locator(".busy")).to_have_count(0)
    assert saved(page, ada.button("Save as JSON Lines")).startswith("{")
    ada.go("/admin/audit")
    expect(page.locator("[data-event=audit_log_exported]").first).to_be_visible()

    jane = office.enter(arrive(office.address, viewport=PHONE), "jane")
    expect(jane.page.get_by_role("link", name="ADMINISTRATION")).to_have_count(0)
    for path in ("/admin/people", "/admin/policy", "/admin/audit", "/admin/delivery", "/admin/dashboard"):
        answer = jane.page.goto(f"{office.address}{path}")
        assert answer is not None
        assert answer.status == 403
