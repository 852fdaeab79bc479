"""Whether somebody would get in again today: what a loss would mean, and what would help (product.md 7.7)."""

from collections.abc import Iterable
from dataclasses import dataclass

from app.factors.recovery_code.service import RecoveryCodes
from app.factors.totp import store as apps
from app.factors.totp.model import App, AppState
from app.foundation.sql import Transaction
from app.records.people import store as people
from app.records.people.model import Channel, Contact

# the page on which each thing of ``Mishap.add`` is added
REMEDIES = {
    "app": "/authenticators/app/new",
    "recovery_codes": "/authenticators/recovery-codes",
    "phone": "/authenticators/phone/new",
    "email": "/authenticators/email/new",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a recovery could use today: how many of each are good now."""

    apps: int
    phones: int
    emails: int
    codes: int


@dataclass(frozen=True, slots=True)
class Mishap:
    """What would happen today if something were lost: the ways to recover that remain, and what would help."""

    lost: str  # password, phone, mailbox
    ways: tuple[str, ...]  # app_pin, codes_pin
    channels: tuple[str, ...]  # where the PIN of these ways could go: sms, email
    add: tuple[str, ...] = ()  # app, recovery_codes, phone, email
    elsewhere: bool = False  # only if the other app or number is not on the device that is lost

    @property
    def covered(self) -> bool:
        """Whether the person would get in again alone."""
        return bool(self.ways)


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether somebody would get in again."""

    mishaps: tuple[Mishap, ...]

    @property
    def covered(self) -> int:
        """How many of the mishaps are covered."""
        return sum(mishap.covered for mishap in self.mishaps)


def facts(bound: Iterable[App], contacts: Iterable[Contact], codes: int, now: int) -> Facts:
    """What counts of apps, contacts and codes; of the codes those that are good now."""
    usable = [contact.channel for contact in contacts if contact.usable(now)]
    return Facts(
        apps=sum(app.state is AppState.ACTIVE and app.usable_from <= now for app in bound),
        phones=usable.count(Channel.SMS),
        emails=usable.count(Channel.EMAIL),
        codes=codes,
    )


def facts_of(looking: Transaction, codes: RecoveryCodes, person_id: int, now: int) -> Facts:
    """The same of a person, as the records are now."""
    standing = codes.standing(looking, person_id)
    left = standing.left if standing is not None and standing.usable_from <= now else 0
    return facts(apps.of_person(looking, person_id), people.contacts_of(looking, person_id), left, now)


def readiness(facts: Facts) -> Readiness:
    """What would happen today if the password, the phone or the mailbox were lost (product.md 7.7).

    A recovery takes an app's code or a saved code, and then a PIN by SMS or e-mail. A lost phone takes an app and
    a number with it: of several the others remain, if they are on another device.
    """
    lost_phone = Facts(max(0, facts.apps - 1), max(0, facts.phones - 1), facts.emails, facts.codes)
    lost_mailbox = Facts(facts.apps, facts.phones, max(0, facts.emails - 1), facts.codes)
    needs_other = bool(lost_phone.apps and not lost_phone.codes) or bool(lost_phone.phones and not lost_phone.emails)
    return Readiness(
        (
            _mishap("password", facts, first="app", second="phone"),
            _mishap("phone", lost_phone, first="recovery_codes", second="email", elsewhere=needs_other),
            _mishap("mailbox", lost_mailbox, first="app", second="phone"),
        )
    )


def _mishap(lost: str, left: Facts, *, first: str, second: str, elsewhere: bool = False) -> Mishap:
    firsts = tuple(way for way, there in (("app_pin", left.apps), ("codes_pin", left.codes)) if there)
    channels = tuple(channel for channel, there in (("sms", left.phones), ("email", left.emails)) if there)
    add = tuple(thing for thing, there in ((first, firsts), (second, channels)) if not there)
    if add:
        return Mishap(lost, (), (), add)
    return Mishap(lost, firsts, channels, elsewhere=elsewhere)
