"""Every page in every state, in a real browser: accessible, in both languages, light and dark, wide and narrow."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Playwright,
    Route,
    expect,
    sync_playwright,
)

from tests.pages.gallery import CASES, Gallery, serving
from tests.pages.shots import ARGUMENTS

pytestmark = pytest.mark.browser

NARROW = {"width": 320, "height": 640}
WIDE = {"width": 1000, "height": 900}
# AAA for text (7:1) and AA for the size of targets are off in axe unless asked for
EVERYTHING = {
    "rules": {"color-contrast-enhanced": {"enabled": True}, "target-size": {"enabled": True}},
    "resultTypes": ["violations"],
}
COLOURS = {
    "runOnly": {"type": "rule", "values": ["color-contrast", "color-contrast-enhanced"]},
    "resultTypes": ["violations"],
}


@dataclass
class Hall:
    """The gallery, its address, and a page that remembers what the browser complained of."""

    gallery: Gallery
    address: str
    page: Page
    complaints: list[str] = field(default_factory=list)

    def visit(self, name: str, language: str = "en") -> None:
        """Open a case; its status is the one it should have."""
        self.complaints.clear()
        response = self.page.goto(f"{self.address}/{language}/{name}")
        assert response is not None
        assert response.status == CASES[name].status

    def hear(self, message: ConsoleMessage) -> None:
        """Keep errors and warnings, but not the browser's remark that the page itself was a 4xx or 5xx."""
        own = message.text.startswith("Failed to load resource") and message.location["url"] == self.page.url
        if message.type in {"error", "warning"} and not own:
            self.complaints.append(message.text)


@pytest.fixture(scope="module")
def gallery() -> Iterator[tuple[Gallery, str]]:
    """The gallery and its address."""
    shown = Gallery()
    with serving(shown) as address:
        yield shown, address


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """One for the module: its start costs a second."""
    expect.set_options(timeout=60_000)
    with sync_playwright() as started:
        yield started
    expect.set_options(timeout=5_000)


@pytest.fixture(scope="module")
def browser(playwright: Playwright, chromium: Path) -> Iterator[Browser]:
    """One browser for the module."""
    started = playwright.chromium.launch(executable_path=str(chromium), args=ARGUMENTS)
    yield started
    started.close()


def _hall(gallery: tuple[Gallery, str], context: BrowserContext) -> Hall:
    hall = Hall(gallery[0], gallery[1], context.new_page())
    hall.page.on("console", hall.hear)
    hall.page.on("pageerror", lambda error: hall.complaints.append(str(error)))
    return hall


@pytest.fixture(scope="module")
def shared(gallery: tuple[Gallery, str], browser: Browser) -> Iterator[Hall]:
    """A page with scripts, for tests that only look."""
    context = browser.new_context(reduced_motion="reduce")
    yield _hall(gallery, context)
    context.close()


@pytest.fixture(scope="module")
def without_script(gallery: tuple[Gallery, str], browser: Browser) -> Iterator[Hall]:
    """A page whose browser runs no scripts."""
    context = browser.new_context(java_script_enabled=False, viewport=NARROW)  # type: ignore[arg-type]
    yield _hall(gallery, context)
    context.close()


@pytest.fixture
def hall(gallery: tuple[Gallery, str], browser: Browser) -> Iterator[Hall]:
    """A page of its own, for tests that act."""
    gallery[0].posts.clear()
    gallery[0].status = {}
    context = browser.new_context(reduced_motion="reduce", permissions=["clipboard-read", "clipboard-write"])
    yield _hall(gallery, context)
    context.close()


def _violations(page: Page, options: dict[str, Any]) -> list[str]:
    there = page.evaluate("typeof axe === 'object'")
    found = (Axe("void 0") if there else Axe()).run(page, options=options).response["violations"]
    return [f"{one['id']}: {node['html'][:160]} {node['failureSummary']}" for one in found for node in one["nodes"]]


def _too_wide(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("name", CASES)
def test_a_page_is_accessible_fits_every_screen_and_breaks_no_policy(shared: Hall, name: str, language: str) -> None:
    page = shared.page
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]
    page.emulate_media(color_scheme="light")
    shared.visit(name, language)
    expect(page.locator("html")).to_have_attribute("lang", language)
    assert _violations(page, EVERYTHING) == []
    if language == "en":  # words have no colours of their own
        page.emulate_media(color_scheme="dark")
        assert _violations(page, COLOURS) == []
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    assert _too_wide(page) <= 0
    assert shared.complaints == []


def test_a_planted_fault_is_found(shared: Hall) -> None:
    shared.page.emulate_media(color_scheme="light")
    shared.visit("sign-in")
    shared.page.evaluate(
        """() => {
            const [input, text] = [document.createElement("input"), document.createElement("p")];
            input.style.width = "200vw";
            text.style.color = "#676767";
            text.textContent = "Hardly to be read";
            document.querySelector("main").append(input, text);
        }"""
    )
    found = {line.partition(":")[0] for line in _violations(shared.page, EVERYTHING)}
    assert {"label", "color-contrast-enhanced"} <= found
    assert _too_wide(shared.page) > 0
    with pytest.raises(Error):
        shared.page.evaluate("document.body.innerHTML = ''")  # Trusted Types
    shared.complaints.clear()


@pytest.mark.parametrize("name", CASES)
def test_a_page_serves_without_scripts(without_script: Hall, name: str) -> None:
    page = without_script.page
    without_script.visit(name)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    for form in page.locator("main form").all():
        expect(form.locator("button").first).to_be_visible()
        for button in form.locator("button").all():
            expect(button).to_be_visible()
            expect(button).to_be_enabled()
    assert _too_wide(page) <= 0
    assert without_script.complaints == []


@pytest.mark.parametrize("name", ["password-wrong", "pin-failed", "new-password-rules", "pin-email"])
def test_text_enlarged_to_200_percent_fits_a_phone(shared: Hall, name: str) -> None:
    shared.visit(name, "de")
    shared.page.set_viewport_size({"width": 640, "height": 900})
    shared.page.evaluate("document.styleSheets[0].insertRule('html { font-size: 200% }')")
    assert _too_wide(shared.page) <= 0


def test_a_browser_whose_letters_are_twice_as_large_shows_every_page_on_a_phone(
    gallery: tuple[Gallery, str], playwright: Playwright, chromium: Path
) -> None:
    large = [*ARGUMENTS, "--blink-settings=defaultFontSize=32"]
    browser = playwright.chromium.launch(executable_path=str(chromium), args=large)
    page = browser.new_page(viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    wide = []
    for name in CASES:
        page.goto(f"{gallery[1]}/de/{name}")
        if _too_wide(page) > 0:
            wide.append(name)
    assert page.evaluate("getComputedStyle(document.body).fontSize") == "32px"
    browser.close()
    assert wide == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_where_the_reader_chooses_the_colours_every_rule_keeps_its_mark(hall: Hall, scheme: str) -> None:
    hall.page.emulate_media(forced_colors="active", color_scheme=scheme)  # type: ignore[arg-type]
    hall.visit("new-password")
    behind, marks = hall.page.evaluate(
        "[getComputedStyle(document.querySelector('.rules')).backgroundColor,"
        " [...document.querySelectorAll('.rules li')].map((one) => getComputedStyle(one, '::before'))"
        " .map((mark) => parseFloat(mark.borderTopWidth) ? mark.borderTopColor : mark.backgroundColor)]"
    )
    assert len(marks) == 7
    assert behind not in marks


def test_a_reader_who_wants_no_motion_sees_none(hall: Hall) -> None:
    hall.page.emulate_media(reduced_motion="reduce")
    hall.visit("sign-in")
    hall.page.locator("main button").evaluate("one => one.classList.add('busy')")
    assert hall.page.evaluate("document.getAnimations().length") == 0


@pytest.mark.parametrize("brand", ["#1f4e8c", "#767676", "#c2185b", "#9a5b00", "#007a33", "#6a00ff", "#000000"])
def test_text_in_any_permitted_brand_colour_has_contrast_enough(shared: Hall, brand: str) -> None:
    shared.gallery.brand = brand
    try:
        for name in ("password", "pin-sent"):
            for scheme in ("light", "dark"):
                shared.page.emulate_media(color_scheme=scheme)
                shared.visit(name)
                assert _violations(shared.page, COLOURS) == []
    finally:
        shared.gallery.brand = "#1f4e8c"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_whatever_takes_the_focus_wears_a_ring_of_three_pixels(hall: Hall, scheme: str) -> None:
    hall.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    hall.visit("password")
    seen = set()
    for _ in range(12):
        hall.page.keyboard.press("Tab")
        tag, width, style = hall.page.evaluate(
            "(() => { const e = document.activeElement, s = getComputedStyle(e);"
            " return [e.tagName, parseFloat(s.outlineWidth), s.outlineStyle]; })()"
        )
        if tag == "BODY":
            continue
        seen.add(tag)
        assert (width, style) == (3, "solid"), tag
    assert {"A", "INPUT", "BUTTON", "SUMMARY"} <= seen


def test_a_second_press_sends_nothing(hall: Hall) -> None:
    hall.visit("token")
    hall.page.get_by_role("textbox").fill("123 456")
    hall.page.get_by_role("button", name="Continue").evaluate(
        "button => { button.click(); button.click(); button.click(); }"
    )
    hall.page.wait_for_url("**/en/verify")
    assert [path for path, _ in hall.gallery.posts] == ["/recovery/token"]
    assert hall.gallery.posts[0][1]["code"] == "123 456"


def test_a_pressed_button_shows_it_and_is_free_again_after_the_back_button(hall: Hall) -> None:
    hall.visit("sign-in")
    hall.page.get_by_role("textbox").fill("jane")
    button = hall.page.get_by_role("button", name="Continue")
    shown = button.evaluate("button => { button.click(); return [button.ariaDisabled, button.className]; }")
    assert shown == ["true", "busy"]
    hall.page.wait_for_url("**/en/verify")
    hall.page.go_back()
    hall.page.wait_for_url("**/en/sign-in")
    expect(button).not_to_have_attribute("aria-disabled", "true")
    expect(button).not_to_have_class("busy")


def test_a_password_can_be_shown_and_is_sent_as_a_password(hall: Hall) -> None:
    hall.visit("password")
    field = hall.page.locator("#password")
    field.fill("correct horse")
    hall.page.get_by_role("button", name="Show password").click()
    expect(field).to_have_attribute("type", "text")
    hall.page.get_by_role("button", name="Hide password").click()
    expect(field).to_have_attribute("type", "password")
    hall.page.get_by_role("button", name="Show password").click()
    sent_as = "button => { button.click(); return document.getElementById('password').type; }"
    assert hall.page.get_by_role("button", name="Continue").evaluate(sent_as) == "password"
    hall.page.wait_for_url("**/en/verify")
    assert hall.gallery.posts[0][1]["password"] == "correct horse"
    assert hall.gallery.posts[0][1]["username"] == "jane"


def test_caps_lock_is_said_under_the_field_and_nothing_jumps(hall: Hall) -> None:
    hall.visit("password")
    place = hall.page.get_by_role("button", name="Continue").bounding_box()
    field = hall.page.locator("#password")
    press = "(field, on) => field.dispatchEvent(new KeyboardEvent('keydown', {modifierCapsLock: on}))"
    field.evaluate(press, True)
    expect(hall.page.locator("#password-caps")).to_have_text("Caps Lock is on.")
    assert hall.page.get_by_role("button", name="Continue").bounding_box() == place
    field.evaluate(press, False)
    expect(hall.page.locator("#password-caps")).to_have_text("")


def test_the_rules_tick_as_they_are_met_and_are_summed_up_in_words(hall: Hall) -> None:
    hall.visit("new-password")
    page = hall.page
    length = page.locator("[data-rule=min_length]")
    expect(length).to_contain_text("(not yet)")
    page.locator("#new_password").fill("eleven char")
    expect(length).to_contain_text("(not yet)")
    page.locator("#new_password").fill("twelve chars")
    expect(length).to_contain_text("(met)")
    expect(length).to_have_class("met")
    expect(page.locator("[data-rule=confirm]")).to_contain_text("(not yet)")
    page.locator("#confirm_password").fill("twelve chars")
    expect(page.locator("[data-rule=confirm]")).to_contain_text("(met)")
    expect(page.locator("[data-rule=common]")).not_to_contain_text("met")  # only the server knows
    expect(page.locator("main > [role=status]")).to_have_text("Rules met: 3 of 3")


def test_the_length_rule_counts_characters_as_the_server_does(hall: Hall) -> None:
    hall.visit("new-password")
    hall.page.locator("#new_password").fill("e\u0301" * 11)  # eleven letters in the composed form
    expect(hall.page.locator("[data-rule=min_length]")).to_contain_text("(not yet)")
    hall.page.locator("#new_password").fill("\U0001f511" * 12)  # twelve keys, each two units of UTF-16
    expect(hall.page.locator("[data-rule=min_length]")).to_contain_text("(met)")


def _start_clock(hall: Hall, name: str) -> None:
    hall.page.clock.install()
    hall.visit(name)


def test_the_countdown_runs_silently_and_frees_the_button_at_its_end(hall: Hall) -> None:
    hall.gallery.status = {"resend_in": 0}
    _start_clock(hall, "pin-sent")
    page, button = hall.page, hall.page.get_by_role("button", name="Send a new PIN")
    page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 1)
    expect(button).to_have_attribute("aria-disabled", "true")
    button.evaluate("button => button.click()")
    assert hall.gallery.posts == []
    for _ in range(3):
        page.clock.run_for(400)
    expect(page.locator("main > [role=status]")).to_be_empty()
    page.clock.run_for(3000)  # the first poll says that one may ask again
    expect(button).not_to_have_attribute("aria-disabled", "true")
    page.clock.run_for(200)
    expect(page.locator("main > [role=status]")).to_have_text("You can ask for a new PIN now.")
    expect(page.get_by_text("You can ask for a new PIN in")).to_be_hidden()


def test_one_minute_before_its_end_the_pin_says_so_and_at_its_end_a_new_one_comes_first(hall: Hall) -> None:
    _start_clock(hall, "pin-delivered")
    page, live = hall.page, hall.page.locator("main > [role=status]")
    page.route("**/recovery/pin/status", lambda route: route.abort())
    page.clock.fast_forward((272 - 59) * 1000)
    page.clock.run_for(1000)
    expect(live).to_have_text("One minute left for this PIN.")
    page.clock.fast_forward(60_000)
    page.clock.run_for(1000)
    expect(live).to_have_text("Expired. Ask for a new PIN.")
    expect(page.locator("#pin-state + *")).to_have_id("again")
    expect(page.get_by_role("heading", name="This PIN has expired")).to_be_visible()


def test_a_delivery_is_told_when_the_worker_learns_of_it(hall: Hall) -> None:
    hall.gallery.status = {"state": "delivered", "tries_left": 4}
    hall.visit("pin-queued")
    expect(hall.page.get_by_text("On its way to the operator")).to_be_visible()
    expect(hall.page.locator("dd").get_by_text("Delivered to your phone")).to_be_visible()
    expect(hall.page.get_by_text("On its way to the operator")).to_be_hidden()
    expect(hall.page.locator("[data-state]")).to_have_attribute("data-state", "delivered")
    expect(hall.page.locator("[data-tries]")).to_have_text("4")
    expect(hall.page.locator("main > [role=status]")).to_have_text("Delivered to your phone")


def test_a_failed_delivery_puts_the_other_way_first(hall: Hall) -> None:
    hall.gallery.status = {"state": "failed"}
    hall.visit("pin-sent")
    page = hall.page
    expect(page.locator("#pin-state + *")).to_have_id("other")
    expect(page.get_by_text("The PIN could not be delivered to +49 ••• ••• 4567. Have a new one").first).to_be_visible()
    expect(page.locator("main > [role=status]")).to_contain_text("Have a new one sent another way.")
    page.get_by_role("button", name="Send it by e-mail").click()
    page.wait_for_url("**/en/verify")
    assert hall.gallery.posts[0][0] == "/recovery/pin/send"
    assert hall.gallery.posts[0][1]["channel"] == "email"


def test_polling_ends_when_the_step_is_over(hall: Hall) -> None:
    _start_clock(hall, "pin-sent")
    asked = []

    def over(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=409, body="{}")

    hall.page.route("**/recovery/pin/status", over)
    for _ in range(5):
        hall.page.clock.run_for(2100)
        hall.page.wait_for_timeout(50)
    assert len(asked) == 1


def test_where_no_pin_was_sent_nothing_is_polled(hall: Hall) -> None:
    _start_clock(hall, "pin-not-sent")
    before = hall.gallery.asked
    hall.page.clock.run_for(5000)
    assert hall.gallery.asked == before


def test_the_demo_shows_new_messages_and_codes_by_itself(hall: Hall) -> None:
    hall.visit("demo")
    expect(hall.page.locator("[data-inbox=sms] li")).to_have_count(2)
    expect(hall.page.locator("[data-inbox=sms] li .pin").first).to_have_text("130495")
    expect(hall.page.locator("[data-person=jane] [data-code]")).to_have_text("287 082")
    hall.page.locator("[data-person=jane]").get_by_role("button", name="Copy").first.click()
    assert hall.page.evaluate("navigator.clipboard.readText()") == "287082"


def test_the_language_is_changed_by_a_form_that_returns_to_the_page(hall: Hall) -> None:
    hall.visit("token")
    hall.page.get_by_role("button", name="Deutsch").click()
    hall.page.wait_for_url("**/en/verify")
    path, sent = hall.gallery.posts[0]
    assert (path, sent["language"], sent["next"]) == ("/language", "de", "/recovery/token")


@pytest.mark.parametrize(
    ("name", "wanted"), [("token-wrong", "code"), ("pin-wrong", "pin"), ("new-password-rules", "new_password")]
)
def test_an_error_is_in_the_title_tied_to_its_field_and_takes_the_focus(hall: Hall, name: str, wanted: str) -> None:
    hall.visit(name)
    expect(hall.page).to_have_title(hall.page.title() if hall.page.title().startswith("Error: ") else "Error: …")
    field = hall.page.locator(f"#{wanted}")
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    described = (field.get_attribute("aria-describedby") or "").split()
    expect(hall.page.locator(f"#{described[0]}")).to_have_attribute("role", "alert")


def test_several_errors_are_summed_up_with_links_to_their_fields(hall: Hall) -> None:
    hall.visit("new-password-two-errors")
    summary = hall.page.get_by_role("alert")
    expect(summary).to_have_count(1)
    expect(summary).to_be_focused()
    summary.get_by_role("link").nth(1).click()
    expect(hall.page.locator("#confirm_password")).to_be_focused()


@pytest.mark.parametrize(
    ("name", "secrets"),
    [("forgot-shown", ["data-temporary-password"]), ("api-clients-secret", ["data-client-id", "data-client-secret"])],
)
def test_what_is_shown_once_is_read_and_marked_with_keys_alone_and_no_script(
    without_script: Hall, name: str, secrets: list[str]
) -> None:
    page = without_script.page
    without_script.visit(name)
    for attribute in secrets:
        field = page.locator(f"main [{attribute}]")
        for _ in range(40):
            page.keyboard.press("Tab")
            if field.evaluate("one => one === document.activeElement"):
                break
        page.keyboard.press("Control+A")
        marked = "one => one.value.slice(one.selectionStart, one.selectionEnd)"
        assert field.evaluate(marked) == field.get_attribute(attribute)
        page.keyboard.type("nothing is altered")
        expect(field).to_have_value(field.get_attribute(attribute) or "")
    assert _too_wide(page) <= 0


@pytest.mark.parametrize("language", ["en", "de"])
def test_what_is_wrong_with_a_question_of_ones_own_is_said_where_it_is_written(hall: Hall, language: str) -> None:
    page = hall.page
    own = page.locator("#own_question")
    hall.visit("security-question-own-missing", language)
    expect(own).to_be_focused()
    expect(own).to_have_accessible_description(
        re.compile(
            "^Choose a question, or write one of your own|^Wählen Sie eine Frage, oder schreiben Sie eine eigene"
        )
    )
    expect(page.locator("#question")).not_to_have_attribute("aria-invalid", "true")
    hall.visit("security-question-own", language)
    expect(page.get_by_role("alert")).to_be_focused()
    page.get_by_role("alert").get_by_role("link").first.press("Enter")
    expect(own).to_be_focused()


def test_reading_begins_with_why_a_question_is_asked_for_and_what_becomes_of_the_present_one(hall: Hall) -> None:
    for name in ("security-question", "security-question-change"):
        hall.visit(name)
        expect(hall.page.locator("body")).to_be_focused()


def test_what_was_done_with_an_api_client_is_said_once(shared: Hall) -> None:
    shared.visit("api-clients")
    expect(shared.page.get_by_text("The API client was revoked.")).to_have_count(1)


def test_of_api_clients_with_the_same_name_one_sees_which_is_about_to_change(shared: Hall) -> None:
    for name in ("api-client-rotate", "api-client-revoke"):
        shared.visit(name)
        expect(shared.page.get_by_role("main")).to_contain_text("3f1c9a52-7c11-4a4e-9b68-0a5d7f6f2c11")


def test_reading_begins_at_a_new_secret_unless_something_is_wrong(hall: Hall) -> None:
    hall.visit("api-clients-secret")
    expect(hall.page.get_by_role("region", name="Secret of Billing")).to_be_focused()
    hall.visit("api-clients-secret-wrong")
    expect(hall.page.get_by_role("textbox", name="Name of the program")).to_be_focused()


def test_when_an_api_client_was_made_is_told_in_the_readers_zone(
    gallery: tuple[Gallery, str], browser: Browser
) -> None:
    page = browser.new_page(timezone_id="Asia/Tokyo")
    page.goto(f"{gallery[1]}/en/api-clients")
    expect(page.locator("section").filter(has_text="Billing").locator("dl time")).to_have_text(
        ["September 20, 2026 at 23:13", "September 21, 2026 at 23:03", "September 22, 2026 at 23:03"]
    )
    page.close()


def test_each_button_that_copies_says_what_and_that_it_did(hall: Hall) -> None:
    hall.visit("api-clients-secret")
    page = hall.page
    for name, attribute in (("Copy Client ID", "data-client-id"), ("Copy Secret", "data-client-secret")):
        page.get_by_role("button", name=name, exact=True).press("Enter")
        expect(page.locator("main > [role=status]")).to_have_text("Copied")
        wanted = page.locator(f"[{attribute}]").get_attribute(attribute)
        assert page.evaluate("navigator.clipboard.readText()") == wanted


def test_where_nothing_may_be_copied_what_was_to_be_is_marked(hall: Hall) -> None:
    hall.page.add_init_script("navigator.clipboard.writeText = () => Promise.reject(new Error('not here'))")
    hall.visit("forgot-shown")
    hall.page.get_by_role("button", name="Copy Temporary password").press("Enter")
    expect(hall.page.locator("#temporary")).to_be_focused()
    assert hall.page.locator("#temporary").evaluate("one => one.selectionEnd - one.selectionStart") == 19


def test_a_setting_that_is_chosen_wrongly_wears_the_colour_of_an_error(hall: Hall) -> None:
    hall.visit("audit-two-errors")
    colour = "one => getComputedStyle(one).borderTopColor"
    colours = [hall.page.locator(f"#{name}").evaluate(colour) for name in ("event", "from", "outcome")]
    assert colours[0] == colours[1] != colours[2]


def test_of_several_organizations_the_one_that_is_shown_stands_out(hall: Hall) -> None:
    hall.visit("policy-preview")
    links = hall.page.get_by_role("navigation", name="Your organizations").get_by_role("link")
    weights = links.evaluate_all("links => links.map((one) => [!!one.ariaCurrent, getComputedStyle(one).fontWeight])")
    assert weights == [[True, "600"], [False, "400"]]
