"""Languages: which one a visitor gets, and that each has its sentences."""

import gettext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.foundation.i18n import LANGUAGES, catalogue, choose


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (["de-AT", "en"], "de"),
        (["fr", "de"], "de"),
        (["fr", "en-GB", "de"], "en"),
        (["DE"], "de"),
        (["de_CH"], "de"),
        (["fr", "it"], "en"),
        (["*"], "en"),
        ([""], "en"),
        ([], "en"),
        (["deutsch"], "en"),
    ],
)
def test_the_first_wanted_language_that_we_speak_is_taken(wanted, expected):
    assert choose(wanted, "en") == expected


def test_without_any_the_fallback_is_taken():
    assert choose(["fr"], "de") == "de"


@settings(deadline=None)
@given(st.lists(st.text(max_size=30), max_size=10))
def test_whatever_is_wanted_a_language_that_we_speak_comes_of_it(wanted):
    assert choose(wanted, "de") in LANGUAGES


def test_english_is_the_language_of_the_source_and_german_is_translated():
    assert catalogue("en").gettext("User ID") == "User ID"
    assert catalogue("de").gettext("Continue") != "Continue"
    assert catalogue("de").gettext("no such sentence") == "no such sentence"


@pytest.mark.parametrize("language", LANGUAGES)
def test_plurals_follow_the_language(language):
    one, two = (catalogue(language).ngettext("%(num)s minute", "%(num)s minutes", n) for n in (1, 2))
    assert one != two


def test_a_catalogue_is_read_once():
    assert catalogue("de") is catalogue("de")
    assert isinstance(catalogue("de"), gettext.GNUTranslations)
