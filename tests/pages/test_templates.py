"""What can be said of the pages without a browser."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flask import g

from app.factors.password.model import Advice, RuleKey
from app.foundation.refusals import Code
from app.journeys.demo.model import CAST
from app.records.audit.model import Event
from tests import messages
from tests.pages.gallery import CASES, RECOVERY, ROOT, SUPPORT, Gallery

MOST_HTML = 25_000  # bytes of a whole recovery, before compression


@pytest.fixture(scope="module")
def gallery() -> Gallery:
    """The pages, without a server."""
    return Gallery()


class _Reader(HTMLParser):
    """The texts and the attributes of a page."""

    SPOKEN = frozenset({"alt", "aria-label", "title", "placeholder", "data-show", "data-hide", "data-caps", "data-met"})

    def __init__(self) -> None:
        super().__init__()
        self.texts: set[str] = set()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self._quiet = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        self.tags.append((tag, known))
        self.texts.update(known[name] for name in self.SPOKEN & known.keys())

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.add(" ".join(data.split()))


def _read(html: str) -> _Reader:
    reader = _Reader()
    reader.feed(html)
    return reader


def _macro(gallery: Gallery, name: str, *arguments: object, language: str = "en") -> str:
    with gallery.app.test_request_context("/"):
        g.language = language
        module = gallery.app.jinja_env.get_template("sentences.html").make_module({})
        return str(getattr(module, name)(*arguments))


def test_a_whole_recovery_takes_at_most_25_kilobytes_of_html(gallery: Gallery) -> None:
    for language in ("en", "de"):
        assert sum(len(gallery.html(name, language).encode()) for name in RECOVERY) <= MOST_HTML


def test_every_page_template_is_in_the_gallery() -> None:
    folder = ROOT / "templates"
    pages = {path.relative_to(folder).as_posix() for path in folder.glob("*/[!_]*.html")}
    assert pages == {case.template for case in CASES.values()}


@pytest.mark.parametrize("name", CASES)
def test_a_page_has_nothing_inline(gallery: Gallery, name: str) -> None:
    for tag, attributes in _read(gallery.html(name)).tags:
        assert tag != "style"
        assert tag != "script" or attributes.get("src")
        assert not [one for one in attributes if one == "style" or one.startswith("on")]
        assert not [
            one for one in ("src", "href", "action") if attributes.get(one, "").startswith(("data:", "javascript:"))
        ]


@pytest.mark.parametrize("name", CASES)
def test_every_form_that_posts_has_a_token_and_each_is_found_by_its_action(gallery: Gallery, name: str) -> None:
    html = gallery.html(name)
    forms = re.findall(r"<form\b[^>]*>.*?</form>", html, re.DOTALL)
    assert len(forms) == html.count("<form")
    for form in forms:
        # what only looks has no token, which would stand in the address
        posts = 'method="post"' in form
        assert posts or 'method="get"' in form
        assert ('name="csrf_token"' in form) is posts
        assert re.search(r'action="/[a-z0-9/-]+"', form)


@pytest.mark.parametrize("name", CASES)
def test_ids_are_unique_and_references_lead_somewhere(gallery: Gallery, name: str) -> None:
    tags = _read(gallery.html(name)).tags
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in tags:
        for attribute in ("for", "aria-describedby", "aria-labelledby"):
            assert set(attributes.get(attribute, "").split()) <= set(ids)


@pytest.mark.parametrize("name", CASES)
def test_no_english_is_left_on_a_german_page(gallery: Gallery, name: str) -> None:
    english, german = (_read(gallery.html(name, language)).texts for language in ("en", "de"))
    # names, figures, masked contacts, and words that both languages share
    same = re.compile(r"[\W\d_]*|Keyturn|SUPPORT|Support|Administration|English|Deutsch|[\w.]+@[\w.-]+|[0-9a-f]{32}")
    shared = {text.removesuffix(" \u2013 Keyturn").strip(" ·") for text in english & german if not same.fullmatch(text)}
    contexts = [SUPPORT, *(case.context for case in CASES.values())]
    given = {" ".join(str(value).split()) for context in contexts for value in _values(context)}
    assert {text for text in shared if not any(text in value for value in given)} == set()


@pytest.mark.parametrize("event", Event)
@pytest.mark.parametrize("reason", ["", "operator", "again", "activation", "changed"])
def test_an_administrator_reads_of_each_event_what_happened_and_not_as_if_it_was_their_own(
    gallery: Gallery, event: Event, reason: str
) -> None:
    happened: dict[str, object] = {"event": event.value, "reason": reason, "details": {}}
    with gallery.app.test_request_context("/"):
        g.language = "en"
        words = gallery.app.jinja_env.get_template("auditing/_words.html").make_module({})
        said = str(words.happened_to(happened))  # type: ignore[attr-defined]
    assert said
    assert not re.search(r"\byou", said, re.IGNORECASE)


def _values(thing: object) -> list[object]:
    if isinstance(thing, dict):
        return [inner for value in thing.values() for inner in _values(value)]
    if isinstance(thing, list | tuple | set):
        return [inner for value in thing for inner in _values(value)]
    return [thing]


@pytest.mark.parametrize("code", [*Code, "csrf"])
def test_every_refusal_has_a_sentence_of_its_own(gallery: Gallery, code: str) -> None:
    details = {"half_minutes": 3, "direction": "slow"}
    said = _macro(gallery, "happened", code, "code", details)
    assert said
    assert said != _macro(gallery, "happened", "no such code")


@pytest.mark.parametrize("advice", Advice)
def test_every_advice_has_a_sentence(gallery: Gallery, advice: Advice) -> None:
    assert _macro(gallery, "advice", advice)


@pytest.mark.parametrize("key", RuleKey)
def test_every_rule_is_explained_before_and_after_typing(gallery: Gallery, key: RuleKey) -> None:
    assert _macro(gallery, "rule", {"key": key, "params": {"count": 4, "score": 3}})
    assert _macro(gallery, "broken_rule", {"rule": key, "params": {"count": 4, "score": 3}})


@pytest.mark.parametrize("story", sorted({role.story for role in CAST}))
def test_every_story_of_the_demo_is_told(story: str) -> None:
    assert f'key == "{story}"' in (ROOT / "templates/demo/index.html").read_text()


@pytest.mark.parametrize(
    ("seconds", "english", "german"),
    [
        (0, "1 second", "1 Sekunde"),
        (27, "27 seconds", "27 Sekunden"),
        (99, "99 seconds", "99 Sekunden"),
        (100, "2 minutes", "2 Minuten"),
        (121, "3 minutes", "3 Minuten"),
        (5400, "90 minutes", "90 Minuten"),
        (5401, "2 hours", "2 Stunden"),
    ],
)
def test_a_wait_is_told_in_words_and_rounded_up(gallery: Gallery, seconds: int, english: str, german: str) -> None:
    assert _macro(gallery, "duration", seconds) == english
    assert _macro(gallery, "duration", seconds, language="de") == german


@pytest.mark.parametrize(("seconds", "figures"), [(-5, "0:00"), (27, "0:27"), (272, "4:32"), (3899, "1:04:59")])
def test_a_countdown_starts_with_these_figures(gallery: Gallery, seconds: int, figures: str) -> None:
    assert _macro(gallery, "figures", seconds) == figures


@pytest.mark.parametrize(
    ("half_minutes", "words"),
    [
        (1, "half a minute"),
        (2, "1 minute"),
        (3, "1½ minutes"),
        (4, "2 minutes"),
        (19, "9½ minutes"),
        (20, "10 minutes"),
    ],
)
def test_a_clock_offset_is_told_in_half_minutes(gallery: Gallery, half_minutes: int, words: str) -> None:
    for direction in ("slow", "fast"):
        said = _macro(
            gallery, "happened", Code.CLOCK_OFF, "code", {"half_minutes": half_minutes, "direction": direction}
        )
        assert f"about {words} {direction}." in said


@pytest.mark.parametrize(
    ("name", "exact"),
    [
        ("password", "Password locked or forgotten?"),
        ("token", "Enter the one-time password generated by your token."),
        ("pin-sent", "Alternative Authentication"),
        ("pin-email-alone", "Alternative Authentication"),
    ],
)
def test_the_words_of_the_contract_stand_on_the_page(gallery: Gallery, name: str, exact: str) -> None:
    assert exact in _read(gallery.html(name)).texts


def test_the_destination_and_the_state_of_a_pin_can_be_read_by_programs(gallery: Gallery) -> None:
    tags = _read(gallery.html("pin-failed")).tags
    assert [one["data-destination"] for _, one in tags if "data-destination" in one] == ["+49 ••• ••• 4567"]
    assert [one["data-state"] for _, one in tags if "data-state" in one] == ["failed"]


def test_what_was_typed_stays_and_secrets_do_not(gallery: Gallery) -> None:
    for name in CASES:
        for tag, attributes in _read(gallery.html(name)).tags:
            if tag == "input" and attributes.get("name") in {
                "code",
                "pin",
                "password",
                "new_password",
                "confirm_password",
            }:
                assert "value" not in attributes
    typed = [one for tag, one in _read(gallery.html("recovery-two-errors")).tags if one.get("name") == "user_id"]
    assert [one["value"] for one in typed] == ["jane"]


def test_no_file_of_the_pages_reaches_elsewhere() -> None:
    for path in (ROOT / "static").iterdir():
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(
            r"https?:|data:|@import|innerHTML|insertAdjacentHTML|eval\(", text.replace("no innerHTML", "")
        ), path


def test_the_german_catalogue_is_whole_and_compiled() -> None:
    assert list(messages.faults("de", messages.extract())) == []


def test_a_missing_translation_is_a_fault(tmp_path: Path) -> None:
    said = messages.extract()
    said.add("A sentence that nobody has translated.", locations=[("templates/new.html", 0)])
    assert list(messages.faults("de", said)) == [
        "not in the catalogue: 'A sentence that nobody has translated.' (templates/new.html)"
    ]
