"""The way from a program to a page of the portal: an address that says who and where to, and proves nothing."""

import json
from enum import StrEnum

from app.foundation.refusals import Code, OutOfOrder
from app.foundation.secretbox import Keyring, Unreadable

LIFE = 900  # seconds
_PATH = "/sign-in/to/"
_PURPOSE = "handoff"


class Stop(StrEnum):
    """Where it leads once the person is signed in. A change that is owed comes before any of them."""

    HOME = "/authenticators"
    PASSWORD = "/authenticators/password"  # noqa: S105 - a path
    SECURITY_QUESTION = "/authenticators/security-question"


class Handoffs:
    """Writes and reads the addresses. What they say is sealed, so that no log of a proxy names people."""

    def __init__(self, *, keyring: Keyring, public_url: str) -> None:
        self._keyring = keyring
        self._public_url = public_url.rstrip("/")

    def url(self, user_id: str, stop: Stop, now: int) -> str:
        """An absolute address that is good for a quarter of an hour (security rule 10)."""
        plain = json.dumps([user_id, stop.value, now + LIFE]).encode()
        sealed = self._keyring.seal(_PURPOSE, plain, _PURPOSE)
        return f"{self._public_url}{_PATH}{sealed.translate(_TO_PATH).rstrip('=')}"

    def read(self, note: str, now: int) -> tuple[str, Stop]:
        """The User ID and where to go. Raises OutOfOrder where it is over, or none of ours."""
        padded = note.translate(_FROM_PATH)
        try:
            user_id, stop, until = json.loads(
                self._keyring.open(_PURPOSE, padded + "=" * (-len(padded.rpartition(".")[2]) % 4), _PURPOSE)
            )
        except Unreadable:
            until = 0
        if until <= now:
            raise OutOfOrder(Code.LINK_OVER, due="/sign-in")
        return user_id, Stop(stop)


_TO_PATH = str.maketrans("+/", "-_")
_FROM_PATH = str.maketrans("-_", "+/")
