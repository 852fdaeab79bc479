"""Sessions: who is signed in, in which browser, by which proofs. Kept on the server."""

from dataclasses import dataclass

IDLE = 900  # seconds without a request, where no policy says otherwise (product.md section 5)
LIFE = 28_800  # seconds in all, likewise
LONGEST_IDLE = 3_600  # seconds without a request that a policy may allow
LONGEST = 86_400  # seconds in all that a policy may allow (NIST SP 800-63B-4 sec. 2.2.3)
SEEN_EVERY = 30  # seconds between two writes of when a session was last used
FRESH = 300  # seconds that a proof is fresh enough for changes of factors and contacts (ASVS 7.5.1)
WARNING = 120  # seconds before the idle end (requirements S1-07)

PASSWORD = "password"  # noqa: S105 - the names of proofs
APP = "app"
NEW_APP = "new_app"  # an app in its waiting time: signs in, and removes nothing older (security rule 6)
SMS = "sms"
EMAIL = "email"
RECOVERY_CODE = "recovery_code"
NEW_CODE = "new_recovery_code"  # of a set that still waits: it signs in and frees nothing (security rule 6)
SECURITY_ANSWER = "security_answer"
# what NIST SP 800-63B-4 takes for an authenticator beside the password; a mailed PIN is none (sec. 3.1.3.1), and
# neither is the answer to a question (sec. 3.1.1)
STRONG = frozenset({APP, NEW_APP, SMS, RECOVERY_CODE, NEW_CODE})
FREEING = STRONG - {NEW_CODE}  # by which factors and contacts may change
SETTLED = FREEING - {NEW_APP}


@dataclass(frozen=True, slots=True)
class SessionProof:
    """A factor that was proved at sign-in or later, and when."""

    factor: str
    at: int


TOKEN_LIFE = 1_800  # seconds of an AuthenticationToken (product.md section 4)


@dataclass(frozen=True, slots=True)
class ApiToken:
    """What AuthenticateUser gave to a program: that somebody's password was right. ``id`` is its fingerprint.

    It opens no page of the portal.
    """

    id: str
    person_id: int
    stamp: str
    issued_at: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class Session:
    """One signed-in browser. ``id`` is the fingerprint of its cookie; ``name`` names it on pages.

    ``idle`` and ``life`` are not stored: they are what the person's policy says at the moment that asks, so that one
    that shortens them holds at a session's next request.
    """

    id: str
    name: str
    person_id: int
    stamp: str
    proofs: tuple[SessionProof, ...]
    created_at: int
    seen_at: int
    address: str
    browser: str
    idle: int = IDLE
    life: int = LIFE

    @property
    def level(self) -> int:
        """2 with two factors; 1 where the second was only a mailed PIN (requirements S1-06, B-03)."""
        factors = {proof.factor for proof in self.proofs}
        return 2 if factors & STRONG and len(factors) > 1 else 1

    @property
    def answered(self) -> bool:
        """Whether the second factor was the answer to a security question, and nothing better came since."""
        return self.level < 2 and any(proof.factor == SECURITY_ANSWER for proof in self.proofs)

    @property
    def expires_at(self) -> int:
        """When it ends, whatever happens."""
        return self.created_at + self.life

    @property
    def idle_at(self) -> int:
        """When it ends unless it is used."""
        return min(self.seen_at + self.idle, self.expires_at)

    def living(self, now: int) -> bool:
        """Whether it still counts."""
        return now < self.idle_at

    def fresh(self, now: int) -> bool:
        """Whether a second factor was proved lately enough to change factors and contacts."""
        return self._lately(FREEING, now)

    def settled(self, now: int) -> bool:
        """The same by a factor past its waiting time, which older factors may be changed by (security rule 6)."""
        return self._lately(SETTLED, now)

    def _lately(self, factors: frozenset[str], now: int) -> bool:
        return any(proof.factor in factors and now - proof.at < FRESH for proof in self.proofs)
