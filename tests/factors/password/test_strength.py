"""zxcvbn's estimate as advice: bounded work, stable codes."""

import time

import pytest
import zxcvbn_rs_py
from hypothesis import given, settings
from hypothesis import strategies as st

from app.factors.password import service
from app.factors.password.model import Advice
from app.factors.password.service import strength


def test_every_warning_and_suggestion_has_a_code_and_every_code_is_used():
    names = {
        name
        for kind in (zxcvbn_rs_py.Warning, zxcvbn_rs_py.Suggestion)
        for name in vars(kind)
        if isinstance(getattr(kind, name), kind)
    }

    assert len(names) == 27
    assert set(service._ADVICE) == names
    assert set(service._ADVICE.values()) == set(Advice)


def test_a_weak_candidate_gets_advice_and_a_strong_one_none():
    weak = strength("password", ())

    assert weak.score == 0
    assert weak.advice == (Advice.VERY_COMMON, Advice.ADD_WORDS)
    assert strength("aaaaaaaaaaaa", ()).advice[0] is Advice.REPEATED_CHARACTER
    assert strength("correct horse battery staple", ()).score == 4
    assert strength("correct horse battery staple", ()).advice == ()


def test_words_of_the_context_count_as_known():
    assert strength("zyxomatic", ("zyxomatic",)).score < strength("zyxomatic", ()).score


@pytest.mark.parametrize(
    "nasty",
    [
        "4@8({[<369&#!1/|0$5+7%2" * 40,
        "".join(chr(33 + i * 37 % 94) for i in range(1024)),
        "2019" * 256,
        "é" * 1024,
        "\U0001f3c6" * 1024,
        "\0" * 100,
        "\ud800" * 100,
        "",
    ],
)
def test_nothing_keeps_it_busy(nasty):
    strength("first the dictionaries are unpacked", ())
    start = time.process_time()
    found = strength(nasty, ("jane", "doe"))

    assert time.process_time() - start < 0.1
    assert 0 <= found.score <= 4


@settings(max_examples=300)
@given(st.text(max_size=64), st.lists(st.text(max_size=10), max_size=3))
def test_any_text_gets_a_score(typed, words):
    assert strength(typed, words).score in range(5)
