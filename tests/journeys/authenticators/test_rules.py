"""What a loss would mean, how times and browsers are said, when a factor was last used."""

import re
from pathlib import Path

import pytest

from app.journeys.authenticators import rules
from app.records.audit.model import Event, Record
from app.steps.moments import browser_name, moment
from app.steps.readiness import Facts, readiness

ROOT = Path(__file__).resolve().parents[3]


# apps, phones, emails, codes -> for password, phone and mailbox: the ways that remain, or what to add
READINESS = [
    ((0, 0, 0, 0), [("add", "app", "phone"), ("add", "recovery_codes", "email"), ("add", "app", "phone")]),
    ((1, 0, 0, 0), [("add", "phone"), ("add", "recovery_codes", "email"), ("add", "phone")]),
    ((1, 1, 0, 0), [("app_pin",), ("add", "recovery_codes", "email"), ("app_pin",)]),
    ((1, 0, 1, 0), [("app_pin",), ("add", "recovery_codes"), ("add", "phone")]),
    ((1, 1, 1, 0), [("app_pin",), ("add", "recovery_codes"), ("app_pin",)]),
    ((1, 1, 1, 10), [("app_pin", "codes_pin"), ("codes_pin",), ("app_pin", "codes_pin")]),
    ((0, 1, 1, 10), [("codes_pin",), ("codes_pin",), ("codes_pin",)]),
    ((0, 1, 1, 0), [("add", "app"), ("add", "recovery_codes"), ("add", "app")]),
    ((0, 1, 0, 10), [("codes_pin",), ("add", "email"), ("codes_pin",)]),
    ((0, 0, 2, 1), [("codes_pin",), ("codes_pin",), ("codes_pin",)]),
    ((2, 1, 1, 0), [("app_pin",), ("app_pin",), ("app_pin",)]),
    ((2, 2, 0, 0), [("app_pin",), ("app_pin",), ("app_pin",)]),
    ((1, 0, 2, 1), [("app_pin", "codes_pin"), ("codes_pin",), ("app_pin", "codes_pin")]),
]


@pytest.mark.parametrize(("have", "expected"), READINESS)
def test_what_would_happen_today_if_something_were_lost(have, expected):
    ready = readiness(Facts(*have))
    assert [one.lost for one in ready.mishaps] == ["password", "phone", "mailbox"]
    assert [one.ways if one.covered else ("add", *one.add) for one in ready.mishaps] == expected
    assert ready.covered == sum(one[0] != "add" for one in expected)


def test_no_way_to_recover_is_ever_one_channel():
    for have in ((a, p, e, c) for a in range(3) for p in range(3) for e in range(3) for c in (0, 1)):
        for one in readiness(Facts(*have)).mishaps:
            assert bool(one.ways) == bool(one.channels)
            assert bool(one.ways) != bool(one.add)


def test_nobody_is_asked_to_add_what_is_there_and_only_waits():
    phone = readiness(Facts(1, 1, 1, 0, frozenset({"recovery_codes", "phone"}))).mishaps[1]
    assert (phone.covered, phone.add, phone.awaited) == (False, (), ("recovery_codes",))
    phone = readiness(Facts(1, 1, 0, 0, frozenset({"recovery_codes"}))).mishaps[1]
    assert (phone.covered, phone.add, phone.awaited) == (False, ("email",), ("recovery_codes",))


@pytest.mark.parametrize(
    ("have", "elsewhere"),
    [((2, 1, 1, 0), True), ((2, 1, 1, 1), False), ((1, 2, 0, 1), True), ((1, 2, 1, 1), False), ((1, 1, 1, 1), False)],
)
def test_a_second_app_or_number_counts_only_if_it_is_on_another_device_and_that_is_said(have, elsewhere):
    phone = next(one for one in readiness(Facts(*have)).mishaps if one.lost == "phone")
    assert (phone.covered, phone.elsewhere) == (True, elsewhere)


KIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
AGENTS = [
    ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", ("Firefox", "Linux")),
    (
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {KIT} Chrome/126.0 Safari/537.36 Edg/126.0",
        ("Edge", "Windows"),
    ),
    (
        f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {KIT} Version/17.5 Safari/605.1.15",
        ("Safari", "macOS"),
    ),
    (
        f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) {KIT} Version/17.5 Mobile/15E148 Safari/604.1",
        ("Safari", "iPhone"),
    ),
    (
        f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {KIT} Chrome/126.0 Mobile Safari/537.36",
        ("Chrome", "Android"),
    ),
    (
        f"Mozilla/5.0 (Linux; Android 14; SM-S911B) {KIT} SamsungBrowser/25.0 Chrome/121.0 Mobile Safari/537.36",
        ("Samsung Internet", "Android"),
    ),
    (
        f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {KIT} Chrome/126.0 Safari/537.36",
        ("Chrome", "ChromeOS"),
    ),
    ("curl/8.5.0", ("curl", "")),
    ("<script>alert(1)</script>", ("", "")),
    ("", ("", "")),
]


@pytest.mark.parametrize(("agent", "name"), AGENTS)
def test_a_browser_has_a_short_name(agent, name):
    assert browser_name(agent) == name


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (0, ("now", 0)),
        (59, ("now", 0)),
        (60, ("minutes", 1)),
        (3_599, ("minutes", 59)),
        (3_600, ("hours", 1)),
        (86_400 * 3 + 5, ("days", 3)),
        (86_400 * 30, ("months", 1)),
        (86_400 * 365, ("years", 1)),
        (-5, ("ahead", 5)),
    ],
)
def test_a_time_is_said_by_its_largest_unit(ago, said):
    found = moment(1_790_000_000 - ago, 1_790_000_000)
    assert (found.unit, found.count) == said


def test_the_exact_time_is_in_utc():
    assert moment(1_790_000_000, 1_790_000_000).iso == "2026-09-21T14:13:20Z"


def test_the_last_use_of_a_contact_is_that_of_its_own_pins():
    def record(event, at, **details):
        return Record(event, at, 1, "self", "success", details=details)

    records = [
        record(Event.PIN_OK, 50, contact="b"),
        record(Event.SIGN_IN_PASSWORD_OK, 40),
        record(Event.PIN_FAIL, 35, contact="c"),
        record(Event.PIN_OK, 30, contact="a"),
        record(Event.PIN_OK, 20, contact="b"),
        record(Event.PIN_OK, 15),
        record(Event.SIGN_IN_PASSWORD_OK, 10),
    ]
    assert rules.last_used(records) == {"b": 50, "password": 40, "a": 30}


def test_every_event_of_the_log_has_words_under_activity():
    text = (ROOT / "templates" / "authenticators" / "_words.html").read_text(encoding="utf-8")
    said = set(re.findall(r'(?:if|elif) e == "([a-z_]+)"', text))
    assert {event.value for event in Event} - said == set()
