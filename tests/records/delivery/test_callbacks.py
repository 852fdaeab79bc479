"""Twilio's status callbacks: signed or refused, in any order, as often as they come."""

import itertools

import pytest

from app.foundation.settings import Settings
from app.records.delivery.channels.sms_twilio import signed
from app.records.delivery.service import Callbacks
from tests.edges import AUTH_TOKEN, Phone, sign
from tests.records.delivery.parts import House, drain

URL = "https://keyturn.example.org/webhooks/twilio/status"


def callbacks(house: House, token: str = AUTH_TOKEN) -> Callbacks:
    return Callbacks(house.database, token, "https://keyturn.example.org/", house.clock)


def fields(sid: str, status: str, code: str = "") -> dict[str, str]:
    found = {"MessageSid": sid, "SmsSid": sid, "MessageStatus": status, "To": "+15005550006"}
    return found | ({"ErrorCode": code} if code else {})


def sent(house: House, world: Settings, phone: Phone) -> tuple[str, str]:
    """A PIN that was accepted: its outbox id and the provider's."""
    outbox_id = house.pin(house.phone)
    drain(house.worker(world))
    return outbox_id, phone.texts[-1].sid


def test_the_published_example_is_verified() -> None:
    # twilio.com/docs/usage/webhooks/webhooks-security
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    given = {"CallSid": "CA1234567890ABCDE", "Caller": "+14158675309", "Digits": "1234", "From": "+14158675309"}
    given |= {"To": "+18005551212"}
    signature = "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    assert signed("12345", url, given, signature)
    assert sign("12345", url, given) == signature
    assert not signed("12346", url, given, signature)
    assert not signed("12345", url + "&x=1", given, signature)
    assert not signed("12345", url, given | {"Digits": "1235"}, signature)
    assert not signed("12345", url, given | {"More": ""}, signature)


@pytest.mark.parametrize(
    "signature", [None, "", "x", "RSOYDt4T1cUTdK1PDd93/VVr8B8=", "ä" * 28, "\ud800", "A" * 100_000]
)
def test_a_missing_or_wrong_signature_is_refused_and_changes_nothing(
    sqlite_house: House, world: Settings, phone: Phone, signature: str | None
) -> None:
    outbox_id, sid = sent(sqlite_house, world, phone)
    assert not callbacks(sqlite_house).receive(fields(sid, "delivered"), signature)
    assert sqlite_house.state(outbox_id)[0] == "sent"


def test_without_an_auth_token_nothing_is_believed(sqlite_house: House, world: Settings, phone: Phone) -> None:
    outbox_id, sid = sent(sqlite_house, world, phone)
    given = fields(sid, "delivered")
    assert not callbacks(sqlite_house, token="").receive(given, sign("", URL, given))
    assert sqlite_house.state(outbox_id)[0] == "sent"


def test_a_signed_callback_moves_the_message(house: House, world: Settings, phone: Phone) -> None:
    outbox_id, sid = sent(house, world, phone)
    given = fields(sid, "delivered")
    assert callbacks(house).receive(given, sign(AUTH_TOKEN, URL, given))
    assert house.state(outbox_id) == ("delivered", "")
    assert house.row(outbox_id).next_at is None


def test_a_failure_brings_its_reason(house: House, world: Settings, phone: Phone) -> None:
    outbox_id, sid = sent(house, world, phone)
    given = fields(sid, "undelivered", "30003")
    assert callbacks(house).receive(given, sign(AUTH_TOKEN, URL, given))
    assert house.state(outbox_id) == ("failed", "unreachable")


def test_callbacks_in_any_order_and_twice_never_lead_back(sqlite_house: House, world: Settings, phone: Phone) -> None:
    house = sqlite_house
    for order in itertools.permutations(["queued", "sent", "delivered", "undelivered"]):
        outbox_id, sid = sent(house, world, phone)
        final = ""
        for status in order * 2:
            given = fields(sid, status)
            assert callbacks(house).receive(given, sign(AUTH_TOKEN, URL, given))
            now = house.state(outbox_id)[0]
            assert now == (final or {"delivered": "delivered", "undelivered": "failed"}.get(status, "sent"))
            final = now if now != "sent" else ""


@pytest.mark.parametrize(
    "given",
    [
        fields("SM" + "f" * 32, "delivered"),
        fields("", "delivered"),
        {"MessageStatus": "delivered"},
        {},
        fields("SM0", "no-such-status"),
        fields("SM0", "failed", "not a number"),
        fields("SM0", "failed", "٣٠٠٠٣"),
    ],
)
def test_what_is_not_known_is_ignored(house: House, given: dict[str, str]) -> None:
    waiting = house.pin(house.phone)
    assert callbacks(house).receive(given, sign(AUTH_TOKEN, URL, given))
    assert house.state(waiting)[0] == "queued"


def test_fields_that_cannot_be_encoded_are_refused(house: House) -> None:
    assert not callbacks(house).receive({"MessageSid": "\ud800"}, "RSOYDt4T1cUTdK1PDd93/VVr8B8=")
