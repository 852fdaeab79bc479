"""Authenticator apps: binding a seed, checking a code. A time-step counts once, over all doors and processes."""

import base64
import binascii
from collections.abc import Sequence

import structlog

from app.factors.totp import rules, store
from app.factors.totp.model import MOST_APPS, SEED, STEP, App, AppState, Finding, Match, Outcome
from app.foundation.chance import Chance
from app.foundation.secretbox import Keyring, Unreadable
from app.foundation.sql import Transaction

_PURPOSE = "totp-seed"
log = structlog.get_logger()


class BadSeed(ValueError):
    """Not base32, or shorter than the 112 bits that NIST SP 800-63B-4 sec. 3.1.4.1 asks for."""


class BoundBefore(Exception):
    """This seed is bound to this person already."""


class AuthenticatorApps:
    """What the journeys need of apps."""

    def __init__(self, keyring: Keyring, chance: Chance) -> None:
        self._keyring = keyring
        self._chance = chance
        spare = chance.octets(SEED)
        self._spare = [spare] * MOST_APPS
        self._spare_sealed = keyring.seal(_PURPOSE, spare, "totp_apps:spare")

    def usable(
        self, transaction: Transaction, person_id: int | None, now: int, *, waiting: bool = False
    ) -> tuple[App, ...]:
        """The apps whose codes may prove somebody now: active and past their waiting time (security rule 6).

        ``waiting``: new ones as well, which is right where somebody signs in and nowhere else.
        Somebody unknown (None) has none, and is looked up all the same.
        """
        apps = store.of_person(transaction, person_id or 0)
        active = (app for app in apps if app.state is AppState.ACTIVE)
        return tuple(app for app in active if waiting or not app.waiting(now))[:MOST_APPS]

    def older(self, transaction: Transaction, person_id: int | None, moment: int) -> tuple[App, ...]:
        """The apps that counted before a moment, whatever became of them since: they may undo what came after."""
        return store.bound_before(transaction, person_id or 0, moment)[:MOST_APPS]

    def roll_back(self, transaction: Transaction, person_id: int, moment: int, now: int) -> None:
        """Make the apps again what they were just before a moment."""
        store.roll_back(transaction, person_id, moment, now)

    def recognise(self, apps: Sequence[App], code: str, now: int) -> Match | None:
        """The app and time-step a code belongs to. Costs the same for everybody, and accepts nothing."""
        seeds = [(app.id, seed, app.drift) for app in apps if (seed := self._readable(app)) is not None]
        for _ in range(MOST_APPS - len(apps)):
            self._keyring.open(_PURPOSE, self._spare_sealed, "totp_apps:spare")
        return rules.recognise(seeds, self._spare, code, now)

    def settle(self, transaction: Transaction, match: Match | None, now: int, *, retired: bool = False) -> Outcome:
        """Accept the matched time-step if it is of the present and was never used; burn it if it is of another time.

        ``retired``: also where the app was disabled or removed.
        """
        if match is None:
            return Outcome(Finding.WRONG)
        if rules.acceptable(match.offset):
            accept = store.accept_once if retired else store.accept
            fresh = accept(transaction, match.app_id, match.step, now)
            return Outcome(Finding.ACCEPTED if fresh else Finding.USED, match.app_id, match.offset)
        fresh = store.burn(transaction, match.app_id, match.step, now)
        return Outcome(Finding.CLOCK_OFF if fresh else Finding.USED, match.app_id, match.offset)

    def try_out(self, seed: bytes, code: str, now: int) -> Match | None:
        """The time-step of a code of a seed that is bound to nobody yet."""
        return rules.recognise([("pending", seed, 0)], self._spare, code, now)

    def in_a_row(self, app: App, first: str, second: str, now: int) -> int | None:
        """The time-step of the second of two consecutive codes of an app, None where they are not that."""
        seed = self._readable(app)
        return None if seed is None else rules.in_a_row(seed, first, second, now)

    def mark(self, person_id: int, seed: bytes) -> str:
        """A fingerprint of a seed: the same for the same person for ever, and useless without the keyring."""
        return self._keyring.mac_hex("totp-mark", person_id, seed, key=self._keyring.oldest)

    def bind(
        self,
        transaction: Transaction,
        *,
        person_id: int,
        seed: bytes,
        label: str,
        now: int,
        usable_from: int,
        last_step: int = 0,
    ) -> App:
        """Store a seed, encrypted and bound to its row and person, once. Raises BoundBefore.

        ``last_step`` is the time-step of the code that confirmed it, which then works nowhere else.
        """
        app_id = self._chance.name()
        app = App(
            id=app_id,
            person_id=person_id,
            label=label,
            seed=self._keyring.seal(_PURPOSE, seed, _place(app_id, person_id)),
            state=AppState.ACTIVE,
            drift=0,
            last_step=last_step,
            bound_at=now,
            usable_from=usable_from,
            last_used_at=None,
            mark=self.mark(person_id, seed),
        )
        if not store.add(transaction, app):
            raise BoundBefore
        return app

    def reveal(self, app: App) -> str:
        """The seed as unpadded base32, for the demo's phone alone."""
        return to_base32(self._open(app))

    def _readable(self, app: App) -> bytes | None:
        """The seed, or None where its key left the ring or its row was altered: like any app whose codes are wrong."""
        try:
            return self._open(app)
        except Unreadable:
            log.exception("seed_unreadable", app=app.id)
            return None

    def _open(self, app: App) -> bytes:
        return self._keyring.open(_PURPOSE, app.seed, _place(app.id, app.person_id))


def _place(app_id: str, person_id: int) -> str:
    return f"totp_apps:{app_id}:{person_id}"


def codes_at_once(apps: Sequence[App]) -> int:
    """How many codes are right at one moment."""
    return max(1, len(apps)) * (2 * rules.WINDOW + 1)


def to_base32(seed: bytes) -> str:
    """Upper case, unpadded, as apps expect it (requirements T-12)."""
    return base64.b32encode(seed).decode().rstrip("=")


def from_base32(text: str) -> bytes:
    """A seed from what directories export: blanks, lower case and padding allowed. Raises BadSeed."""
    compact = text.replace(" ", "").replace("-", "").rstrip("=").upper()
    if len(compact) > 208:
        raise BadSeed("longer than 130 bytes")
    try:
        seed = base64.b32decode(compact + "=" * (-len(compact) % 8))
    except (binascii.Error, ValueError):
        raise BadSeed("not base32") from None
    if len(seed) < 14:
        raise BadSeed("shorter than 112 bits")
    return seed


def provisioning_uri(seed: bytes, user_id: str, issuer: str) -> str:
    """The ``otpauth:`` link of the Key URI Format, by pyotp: issuer in the label and as a parameter, equal."""
    import pyotp  # noqa: PLC0415 - needed on few pages

    return pyotp.TOTP(to_base32(seed), interval=STEP).provisioning_uri(name=user_id, issuer_name=issuer)
