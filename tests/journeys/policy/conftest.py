"""Administrators at the page of their organization's policy."""

import html
import re
from dataclasses import dataclass

import pytest

from app.records.organizations import store as organizations
from app.records.organizations.model import DEFAULT, Role
from tests.doors import PHONE
from tests.portal import Browser, Portal

_FIELD = re.compile(r"<(input|select)\b([^>]*)>(.*?)(?=<(?:input|select|button|fieldset|/form)\b)", re.DOTALL)


@dataclass
class Desk:
    """Somebody who administers an organization, with the page open."""

    portal: Portal
    browser: Browser
    organization_id: str

    def open(self, **query):
        said = "&".join(f"{name}={value}" for name, value in query.items())
        return self.browser.get(f"/admin/policy?organization={self.organization_id}&{said}")

    def fields(self):
        """What a browser would post of the form that is open."""
        assert self.browser.page is not None
        text = self.browser.page.text
        form = text[text.index('class="policy"') :]
        form = form[: form.index("</form>")]
        found = {}
        for kind, attributes, rest in _FIELD.findall(form):
            told = dict(re.findall(r'([a-z_-]+)="([^"]*)"', attributes))
            if "name" not in told:
                continue
            if kind == "select":
                chosen = re.search(r"<option([^>]*)selected([^>]*)>([^<]*)", rest)
                value = re.search(r'value="([^"]*)"', chosen[1] + chosen[2]) if chosen else None
                found[told["name"]] = html.unescape(value[1] if value else chosen[3] if chosen else "")
            elif told.get("type") != "checkbox" or re.search(r"\bchecked\b", attributes):
                found[told["name"]] = html.unescape(told.get("value", ""))
        return found

    def post(self, path="/admin/policy", **typed):
        fields = {**self.fields(), **typed}
        return self.browser.post(path, **{name: text for name, text in fields.items() if text is not None})

    @property
    def text(self) -> str:
        assert self.browser.page is not None
        return self.browser.page.text

    def versions(self):
        with self.portal.base.database.read() as looking:
            return organizations.versions(looking, self.organization_id)


def desk(portal: Portal, user_id: str, home: str = DEFAULT, role: Role = Role.ADMINISTRATOR) -> Desk:
    person = portal.add(user_id, phone=PHONE, email=f"{user_id}@example.org", role=role, home=home)
    browser = portal.browser()
    browser.sign_in(portal, user_id)
    made = Desk(portal, browser, person.home_organization)
    made.open()
    return made


@pytest.fixture
def ada(one_portal):
    return desk(one_portal, "ada")
