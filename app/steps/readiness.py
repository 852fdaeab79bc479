"""Whether somebody would get in again today: what a loss would mean, and what would help (product.md 7.7)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.factors.recovery_code.service import RecoveryCodes
from app.factors.totp import store as apps
from app.factors.totp.model import App, AppState
from app.foundation.sql import Transaction
from app.records.organizations import store as organizations
from app.records.organizations.model import Policy, Proof, RecoveryPolicy
from app.records.organizations.rules import met
from app.records.people import store as people
from app.records.people.model import Channel, Contact
from app.steps.allowed import reached

# the page on which each thing of ``Mishap.add`` is added
REMEDIES = {
    "app": "/authenticators/app/new",
    "recovery_codes": "/authenticators/recovery-codes",
    "phone": "/authenticators/phone/new",
    "email": "/authenticators/email/new",
}


_PROOFS = {"app": Proof.APP, "recovery_codes": Proof.RECOVERY_CODE, "phone": Proof.SMS, "email": Proof.EMAIL}
_OTHER = {"app": "recovery_codes", "recovery_codes": "app", "phone": "email", "email": "phone"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a recovery could use today: how many of each are good now."""

    apps: int
    phones: int
    emails: int
    codes: int
    awaited: frozenset[str] = frozenset()  # app, recovery_codes, phone, email: there, but still in its waiting time
    barred: frozenset[str] = frozenset()  # of the same those that no recovery of this person takes, by policy


@dataclass(frozen=True, slots=True)
class Mishap:
    """What would happen today if something were lost: the ways to recover that remain, and what would help."""

    lost: str  # password, phone, mailbox
    ways: tuple[str, ...]  # app_pin, codes_pin
    channels: tuple[str, ...]  # where the PIN of these ways could go: sms, email
    add: tuple[str, ...] = ()  # app, recovery_codes, phone, email
    awaited: tuple[str, ...] = ()  # what would help and is there already, in its waiting time
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


def barred(policy: RecoveryPolicy) -> frozenset[str]:
    """What no recovery takes by a policy: app, recovery_codes, phone, email."""
    return frozenset(thing for thing, proof in _PROOFS.items() if proof not in (*policy.first, *policy.second))


def facts(
    bound: Sequence[App],
    contacts: Sequence[Contact],
    codes: int,
    now: int,
    *,
    policies: Sequence[Policy],
    codes_wait: bool = False,
) -> Facts:
    """What counts of apps, contacts and codes: of the codes those that are good now, or whether some wait.

    ``policies``: those of the person's organizations, the home organization's first.
    """
    usable = [contact.channel for contact in contacts if contact.usable(now)]
    good = sum(app.state is AppState.ACTIVE and app.usable_from <= now for app in bound)
    firsts = ((Proof.APP, good), (Proof.RECOVERY_CODE, codes))
    having = {proof for proof, count in firsts if count} | reached(one for one in contacts if one.usable(now))
    no = barred(met(policies, having))
    waiting = {one.channel for one in contacts if one.confirmed_at is not None and one.usable_from > now}
    awaited = {
        "app": any(app.state is AppState.ACTIVE and app.usable_from > now for app in bound),
        "phone": Channel.SMS in waiting,
        "email": Channel.EMAIL in waiting,
        "recovery_codes": codes_wait,
    }
    return Facts(
        apps=0 if "app" in no else good,
        phones=0 if "phone" in no else usable.count(Channel.SMS),
        emails=0 if "email" in no else usable.count(Channel.EMAIL),
        codes=0 if "recovery_codes" in no else codes,
        awaited=frozenset(thing for thing, there in awaited.items() if there and thing not in no),
        barred=no,
    )


def facts_of(looking: Transaction, codes: RecoveryCodes, person_id: int, now: int) -> Facts:
    """The same of a person, as the records are now."""
    standing = codes.standing(looking, person_id)
    left = standing.left if standing is not None else 0
    waits = standing is not None and standing.usable_from > now
    bound, contacts = apps.of_person(looking, person_id), people.contacts_of(looking, person_id)
    policies = organizations.policies_of_person(looking, person_id, now)
    return facts(bound, contacts, 0 if waits else left, now, policies=policies, codes_wait=waits and left > 0)


def readiness(facts: Facts) -> Readiness:
    """What would happen today if the password, the phone or the mailbox were lost (product.md 7.7).

    A recovery takes an app's code or a saved code, and then a PIN by SMS or e-mail. A lost phone takes an app and
    a number with it: of several the others remain, if they are on another device.
    """
    lost_phone = replace(facts, apps=max(0, facts.apps - 1), phones=max(0, facts.phones - 1))
    lost_mailbox = replace(facts, emails=max(0, facts.emails - 1))
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
    wanted = ((_instead(first, left.barred), firsts), (_instead(second, left.barred), channels))
    needed = tuple(thing for thing, there in wanted if not there)
    if needed:
        awaited = tuple(thing for thing in needed if thing in left.awaited)
        add = tuple(thing for thing in needed if thing not in awaited and thing not in left.barred)
        return Mishap(lost, (), (), add, awaited)
    return Mishap(lost, firsts, channels, elsewhere=elsewhere)


def _instead(thing: str, no: frozenset[str]) -> str:
    """What helps: the thing, or its like where no recovery takes it."""
    return _OTHER[thing] if thing in no else thing
