"""Which rows an administrator may import, and a dry run as it is kept."""

import json
import zlib
from collections.abc import Mapping

from app.journeys.importing.model import DryRun, Progress
from app.records.organizations.model import Role
from app.steps import roster
from app.steps.roster import BadRow, NewPerson, Problem

# what the command takes and a page does not (security rule 12): an administrator sees and sets no proof of anybody
_PROOFS = {
    "password": "cannot be set by an administrator; people choose it themselves",
    "password_hash": "can be imported by the operator's command alone",
    "totp_secret": "can be imported by the operator's command alone",
    "contacts_verified": "can be imported by the operator's command alone",
}
ROLE = "can only be member here; make staff on the page of the person"
ORGANIZATION = "is not the one that you chose"


def judge(fields: Mapping[str, object], line: int, organization: str) -> NewPerson | BadRow:
    """A person of one organization, or everything that is wrong with the row."""
    problems = [Problem(name, why) for name, why in _PROOFS.items() if fields.get(name) not in ("", None)]
    if fields.get("organization") not in ("", None, organization):
        problems.append(Problem("organization", ORGANIZATION))
    if fields.get("role") not in ("", None, Role.MEMBER.value):
        problems.append(Problem("role", ROLE))
    plain = {name: value for name, value in fields.items() if name not in (*_PROOFS, "role", "organization")}
    judged = roster.judge(
        {**plain, "organization": organization}, line, hash_fits=lambda _: False, seed_fits=lambda _: "refused"
    )
    if isinstance(judged, BadRow):
        return BadRow(line, (*judged.problems, *problems))
    return BadRow(line, tuple(problems)) if problems else judged


_KEPT = ("user_id", "canonical_id", "first_name", "last_name", "email", "phone", "organization", "line")


def to_bytes(run: DryRun) -> bytes:
    """A dry run in a short form."""
    value = {
        "id": run.id,
        "organization_id": run.organization_id,
        "rows": [[getattr(row, name) for name in _KEPT] for row in run.rows],
        "bad": [[one.line, one.last_line, [[p.field, p.reason] for p in one.problems]] for one in run.bad],
        "there": run.there,
    }
    return zlib.compress(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def from_bytes(kept: bytes) -> DryRun:
    """The inverse of ``to_bytes``."""
    value = json.loads(zlib.decompress(kept))
    return DryRun(
        value["id"],
        value["organization_id"],
        tuple(NewPerson(**dict(zip(_KEPT, row, strict=True))) for row in value["rows"]),
        tuple(
            BadRow(line, tuple(Problem(field, reason) for field, reason in problems), last)
            for line, last, problems in value["bad"]
        ),
        tuple(value["there"]),
    )


def progress_to_bytes(progress: Progress) -> bytes:
    """How far it is, in a short form, the same for the same."""
    return json.dumps([progress.id, progress.at, progress.created, progress.existing]).encode()


def progress_from_bytes(kept: bytes) -> Progress:
    """The inverse of ``progress_to_bytes``."""
    return Progress(*json.loads(kept))
