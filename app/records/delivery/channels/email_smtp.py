"""E-mail by SMTP, over TLS that is checked."""

import contextlib
import ipaddress
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from app.foundation.clock import Clock
from app.foundation.settings import BadSetting, is_loopback
from app.records.delivery.model import Accepted, Failure, Fate, Message, Outcome, State

if TYPE_CHECKING:
    import smtplib

TIMEOUT = 10  # seconds for each answer of the server
_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}


class SmtpSender:
    """Sends plain text through one server. Imports smtplib at the first message."""

    def __init__(
        self,
        url: str,
        *,
        sender: str,
        brand: str,
        host: str,
        clock: Clock,
        trust: ssl.SSLContext | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        """``url`` is smtp:// (this machine only), smtp+starttls:// or smtps://, with user:password@ where needed.

        ``sender`` is MAIL_FROM, with or without a display name; ``host`` is how we name ourselves in EHLO.
        Raises BadSetting.
        """
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise BadSetting("SMTP_URL: must start with smtps:// or smtp+starttls://")
        if parts.scheme == "smtp" and not is_loopback(parts.hostname):
            raise BadSetting("SMTP_URL: smtp is accepted for loopback addresses only; use smtps or smtp+starttls")
        self._scheme = parts.scheme
        self._server = parts.hostname
        self._port = parts.port or _PORTS[parts.scheme]
        self._user = unquote(parts.username or "")
        self._password = unquote(parts.password or "")
        self._from = _sender(sender, brand)
        # a bare name of ours; without one smtplib asks the DNS for it, which can take seconds
        self._helo = _own_name(host)
        self._clock = clock
        self._given = trust
        self._timeout = timeout

    def send(self, message: Message) -> Accepted:
        try:
            letter = self.compose(message)
        except (ValueError, IndexError, MessageError):  # an address that no header can hold
            raise Failure(Outcome.PERMANENT, "bad_address") from None
        with _judged():
            smtp = self._connect()
            try:
                smtp.sendmail(self._from.addr_spec, [message.address], letter)
            finally:
                # accepted is accepted, however the farewell goes
                with contextlib.suppress(Exception):
                    smtp.quit()
                smtp.close()
        return Accepted()

    def fate(self, provider_sid: str) -> Fate:  # noqa: ARG002 - the shape of Sender
        """Nothing more is known of an e-mail once the server has taken it."""
        return Fate(State.SENT)

    def probe(self) -> None:
        """Connect, secure the line and sign in as for a letter, and send none. Raises Failure."""
        with _judged():
            smtp = self._connect()
            try:
                smtp.ehlo_or_helo_if_needed()
            finally:
                with contextlib.suppress(Exception):
                    smtp.quit()
                smtp.close()

    def compose(self, message: Message) -> bytes:
        """The letter as it goes over the wire: one text part, marked as automatic (RFC 3834 sec. 5)."""
        letter = EmailMessage(policy=SMTP)
        letter["From"] = self._from
        letter["To"] = _address("", message.address)
        letter["Subject"] = message.subject
        letter["Date"] = format_datetime(datetime.fromtimestamp(self._clock.now(), UTC))
        letter["Message-ID"] = message.message_id
        letter["Auto-Submitted"] = "auto-generated"
        letter.set_content(message.text, charset="utf-8", cte="7bit" if message.text.isascii() else "quoted-printable")
        return letter.as_bytes()

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        """The machine's authorities, read once; the certificate is checked against the name in SMTP_URL."""
        return self._given or ssl.create_default_context()

    def _connect(self) -> "smtplib.SMTP":
        import smtplib  # noqa: PLC0415 - at need

        if self._scheme == "smtps":
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(
                self._server, self._port, local_hostname=self._helo, timeout=self._timeout, context=self._trust
            )
        else:
            smtp = smtplib.SMTP(self._server, self._port, local_hostname=self._helo, timeout=self._timeout)
        try:
            if self._scheme == "smtp+starttls":
                smtp.starttls(context=self._trust)  # raises where the server does not offer it: never in the clear
            if self._user:
                smtp.login(self._user, self._password)
        except BaseException:
            smtp.close()
            raise
        return smtp


def _address(name: str, spec: str) -> Address:
    """Raises ValueError, IndexError or MessageError for what no header and no envelope can hold."""
    address = Address(name, addr_spec=spec)
    if not (address.username and address.domain and spec.isascii() and spec.isprintable()):
        raise ValueError("not an address")
    return address


def _sender(setting: str, brand: str) -> Address:
    """MAIL_FROM as one address, with the brand where it has no display name. Raises BadSetting."""
    try:
        header = SMTP.header_factory("From", setting)
        (one,) = header.addresses
        if header.defects:
            raise ValueError("not one address")  # noqa: TRY301 - judged here, worded once below
        return _address(one.display_name or brand, one.addr_spec)
    except (ValueError, IndexError, MessageError):
        raise BadSetting("MAIL_FROM: must be one address such as keyturn@example.org") from None


def _own_name(host: str) -> str:
    """A host name as it is; an address as a literal (RFC 5321 sec. 4.1.3)."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return host or "localhost"
    return f"[{host}]" if version == 4 else f"[IPv6:{host}]"


@contextlib.contextmanager
def _judged() -> Iterator[None]:
    """Turn what smtplib raises into Failure. Its own texts hold addresses, so nothing of them is kept."""
    import smtplib  # noqa: PLC0415

    try:
        yield
    except smtplib.SMTPRecipientsRefused as error:
        code = next(iter(error.recipients.values()), (0, b""))[0]
        raise _refused(code, "bad_address") from None
    except smtplib.SMTPAuthenticationError as error:
        raise _refused(error.smtp_code, "provider_setup", operator=True) from None
    except smtplib.SMTPSenderRefused as error:
        raise _refused(error.smtp_code, "provider_setup", operator=True) from None
    except smtplib.SMTPConnectError as error:
        raise _refused(error.smtp_code, "provider_setup", operator=True) from None
    except smtplib.SMTPResponseException as error:
        raise _refused(error.smtp_code, "refused") from None
    except smtplib.SMTPNotSupportedError:
        raise Failure(Outcome.PERMANENT, "provider_setup", operator=True) from None
    except ssl.SSLCertVerificationError:
        raise Failure(Outcome.PERMANENT, "provider_certificate", operator=True) from None
    except (smtplib.SMTPException, OSError):
        # perhaps it was accepted and only the answer was lost; the same Message-ID goes again
        raise Failure(Outcome.TEMPORARY, "provider_unreachable") from None
    except UnicodeError:
        raise Failure(Outcome.PERMANENT, "bad_address") from None


def _refused(code: int, reason: str, *, operator: bool = False) -> Failure:
    """RFC 5321 sec. 4.2.1: 4yz may pass, 5yz will not."""
    if 500 <= code <= 599:
        return Failure(Outcome.PERMANENT, reason, operator=operator, provider_code=code)
    return Failure(
        Outcome.TEMPORARY, "provider_busy" if 400 <= code <= 499 else "provider_unreachable", provider_code=code
    )
