"""The page /authenticators/security-question."""

from flask import Blueprint, Response

from app.factors.security_question.model import Question
from app.foundation.refusals import Refusal, Throttled, Wrong
from app.foundation.web.application import question_words, visit
from app.foundation.web.browser import SESSION, read_cookie
from app.foundation.web.shape import QuestionForm
from app.foundation.web.signed import done_at, render_signed
from app.journeys.security_question.service import HOME, PAGE, OwnQuestion
from app.steps.presence import Presence, Present


def blueprint(own_question: OwnQuestion, presence: Presence) -> Blueprint:
    """The doors of the security question."""
    doors = Blueprint("security_question", __name__)

    @doors.get(PAGE)
    def page() -> Response:
        here = presence.present(read_cookie(SESSION), visit())
        own_question.page(here)  # whose page it is not is told so before a proof is asked for
        return _page(presence.fresh(read_cookie(SESSION), visit()), {})

    def _page(here: Present, typed: dict[str, str], refusal: Refusal | None = None) -> Response:
        context = {"page": own_question.page(here), "questions": tuple(Question), "typed": typed}
        return render_signed("security_question/question.html", here, context, refusal)

    @doors.post(PAGE)
    def replace() -> Response:
        form = QuestionForm()
        here = presence.fresh(read_cookie(SESSION), visit())
        question, answer = form.chosen(), form.text("answer")
        try:
            own_question.replace(visit(), here, question=question, asked=question_words(question), answer=answer)
        except (Wrong, Throttled) as refusal:
            return _page(here, form.typed(), refusal)
        return done_at(HOME, "security_question")

    return doors
