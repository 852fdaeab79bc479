"""Jane, whose phone is lost, two agents of her organization, and one of another."""

import re
from typing import Any

import pytest

from app.factors.totp import store as apps
from app.records.attempts.model import Door, Factor
from app.records.cases import store as cases
from app.records.cases.model import Request
from app.records.organizations.model import Role
from app.records.people import store as people
from tests.portal import Browser, Portal

PHONE, EMAIL = "+491700000001", "jane@example.org"
REASON = "Jane lost her phone on the train"
DAY = 86_400
_WORDS = re.compile(r"^[a-z]+(?:-[a-z]+){5}$", re.MULTILINE)
_CANCEL = re.compile(r"http://localhost(/approve/cancel/\S+)")
_ACCESS = re.compile(r"^[0-9A-Z]{4}(?:-[0-9A-Z]{4}){2}$", re.MULTILINE)


class Desk:
    """A help desk of two, and whom they help."""

    def __init__(self, portal: Portal) -> None:
        self.portal = portal
        self.jane = portal.add("jane", phone=PHONE, email=EMAIL)
        self.agents: dict[str, Browser] = {}
        for number, (name, home) in enumerate((("sam", "default"), ("tess", "default"), ("far", "other"))):
            portal.add(name, phone=f"+49171000000{number}", role=Role.SUPPORT, home=home)

    # ---- the time

    @property
    def now(self) -> int:
        return int(self.portal.base.clock.now())

    def later(self, seconds: int) -> None:
        self.portal.base.clock.sleep(seconds)

    # ---- agents

    def agent(self, name: str) -> Browser:
        """Somebody of the desk, signed in with a fresh proof."""
        browser = self.agents.get(name)
        if browser is None or browser.get("/authenticators").status_code != 200:
            self.later(30)  # the code of the last sign-in is spent
            browser = self.agents[name] = self.portal.browser(REMOTE_ADDR="192.0.2.99")
            browser.sign_in(self.portal, name)
            return browser
        if browser.get("/support/approvals/" + "0" * 32).status_code == 303:
            self.later(30)
            browser.get("/step-up")
            assert browser.post("/step-up", code=self.portal.code(name)).status_code == 303
        browser.get("/support/approvals")
        return browser

    def contact(self, address: str) -> str:
        with self.portal.base.database.read() as looking:
            found = people.contacts_of(looking, self.jane.id)
            return next((one.id for one in found if one.address == address), "none")

    def ask(self, action: str, at: str = EMAIL, by: str = "sam", user_id: str = "jane", **fields: str):
        """An agent asks for something; the answer."""
        browser = self.agent(by)
        path = f"/support/people/{user_id}/{action}"
        sent: dict[str, Any] = {"do": "ask", "reason": REASON, "contact": self.contact(at), **fields}
        browser.get("/support/approvals")
        return browser.post(path, **sent)

    def asked(self, action: str, at: str = EMAIL, by: str = "sam", **fields: str) -> Request:
        answer = self.ask(action, at, by, **fields)
        assert answer.status_code == 303, answer.text
        return self.request

    def app(self) -> str:
        with self.portal.base.database.read() as looking:
            return apps.of_person(looking, self.jane.id)[0].id

    def do(self, what: str, by: str = "sam", request: Request | None = None):
        request = request or self.request
        path = f"/support/people/jane/{request.action.value}"
        browser = self.agent(by)
        return browser.post(path, do=what, request=request.id)

    def review(self, decision: str = "confirm", by: str = "tess", request: Request | None = None):
        request = request or self.request
        return self.agent(by).post(f"/support/approvals/{request.id}", decision=decision)

    # ---- the person

    def texts(self, to: str) -> list[str]:
        self.portal.deliver()
        if to.startswith("+"):
            return [message.body for message in self.portal.phone.to(to)]
        return [message.text for message in self.portal.mailbox.to(to)]

    def words(self, to: str = EMAIL) -> str:
        return [found[0] for text in self.texts(to) if (found := _WORDS.search(text))][-1]

    def cancel_link(self, to: str) -> str:
        return [found[1] for text in self.texts(to) if (found := _CANCEL.search(text))][-1]

    def access_code(self, to: str = EMAIL) -> str:
        return [found[0] for text in self.texts(to) if (found := _ACCESS.search(text))][-1]

    def open(self, words: str, **environ: str) -> Browser:
        """A browser at the page that decides."""
        browser = self.portal.browser(**environ)
        browser.get("/approve")
        answer = browser.post("/approve", code=words)
        assert answer.location == "/approve/decide", answer.text
        assert browser.get("/approve/decide").status_code == 200
        return browser

    def decide(self, words: str, decision: str = "approve") -> Browser:
        browser = self.open(words)
        answer = browser.post("/approve/decide", decision=decision)
        assert answer.location == "/approve/done", answer.text
        assert browser.get("/approve/done").status_code == 200
        return browser

    # ---- what is seen

    @property
    def request(self) -> Request:
        """The newest request about Jane."""
        with self.portal.base.database.read() as looking:
            rows = looking.execute(
                cases.requests.select()
                .where(cases.requests.c.person_id == self.jane.id)
                .order_by(cases.requests.c.asked_at.desc())
            ).all()
            found = cases.request(looking, rows[0].id)
            assert found is not None
            return found

    @property
    def state(self) -> str:
        return self.request.state.value

    def granted(self, action: str, **fields: str) -> Request:
        """Approved, confirmed, and past the waiting time."""
        self.asked(action, **fields)
        self.decide(self.words(fields.get("at", EMAIL)))
        assert self.review().status_code == 303
        self.later(DAY)
        return self.request

    def lock(self) -> None:
        """Failed sign-ins until she waits for an hour."""
        subject = self.portal.means.tries.subject(self.jane.canonical_id, self.jane.id)
        for _ in range(14):
            self.later(3_600)
            self.portal.means.tries.spend(subject, Factor.PASSWORD, Door.SIGN_IN)


@pytest.fixture
def desk(one_portal) -> Desk:
    return Desk(one_portal)


@pytest.fixture
def both_desk(portal) -> Desk:
    return Desk(portal)
