"""What the messages say, in every language."""

import re

import jinja2
import pytest

from app.foundation import i18n
from app.records.delivery.channels.letters import TEMPLATES, Letters, exists, grouped
from app.records.delivery.model import Channel
from app.records.delivery.rules import SMS_LIMIT, septets
from tests.records.delivery.parts import settings

AT = 1_790_000_000  # 2026-09-21T14:13:20Z
OF_CONTACTS = ("notice_contact_added", "notice_contact_removed", "notice_contact_default", "notice_your_contact")
OF_RULES = ("notice_policy", "notice_policy_changed")  # nobody did anything to the reader's account
OF_STAFF = (
    "notice_deactivated",
    "notice_reactivated",
    "notice_membership_accepted",
    "notice_membership_ended",
    "notice_membership_proposed",
    "notice_new_staff",
    "notice_role",
    "notice_staff_lost",
    "notice_support",
)
NOTICES = (
    "notice_password_changed",
    "notice_temporary_password",
    "notice_frozen",
    "notice_unfrozen",
    "notice_rolled_back",
    "notice_unlocked",
    "notice_strangers",
    "notice_locked",
    "notice_code_used",
    "notice_access_code_used",
    "notice_codes_made",
    "notice_question_set",
    "notice_app_added",
    "notice_app_removed",
    "notice_app_disabled",
    "notice_app_enabled",
    "test",
    *OF_RULES,
    *OF_CONTACTS,
    *OF_STAFF,
)
CHANGES = tuple(
    name
    for name in NOTICES
    if name.startswith(("notice_app", "notice_code", "notice_contact", "notice_question"))
    or name in {"notice_password_changed", "notice_temporary_password", "notice_unfrozen", "notice_rolled_back"}
)
UNDO = f"https://keyturn.example.org/undo/{'x' * 43}"
FULL = {
    "support_phone": "+493012345678",
    "support_email": "help@example.org",
    "support_hours": "8 to 18",
    "brand_name": "Acme Signing",
}
# the draft's own grammar: host, one space, code, at the very end (WICG sms-one-time-codes)
BOUND = re.compile(r"@(?P<host>[^ @#]+) #(?P<code>[^ ]+)")


_SAID = {
    "channel": "sms",
    "destination": "j•••@e•••.org",
    "usable_from": AT + 604_800,
    "removed": False,
    "organization": "Acme",
    "by": "ada",
    "holds_from": AT + 604_800,
    "losses": ["recovery", "sign_in"],
    "first": ["app", "recovery_codes"],
    "second": ["phone", "email"],
    "countries": "DE, AT",
    "user_id": "jane",
    "role": "support",
    "path": "",
    "agent": "sam",
    "action": "contact",
    "stage": "granted",
    "ready_at": AT + 86_400,
    "cancel": "",
    "last": True,
}

languages = pytest.mark.parametrize("language", i18n.LANGUAGES)


def pin(channel: Channel, language: str = "en", **more: str) -> tuple[str, str]:
    digits = "482913" if channel is Channel.SMS else "48291355"
    letter = Letters(settings(**more)).render("pin", channel, language, {"pin": digits, "minutes": 10})
    assert digits not in letter.subject
    return letter.text, digits


def notice(template: str, channel: Channel, language: str = "en", **more: str) -> tuple[str, str]:
    letter = Letters(settings(**more)).render(
        template,
        channel,
        language,
        {**_SAID, "at": AT, "address": "203.0.113.7", "left": 9, "undo": UNDO, "until": AT + 900},
    )
    return letter.subject, letter.text


@languages
@pytest.mark.parametrize("channel", Channel)
def test_a_pin_stands_on_a_line_of_its_own_and_no_other_run_of_digits_looks_like_one(
    channel: Channel, language: str
) -> None:
    text, digits = pin(channel, language, **FULL)
    lines = text.split("\n")
    assert lines.count(digits) == 1
    assert re.findall(r"[0-9]{6,8}", "\n".join(lines[:-1])) == [digits]


@languages
@pytest.mark.parametrize("channel", Channel)
def test_the_last_line_binds_the_pin_to_our_host_without_a_newline_after_it(channel: Channel, language: str) -> None:
    text, digits = pin(channel, language)
    bound = BOUND.fullmatch(text.split("\n")[-1])
    assert bound is not None
    assert (bound["host"], bound["code"]) == ("keyturn.example.org", digits)


def test_the_bound_host_has_no_port() -> None:
    text, _ = pin(Channel.SMS, public_url="http://127.0.0.1:8470")
    assert text.endswith("\n@127.0.0.1 #482913")


@languages
@pytest.mark.parametrize(
    ("brand", "host"),
    [
        ("Keyturn", "keyturn.example.org"),
        ("Škoda Größe 密", "keyturn.example.org"),
        ("A" * 40, "self-service.signing.region-1.example.org"),
        ("A very long name of an authority that nobody abbreviates" * 3, "x" * 50 + ".org"),
    ],
)
def test_an_sms_with_a_pin_is_one_sms(language: str, brand: str, host: str) -> None:
    text, digits = pin(Channel.SMS, language, brand_name=brand, public_url=f"https://{host}")
    assert septets(text) <= SMS_LIMIT
    assert text.endswith(f"\n@{host} #{digits}")


@languages
@pytest.mark.parametrize("template", NOTICES)
def test_a_notice_by_sms_is_two_sms_at_most(template: str, language: str) -> None:
    _, text = notice(template, Channel.SMS, language, **FULL)
    assert septets(text) <= 2 * 153


@pytest.mark.parametrize("channel", Channel)
def test_a_pin_says_who_asks_and_that_staff_never_do(channel: Channel) -> None:
    text, _ = pin(channel, brand_name="Acme Signing")
    assert "Acme Signing" in text
    assert "Our staff never ask for it" in text
    assert "10 min" in text


@languages
@pytest.mark.parametrize("template", NOTICES)
def test_a_notice_by_email_says_when_in_utc_and_holds_no_run_that_looks_like_a_pin(
    template: str, language: str
) -> None:
    subject, text = notice(template, Channel.EMAIL, language, **FULL)
    assert subject
    assert "\n" not in subject
    assert "14:13 UTC" in text
    assert "2026" in text
    assert not re.search(r"[0-9]{6}", text)


@pytest.mark.parametrize("template", [name for name in NOTICES if name not in {"test", *OF_RULES, *OF_STAFF}])
def test_a_notice_by_email_says_from_where_what_to_do_and_whom_to_ask(template: str) -> None:
    _, text = notice(template, Channel.EMAIL, **FULL)
    assert "21 September 2026, 14:13 UTC" in text
    assert "203.0.113.7" in text
    said = "Give no code" if template == "notice_frozen" else "If that was not you"
    assert said in text
    assert re.search(rf"\n({re.escape(UNDO)}|https://keyturn.example.org)\n", text)
    for wanted in ("+49 3012 3456 78", "help@example.org", "8 to 18"):
        assert wanted.replace(" ", "") in text.replace(" ", "")


def test_the_notice_of_a_policy_to_come_says_until_when_what_is_lost_and_what_to_add() -> None:
    _, text = notice("notice_policy", Channel.EMAIL, **FULL)
    for wanted in (
        "28 September 2026, 14:13 UTC",
        "no longer recover",
        "no longer sign in",
        "an authenticator app, or a page of recovery codes",
        "a phone number or an e-mail address",
        "DE, AT",
        "help@example.org",
    ):
        assert wanted in text


def test_the_notice_of_changed_rules_names_who_changed_them_and_from_where() -> None:
    _, text = notice("notice_policy_changed", Channel.EMAIL, **FULL)
    for wanted in ("ada changed the rules of Acme", "21 September 2026, 14:13 UTC", "203.0.113.7", "28 September 2026"):
        assert wanted in text


def test_support_is_not_mentioned_where_there_is_none() -> None:
    _, text = notice("notice_password_changed", Channel.EMAIL)
    assert "Support:" not in text


@pytest.mark.parametrize("template", NOTICES)
@pytest.mark.parametrize("channel", Channel)
def test_links_lead_to_the_front_page_and_to_undo_only(template: str, channel: Channel) -> None:
    _, text = notice(template, channel)
    assert set(re.findall(r"https?://\S+", text)) <= {"https://keyturn.example.org", UNDO}


@pytest.mark.parametrize("template", CHANGES)
@pytest.mark.parametrize("channel", Channel)
def test_the_notice_of_a_change_says_how_to_freeze_the_account(template: str, channel: Channel) -> None:
    _, text = notice(template, channel)
    assert re.search(rf"If that was not you, freeze the account at once[^\n]*:\n{re.escape(UNDO)}(\n|$)", text)


LINK = "https://keyturn.example.org/activate/" + "x" * 43


def invitation(channel: Channel, language: str = "en", *, by_code: bool = False) -> tuple[str, str]:
    variables = {"user_id": "nina", "link": LINK, "until": AT, "by_code": by_code}
    letter = Letters(settings(**FULL)).render("invitation", channel, language, variables)
    return letter.subject, letter.text


@languages
@pytest.mark.parametrize("channel", Channel)
def test_an_invitation_has_its_link_on_a_line_of_its_own_and_no_run_that_looks_like_a_pin(
    channel: Channel, language: str
) -> None:
    _, text = invitation(channel, language)
    assert text.split("\n").count(LINK) == 1
    assert set(re.findall(r"https?://\S+", text)) == {LINK}
    assert not re.search(r"[0-9]{6}", text)


def test_an_invitation_says_which_second_thing_is_asked_for() -> None:
    subject, by_pin = invitation(Channel.EMAIL)
    assert "Acme Signing" in subject
    assert "help@example.org" in by_pin
    _, by_code = invitation(Channel.EMAIL, by_code=True)
    assert "one-time PIN to your phone" in by_pin
    assert "activation code" not in by_pin
    assert "activation code that your organization gives you" in by_code
    assert "If you expect no such account, do nothing" in by_code


@pytest.mark.parametrize(("template", "variables"), [("pin", {"minutes": 5}), ("notice_unlocked", {"at": AT})])
def test_a_variable_that_is_not_given_is_an_error_and_not_a_gap(template: str, variables: dict[str, object]) -> None:
    with pytest.raises(jinja2.UndefinedError):
        Letters(settings()).render(template, Channel.EMAIL, "en", variables)


def test_markup_stays_what_it_is() -> None:
    letter = Letters(settings(brand_name="<b>A & B</b> 100%")).render("test", Channel.EMAIL, "en", {"at": AT})
    assert "<b>A & B</b> 100%" in letter.text


def test_a_language_that_is_not_spoken_becomes_the_default_one() -> None:
    assert pin(Channel.SMS, "tlh") == pin(Channel.SMS, "en")


def test_every_template_comes_for_both_channels() -> None:
    names = {path.name.split(".")[0] for path in TEMPLATES.glob("*.txt") if not path.name.startswith("_")}
    only_mailed = {"audit_seal", "notice_password_expires"}
    named = {"pin", "lane_link", "reset_link", "invitation", "access_code", "approval"}
    assert names == {*named, *NOTICES, *only_mailed}
    assert all(exists(name, channel) for name in names - only_mailed for channel in Channel)
    assert not exists("nothing", Channel.SMS)


def test_german_says_something_else_than_english() -> None:
    for channel in Channel:
        for template in NOTICES:
            assert notice(template, channel, "de") != notice(template, channel, "en")
        assert pin(channel, "de") != pin(channel, "en")


@languages
@pytest.mark.parametrize("by_code", [False, True])
def test_an_invitation_holds_user_id_and_link_each_on_a_line_of_its_own_and_no_code(
    language: str, by_code: bool
) -> None:
    link = f"https://keyturn.example.org/activate/{'t' * 43}"
    variables = {"user_id": "nina", "link": link, "until": AT, "by_code": by_code}
    letter = Letters(settings(**FULL)).render("invitation", Channel.EMAIL, language, variables)
    assert {"nina", link} <= set(letter.text.split("\n"))
    assert "14:13 UTC" in letter.text
    assert not re.search(r"[0-9]{6}", letter.text)


@languages
def test_the_link_of_a_lane_stands_on_a_line_of_its_own_and_says_that_it_proves_nothing(language: str) -> None:
    variables = {"token": "t" * 43, "at": AT, "address": "203.0.113.7"}
    letter = Letters(settings(**FULL)).render("lane_link", Channel.EMAIL, language, variables)
    assert letter.text.split("\n").count(f"https://keyturn.example.org/recovery/link/{'t' * 43}") == 1
    assert "t" * 43 not in letter.subject


@languages
def test_a_reminder_says_when_the_password_expires_and_where_it_is_changed(language: str) -> None:
    for days in (14, 1):
        variables = {"expires_at": AT, "days": days}
        letter = Letters(settings(**FULL)).render("notice_password_expires", Channel.EMAIL, language, variables)
        assert f" {days} {'Tag' if language == 'de' else 'day'}" in letter.subject
        assert "14:13 UTC" in letter.text
        assert "https://keyturn.example.org/authenticators/password" in letter.text.split("\n")


@languages
@pytest.mark.parametrize("channel", Channel)
@pytest.mark.parametrize("way", ["link", "recovery", "administrator", "lapsed"])
def test_a_reset_link_stands_on_a_line_of_its_own_and_in_no_letter_that_names_another_way(
    way: str, channel: Channel, language: str
) -> None:
    variables = {"way": way, "token": "t" * 43, "at": AT, "address": "203.0.113.7"}
    letter = Letters(settings(**FULL)).render("reset_link", channel, language, variables)
    lines = letter.text.split("\n")
    assert lines.count(f"https://keyturn.example.org/forgot/{'t' * 43}") == (way == "link")
    assert ("t" * 43 in letter.text) == (way == "link")
    assert "t" * 43 not in letter.subject
    recovers = way == "recovery" or (way == "lapsed" and channel is Channel.EMAIL)
    assert ("https://keyturn.example.org/recovery" in lines) == recovers
    if channel is Channel.SMS:
        assert septets(letter.text) <= SMS_LIMIT


def test_a_letter_does_not_show_itself() -> None:
    letter = Letters(settings()).render("pin", Channel.SMS, "en", {"pin": "482913", "minutes": 5})
    assert "482913" not in repr(letter)


@pytest.mark.parametrize("number", ["+493012345678", "+15005550006", "0800123456", "+49 30 1234567", "123456789012345"])
def test_a_phone_number_keeps_its_digits_and_has_no_long_run(number: str) -> None:
    shown = grouped(number)
    assert shown.replace(" ", "") == number.replace(" ", "")
    assert not re.search(r"[0-9]{6}", shown)
    assert not re.search(r"(?:^| )[0-9]$", shown)


@languages
@pytest.mark.parametrize("channel", Channel)
def test_a_notice_of_a_lock_without_a_time_names_none_and_how_it_ends(channel: Channel, language: str) -> None:
    letter = Letters(settings()).render(
        "notice_locked", channel, language, {"at": AT, "address": "203.0.113.7", "until": 0}
    )
    assert "1970" not in letter.text
    assert "https://keyturn.example.org" in letter.text
    if channel is Channel.SMS:
        assert septets(letter.text) <= SMS_LIMIT
