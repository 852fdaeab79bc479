"""Who is in the demo, and what their phones show."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Role:
    """One of the cast as it is seeded. ``slow`` is how many seconds the person's phone lags behind.

    Whoever is ``invited`` has neither password nor app yet, and an invitation in the mailbox.
    """

    user_id: str
    name: str
    story: str
    password: str = field(repr=False)
    phone: str = ""
    email: str = ""
    has_app: bool = True
    slow: int = 0
    locked: bool = False
    invited: bool = False
    role: str = "member"


CAST = (
    Role(
        "jane", "Jane Doe", "locked", "correct horse battery staple 1", "+491700000001", "jane@example.org", locked=True
    ),
    Role("omar", "Omar Haddad", "no_phone", "correct horse battery staple 2", "", "omar@example.org"),
    Role(
        "ana", "Ana Silva", "slow_clock", "correct horse battery staple 3", "+491700000003", "ana@example.org", slow=95
    ),
    Role(
        "sam",
        "Sam Porter",
        "support",
        "correct horse battery staple 4",
        "+491700000004",
        "sam@example.org",
        role="support",
    ),
    Role(
        "alex",
        "Alex Kim",
        "administrator",
        "correct horse battery staple 5",
        "+491700000005",
        "alex@example.org",
        role="administrator",
    ),
    Role("nina", "Nina Berg", "invited", "", "+491700000006", "nina@example.org", has_app=False, invited=True),
)


@dataclass(frozen=True, slots=True)
class Phone:
    """One person's phone on the page."""

    user_id: str
    name: str
    story: str
    password: str
    phone: str
    email: str
    code: str
    seconds_left: int
    uri: str
    key: str
    qr_url: str
