"""The six words: guessed by nobody, and telling nothing (security rules 3 and 14)."""

import re

import pytest

from app.foundation.wordlist import _WORDS, in_words, octets_of
from app.records.cases.model import TRIES, WORDS
from app.records.people import store as people
from tests.journeys import behind
from tests.journeys.approvals.conftest import DAY, EMAIL, PHONE
from tests.meanwhile import before_writing

UNKNOWN = "-".join(["acorn"] * WORDS)


def answer(desk, typed, address="198.51.100.4"):
    """Status, headers and page of somebody who types words, but for what is drawn for each page."""
    browser = desk.portal.browser(REMOTE_ADDR=address)
    browser.get("/approve")
    given = browser.post("/approve", code=typed)
    page = re.sub(r'name="csrf_token" value="[^"]+"', "", given.text)
    headers = {name: value for name, value in given.headers.items() if name not in {"Set-Cookie", "X-Request-Id"}}
    return given.status_code, {name: len(value) for name, value in headers.items()}, page


def test_there_are_so_many_words_that_forty_bits_are_exceeded():
    assert len(_WORDS) == len(set(_WORDS)) == 256
    assert 8 * WORDS >= 40
    octets = bytes(range(WORDS))
    for typed in (in_words(octets), in_words(octets).upper(), in_words(octets).replace("-", "  ")):
        assert octets_of(typed, WORDS) == octets
    for typed in ("", "acorn", "acorn " * 7, "é" * 6, "acorn " * 40, in_words(octets) + "-nothing"):
        assert octets_of(typed, WORDS) is None


def test_wrong_used_expired_withdrawn_and_unknown_words_get_one_answer(desk):
    desk.asked("remove-app", app=desk.app())
    right = desk.words()
    near = "-".join([*right.split("-")[:-1], "acorn" if not right.endswith("acorn") else "amber"])
    answers = {"wrong": answer(desk, near), "unknown": answer(desk, UNKNOWN)}
    desk.decide(right)
    answers["used"] = answer(desk, right)
    desk.do("withdraw")
    desk.later(3_600)
    desk.asked("remove-app", app=desk.app())
    withdrawn = desk.words()
    desk.do("withdraw")
    answers["withdrawn"] = answer(desk, withdrawn)
    desk.later(3_600)
    desk.asked("remove-app", app=desk.app())
    desk.later(DAY)
    answers["expired"] = answer(desk, desk.words())
    assert {status for status, _, _ in answers.values()} == {422}
    assert len({repr(one) for one in answers.values()}) == 1, answers.keys()


def test_after_five_tries_the_right_words_open_nothing_and_that_looks_the_same(desk):
    desk.asked("remove-app", app=desk.app())
    right = desk.words()
    wrong = "-".join([*right.split("-")[:-1], "acorn" if not right.endswith("acorn") else "amber"])
    for n in range(TRIES):
        assert answer(desk, wrong, f"198.51.100.{n}")[0] == 422  # no address and no session gives tries back
    assert answer(desk, right) == answer(desk, UNKNOWN)
    assert desk.state == "asked"


def test_the_owner_may_open_the_page_again_and_again_until_it_is_approved(desk):
    desk.asked("remove-app", app=desk.app())
    for _ in range(TRIES + 2):
        desk.open(desk.words())
    assert desk.request.tries == 0


def test_words_of_one_request_open_no_other(desk):
    """Bound to the request: its secret words fit nothing beside its own first words."""
    desk.asked("remove-app", app=desk.app())
    one = desk.words().split("-")
    desk.do("withdraw")
    desk.later(3_600)
    desk.asked("remove-app", app=desk.app())
    other = desk.words().split("-")
    assert answer(desk, "-".join(other[:2] + one[2:]))[0] == 422


def test_unknown_words_write_no_row_but_a_spare_one(desk):
    answer(desk, UNKNOWN)
    before = behind.tables(desk.portal)
    assert answer(desk, UNKNOWN)[0] == 422
    assert behind.tables(desk.portal) == before


def test_wrong_words_for_a_living_request_are_written_down_for_its_owner(desk):
    desk.asked("remove-app", app=desk.app())
    right = desk.words()
    answer(desk, "-".join([*right.split("-")[:-1], "acorn" if not right.endswith("acorn") else "amber"]))
    assert behind.happened(desk.portal, desk.jane.id, "support_approval_code_fail") == 1


def test_tries_are_counted_for_each_address(desk):
    """300 in ten minutes (product.md 3)."""
    browser = desk.portal.browser(REMOTE_ADDR="198.51.100.4")
    browser.get("/approve")
    statuses = [browser.post("/approve", code=UNKNOWN).status_code for _ in range(301)]
    assert statuses == [422] * 300 + [429]


def test_the_approval_of_a_contact_that_was_removed_meanwhile_is_none(desk):
    desk.asked("remove-app", app=desk.app())
    browser = desk.open(desk.words())

    with desk.portal.base.database.begin() as transaction:
        people.remove_contact(transaction, desk.jane.id, desk.contact(EMAIL), desk.now)
    assert browser.post("/approve/decide", decision="approve").status_code == 409
    assert desk.state == "asked"


def test_no_and_cancel_it_ends_it_for_good(desk):
    desk.asked("remove-app", app=desk.app())
    desk.decide(desk.words(), "cancel")
    assert desk.state == "cancelled"
    assert desk.review().status_code == 409
    assert desk.do("carry-out").status_code == 409
    assert any("cancelled" in text for text in desk.texts(PHONE))


def test_a_right_code_alone_approves_nothing(desk):
    desk.asked("remove-app", app=desk.app())
    browser = desk.open(desk.words())
    assert desk.state == "asked"
    for decision in ("", "yes", "confirm"):
        assert browser.post("/approve/decide", decision=decision).status_code == 422
    assert desk.state == "asked"


def test_a_freezing_that_comes_first_ends_what_was_asked_for(desk):
    desk.asked("remove-app", app=desk.app())
    browser = desk.open(desk.words())
    with before_writing(desk.portal.base.database, lambda: desk.ask("freeze")):
        assert browser.post("/approve/decide", decision="approve").status_code == 409
    assert behind.happened(desk.portal, desk.jane.id, "support_approved") == 0


@pytest.mark.parametrize("path", ["/approve/decide", "/approve/done"])
def test_the_steps_after_the_words_open_to_nobody_without_them(desk, path):
    assert desk.portal.browser().get(path).location == "/approve"
