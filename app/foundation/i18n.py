"""Languages: gettext catalogues, compiled from translations/*.po and shipped with the source."""

import gettext
from collections.abc import Iterable
from functools import lru_cache

from app.foundation.settings import ROOT

LANGUAGES = {"en": "English", "de": "Deutsch"}
DOMAIN = "keyturn"


@lru_cache(maxsize=8)
def catalogue(language: str) -> gettext.NullTranslations:
    """The sentences of a language. English is the source language, so it needs no file."""
    if language == "en":
        return gettext.NullTranslations()
    return gettext.translation(DOMAIN, ROOT / "translations", languages=[language])


def choose(wanted: Iterable[str], fallback: str) -> str:
    """The first wanted language tag ("de-AT") whose language we speak, or the fallback."""
    for tag in wanted:
        language = tag.replace("_", "-").split("-", 1)[0].lower()
        if language in LANGUAGES:
            return language
    return fallback
