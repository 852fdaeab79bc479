"""What the pages about authenticator apps show."""

from dataclasses import dataclass, field

from app.factors.totp.model import App


class NoSuchAppError(LookupError):
    """The person has no app of that name: 404, whether somebody else has one or not."""


@dataclass(frozen=True, slots=True)
class NewAppPage:
    """The key in its three shapes: as a link, which is also the QR code's content, and as text."""

    cookie: str
    uri: str = field(repr=False)
    key: str = field(repr=False)  # groups of four
    replacing: bool
    waits: int  # seconds until a new app serves recovery


@dataclass(frozen=True, slots=True)
class Confirmed:
    """An app that was just bound, and the page that comes next."""

    app: App
    next: str


@dataclass(frozen=True, slots=True)
class Boxes:
    """What is ticked where an app is put away: all other sessions end; the phone was lost or stolen.

    An app that was stolen decides no undo, and no undo brings it back (security rule 5).
    """

    everywhere: bool = False
    stolen: bool = False


@dataclass(frozen=True, slots=True)
class AppPage:
    """One app, before something is done to it."""

    id: str
    label: str
    state: str
    waits_until: int | None  # where it is new
    last_way: bool  # without it no app would be left that serves recovery today
    next_way_at: int | None  # from when on another one will
