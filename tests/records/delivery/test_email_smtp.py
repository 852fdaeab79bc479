"""E-mail to a server on this machine: never in the clear, never to a server that is not the one, plain and marked."""

import ssl
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from app.foundation.settings import BadSetting
from app.records.delivery.channels import build
from app.records.delivery.channels.email_smtp import SmtpSender
from app.records.delivery.model import Accepted, Channel, Failure, Message, Outcome, State
from tests.edges import Certificates, Mailbox, closed_port
from tests.hands import HandClock
from tests.records.delivery.parts import ADDRESS, settings

TEXT = "Your one-time PIN:\n\n48291355\n\n@keyturn.example.org #48291355"
MESSAGE_ID = "<0123@keyturn.example.org>"


def message(to: str = ADDRESS, text: str = TEXT, subject: str = "Your one-time PIN for Keyturn") -> Message:
    return Message(to, text, subject, MESSAGE_ID, 600)


def sender(url: str, clock: HandClock, **more: Any) -> SmtpSender:
    values: dict[str, Any] = {"sender": "keyturn@example.org", "brand": "Keyturn", "host": "keyturn.example.org"}
    return SmtpSender(url, clock=clock, **(values | more))


def failure(of: SmtpSender, to: str = ADDRESS) -> Failure:
    with pytest.raises(Failure) as caught:
        of.send(message(to))
    return caught.value


def test_a_letter_is_plain_text_marked_as_automatic(mailbox: Mailbox, clock: HandClock) -> None:
    assert sender(mailbox.url, clock).send(message()) == Accepted()
    (mail,) = mailbox.mails
    headers = dict(mail.message.items())
    assert headers.pop("Content-Type") == 'text/plain; charset="utf-8"'
    assert parsedate_to_datetime(headers.pop("Date")) == datetime.fromtimestamp(clock.now(), UTC)
    assert headers == {
        "From": "Keyturn <keyturn@example.org>",
        "To": ADDRESS,
        "Subject": "Your one-time PIN for Keyturn",
        "Message-ID": MESSAGE_ID,
        "Auto-Submitted": "auto-generated",
        "Content-Transfer-Encoding": "7bit",
        "MIME-Version": "1.0",
    }
    assert not mail.message.is_multipart()
    assert mail.text == TEXT
    assert mail.raw.count(b"\n") == mail.raw.count(b"\r\n")
    assert (mail.sender, mail.to) == ("keyturn@example.org", (ADDRESS,))


def test_umlauts_arrive_as_they_were_written(mailbox: Mailbox, clock: HandClock) -> None:
    way = sender(mailbox.url, clock, brand="Größe & Söhne")
    way.send(message(text="Ihre Einmal-PIN für Größe:\n\n48291355\n", subject="Ihre PIN für Größe"))
    (mail,) = mailbox.mails
    assert mail.text == "Ihre Einmal-PIN für Größe:\n\n48291355"
    assert mail.subject == "Ihre PIN für Größe"
    assert mail.message["From"].addresses[0].display_name == "Größe & Söhne"
    assert mail.raw.isascii()
    assert max(map(len, mail.raw.split(b"\r\n"))) <= 78


def test_the_settings_name_the_sender(mailbox: Mailbox, clock: HandClock) -> None:
    sender(mailbox.url, clock, sender="Signing Desk <desk@example.org>").send(message())
    assert mailbox.mails[0].message["From"] == "Signing Desk <desk@example.org>"


@pytest.mark.parametrize("security", ["smtp+starttls", "smtps"])
def test_over_tls_the_password_and_the_letter_go_to_a_server_that_is_trusted(
    certificates: Certificates, clock: HandClock, security: str
) -> None:
    with Mailbox(security, certificates, user="key%40turn", password="p%3Ass") as mailbox:
        # what is escaped in the URL is meant unescaped
        mailbox._user, mailbox._password = "key@turn", "p:ss"
        url = mailbox.url.replace("key@turn:p:ss", "key%40turn:p%3Ass")
        sender(url, clock, trust=certificates.client()).send(message())
        (mail,) = mailbox.mails
        assert mail.over_tls
        assert mail.user == "key@turn"


@pytest.mark.parametrize("security", ["smtp+starttls", "smtps"])
def test_a_certificate_that_nobody_trusts_gets_neither_password_nor_letter(
    certificates: Certificates, clock: HandClock, security: str
) -> None:
    with Mailbox(security, certificates, user="u", password="p") as mailbox:
        found = failure(sender(mailbox.url, clock))
        assert (found.outcome, found.code, found.operator) == (Outcome.PERMANENT, "provider_certificate", True)
        assert (mailbox.mails, mailbox.attempts) == ([], 0)


def test_a_certificate_of_another_name_is_refused(clock: HandClock) -> None:
    elsewhere = Certificates("mail.example.org")
    with Mailbox("smtps", elsewhere) as mailbox:
        found = failure(sender(mailbox.url, clock, trust=elsewhere.client()))
    assert (found.code, found.operator) == ("provider_certificate", True)


def test_a_server_without_starttls_gets_nothing(mailbox: Mailbox, clock: HandClock) -> None:
    found = failure(sender(mailbox.url.replace("smtp://", "smtp+starttls://"), clock))
    assert (found.outcome, found.code, found.operator) == (Outcome.PERMANENT, "provider_setup", True)
    assert (mailbox.mails, mailbox.attempts) == ([], 0)


def test_old_tls_is_refused(certificates: Certificates) -> None:
    assert certificates.client().minimum_version >= ssl.TLSVersion.TLSv1_2
    assert ssl.create_default_context().minimum_version >= ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    "url", ["smtp://mail.example.org", "smtp://192.0.2.1:25", "http://127.0.0.1", "smtps://", "mail"]
)
def test_urls_that_would_send_in_the_clear_stop_the_start(clock: HandClock, url: str) -> None:
    with pytest.raises(BadSetting, match="SMTP_URL"):
        sender(url, clock)


@pytest.mark.parametrize(
    "address", ["nobody", "a b@example.org", "@example.org", "a@b@c", "x@example.org>,<y@example.org"]
)
def test_a_sender_that_is_no_address_stops_the_start(clock: HandClock, address: str) -> None:
    with pytest.raises(BadSetting, match="MAIL_FROM"):
        sender("smtp://127.0.0.1", clock, sender=address)


def test_a_wrong_password_is_a_matter_for_the_operator(certificates: Certificates, clock: HandClock) -> None:
    with Mailbox("smtp+starttls", certificates, user="u", password="right") as mailbox:
        url = mailbox.url.replace("right", "wrong")
        found = failure(sender(url, clock, trust=certificates.client()))
        assert (found.outcome, found.code, found.operator) == (Outcome.PERMANENT, "provider_setup", True)
        assert mailbox.mails == []


@pytest.mark.parametrize(
    ("command", "answer", "outcome", "code", "operator"),
    [
        ("RCPT", "550 5.1.1 unknown", Outcome.PERMANENT, "bad_address", False),
        ("RCPT", "553 5.1.3 no such domain", Outcome.PERMANENT, "bad_address", False),
        ("RCPT", "450 4.2.1 greylisted", Outcome.TEMPORARY, "provider_busy", False),
        ("RCPT", "452 4.2.2 full", Outcome.TEMPORARY, "provider_busy", False),
        ("MAIL", "550 5.7.1 not you", Outcome.PERMANENT, "provider_setup", True),
        ("MAIL", "451 4.3.0 later", Outcome.TEMPORARY, "provider_busy", False),
        ("MAIL", "421 4.3.2 going down", Outcome.TEMPORARY, "provider_busy", False),
        ("DATA", "554 5.7.1 spam", Outcome.PERMANENT, "refused", False),
        ("DATA", "451 4.3.0 later", Outcome.TEMPORARY, "provider_busy", False),
        ("MAIL", "drop", Outcome.TEMPORARY, "provider_unreachable", False),
        ("RCPT", "drop", Outcome.TEMPORARY, "provider_unreachable", False),
        ("DATA", "drop", Outcome.TEMPORARY, "provider_unreachable", False),
    ],
)
def test_each_refusal_is_temporary_or_permanent_as_its_first_digit_says(
    mailbox: Mailbox, clock: HandClock, command: str, answer: str, outcome: Outcome, code: str, operator: bool
) -> None:
    mailbox.plan(command, answer)
    found = failure(sender(mailbox.url, clock))
    assert (found.outcome, found.code, found.operator) == (outcome, code, operator)
    assert found.provider_code == (int(answer[:3]) if answer[0].isdigit() else None)


def test_a_server_that_is_not_there_may_come_back(clock: HandClock) -> None:
    with closed_port() as port:
        found = failure(sender(f"smtp://127.0.0.1:{port}", clock))
    assert (found.outcome, found.code) == (Outcome.TEMPORARY, "provider_unreachable")


def test_a_server_that_says_nothing_is_left_after_its_time(mailbox: Mailbox, clock: HandClock) -> None:
    mailbox.hold.clear()
    mailbox.plan("DATA", "hold")
    began = time.monotonic()
    found = failure(sender(mailbox.url, clock, timeout=0.5))
    assert (found.outcome, found.code) == (Outcome.TEMPORARY, "provider_unreachable")
    assert time.monotonic() - began < 20


def test_accepted_is_accepted_even_if_the_farewell_fails(mailbox: Mailbox, clock: HandClock) -> None:
    mailbox.plan("QUIT", "drop")
    assert sender(mailbox.url, clock).send(message()) == Accepted()
    assert len(mailbox.mails) == 1


@pytest.mark.parametrize(
    "address",
    [
        "jane@example.org\r\nBcc: all@example.org",
        "jane@example.org\nX: y",
        "a b@example.org",
        "",
        "jane",
        "jänë@example.org",
    ],
)
def test_an_address_that_no_header_can_hold_is_refused_before_connecting(
    mailbox: Mailbox, clock: HandClock, address: str
) -> None:
    found = failure(sender(mailbox.url, clock), address)
    assert (found.outcome, found.code) == (Outcome.PERMANENT, "bad_address")
    assert (mailbox.sessions, mailbox.mails) == (0, [])


@pytest.mark.parametrize(
    ("host", "named"),
    [("keyturn.example.org", "keyturn.example.org"), ("127.0.0.1", "[127.0.0.1]"), ("::1", "[IPv6:::1]")],
)
def test_we_name_ourselves_without_asking_the_dns(mailbox: Mailbox, clock: HandClock, host: str, named: str) -> None:
    sender(mailbox.url, clock, host=host).send(message())
    assert mailbox.greeted_as == [named]


def test_settings_build_a_sender_and_its_mail_has_no_fate(mailbox: Mailbox, clock: HandClock) -> None:
    way = build(settings(mail=mailbox.url), clock)[Channel.EMAIL]
    assert way.send(message()).provider_sid == ""
    assert way.fate("").state is State.SENT
    assert len(mailbox.mails) == 1


def test_a_channel_without_settings_fails_at_once(clock: HandClock) -> None:
    for channel, way in build(settings(), clock).items():
        with pytest.raises(Failure) as caught:
            way.send(message())
        assert (caught.value.outcome, caught.value.code) == (Outcome.PERMANENT, "not_configured"), channel
