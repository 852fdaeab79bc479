"""Status callbacks of Twilio: believed only when signed, and only forward."""

from collections.abc import Mapping

import structlog

from app.foundation.clock import Clock
from app.foundation.sql import Database
from app.records.delivery import store
from app.records.delivery.channels import STATUS_PATH, sms_twilio
from app.records.delivery.model import State


class Callbacks:
    """What POST /webhooks/twilio/status does.

    The signature has neither time nor nonce, so callbacks can be replayed and come in any order: each only moves
    a message forward, and nothing is proved by one (requirement M-06).
    """

    def __init__(self, database: Database, auth_token: str, public_url: str, clock: Clock) -> None:
        self._database = database
        self._auth_token = auth_token
        self._url = public_url.rstrip("/") + STATUS_PATH
        self._clock = clock
        self._log = structlog.get_logger()

    def verify(self, parameters: Mapping[str, str], signature: str | None) -> bool:
        """Whether Twilio signed exactly these form fields for our public URL. False without an auth token."""
        return sms_twilio.signed(self._auth_token, self._url, parameters, signature)

    def apply(self, parameters: Mapping[str, str]) -> bool:
        """Move the message forward; False where it is unknown, further on already, or nothing is decided yet."""
        fate = sms_twilio.fate_of(parameters.get("MessageStatus", ""), sms_twilio.whole(parameters.get("ErrorCode")))
        sid = parameters.get("MessageSid", "")
        if fate.state is State.SENT:
            return False
        with self._database.begin() as transaction:
            moved = store.learn(transaction, provider_sid=sid, to=fate.state, reason=fate.reason, now=self._clock.now())
        if moved:
            self._log.info(
                f"message_{fate.state.value}", channel="sms", reason=fate.reason, provider_code=fate.provider_code
            )
        return moved

    def receive(self, parameters: Mapping[str, str], signature: str | None) -> bool:
        """Verify and apply. False means 403; true means 204, whether or not anything moved.

        The caller has refused a form that holds a name twice: it would be signed otherwise than it is read.
        """
        if not self.verify(parameters, signature):
            self._log.warning("callback_refused")
            return False
        self.apply(parameters)
        return True
