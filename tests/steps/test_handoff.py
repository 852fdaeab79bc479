"""The way from a program to a page: who and where to, for a quarter of an hour, sealed."""

import pytest

from app.foundation.refusals import Code, OutOfOrder
from app.steps.handoff import Handoffs, Stop
from tests.hands import START

QUARTER = 900


@pytest.fixture
def handoffs(keyring):
    return Handoffs(keyring=keyring, public_url="https://portal.example/")


def note(handoffs, user_id="jane", stop=Stop.PASSWORD):
    url = handoffs.url(user_id, stop, START)
    assert url.startswith("https://portal.example/sign-in/to/")
    return url.rpartition("/")[2]


@pytest.mark.parametrize("user_id", ["j", "jo", "jon", "jane", "jané@example.org", "x" * 255])
@pytest.mark.parametrize("stop", Stop)
def test_whoever_it_names_an_address_carries_it_as_it_is(handoffs, user_id, stop):
    for _ in range(20):  # each is sealed anew, by other signs of the alphabet
        written = note(handoffs, user_id, stop)
        assert set(written) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
        assert handoffs.read(written, START) == (user_id, stop)


def test_it_leads_there_for_a_quarter_of_an_hour_and_not_a_second_longer(handoffs):
    written = note(handoffs)
    assert handoffs.read(written, START + QUARTER - 1) == ("jane", Stop.PASSWORD)
    with pytest.raises(OutOfOrder) as refused:
        handoffs.read(written, START + QUARTER)
    assert (refused.value.code, refused.value.due) == (Code.LINK_OVER, "/sign-in")


def test_what_is_none_of_ours_leads_nowhere(handoffs, keyring):
    written = note(handoffs)
    other = keyring.seal("another purpose", b'["eve", "/authenticators", 9999999999]', "handoff")
    for forged in ("", "none", written[:-1], written[1:], f"{written}A", other):
        with pytest.raises(OutOfOrder) as refused:
            handoffs.read(forged, START)
        assert refused.value.code is Code.LINK_OVER
