"""SMS by Twilio's Messages API: what its codes mean here, and no second POST where the first may have worked."""

import json
import threading
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

from app.records.delivery import rules
from app.records.delivery.model import Accepted, Failure, Fate, Message, Outcome, State

TIMEOUT = 5  # seconds to connect, and again between bytes; the library's own default is to wait for ever
_MESSAGING_SERVICE = "MG"

# What refuses the POST (requirement M-08; twilio.com/docs/api/errors). All of it is certain: nothing was accepted.
_NUMBER = (Outcome.PERMANENT, "bad_number", False)
_OPTED_OUT = (Outcome.PERMANENT, "opted_out", False)
_OPERATOR = (Outcome.PERMANENT, "provider_setup", True)
_BUSY = (Outcome.TEMPORARY, "provider_busy", False)
_REFUSED = (Outcome.PERMANENT, "refused", False)
REFUSALS: dict[int, tuple[Outcome, str, bool]] = {
    21211: _NUMBER,  # not a phone number
    21217: _NUMBER,
    21612: _NUMBER,  # no route from our sender to it
    21614: _NUMBER,  # not a mobile
    21635: _NUMBER,  # a landline
    21610: _OPTED_OUT,  # answered STOP
    21408: _OPERATOR,  # its country is not switched on
    21603: _OPERATOR,  # no sender
    21606: _OPERATOR,  # the sender cannot send SMS
    21608: _OPERATOR,  # a trial account, and a number that was not verified there
    21659: _OPERATOR,  # the sender is not ours
    21660: _OPERATOR,
    20003: _OPERATOR,  # wrong credentials, or an account without money
    20404: _OPERATOR,  # no such account
    20429: _BUSY,
    14107: _BUSY,  # too many messages a second
    30001: _BUSY,  # the queue overflows
    21611: _BUSY,
}
_BY_STATUS = {401: _OPERATOR, 403: _OPERATOR, 404: _OPERATOR, 429: _BUSY}

# What a message that was accepted fails with later (M-08). 30003 and 30005 may pass, but by then a PIN is dead.
FAILURES: dict[int, str] = {
    30003: "unreachable",  # switched off, or out of reach
    30004: "blocked",
    30005: "unreachable",  # no such subscriber at present
    30006: "bad_number",  # a landline, or a carrier that takes no SMS
    30007: "filtered",
    30008: "undelivered",
    30036: "expired",  # waited longer than its ValidityPeriod
}
# twilio.com/docs/sms/api/message-resource: queued and accepted go on to sending, sent, then one of these (M-07)
_FINAL = {
    "delivered": State.DELIVERED,
    "read": State.DELIVERED,
    "undelivered": State.FAILED,
    "failed": State.FAILED,
    "canceled": State.FAILED,
}


def fate_of(status: str, error_code: int | None) -> Fate:
    """What a message's status means; whatever is not final is merely sent."""
    state = _FINAL.get(status, State.SENT)
    reason = FAILURES.get(error_code or 0, "undelivered") if state is State.FAILED else ""
    return Fate(state, reason, error_code if state is State.FAILED else None)


def refusal(status: int, code: int | None) -> Failure:
    """What an HTTP answer other than 201 means. ``code`` is Twilio's own, from the body, where it has one."""
    if status >= 500:
        # the message may have been accepted behind the part that broke
        return Failure(Outcome.UNKNOWN, "provider_error", provider_code=code)
    default = _BY_STATUS.get(status, _REFUSED if status >= 400 else _OPERATOR)  # 3xx: not the API that answers there
    outcome, reason, operator = REFUSALS.get(code or 0, default)
    return Failure(outcome, reason, operator=operator, provider_code=code)


class TwilioSender:
    """Posts messages by an API key, or by the account's token. Imports Twilio's client at the first message."""

    def __init__(
        self,
        *,
        account_sid: str,
        username: str,
        password: str,
        sender: str,
        base: str,
        callback: str = "",
        ca_file: str = "",
        timeout: float = TIMEOUT,
    ) -> None:
        self._account_sid = account_sid
        self._username = username
        self._password = password
        self._sender = sender
        self._base = base
        self._callback = callback
        self._ca_file = ca_file
        self._timeout = timeout
        self._lock = threading.Lock()
        self._made: Any = None

    def send(self, message: Message) -> Accepted:
        client, trouble = self._client(), _trouble()
        origin = "messaging_service_sid" if self._sender.startswith(_MESSAGING_SERVICE) else "from_"
        options = {"status_callback": self._callback} if self._callback else {}
        try:
            posted = client.messages.create(
                to=message.address,
                body=message.text,
                # a late queue must not deliver a dead PIN (requirement M-03)
                validity_period=min(max(message.validity, 1), rules.VALIDITY_MAX),
                **{origin: self._sender},
                **options,
            )
        except trouble.NeverReached as error:
            raise Failure(
                Outcome.PERMANENT if error.refused else Outcome.TEMPORARY, error.reason, operator=error.refused
            ) from None
        except trouble.Answered as error:
            raise refusal(whole(error.status) or 500, whole(error.code)) from None
        except trouble.Broken:
            # it was written, and then silence or nonsense: perhaps accepted (requirement M-09)
            raise Failure(Outcome.UNKNOWN, "no_answer") from None
        if not posted.sid:
            raise Failure(Outcome.UNKNOWN, "no_answer")
        return Accepted(str(posted.sid))

    def fate(self, provider_sid: str) -> Fate:
        client, trouble = self._client(), _trouble()
        try:
            found = client.messages(provider_sid).fetch()
        except (trouble.NeverReached, *trouble.Answered, *trouble.Broken):
            raise Failure(Outcome.TEMPORARY, "no_answer") from None
        fate = fate_of(str(found.status), whole(found.error_code))
        return replace(fate, price=millionths(found.price), currency=str(found.price_unit or "").upper())

    def probe(self) -> str:
        """Ask for the account by the same way as for a message, and send none. Returns the answer's Date header.

        Raises Failure; ``account_inactive`` where the account is suspended or closed.
        """
        account = f"{self._base.rstrip('/')}/2010-04-01/Accounts/{self._account_sid}"
        answer = self._ask(f"{account}.json")
        if answer.status_code in {401, 403} and self._username != self._account_sid:
            # a Standard API key may send, but not read the account (twilio.com/docs/iam/api-keys)
            answer = self._ask(f"{account}/Messages.json?PageSize=1")
        told = _json(answer.text)
        if answer.status_code != 200:
            raise refusal(answer.status_code, whole(told.get("code")))
        if told.get("status", "active") != "active":
            raise Failure(Outcome.PERMANENT, "account_inactive", operator=True)
        headers = {str(name).lower(): str(value) for name, value in (answer.headers or {}).items()}
        return headers.get("date", "")

    def _ask(self, url: str) -> Any:
        client, trouble = self._client(), _trouble()
        try:
            return client.request("GET", url)
        except trouble.NeverReached as error:
            raise Failure(
                Outcome.PERMANENT if error.refused else Outcome.TEMPORARY, error.reason, operator=error.refused
            ) from None
        except trouble.Broken:
            raise Failure(Outcome.TEMPORARY, "no_answer") from None

    def _client(self) -> Any:
        with self._lock:
            if self._made is None:
                from app.records.delivery.channels import twilio_client  # noqa: PLC0415 - 0.2 s and 25 MB, at need

                self._made = twilio_client.client(
                    self._account_sid,
                    self._username,
                    self._password,
                    self._base,
                    timeout=self._timeout,
                    ca_file=self._ca_file,
                )
            return self._made


def _json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _trouble() -> Any:
    from app.records.delivery.channels import twilio_client  # noqa: PLC0415

    return twilio_client


def whole(value: object) -> int | None:
    """A code that came as a number or as digits; None for anything else."""
    return int(value) if isinstance(value, int | str) and str(value).isascii() and str(value).isdigit() else None


def millionths(price: object) -> int | None:
    """What a message cost, from a price as Twilio writes it, "-0.00750"; None while it does not know."""
    try:
        amount = abs(Decimal(str(price)))
    except InvalidOperation:
        return None
    return int(amount * 1_000_000) if amount.is_finite() and amount < 1_000 else None


def signed(auth_token: str, url: str, parameters: Mapping[str, str], signature: str | None) -> bool:
    """Whether Twilio signed this callback (requirement M-05): HMAC-SHA1 over the URL and the sorted parameters.

    False for a missing signature, and wherever there is no auth token to check it by (security rule 16).
    """
    if not auth_token or not signature or not signature.isascii():
        return False
    from twilio.request_validator import RequestValidator  # noqa: PLC0415 - at need

    try:
        validator: Any = RequestValidator
        return bool(validator(auth_token).validate(url, dict(parameters), signature))
    except (UnicodeError, ValueError, TypeError):
        return False
