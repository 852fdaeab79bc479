"""An agent who looks, and Ana, who cannot get in."""

import html
import re
from dataclasses import dataclass

import pytest

from app.records.organizations.model import Role
from tests.doors import PHONE
from tests.portal import Browser, Portal

ANA_PHONE, ANA_EMAIL = "+491700000077", "ana.souza@example.org"


@dataclass(frozen=True)
class Looked:
    """What an agent reads on somebody's page."""

    text: str

    @property
    def cause(self) -> str:
        found = re.search(r'<p class="cause" data-cause="([a-z_]+)"', self.text)
        assert found, self.text
        return found[1]

    @property
    def sentence(self) -> str:
        found = re.search(r'<p class="cause"[^>]*>(.*?)</p>', self.text, re.DOTALL)
        assert found
        return words(found[1])

    @property
    def remedy(self) -> tuple[str, str]:
        """The name of the first thing to do, and its path where it is a button."""
        found = re.search(
            r'<p class="cause".*?</p>\s*<(?:a|p)[^>]*?(?:href="([^"]+)" )?data-remedy="([^"]+)"', self.text, re.DOTALL
        )
        assert found, self.text
        return found[2], html.unescape(found[1] or "")

    @property
    def also(self) -> list[str]:
        return re.findall(r'<li data-cause="([a-z_]+)"', self.text)

    @property
    def stories(self) -> list[tuple[str, str, list[str]]]:
        """Of each story what it is about, how it ended, and its sentences."""
        found = re.findall(
            r'<li data-ending="(\w+)">.*?<h3>(.*?)</h3>.*?<ol class="lines">(.*?)</ol>', self.text, re.DOTALL
        )
        return [
            (title, ending, [words(one) for one in re.findall(r"</time> (.*?)</li>", lines, re.DOTALL)])
            for ending, title, lines in found
        ]

    def state(self, kind: str) -> list[str]:
        return re.findall(rf'<li data-kind="{kind}" data-state="(\w+)"', self.text)


def words(markup: str) -> str:
    """The text of some markup."""
    return " ".join(html.unescape(re.sub("<[^>]+>", "", markup)).split())


@dataclass
class Desk:
    """The agent's browser."""

    portal: Portal
    browser: Browser

    def look(self, user_id: str = "ana", **query: str) -> Looked:
        answer = self.browser.get(f"/support/people/{user_id}", query_string=query)
        assert answer.status_code == 200, answer.text
        return Looked(answer.text)


@pytest.fixture
def desk(one_portal):
    one_portal.add("sam", phone=PHONE, role=Role.SUPPORT)
    browser = one_portal.browser()
    browser.sign_in(one_portal, "sam")
    return Desk(one_portal, browser)


@pytest.fixture
def ana(one_portal):
    return one_portal.add("ana", phone=ANA_PHONE, email=ANA_EMAIL)
