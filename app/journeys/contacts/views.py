"""The pages under /authenticators/phone and /authenticators/email."""

from collections.abc import Callable
from dataclasses import dataclass

from flask import Blueprint, Response, abort, jsonify

from app.foundation.refusals import Refusal, Throttled, Wrong
from app.foundation.visit import Visit
from app.foundation.web.application import go_to, show, visit
from app.foundation.web.browser import SESSION, TASK, clear_cookie, read_cookie
from app.foundation.web.shape import EverywhereForm, Form, PinForm
from app.foundation.web.signed import done_at, render_signed
from app.journeys.contacts.flow import COURSES, HOME, State
from app.journeys.contacts.forms import EmailForm, PhoneForm
from app.journeys.contacts.model import ChangePage
from app.journeys.contacts.rules import MOST
from app.journeys.contacts.service import Contacts
from app.records.people.model import Channel
from app.steps.presence import Presence, Present

_TEMPLATES = {"default": "contacts/default.html", "remove": "contacts/remove.html"}


@dataclass(frozen=True, slots=True)
class _Kind:
    """What tells the two kinds of contact apart at the door; ``name`` is the field and the part of the path."""

    name: str
    channel: Channel
    form: type[Form]


_Look = Callable[[Present, Channel, str], ChangePage | None]
_Change = Callable[[Visit, str | None, Channel, str], bool]
_KINDS = (_Kind("phone", Channel.SMS, PhoneForm), _Kind("email", Channel.EMAIL, EmailForm))


def blueprint(contacts: Contacts, presence: Presence) -> Blueprint:
    """The doors of both kinds."""
    doors = Blueprint("contacts", __name__)

    def remove(visit: Visit, session: str | None, channel: Channel, contact_id: str) -> bool:
        everywhere = bool(EverywhereForm().text("everywhere"))
        return contacts.remove(visit, session, channel, contact_id, everywhere=everywhere)

    for kind in _KINDS:
        _adding(doors, kind, contacts, presence)
        _confirming(doors, kind, contacts)
        _changing(doors, kind, "remove", contacts.removal_page, remove, presence)
        _changing(doors, kind, "default", contacts.default_page, contacts.make_default, presence)
    return doors


def _adding(doors: Blueprint, kind: _Kind, contacts: Contacts, presence: Presence) -> None:
    course = COURSES[kind.channel]

    @doors.get(course.start, endpoint=f"{kind.name}_page")
    def page() -> Response:
        return _page("")

    def _page(typed: str, refusal: Refusal | None = None) -> Response:
        present = presence.fresh(read_cookie(SESSION), visit())
        context = {"page": contacts.new_page(present, kind.channel), "field": kind.name, "typed": typed[:MOST]}
        return render_signed("contacts/new.html", present, context, refusal)

    @doors.post(course.start, endpoint=f"{kind.name}_begin")
    def begin() -> Response:
        typed = kind.form().text(kind.name)
        try:
            cookie = contacts.begin(visit(), read_cookie(SESSION), kind.channel, typed)
        except (Wrong, Throttled) as refusal:
            return _page(typed, refusal)
        return go_to(course.page_of(State.PIN), TASK, cookie)


def _confirming(doors: Blueprint, kind: _Kind, contacts: Contacts) -> None:
    course = COURSES[kind.channel]
    enter = course.page_of(State.PIN)
    paths = {"enter": enter, "send_at": f"{enter}/send", "status_at": f"{enter}/pin/status", "start": course.start}

    @doors.get(enter, endpoint=f"{kind.name}_pin_page")
    def page() -> Response:
        return _page()

    def _page(refusal: Refusal | None = None) -> Response:
        pin = contacts.pin_page(visit(), read_cookie(SESSION), read_cookie(TASK), kind.channel)
        context = {"pin": pin, **paths}
        return show("contacts/pin.html", context, refusal)

    @doors.post(enter, endpoint=f"{kind.name}_confirm")
    def confirm() -> Response:
        typed = PinForm().text("pin")
        try:
            contacts.confirm(visit(), read_cookie(SESSION), read_cookie(TASK), kind.channel, typed)
        except (Wrong, Throttled) as refusal:
            return _page(refusal)
        response = done_at(HOME, f"{kind.name}_new")
        clear_cookie(response, TASK)
        return response

    @doors.get(paths["send_at"], endpoint=f"{kind.name}_send_page")
    def send_page() -> Response:
        # the form stands on the page of the PIN; a visitor who types this address is taken there
        contacts.pin_page(visit(), read_cookie(SESSION), read_cookie(TASK), kind.channel)
        return go_to(enter)

    @doors.post(paths["send_at"], endpoint=f"{kind.name}_send")
    def send() -> Response:
        try:
            contacts.send(visit(), read_cookie(SESSION), read_cookie(TASK), kind.channel)
        except (Wrong, Throttled) as refusal:
            return _page(refusal)
        return go_to(enter)

    @doors.get(paths["status_at"], endpoint=f"{kind.name}_status")
    def status() -> Response:
        shown = contacts.pin_page(visit(), read_cookie(SESSION), read_cookie(TASK), kind.channel, used=False)
        return jsonify(shown.status())


def _changing(doors: Blueprint, kind: _Kind, verb: str, look: _Look, change: _Change, presence: Presence) -> None:
    path = f"{HOME}/{kind.name}/<contact_id>/{verb}"

    @doors.get(path, endpoint=f"{kind.name}_{verb}_page")
    def page(contact_id: str) -> Response:
        return _page(contact_id)

    def _page(contact_id: str, refusal: Refusal | None = None) -> Response:
        present = presence.fresh(read_cookie(SESSION), visit())
        shown = look(present, kind.channel, contact_id)
        if shown is None:
            abort(404)
        return render_signed(_TEMPLATES[verb], present, {"page": shown, "field": kind.name}, refusal)

    @doors.post(path, endpoint=f"{kind.name}_{verb}")
    def press(contact_id: str) -> Response:
        try:
            done = change(visit(), read_cookie(SESSION), kind.channel, contact_id)
        except (Wrong, Throttled) as refusal:
            return _page(contact_id, refusal)
        if not done:
            abort(404)
        return done_at(HOME, f"{kind.name}_{verb}")
