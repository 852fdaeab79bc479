"""What the pages of somebody signed in show."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Action:
    """One item of a row's menu: a link to its page."""

    name: str  # templates have a word for each
    path: str


@dataclass(frozen=True, slots=True)
class Row:
    """One authenticator. ``state`` is one of product.md's: active, pending, disabled, locked, expired, none."""

    kind: str  # password, app, sms, email, recovery_codes
    state: str
    label: str = ""
    bound_at: int | None = None
    last_used_at: int | None = None
    usable_from: int | None = None  # where it waits, until when
    left: int | None = None  # unused codes of a set
    actions: tuple[Action, ...] = ()


@dataclass(frozen=True, slots=True)
class Overview:
    """The AUTHENTICATORS page."""

    rows: tuple[Row, ...]
    level: int
