"""The pages of one person under /admin/people, and the answer to a proposed membership under PROFILE."""

from collections.abc import Callable

from flask import Blueprint, Response, abort, request

from app.foundation.refusals import Forbidden, Refusal, Throttled, Wrong
from app.foundation.web.application import visit
from app.foundation.web.browser import SESSION, read_cookie
from app.foundation.web.signed import done_at, render_signed, utc
from app.journeys.membership.forms import ActForm, DecisionForm, NewMemberForm, ProposalForm
from app.journeys.membership.model import Act, Filing, NewMember, PersonPage
from app.journeys.membership.service import PEOPLE, Members, OwnMemberships
from app.records.organizations.model import Role
from app.records.people.model import from_path
from app.steps.presence import Presence
from app.steps.staff import Staff, Staffing

_MOST = 320  # characters of what was typed that are shown again
_SAID = {
    Act.INVITE: "member_invited",
    Act.CONTACTS: "member_refiled",
    Act.DEACTIVATE: "member_deactivated",
    Act.REACTIVATE: "member_reactivated",
    Act.ROLE: "member_role",
    Act.REMOVE: "member_removed",
}


def blueprint(members: Members, staffing: Staffing) -> Blueprint:
    """The doors of administrators."""
    doors = Blueprint("membership", __name__)
    _new(doors, members, staffing)
    _propose(doors, members, staffing)

    @doors.get(f"{PEOPLE}/<user_id>")
    def person(user_id: str) -> Response:
        staff = staffing.administrator(read_cookie(SESSION), visit())
        page = _found(members, staff, user_id)
        acts = {act.value for act in page.acts}
        context = {"page": page, "acts": acts, "utc": utc}
        return render_signed("membership/person.html", staff.present, context)

    acting: dict[Act, Callable[[str], bool]] = {
        Act.INVITE: lambda user_id: members.invite(visit(), read_cookie(SESSION), user_id),
        Act.CONTACTS: lambda user_id: members.refile(visit(), read_cookie(SESSION), user_id, _filing()),
        Act.DEACTIVATE: lambda user_id: members.deactivate(visit(), read_cookie(SESSION), user_id),
        Act.REACTIVATE: lambda user_id: members.reactivate(visit(), read_cookie(SESSION), user_id),
        Act.ROLE: lambda user_id: _set_role(members, user_id),
        Act.REMOVE: lambda user_id: members.remove(
            visit(), read_cookie(SESSION), user_id, ActForm().text("organization")
        ),
    }
    for act, press in acting.items():
        _acting(doors, act, press, members, staffing)
    return doors


def _found(members: Members, staff: Staff, part: str) -> PersonPage:
    page = members.page(staff, from_path(part))
    if page is None:
        abort(404)
    return page


def _filing() -> Filing:
    form = ActForm()
    return Filing(form.text("email")[:_MOST], form.text("phone")[:_MOST])


def _set_role(members: Members, user_id: str) -> bool:
    form = ActForm()
    return members.set_role(visit(), read_cookie(SESSION), user_id, form.text("organization"), form.text("role"))


def _new(doors: Blueprint, members: Members, staffing: Staffing) -> None:
    path = f"{PEOPLE}/new"
    empty = NewMember("", "", "", "", "", "")

    @doors.get(path)
    def new_page() -> Response:
        return _page(empty)

    def _page(typed: NewMember, refusal: Refusal | None = None) -> Response:
        staff = staffing.administrator(read_cookie(SESSION), visit(), fresh=True)
        context = {"typed": typed, "organizations": staff.organizations}
        return render_signed("membership/new.html", staff.present, context, refusal)

    @doors.post(path)
    def create() -> Response:
        form = NewMemberForm()
        names = ("user_id", "first_name", "last_name", "email", "phone", "organization")
        typed = NewMember(*(form.text(name)[:_MOST] for name in names))
        try:
            made = members.create(visit(), read_cookie(SESSION), typed)
        except (Wrong, Throttled) as refusal:
            return _page(typed, refusal)
        return done_at(made, "member_created")


def _propose(doors: Blueprint, members: Members, staffing: Staffing) -> None:
    path = f"{PEOPLE}/propose"

    @doors.get(path)
    def propose_page() -> Response:
        return _page(request.args.get("user_id", ""), "")

    def _page(typed: str, organization: str, refusal: Refusal | None = None) -> Response:
        staff = staffing.administrator(read_cookie(SESSION), visit(), fresh=True)
        context = {"typed": typed[:_MOST], "organization": organization, "organizations": staff.organizations}
        return render_signed("membership/propose.html", staff.present, context, refusal)

    @doors.post(path)
    def propose() -> Response:
        form = ProposalForm()
        typed, organization = form.text("user_id"), form.text("organization")
        try:
            members.propose(visit(), read_cookie(SESSION), typed, organization)
        except (Wrong, Throttled) as refusal:
            return _page(typed, organization, refusal)
        return done_at(PEOPLE, "member_proposed")


def _acting(doors: Blueprint, act: Act, press: Callable[[str], bool], members: Members, staffing: Staffing) -> None:
    path = f"{PEOPLE}/<user_id>/{act.value}"

    @doors.get(path, endpoint=f"{act.value}_page")
    def page(user_id: str) -> Response:
        return _page(user_id)

    def _page(user_id: str, refusal: Refusal | None = None, role: str = "", organization: str = "") -> Response:
        staff = staffing.administrator(read_cookie(SESSION), visit(), fresh=True)
        shown = _found(members, staff, user_id)
        asked = organization or request.args.get("organization", "")
        place = next((one for one in shown.places if asked in {"", one.organization.id}), None)
        if place is None:
            abort(404)
        context = {
            "page": shown,
            "act": act.value,
            "place": place,
            "roles": tuple(Role),
            "role": role or place.role,
            "typed": _filing(),
        }
        return render_signed("membership/act.html", staff.present, context, refusal)

    @doors.post(path, endpoint=act.value)
    def pressed(user_id: str) -> Response:
        form = ActForm()
        try:
            done = press(from_path(user_id))
        except (Wrong, Throttled) as refusal:
            return _page(user_id, refusal, form.text("role"), form.text("organization"))
        if not done:
            abort(404)
        if act is Act.ROLE and _gave_up(staffing):
            return done_at("/profile", "stepped_down")
        return done_at(PEOPLE if act is Act.REMOVE else request.path.rpartition("/")[0], _SAID[act])


def _gave_up(staffing: Staffing) -> bool:
    """Whether whoever pressed is no administrator any more: people's pages are shut to them from now on."""
    try:
        staffing.administrator(read_cookie(SESSION), visit())
    except Forbidden:
        return True
    return False


def own_blueprint(own: OwnMemberships, presence: Presence) -> Blueprint:
    """The door at which somebody answers."""
    doors = Blueprint("own_memberships", __name__)
    path = "/profile/memberships/<organization_id>"

    @doors.get(path)
    def offer(organization_id: str) -> Response:
        return _page(organization_id)

    def _page(organization_id: str, refusal: Refusal | None = None) -> Response:
        present = presence.fresh(read_cookie(SESSION), visit())
        page = own.page(present, organization_id)
        if page is None:
            abort(404)
        return render_signed("membership/offer.html", present, {"page": page}, refusal)

    @doors.post(path)
    def decide(organization_id: str) -> Response:
        decision = DecisionForm().text("decision")
        try:
            done = own.decide(visit(), read_cookie(SESSION), organization_id, decision)
        except (Wrong, Throttled) as refusal:
            return _page(organization_id, refusal)
        if not done:
            abort(404)
        return done_at("/profile", "membership_accepted" if decision == "accept" else "membership_declined")

    return doors
