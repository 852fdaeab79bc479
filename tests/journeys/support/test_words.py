"""Every cause, remedy and event that the console may name has words of its own, and none is left without."""

import re
from pathlib import Path

import pytest

from app.factors.password.model import RuleKey
from app.records.audit.model import Event
from tests.journeys.support.test_rules import CAUSES

ROOT = Path(__file__).resolve().parents[3]
WORDS = (ROOT / "templates" / "support" / "_words.html").read_text(encoding="utf-8")
RULES = (ROOT / "app" / "journeys" / "support" / "rules.py").read_text(encoding="utf-8")


def macro(name: str) -> str:
    begin = WORDS.index(f"macro {name}(")
    return WORDS[begin : WORDS.index("endmacro", begin)]


def said(name: str, variable: str) -> set[str]:
    """The values of a macro's variable that it has words for."""
    body = macro(name)
    found = set(re.findall(rf'(?:if|elif) {variable} == "([a-z_-]+)"', body))
    for several in re.findall(rf"(?:if|elif) {variable} in \(([^)]*)\)", body):
        found |= set(re.findall(r'"([a-z_-]+)"', several))
    return found


def test_every_cause_has_a_sentence():
    named = (
        set(re.findall(r'Cause\(\s*"([a-z_]+)"', RULES))
        | {"proof_not_allowed"}
        | {f"{one}_{what}" for one in ("password", "app", "pin") for what in ("dead", "waits", "closed")}
    )
    named |= set(re.findall(r'Event\.[A-Z_]+: "([a-z_]+)"', RULES)) | {
        "pin_expired",
        "wrong_pin",
        "frozen",
        "frozen_for_support",
    }
    assert named <= said("cause", "n")
    assert {name for _, _, _, names, _ in CAUSES for name in names} <= said("cause", "n")


def test_every_remedy_has_words():
    named = set(re.findall(r'Remedy\("([a-z_-]+)"', RULES)) | set(re.findall(r'\): "([a-z_-]+)"', RULES))
    named |= {"ask_email", "ask_sms", "add_phone", "add_email", "not_yours", "remove-app", "forgotten", "undo_link"}
    assert named - {"try_again"} <= said("remedy", "name")


# what is no person's, or is never shown here
_NOT_TOLD = {
    Event.LOOKED_AT,
    Event.OUT_OF_SEQUENCE,
    Event.CSRF,
    Event.LOG_EXPORTED,
    Event.PEOPLE_EXPORTED,
    Event.TEST_SENT,
    Event.API_CLIENT_CREATED,
    Event.API_CLIENT_ROTATED,
    Event.API_CLIENT_REVOKED,
}


@pytest.mark.parametrize("event", [one for one in Event if one not in _NOT_TOLD], ids=str)
def test_every_event_has_words(event):
    """Its own, or those that administrators read."""
    others = (ROOT / "templates" / "auditing" / "_words.html").read_text(encoding="utf-8")
    assert event.value in said("happened", "e") or f'e == "{event.value}"' in others


def test_every_rule_of_a_password_has_words():
    assert {key.value for key in RuleKey} <= said("rule", "key")
