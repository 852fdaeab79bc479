"""Cookies. One binds forms to a browser (CSRF), one per journey holds a flow; all are opaque and of one shape."""

from collections.abc import Callable, Iterator
from typing import Any

from flask import Flask, Request, Response, current_app, g, request
from flask.sessions import SessionInterface, SessionMixin

from app.foundation.chance import Chance
from app.foundation.secretbox import Keyring, same

BROWSER = "keyturn"
RECOVERY = "keyturn-recovery"
SIGN_IN = "keyturn-sign-in"
LANGUAGE = "keyturn-language"
SESSION = "keyturn-session"
KNOWN = "keyturn-known"
NEXT = "keyturn-next"  # the page that somebody asked for before signing in
DONE = "keyturn-done"  # what the page before this one did, told once
ENROLL = "keyturn-enroll"  # when the key of a new app was shown, sealed
APPROVAL = "keyturn-approval"  # a request of support, found by its code
RESET = "keyturn-reset"  # a temporary password to be shown on the next page, sealed
TASK = "keyturn-task"  # a flow that a signed-in page began: a new contact, a fresh proof


def cookie_name(name: str) -> str:
    """With https the ``__Host-`` prefix: Secure, Path=/, no Domain, and so no planting from a subdomain."""
    return f"__Host-{name}" if current_app.config["SESSION_COOKIE_SECURE"] else name


def read_cookie(name: str) -> str | None:
    """The value a browser sent, unjudged."""
    return request.cookies.get(cookie_name(name))


def write_cookie(response: Response, name: str, value: str, *, seconds: int | None = None) -> None:
    """Until the browser closes, or for so many seconds; HttpOnly, SameSite=Lax."""
    response.set_cookie(
        cookie_name(name),
        value,
        max_age=seconds,
        secure=bool(current_app.config["SESSION_COOKIE_SECURE"]),
        httponly=True,
        samesite="Lax",
        path="/",
    )


def clear_cookie(response: Response, name: str) -> None:
    """Make the browser forget it."""
    response.delete_cookie(
        cookie_name(name),
        secure=bool(current_app.config["SESSION_COOKIE_SECURE"]),
        httponly=True,
        samesite="Lax",
        path="/",
    )


class BrowserSession(SessionMixin):
    """What Flask-WTF takes for a session: just the CSRF secret, derived from the browser's cookie.

    Nothing is stored on the server before somebody starts a flow, so visitors without cookies cost no memory;
    and the secret cannot be computed from the cookie without our key (a signed double submit, bound to it). It is
    computed when it is asked for, which programs never do.
    """

    def __init__(self, draw: Callable[[], tuple[dict[str, Any], str]]) -> None:
        self._draw = draw
        self._drawn: tuple[dict[str, Any], str] | None = None
        self.used = False

    @property
    def _values(self) -> dict[str, Any]:
        if self._drawn is None:
            self._drawn = self._draw()
        return self._drawn[0]

    @property
    def fresh_id(self) -> str:
        """The id of a browser that was just met and has to be told; empty where there is nothing to tell."""
        return self._drawn[1] if self._drawn is not None and self.used else ""

    def __getitem__(self, key: str) -> Any:
        self.used = True
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._values[key] = value

    def __delitem__(self, key: str) -> None:
        del self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class BrowserSessions(SessionInterface):
    """Reads and writes the browser's cookie. An id that we did not give out is never adopted (requirements S1-08)."""

    def __init__(self, keyring: Keyring, chance: Chance) -> None:
        self._keyring = keyring
        self._chance = chance

    def open_session(self, app: Flask, request: Request) -> BrowserSession:  # noqa: ARG002 - Flask's signature
        def draw() -> tuple[dict[str, Any], str]:
            held = request.cookies.get(cookie_name(BROWSER), "")
            browser_id, _, seal = held.partition(".")
            fresh = ""
            if not (len(held) < 128 and same(seal, self._seal(browser_id))):
                fresh = browser_id = self._chance.token()
            return {"csrf_token": self._keyring.mac_hex("csrf", browser_id)}, fresh

        return BrowserSession(draw)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:  # noqa: ARG002
        if isinstance(session, BrowserSession) and session.fresh_id:
            write_cookie(response, BROWSER, f"{session.fresh_id}.{self._seal(session.fresh_id)}")

    def _seal(self, browser_id: str) -> str:
        return self._keyring.mac_hex("browser", browser_id)[:32]


def language() -> str:
    """The page's language: the visitor's choice, else what the browser asks for."""
    return str(g.language)
