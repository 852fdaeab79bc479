"""The pages under /sign-in and /step-up, and the front door."""

from flask import Blueprint, Response, jsonify

from app.factors.pin.model import PinPage
from app.factors.security_question.model import Question
from app.foundation.refusals import OutOfOrder, Refusal, Throttled, Wrong
from app.foundation.web.application import go_on, go_to, question_words, show, visit
from app.foundation.web.browser import KNOWN, NEXT, SESSION, SIGN_IN, TASK, clear_cookie, read_cookie, write_cookie
from app.foundation.web.shape import (
    AnswerForm,
    ChannelForm,
    CodeForm,
    NewPasswordForm,
    PasswordForm,
    PinForm,
    QuestionForm,
    UserIdForm,
)
from app.journeys.signin.flow import COURSE, STEP_UP, State
from app.journeys.signin.model import Ended
from app.journeys.signin.service import SignIn, StepUp
from app.records.lanes.model import KNOWN_LIFE
from app.records.people.model import USER_ID_MAX
from app.steps.helpdesk import Helpdesk
from app.steps.presence import Presence

HOME = "/authenticators"
_PIN_PATHS = {
    "enter": "/sign-in/pin",
    "send_at": "/sign-in/alternative",
    "status_at": "/sign-in/pin/status",
    "start": "/sign-in",
    "back": "/sign-in/verify",
}
_STEP_UP_PATHS = {
    "enter": "/step-up/pin",
    "send_at": "/step-up/alternative",
    "status_at": "/step-up/pin/status",
    "start": "/step-up",
    "back": "/step-up",
}


def blueprint(sign_in: SignIn, presence: Presence) -> Blueprint:
    """The doors of the sign-in journey."""
    doors = Blueprint("signin", __name__)

    @doors.get("/")
    def front_door() -> Response:
        try:
            presence.present(read_cookie(SESSION), visit())
        except OutOfOrder:
            return go_to(COURSE.start)
        return go_to(HOME)

    def _user_id_page(user_id: str, refusal: Refusal | None = None, *, ended: bool = False) -> Response:
        context = {"user_id": user_id, "ended": ended, "classic": sign_in.offers_links()}
        return show("signin/user_id.html", context, refusal)

    @doors.get("/sign-in")
    def user_id_page() -> Response:
        # whoever is signed in is led on from every page that leads here, so with both cookies a session has ended
        ended = bool(read_cookie(NEXT) and read_cookie(SESSION))
        return _user_id_page("", ended=ended)

    @doors.get("/sign-in/to/<note>")
    def handed_on(note: str) -> Response:
        user_id, stop = sign_in.handed_on(note)
        response = _user_id_page(user_id)
        write_cookie(response, NEXT, stop)
        return response

    @doors.post("/sign-in")
    def begin() -> Response:
        form = UserIdForm()
        typed = form.text("user_id")
        try:
            cookie = sign_in.start(visit(), typed)
        except (Wrong, Throttled) as refusal:
            return _user_id_page(typed[:USER_ID_MAX], refusal)
        return _to(State.PASSWORD, cookie)

    @doors.get("/sign-in/password")
    def password_page() -> Response:
        return _password_page()

    def _password_page(refusal: Refusal | None = None) -> Response:
        flow = sign_in.at(read_cookie(SIGN_IN), State.PASSWORD)
        return show("signin/password.html", {"user_id": flow.user_id, "classic": sign_in.offers_links()}, refusal)

    @doors.post("/sign-in/password")
    def check_password() -> Response:
        form = PasswordForm()
        held = read_cookie(SIGN_IN)
        try:
            cookie = sign_in.check_password(visit(), held, form.text("password"))
        except (Wrong, Throttled) as refusal:
            return _password_page(refusal)
        return _to(State.VERIFY, cookie)

    def _support() -> Helpdesk | None:
        return sign_in.helpdesk(read_cookie(SIGN_IN))

    @doors.get("/sign-in/verify")
    def verify_page() -> Response:
        return _verify_page()

    def _verify_page(refusal: Refusal | None = None) -> Response:
        page = sign_in.verify_page(read_cookie(SIGN_IN))
        return show("signin/verify.html", {"page": page, "user_id": page.user_id}, refusal, support=_support())

    @doors.post("/sign-in/verify")
    def prove_app() -> Response:
        form = CodeForm()
        try:
            return _ended(sign_in.prove_app(visit(), read_cookie(SIGN_IN), form.text("code")))
        except (Wrong, Throttled) as refusal:
            return _verify_page(refusal)

    @doors.get("/sign-in/code")
    def code_page() -> Response:
        return _code_page()

    def _code_page(refusal: Refusal | None = None) -> Response:
        flow = sign_in.code_page(read_cookie(SIGN_IN))
        context = {"user_id": flow.user_id, "enter": "/sign-in/code", "back": "/sign-in/verify"}
        return show("signin/code.html", context, refusal, support=_support())

    @doors.post("/sign-in/code")
    def prove_code() -> Response:
        form = CodeForm()
        try:
            return _ended(sign_in.prove_code(visit(), read_cookie(SIGN_IN), form.text("code")))
        except (Wrong, Throttled) as refusal:
            return _code_page(refusal)

    @doors.get("/sign-in/security-answer")
    def answer_page() -> Response:
        return _answer_page()

    def _answer_page(refusal: Refusal | None = None) -> Response:
        page = sign_in.answer_page(read_cookie(SIGN_IN))
        return show("signin/answer.html", {"page": page, "user_id": page.user_id}, refusal, support=_support())

    @doors.post("/sign-in/security-answer")
    def prove_answer() -> Response:
        form = AnswerForm()
        try:
            return _ended(sign_in.prove_answer(visit(), read_cookie(SIGN_IN), form.text("answer")))
        except (Wrong, Throttled) as refusal:
            return _answer_page(refusal)

    @doors.get("/sign-in/alternative")
    def alternative_page() -> Response:
        # the ways stand on one page; a visitor who types this address is taken there
        sign_in.verify_page(read_cookie(SIGN_IN))
        return _to(State.VERIFY)

    @doors.post("/sign-in/alternative")
    def send() -> Response:
        form = ChannelForm()
        try:
            sign_in.send(visit(), read_cookie(SIGN_IN), form.text("channel"))
        except (Wrong, Throttled) as refusal:
            try:
                return _pin_page(refusal)
            except OutOfOrder:
                return _verify_page(refusal)
        return _to(State.PIN)

    @doors.get("/sign-in/pin")
    def pin_page() -> Response:
        return _pin_page()

    def _pin_page(refusal: Refusal | None = None) -> Response:
        page = sign_in.pin_page(read_cookie(SIGN_IN))
        user_id = sign_in.at(read_cookie(SIGN_IN), State.PIN).user_id
        return _pin_shown(page, _PIN_PATHS, user_id, refusal, _support())

    @doors.post("/sign-in/pin")
    def prove_pin() -> Response:
        form = PinForm()
        try:
            return _ended(sign_in.prove_pin(visit(), read_cookie(SIGN_IN), form.text("pin")))
        except (Wrong, Throttled) as refusal:
            return _pin_page(refusal)

    @doors.get("/sign-in/pin/status")
    def status() -> Response:
        return jsonify(sign_in.pin_page(read_cookie(SIGN_IN)).status())

    @doors.get("/sign-in/new-password")
    def new_password_page() -> Response:
        return _new_password_page()

    def _new_password_page(refusal: Refusal | None = None) -> Response:
        page = sign_in.new_password_page(read_cookie(SIGN_IN))
        context = {
            "user_id": page.user_id,
            "rules": page.rules,
            "passwordrules": page.passwordrules,
            "expired": page.expired,
            "temporary": page.temporary,
        }
        return show("signin/new_password.html", context, refusal, support=_support())

    @doors.post("/sign-in/new-password")
    def set_new_password() -> Response:
        form = NewPasswordForm()
        try:
            ended = sign_in.set_new_password(
                visit(), read_cookie(SIGN_IN), form.text("new_password"), form.text("confirm_password")
            )
        except (Wrong, Throttled) as refusal:
            return _new_password_page(refusal)
        return _ended(ended)

    @doors.get("/sign-in/security-question")
    def question_page() -> Response:
        return _question_page({})

    def _question_page(typed: dict[str, str], refusal: Refusal | None = None) -> Response:
        user_id = sign_in.question_page(read_cookie(SIGN_IN))
        context = {"user_id": user_id, "questions": tuple(Question), "typed": typed}
        return show("signin/question.html", context, refusal, support=_support())

    @doors.post("/sign-in/security-question")
    def set_question() -> Response:
        form = QuestionForm()
        question, answer = form.chosen(), form.text("answer")
        try:
            return _ended(
                sign_in.set_question(
                    visit(), read_cookie(SIGN_IN), question=question, asked=question_words(question), answer=answer
                )
            )
        except (Wrong, Throttled) as refusal:
            return _question_page(form.typed(), refusal)

    @doors.get("/sign-out")
    def sign_out_page() -> Response:
        return go_to(HOME)

    @doors.post("/sign-out")
    def sign_out() -> Response:
        presence.leave(read_cookie(SESSION), visit())
        response = go_to(COURSE.start)
        for name in (SESSION, SIGN_IN, TASK):
            clear_cookie(response, name)
        # not "cookies": sibling applications on the same domain would lose theirs (requirement C-20)
        response.headers["Clear-Site-Data"] = '"cache", "storage"'
        return response

    return doors


def step_up_blueprint(step_up: StepUp, presence: Presence) -> Blueprint:
    """The doors of the fresh proof."""
    doors = Blueprint("step_up", __name__)

    @doors.get("/step-up")
    def page() -> Response:
        return _page()

    def _page(refusal: Refusal | None = None) -> Response:
        shown = step_up.page(visit(), read_cookie(SESSION))
        support = presence.present(read_cookie(SESSION), visit()).support
        return show("signin/step_up.html", {"page": shown, "user_id": shown.user_id}, refusal, support=support)

    @doors.post("/step-up")
    def prove_app() -> Response:
        form = CodeForm()
        try:
            return _raised(step_up.prove_app(visit(), read_cookie(SESSION), form.text("code")))
        except (Wrong, Throttled) as refusal:
            return _page(refusal)

    @doors.get("/step-up/code")
    def code_page() -> Response:
        return _code_page()

    def _code_page(refusal: Refusal | None = None) -> Response:
        present = presence.present(read_cookie(SESSION), visit())
        context = {"user_id": present.user_id, "enter": "/step-up/code", "back": "/step-up"}
        return show("signin/code.html", context, refusal, support=present.support)

    @doors.post("/step-up/code")
    def prove_code() -> Response:
        form = CodeForm()
        try:
            return _raised(step_up.prove_code(visit(), read_cookie(SESSION), form.text("code")))
        except (Wrong, Throttled) as refusal:
            return _code_page(refusal)

    @doors.get("/step-up/alternative")
    def alternative_page() -> Response:
        step_up.page(visit(), read_cookie(SESSION))
        return go_to(STEP_UP.start)

    @doors.post("/step-up/alternative")
    def send() -> Response:
        form = ChannelForm()
        task = read_cookie(TASK)
        try:
            cookie = step_up.send(visit(), read_cookie(SESSION), task, form.text("channel"))
        except (Wrong, Throttled) as refusal:
            try:
                return _pin_page(refusal)
            except OutOfOrder:
                return _page(refusal)
        return go_to(STEP_UP.page_of(State.PIN), TASK, cookie)

    @doors.get("/step-up/pin")
    def pin_page() -> Response:
        return _pin_page()

    def _pin_page(refusal: Refusal | None = None) -> Response:
        session = read_cookie(SESSION)
        page = step_up.pin_page(visit(), session, read_cookie(TASK))
        present = presence.present(session, visit())
        return _pin_shown(page, _STEP_UP_PATHS, present.user_id, refusal, present.support)

    @doors.post("/step-up/pin")
    def prove_pin() -> Response:
        form = PinForm()
        try:
            cookie = step_up.prove_pin(visit(), read_cookie(SESSION), read_cookie(TASK), form.text("pin"))
        except (Wrong, Throttled) as refusal:
            return _pin_page(refusal)
        response = _raised(cookie)
        clear_cookie(response, TASK)
        return response

    @doors.get("/step-up/pin/status")
    def status() -> Response:
        return jsonify(step_up.pin_page(visit(), read_cookie(SESSION), read_cookie(TASK), used=False).status())

    return doors


def _pin_shown(
    page: PinPage, paths: dict[str, str], user_id: str, refusal: Refusal | None, support: Helpdesk | None
) -> Response:
    return show("signin/pin.html", {"pin": page, "user_id": user_id, **paths}, refusal, support=support)


def _to(state: State, cookie: str | None = None) -> Response:
    return go_to(COURSE.page_of(state), SIGN_IN, cookie)


def _ended(ended: Ended) -> Response:
    if not ended.signed_in:
        return go_to(ended.due, SIGN_IN, ended.cookie)
    response = go_on(HOME)
    write_cookie(response, SESSION, ended.session)
    if ended.known_browser:
        write_cookie(response, KNOWN, ended.known_browser, seconds=KNOWN_LIFE)
    clear_cookie(response, SIGN_IN)
    return response


def _raised(cookie: str) -> Response:
    response = go_on(HOME)
    write_cookie(response, SESSION, cookie)
    return response
