"""Answers in their one form, and what neither a question nor an answer may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.factors.security_question import rules
from app.factors.security_question.model import ANSWER_MAX, QUESTION_MAX, Question

ASKED = "What was the name of my first dog?"


@pytest.mark.parametrize(
    ("typed", "one_form"),
    [
        ("Saint-Malo", "saint malo"),
        ("  saint   MALO. ", "saint malo"),
        ("O'Brien", "obrien"),
        ("Straße", "strasse"),
        ("\uff32\uff25\uff38\u00a0\uff12", "rex 2"),
        ("\u200bRex\u200d", "rex"),
        ("ﬁsh & chips", "fish chips"),
        ("...", ""),
    ],
)
def test_an_answer_is_the_same_however_it_is_written(typed, one_form):
    assert rules.normalise(typed) == one_form


@given(st.text(max_size=ANSWER_MAX))
def test_the_one_form_is_its_own_one_form(typed):
    once = rules.normalise(typed)
    assert rules.normalise(once) == once


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("", "missing"),
        ("?!", "missing"),
        ("rex", "too_short"),
        ("aaaaaaa", "too_short"),
        ("a a a a", "too_short"),
        ("x" * (ANSWER_MAX + 1), "too_long"),
        ("First Dog", "answer_given_away"),
        (ASKED, "answer_given_away"),
        ("Jane.Doe", "answer_given_away"),
    ],
)
def test_what_anybody_could_guess_is_no_answer(typed, code):
    with pytest.raises(rules.Unfit) as unfit:
        rules.new_answer(typed, asked=ASKED, user_id="jane-doe")
    assert (unfit.value.field, unfit.value.code) == ("answer", code)


def test_a_part_of_a_word_of_the_question_is_an_answer():
    assert rules.new_answer("Name Firs", asked=ASKED, user_id="jane") == "name firs"


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        (" ", "missing"),
        ("Who?", "too_short"),
        ("x" * (QUESTION_MAX + 1), "too_long"),
        ("What is\u202ethis one", "bad_characters"),
    ],
)
def test_what_asks_nothing_is_no_question(typed, code):
    with pytest.raises(rules.Unfit) as unfit:
        rules.chosen_question(typed)
    assert (unfit.value.field, unfit.value.code) == ("question", code)


def test_a_key_is_a_question_of_the_list_and_any_other_text_is_ones_own():
    assert all(rules.chosen_question(one.value) == (one.value, False) for one in Question)
    assert rules.chosen_question("  Where did  we meet? ") == ("Where did we meet?", True)
