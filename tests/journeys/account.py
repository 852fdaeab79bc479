"""What the rules say an account is: a small model of its own, which the stateful test holds the portal against.

Times are seconds since the epoch. Nothing here asks the portal's own code what it would decide.
"""

import hmac
from dataclasses import dataclass, field

DAY = 86_400
WEEK = 7 * DAY
FLOW, PROOF = 900, 600  # how long a flow lives, and a proof in it
IDLE, LONGEST, FRESH = 900, 8 * 3_600, 300  # of a session
KEY = 600  # how long the key of a new app may be confirmed
SEEN_EVERY = 30  # the use of a session is written down no more often
STEP = 30
# which proofs may change factors, and which of them also older ones (security rule 6)
FREEING = {"app", "new_app", "sms", "recovery_code"}
SETTLED = FREEING - {"new_app"}
SECOND = FREEING | {"new_recovery_code"}  # a mailed PIN is none


def shows(seed: bytes, step: int) -> str:
    """RFC 4226, written a second time."""
    digest = hmac.digest(seed, step.to_bytes(8, "big"), "sha1")
    at = digest[-1] & 15
    return f"{(int.from_bytes(digest[at : at + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06d}"


@dataclass
class App:
    """A bound app. ``by`` is who bound it."""

    id: str
    seed: bytes = field(repr=False)
    by: str
    usable_from: int
    last_step: int = 0
    drift: int = 0
    state: str = "active"

    def waits(self, now: int) -> bool:
        return now < self.usable_from


@dataclass
class Codes:
    """A set of recovery codes: until when it signs in, and until when it serves recovery."""

    by: str
    unused: list[str]
    usable_from: int
    id: str = ""
    used: list[str] = field(default_factory=list)
    signs_in: bool = True
    serves_until: int | None = None

    def recovers(self, now: int) -> bool:
        return self.usable_from <= now and (self.serves_until is None or now < self.serves_until)


@dataclass
class Contact:
    """A confirmed contact."""

    id: str
    channel: str
    address: str
    usable_from: int


@dataclass
class Pin:
    """A PIN that was sent, and where it went."""

    digits: str
    expires_at: int
    channel: str
    address: str


@dataclass
class Session:
    """One signed-in browser. ``by`` is who signed in."""

    user: str
    by: str
    name: str
    created: int
    seen: int
    proofs: dict[str, int]

    def living(self, now: int) -> bool:
        return now < self.seen + IDLE and now < self.created + LONGEST

    @property
    def full(self) -> bool:
        return len(self.proofs) > 1 and bool(SECOND & set(self.proofs))

    def lately(self, factors: set[str], now: int) -> bool:
        return any(name in factors and now - at < FRESH for name, at in self.proofs.items())

    def used(self, now: int) -> None:
        if self.living(now) and now - self.seen >= SEEN_EVERY:
            self.seen = now


@dataclass
class Flow:
    """A sign-in, a recovery, or a PIN that a signed-in page sent. ``epoch``: see Account."""

    user: str
    created: int
    epoch: int
    first: tuple[str, int] | None = None  # the first proof and when
    second_at: int | None = None
    pin: Pin | None = None
    finished: bool = False
    kind: str = ""  # step_up, sms, email
    session: str = ""  # the cookie of the one session that it belongs to
    address: str = ""  # the contact that is to be confirmed

    def proved_first(self, now: int) -> bool:
        return self.first is not None and now - self.first[1] < PROOF


@dataclass
class Pending:
    """The key of an app that was shown and not confirmed yet."""

    user: str
    by: str
    session: Session
    seed: bytes = field(repr=False)
    shown: int


@dataclass
class Account:
    """One person. ``epoch`` counts the passwords they were given; flows and links of an earlier one are dead."""

    user_id: str
    id: int
    passwords: list[str]  # all of them, the present one last
    epoch: int = 0
    recovered_at: int | None = None
    apps: list[App] = field(default_factory=list)
    sets: list[Codes] = field(default_factory=list)
    contacts: list[Contact] = field(default_factory=list)
    confirming: dict[str, Flow] = field(default_factory=dict)  # by channel, the flow of the contact added last

    @property
    def password(self) -> str:
        return self.passwords[-1]

    def just_recovered(self, now: int) -> bool:
        return self.recovered_at is not None and now < self.recovered_at + DAY

    def usable(self, now: int) -> list[Contact]:
        return [one for one in self.contacts if one.usable_from <= now]

    def there(self) -> list[App]:
        return [one for one in self.apps if one.state != "removed"]

    def set_for(self, use: str, now: int) -> Codes | None:
        """The one set whose codes are good for something now."""
        if use == "recovery":
            good = [one for one in self.sets if one.recovers(now)]
        else:
            good = [one for one in self.sets if one.signs_in and (use == "sign_in" or one.usable_from <= now)]
        return good[-1] if good else None

    def made(self, new: Codes, now: int, *, stolen: bool) -> None:
        """A new set: the earlier ones sign in no more, and serve recovery until the new one may, unless stolen."""
        for one in self.sets:
            one.signs_in = False
            if one.serves_until is None or one.serves_until > now:
                one.serves_until = new.usable_from if one.usable_from <= now and not stolen else now
        self.sets.append(new)

    def fresh(self, session: Session, now: int, *, settled: bool = True) -> bool:
        """Whether factors and contacts may change from a session."""
        proved = session.lately(SETTLED if settled else FREEING, now)
        return session.living(now) and session.full and proved and not self.just_recovered(now)
