"""Twilio's API, spoken to a server on this machine: what each answer means, and that nothing is kept or followed."""

import gc
import logging
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from app.records.delivery.channels import build
from app.records.delivery.channels.sms_twilio import TwilioSender, fate_of
from app.records.delivery.model import Channel, Failure, Fate, Message, Outcome, State
from tests.edges import (
    ACCOUNT,
    API_KEY,
    API_SECRET,
    AUTH_TOKEN,
    HANG_UP_AFTER,
    HANG_UP_BEFORE,
    SENDER,
    Answer,
    Certificates,
    Phone,
    closed_port,
    refuse,
)
from tests.hands import HandClock
from tests.records.delivery.parts import NUMBER, settings

BODY = "Your one-time PIN\n482913\n\n@keyturn.example.org #482913"


def message(to: str = NUMBER, validity: int = 287) -> Message:
    return Message(to, BODY, "", "", validity)


def sender(base: str, **more: Any) -> TwilioSender:
    values = {"account_sid": ACCOUNT, "username": API_KEY, "password": API_SECRET, "sender": SENDER, "base": base}
    return TwilioSender(**(values | more))


def failure(of: TwilioSender, to: str = NUMBER) -> Failure:
    with pytest.raises(Failure) as caught:
        of.send(message(to))
    return caught.value


def test_a_message_is_posted_once_with_what_is_left_of_its_life(phone: Phone) -> None:
    accepted = sender(phone.base).send(message())
    (text,) = phone.texts
    assert accepted.provider_sid == text.sid
    assert text.fields == {"To": NUMBER, "From": SENDER, "Body": BODY, "ValidityPeriod": "287"}
    assert text.user == API_KEY
    assert phone.posts == 1


@pytest.mark.parametrize(("validity", "told"), [(0, "1"), (1, "1"), (36_000, "36000"), (259_200, "36000")])
def test_the_validity_keeps_within_what_twilio_takes(phone: Phone, validity: int, told: str) -> None:
    sender(phone.base).send(message(validity=validity))
    assert phone.texts[0].fields["ValidityPeriod"] == told


def test_a_messaging_service_sends_in_place_of_a_number(phone: Phone) -> None:
    service = "MG" + "1" * 32
    sender(phone.base, sender=service).send(message())
    assert phone.texts[0].fields["MessagingServiceSid"] == service
    assert "From" not in phone.texts[0].fields


@pytest.mark.parametrize(
    ("more", "user", "callback"),
    [
        ({}, API_KEY, None),
        ({"twilio_auth_token": AUTH_TOKEN}, API_KEY, "https://keyturn.example.org/webhooks/twilio/status"),
        ({"twilio_auth_token": AUTH_TOKEN, "public_url": "http://127.0.0.1:8470"}, API_KEY, None),
        (
            {"twilio_api_key_sid": "", "twilio_api_key_secret": "", "twilio_auth_token": AUTH_TOKEN},
            ACCOUNT,
            "https://keyturn.example.org/webhooks/twilio/status",
        ),
    ],
)
def test_settings_decide_who_posts_and_whether_a_callback_is_asked_for(
    phone: Phone, clock: HandClock, more: dict[str, Any], user: str, callback: str | None
) -> None:
    built = settings(sms=phone.base)
    from dataclasses import replace

    build(replace(built, **more), clock)[Channel.SMS].send(message())
    assert phone.texts[0].user == user
    assert phone.texts[0].fields.get("StatusCallback") == callback


CODES = {
    21211: (Outcome.PERMANENT, "bad_number", False),
    21614: (Outcome.PERMANENT, "bad_number", False),
    21612: (Outcome.PERMANENT, "bad_number", False),
    21635: (Outcome.PERMANENT, "bad_number", False),
    21610: (Outcome.PERMANENT, "opted_out", False),
    21408: (Outcome.PERMANENT, "provider_setup", True),
    21606: (Outcome.PERMANENT, "provider_setup", True),
    21608: (Outcome.PERMANENT, "provider_setup", True),
    20003: (Outcome.PERMANENT, "provider_setup", True),
    20429: (Outcome.TEMPORARY, "provider_busy", False),
    29999: (Outcome.PERMANENT, "refused", False),
}


@pytest.mark.parametrize("problem", [False, True])
@pytest.mark.parametrize("code", CODES)
def test_each_refusal_is_classified_once_and_nothing_arrives(phone: Phone, code: int, problem: bool) -> None:
    phone.plan(refuse(400, code, problem=problem))
    found = failure(sender(phone.base))
    assert (found.outcome, found.code, found.operator) == CODES[code]
    assert found.provider_code == code
    assert phone.texts == []


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("+15005550001", "bad_number"),
        ("+15005550002", "bad_number"),
        ("+15005550003", "provider_setup"),
        ("+15005550004", "opted_out"),
        ("+15005550009", "bad_number"),
    ],
)
def test_magic_numbers_fail_as_they_do_at_twilio(phone: Phone, number: str, reason: str) -> None:
    assert failure(sender(phone.base), number).code == reason


@pytest.mark.parametrize(
    ("status", "outcome", "reason"),
    [
        (429, Outcome.TEMPORARY, "provider_busy"),
        (401, Outcome.PERMANENT, "provider_setup"),
        (403, Outcome.PERMANENT, "provider_setup"),
        (404, Outcome.PERMANENT, "provider_setup"),
        (500, Outcome.UNKNOWN, "provider_error"),
        (502, Outcome.UNKNOWN, "provider_error"),
        (503, Outcome.UNKNOWN, "provider_error"),
        (504, Outcome.UNKNOWN, "provider_error"),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>no</html>"])
def test_an_answer_without_a_code_is_judged_by_its_status(
    phone: Phone, status: int, outcome: Outcome, reason: str, body: bytes
) -> None:
    phone.plan(Answer(status, 0, accepts=False, body=body))
    found = failure(sender(phone.base))
    assert (found.outcome, found.code) == (outcome, reason)


def test_wrong_credentials_are_a_matter_for_the_operator(phone: Phone) -> None:
    found = failure(sender(phone.base, password="wrong"))
    assert (found.outcome, found.code, found.operator) == (Outcome.PERMANENT, "provider_setup", True)
    assert phone.unauthorized == 1


def test_a_server_that_is_not_there_has_certainly_nothing() -> None:
    with closed_port() as port:
        found = failure(sender(f"http://127.0.0.1:{port}"))
    assert (found.outcome, found.code) == (Outcome.TEMPORARY, "provider_unreachable")


def test_a_name_that_does_not_resolve_has_certainly_nothing() -> None:
    found = failure(sender("http://nobody.invalid."))
    assert (found.outcome, found.code) == (Outcome.TEMPORARY, "provider_unreachable")


def test_a_certificate_that_nobody_trusts_is_refused_before_anything_is_said(certificates: Certificates) -> None:
    with Phone(certificates) as phone:
        found = failure(sender(phone.base))
        assert (found.outcome, found.code, found.operator) == (Outcome.PERMANENT, "provider_certificate", True)
        assert (phone.posts, phone.texts) == (0, [])


def test_a_certificate_that_is_trusted_is_accepted(certificates: Certificates, tmp_path: Path) -> None:
    authority = tmp_path / "authority.pem"
    authority.write_bytes(certificates.authority)
    with Phone(certificates) as phone:
        sender(phone.base, ca_file=str(authority)).send(message())
        assert len(phone.texts) == 1


def test_tls_that_fails_is_before_the_request(phone: Phone) -> None:
    # the port speaks plain HTTP, so the handshake breaks
    found = failure(sender(phone.base.replace("http://", "https://")))
    assert (found.outcome, found.code) == (Outcome.TEMPORARY, "provider_unreachable")
    assert phone.texts == []


@pytest.mark.parametrize(("answer", "arrived"), [(HANG_UP_BEFORE, 0), (HANG_UP_AFTER, 1)])
def test_a_connection_that_breaks_after_the_request_leaves_it_unknown(
    phone: Phone, answer: Answer, arrived: int
) -> None:
    phone.plan(answer)
    found = failure(sender(phone.base))
    assert (found.outcome, found.code) == (Outcome.UNKNOWN, "no_answer")
    assert (phone.posts, len(phone.texts)) == (1, arrived)


@pytest.mark.slow
def test_silence_after_the_request_leaves_it_unknown_after_five_seconds(phone: Phone) -> None:
    phone.plan(Answer(delay=60))
    began = time.monotonic()
    assert failure(sender(phone.base)).outcome is Outcome.UNKNOWN
    assert 4.5 < time.monotonic() - began < 15
    assert (phone.posts, len(phone.texts)) == (1, 1)


@pytest.mark.parametrize("body", [b"not json", b"[]", b"{}", b'{"sid": null}', b'"text"', b"\xff\xfe"])
def test_nonsense_after_the_request_leaves_it_unknown(phone: Phone, body: bytes) -> None:
    phone.plan(Answer(body=body))
    assert failure(sender(phone.base)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(phone: Phone, status: int) -> None:
    with Phone() as elsewhere:
        there = f"{elsewhere.base}/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
        phone.plan(Answer(status, accepts=False, location=there))
        found = failure(sender(phone.base))
        assert (found.outcome, found.operator) == (Outcome.PERMANENT, True)
        assert (elsewhere.posts, elsewhere.unauthorized) == (0, 0)


@pytest.mark.parametrize(
    ("status", "code", "fate"),
    [
        *[
            (status, None, Fate(State.SENT))
            for status in ("queued", "accepted", "scheduled", "sending", "sent", "new-one")
        ],
        ("delivered", None, Fate(State.DELIVERED)),
        ("read", None, Fate(State.DELIVERED)),
        ("undelivered", 30003, Fate(State.FAILED, "unreachable", 30003)),
        ("undelivered", 30004, Fate(State.FAILED, "blocked", 30004)),
        ("undelivered", 30005, Fate(State.FAILED, "unreachable", 30005)),
        ("undelivered", 30006, Fate(State.FAILED, "bad_number", 30006)),
        ("undelivered", 30007, Fate(State.FAILED, "filtered", 30007)),
        ("failed", 30008, Fate(State.FAILED, "undelivered", 30008)),
        ("failed", 39999, Fate(State.FAILED, "undelivered", 39999)),
        ("failed", None, Fate(State.FAILED, "undelivered")),
        ("sent", 30008, Fate(State.SENT)),
    ],
)
def test_each_status_means_one_fate(phone: Phone, status: str, code: int | None, fate: Fate) -> None:
    assert fate_of(status, code) == fate
    way = sender(phone.base)
    sid = way.send(message()).provider_sid
    phone.tell(sid, status, code)
    assert way.fate(sid) == fate


def test_a_fate_that_cannot_be_learnt_is_a_failure_and_not_an_answer(phone: Phone) -> None:
    with pytest.raises(Failure):
        sender(phone.base).fate("SM" + "f" * 32)
    with closed_port() as port, pytest.raises(Failure):
        sender(f"http://127.0.0.1:{port}").fate("SM" + "f" * 32)


def test_the_client_keeps_neither_the_request_nor_the_response(phone: Phone) -> None:
    way = sender(phone.base)
    way.send(message())
    client = way._client().http_client
    assert client._test_only_last_request is None
    assert client._test_only_last_response is None


def test_nothing_that_outlives_the_call_holds_the_pin(phone: Phone) -> None:
    way = sender(phone.base)
    way.send(Message(NUMBER, "a body " + "x" * 40 + "7731905", "", "", 60))
    phone.texts.clear()
    gc.collect()
    holders = [one for one in gc.get_objects() if isinstance(one, dict) and "7731905" in str(one.get("Body", ""))]
    assert holders == []


def test_the_library_logs_nothing_below_a_warning(phone: Phone, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        sender(phone.base).send(message())
        failure(sender(phone.base), "+15005550001")
    assert [record for record in caplog.records if record.name.split(".")[0] in {"twilio", "urllib3", "requests"}] == []


def test_the_edge_of_the_environment_does_not_lead_elsewhere(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TWILIO_EDGE": "sydney", "TWILIO_REGION": "au1", "http_proxy": "http://127.0.0.1:9"}.items():
        monkeypatch.setenv(name, value)
    sender(phone.base).send(message())
    assert len(phone.texts) == 1


def test_a_proxy_that_is_not_there_has_certainly_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with closed_port() as port:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        found = failure(sender("https://api.twilio.invalid"))
    assert (found.outcome, found.code) == (Outcome.TEMPORARY, "provider_unreachable")


def test_neither_twilio_nor_smtplib_is_imported_before_a_message_is_sent() -> None:
    program = (
        "import sys; import app.records.delivery.worker, app.records.delivery.service; "
        "from app.records.delivery.channels import build; from app.foundation.clock import SystemClock; "
        "from tests.records.delivery.parts import settings; "
        "build(settings(sms='http://127.0.0.1:9', mail='smtp://127.0.0.1:9'), SystemClock()); "
        "print([name for name in ('twilio', 'requests', 'smtplib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
