"""How long some things are kept, and what follows what."""

from app.journeys.membership.model import Act
from app.records.organizations.model import Role
from app.records.people.model import Status

HANDED_OVER = 600  # seconds for which an activation code is shown to whoever invited


def acts(
    *, status: Status, at_home: bool, is_self: bool, in_use: bool, untouched: bool, member_elsewhere: bool, role: Role
) -> tuple[Act, ...]:
    """What administrators can do to somebody now.

    People of another home are changed by its administrators alone; here only their membership is. Nobody shuts
    themselves out, and to step down is all that they do to themselves. ``untouched``: nothing of the account was proved
    by anybody, so that contacts which were filed wrongly can be filed anew.
    """
    if is_self:
        return (Act.ROLE,) if role is not Role.MEMBER else ()
    may = []
    if at_home and status is Status.ACTIVE:
        may += [Act.INVITE] * (not in_use) + [Act.CONTACTS] * untouched + [Act.DEACTIVATE]
    if at_home and status is Status.INACTIVE:
        may.append(Act.REACTIVATE)
    if at_home or role is not Role.MEMBER:  # of guests nobody makes staff
        may.append(Act.ROLE)
    if member_elsewhere:
        may.append(Act.REMOVE)
    return tuple(may)
