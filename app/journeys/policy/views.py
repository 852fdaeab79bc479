"""The pages under /admin/policy: the policy of an organization, what a change would do, and the versions."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from io import StringIO
from typing import Any
from zoneinfo import available_timezones

from flask import Blueprint, Response, abort, make_response, request

from app.foundation.refusals import Code, OutOfOrder, Refusal, Wrong
from app.foundation.web.application import allow_fields, go_to, visit
from app.foundation.web.browser import SESSION, read_cookie
from app.foundation.web.signed import done_at, render_signed
from app.journeys.policy import rules
from app.journeys.policy.forms import MOST_FIELDS, Typed, filled, read
from app.journeys.policy.model import HOLDS_FROM, Book, Moved, NotTaken, Preview, Problem, Stranded, Strands
from app.journeys.policy.rules import SETTINGS
from app.journeys.policy.service import Draft, Policies
from app.records.audit.rules import safe_cell
from app.records.organizations.model import Organization, Policy, Profile
from app.records.organizations.rules import departures
from app.steps.staff import Staff, Staffing

PAGE = "/admin/policy"
PREVIEW, EXPORT, WITHDRAW = f"{PAGE}/preview", f"{PAGE}/stranded", f"{PAGE}/withdraw"
_PROOF = frozenset({Code.PROOF_OLD, Code.PROOF_NEW, Code.HELD_BACK})


def blueprint(policies: Policies, staffing: Staffing) -> Blueprint:
    """The doors of the policy."""
    doors = Blueprint("policy", __name__)
    for path in (PAGE, PREVIEW, EXPORT):
        allow_fields(doors, path, MOST_FIELDS)

    @doors.get(PAGE)
    def page() -> Response:
        staff, organization = _administered(staffing, request.args.get("organization", ""))
        book = policies.book(organization)
        return Page(staff, book, _start(book, request.args.get("start", ""))).show()

    @doors.get(PREVIEW, endpoint="preview_page")
    @doors.get(EXPORT, endpoint="export_page")
    @doors.get(WITHDRAW, endpoint="withdraw_page")
    def elsewhere() -> Response:
        _administered(staffing, "")
        return go_to(PAGE)

    @doors.post(PAGE)
    def save() -> Response:
        shown = _posted(policies, staffing)
        try:
            # asked for again here: what was typed has to outlive a proof that is too old
            staff = staffing.administrator(read_cookie(SESSION), visit(), fresh=True)
            decided = policies.save(visit(), staff, shown.book.organization, shown.draft)
        except NotTaken as refused:
            return shown.show(_wrong(refused.problems))
        except Strands as strands:
            found = policies.preview(shown.book.organization, policies.edited(shown.book, shown.draft).policy)
            refusal = Wrong(Code.POLICY_STRANDS, field="known", details={"count": strands.count})
            return shown.show(refusal, preview=found)
        except Moved:
            return shown.moved(policies.book(shown.book.organization))
        except OutOfOrder as refusal:
            if refusal.code not in _PROOF:
                raise
            return shown.show(OutOfOrder(refusal.code, details=refusal.details))
        if decided is None:
            return shown.show(Wrong(Code.POLICY_SAME))
        return done_at(_at(shown.book.organization), "policy_staged" if decided.staged else "policy_saved")

    @doors.post(PREVIEW)
    def preview() -> Response:
        shown = _posted(policies, staffing)
        try:
            edited = policies.edited(shown.book, shown.draft)
            rules.holds_from(shown.draft.from_day, edited.policy, shown.book.now)
        except NotTaken as refused:
            return shown.show(_wrong(refused.problems))
        found = policies.preview(shown.book.organization, edited.policy)
        return shown.show(preview=found, policy=edited.policy, raised=edited.raised)

    @doors.post(EXPORT)
    def export() -> Response:
        shown = _posted(policies, staffing)
        try:
            found = policies.export(visit(), shown.staff, shown.book, shown.draft)
        except NotTaken as refused:
            return shown.show(_wrong(refused.problems))
        return _csv(found)

    @doors.post(WITHDRAW)
    def withdraw() -> Response:
        posted = read(request.form)
        staff, organization = _administered(staffing, request.form.get("organization", ""), fresh=True)
        try:
            done = policies.withdraw(visit(), staff, organization, posted.based_on or 0)
        except Moved:
            done = False
        if not done:
            raise OutOfOrder(Code.POLICY_MOVED, due=_at(organization))
        return done_at(_at(organization), "policy_withdrawn")

    return doors


def _administered(staffing: Staffing, identifier: str, *, fresh: bool = False) -> tuple[Staff, Organization]:
    """The administrator, and the organization that the page is about: one of theirs, or there is none."""
    staff = staffing.administrator(read_cookie(SESSION), visit(), fresh=fresh)
    mine = [one for one in staff.organizations if identifier in {"", one.id}]
    if not mine:
        abort(404)
    return staff, mine[0]


def _posted(policies: Policies, staffing: Staffing) -> "Page":
    staff, organization = _administered(staffing, request.form.get("organization", ""))
    return Page(staff, policies.book(organization), read(request.form))


def _at(organization: Organization) -> str:
    return f"{PAGE}?organization={organization.id}"


def _start(book: Book, start: str) -> Typed:
    """The form as it is opened: with what holds, with a profile, or with what is staged."""
    if start == "staged" and book.staged:
        policy, day = book.staged.policy, _day(book.staged.holds_from, book.staged.policy)
        return filled(rules.texts(policy), policy, book.newest, **{HOLDS_FROM: day})
    policy = rules.started_from(Profile(start), book.present) if start in set(Profile) else book.present
    return filled(rules.texts(policy), policy, book.newest)


def _day(moment: int, policy: Policy) -> str:
    return rules.day_of(moment, policy).isoformat()


def _wrong(problems: tuple[Problem, ...]) -> Wrong:
    """Every problem at its field; the first carries the others."""
    first, *others = (
        Wrong(
            Code.POLICY_RULE,
            field=one.key.replace(".", "_"),
            details={"problem": one.code, "setting": one.key, **one.params},
        )
        for one in problems
    )
    return Wrong(first.code, field=first.field, details=first.details, also=tuple(others))


class Page:
    """The page with what stands in its form."""

    def __init__(self, staff: Staff, book: Book, typed: Typed) -> None:
        self.staff = staff
        self.book = book
        self.typed = typed

    @property
    def draft(self) -> Draft:
        """What was typed, on what it was typed."""
        typed = self.typed
        profile = None if typed.profile is self.book.present.profile else typed.profile
        return Draft(typed.settings, profile, typed.holds_from, typed.based_on, typed.known, typed.by_sms)

    def show(
        self,
        refusal: Refusal | None = None,
        *,
        preview: Preview | None = None,
        policy: Policy | None = None,
        raised: bool = False,
        theirs: Mapping[str, Any] | None = None,
    ) -> Response:
        """``policy``: the one that the form describes, where it describes one."""
        context = self.context(preview=preview, policy=policy, raised=raised, theirs=theirs)
        return render_signed("policy/edit.html", self.staff.present, context, refusal)

    def context(
        self,
        *,
        preview: Preview | None = None,
        policy: Policy | None = None,
        raised: bool = False,
        theirs: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """What the template is given."""
        shown = policy or self.book.present
        beside: dict[str, list[Any]] = {}
        for departure in departures(shown):
            beside.setdefault(departure.setting, []).append(departure)
        typed = self.typed
        if raised and policy is not None:
            typed = replace(typed, values={**typed.values, "password_min_length": str(policy.password.min_length)})
        return {
            "book": self.book,
            "organizations": self.staff.organizations,
            "typed": typed,
            "settings": SETTINGS,
            "orders": {key: rules.orders(key) for key in ("recovery.first", "recovery.second")},
            "zones": _zones(),
            "departures": beside,
            "changes": rules.changes(self.book.present, policy) if policy else None,
            "preview": preview,
            "raised": raised,
            "theirs": theirs,
            "moment": _moment,
            "day": _day,
            "tomorrow": _day(self.book.now + 86_400, shown),
        }

    def moved(self, newest: Book) -> Response:
        """Somebody else decided meanwhile: both versions, and a form with what both changed."""
        if not newest.versions:  # a form that names a version that never was
            return Page(self.staff, newest, replace(self.typed, based_on=newest.newest)).show(
                OutOfOrder(Code.POLICY_MOVED)
            )
        base = rules.version_of(newest, self.typed.based_on or 0)
        decided = newest.versions[0].version
        settings = rules.merged(base, decided.policy, self.typed.settings)
        mine, old, new = self.typed.settings, rules.texts(base), rules.texts(decided.policy)
        rows = [
            (key, old[key], new[key], mine.get(key, old[key]))
            for key in SETTINGS
            if old[key] != new[key] or mine.get(key, old[key]).strip() != old[key]
        ]
        described = _described(decided.policy, settings)
        typed = replace(
            filled(settings, described, newest.newest, by_sms=self.typed.by_sms, **{HOLDS_FROM: self.typed.holds_from}),
            profile=self.typed.profile if self.typed.profile is not base.profile else decided.policy.profile,
        )
        if described is decided.policy:
            typed = replace(typed, hours=self.typed.hours, lines=self.typed.lines)
        shown = Page(self.staff, newest, typed)
        return shown.show(OutOfOrder(Code.POLICY_MOVED), theirs={"version": decided, "rows": rows})


def _described(decided: Policy, settings: Mapping[str, str]) -> Policy:
    """The policy of which the rows of a merged form are shown; the other's where the texts are none."""
    rows = {key: settings[key] for key in ("support.lines", "support.openings") if key in settings}
    try:
        return rules.edited(decided, rows).policy
    except NotTaken:
        return decided


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@lru_cache(maxsize=1)
def _zones() -> tuple[str, ...]:
    """Time zones as people name them: by a city, and UTC."""
    return ("UTC", *sorted(name for name in available_timezones() if "/" in name and not name.startswith("Etc/")))


def _csv(found: Iterable[Stranded]) -> Response:
    """Who would be stranded, safe for spreadsheets (ASVS 1.2.10)."""
    text = StringIO()
    rows = csv.writer(text)
    rows.writerow(("user_id", "name", "loses", "needs_one_of", "and_one_of"))
    for one in found:
        verdict = one.verdict
        cells = (one.user_id, one.name, *(" ".join(part) for part in (verdict.losses, verdict.first, verdict.second)))
        rows.writerow([safe_cell(cell) for cell in cells])
    response = make_response(text.getvalue())
    response.mimetype = "text/csv"
    response.headers["Content-Disposition"] = 'attachment; filename="stranded.csv"'
    return response
