"""How a request of support goes on: a pure state machine (security rule 4).

    asked ──approve──→ second ──confirm──→ granted ──carry out──→ done
      │                   │                   │  └────────────────→ confirming ──approve──→ done
      └───── cancel, withdraw, refuse (second alone), expire ─────→ the end

``asked`` is left out where no contact can approve, ``second`` where nothing is weakened. In ``granted`` the clock
decides when the deed may be done. Nothing moves once its time is over.
"""

from dataclasses import replace

from app.records.cases.model import (
    APPROVAL_LIFE,
    REQUEST_LIFE,
    WAITING,
    Action,
    Move,
    Needs,
    Request,
    RequestState,
)

MOVES: dict[Move, tuple[RequestState, ...]] = {
    Move.APPROVE: (RequestState.ASKED, RequestState.CONFIRMING),
    Move.CONFIRM: (RequestState.SECOND,),
    Move.REFUSE: (RequestState.SECOND,),
    Move.CARRY_OUT: (RequestState.GRANTED,),
    Move.CANCEL: (RequestState.ASKED, RequestState.SECOND, RequestState.GRANTED, RequestState.CONFIRMING),
    Move.WITHDRAW: (RequestState.ASKED, RequestState.SECOND, RequestState.GRANTED, RequestState.CONFIRMING),
    Move.EXPIRE: (RequestState.ASKED, RequestState.SECOND, RequestState.GRANTED, RequestState.CONFIRMING),
}
_ENDS = {
    Move.REFUSE: RequestState.REFUSED,
    Move.CANCEL: RequestState.CANCELLED,
    Move.WITHDRAW: RequestState.WITHDRAWN,
    Move.EXPIRE: RequestState.EXPIRED,
}
# those that leave the account with less to protect it than before
WEAKENING = frozenset({Action.ACCESS_CODE, Action.REMOVE_APP, Action.CONTACT})


def needs(action: Action, *, reachable: bool, activating: bool = False) -> Needs:
    """What an action takes. ``reachable``: a confirmed contact can approve; ``activating``: nothing is in use yet.

    Where no contact can approve, a second agent stands in, and whatever could be taken from an account in use waits.
    """
    if action is Action.FREEZE:
        return Needs(approval=False, second=False)
    if action is Action.RESEND_ACTIVATION:
        return Needs(approval=False, second=True)
    if action in WEAKENING:
        return Needs(approval=reachable, second=True, waiting=0 if activating and reachable else WAITING)
    return Needs(approval=reachable, second=not reachable, waiting=0 if reachable else WAITING)


def begun(request: Request, now: int) -> Request:
    """A request as it begins."""
    wanted = request.needs
    if wanted.approval:
        return replace(request, state=RequestState.ASKED, expires_at=now + APPROVAL_LIFE)
    if wanted.second:
        return replace(request, state=RequestState.SECOND, expires_at=_last_word(request))
    return replace(request, state=RequestState.GRANTED, ready_at=now, expires_at=now + REQUEST_LIFE)


def moved(request: Request, move: Move, now: int) -> Request | None:
    """The request after a move; None where it does not apply now. The clock is the server's."""
    over = now >= request.expires_at
    if request.state not in MOVES[move] or over is not (move is Move.EXPIRE):
        return None
    if move in _ENDS:
        return replace(request, state=_ENDS[move], ended_at=now)
    if move is Move.APPROVE:
        return _approved(request, now)
    if move is Move.CONFIRM:
        return _granted(replace(request, confirmed_at=now), now)
    return _carried_out(request, now) if due(request, now) else None


def _approved(request: Request, now: int) -> Request:
    if request.state is RequestState.CONFIRMING:
        return replace(request, state=RequestState.DONE, ended_at=now)
    approved = replace(request, approved_at=now)
    return _second(approved) if request.needs.second else _granted(approved, now)


def _carried_out(request: Request, now: int) -> Request:
    if request.action is Action.CONTACT:
        return replace(request, state=RequestState.CONFIRMING, expires_at=now + APPROVAL_LIFE, tries=0)
    return replace(request, state=RequestState.DONE, ended_at=now)


def due(request: Request, now: int) -> bool:
    """Whether the deed may be done now: everybody said yes, and the waiting time is over."""
    ready = request.ready_at is not None and request.ready_at <= now
    return request.state is RequestState.GRANTED and ready and now < request.expires_at


def lacked(request: Request) -> RequestState:
    """The state in which a request waited last, by what it has got."""
    if request.needs.approval and request.approved_at is None:
        return RequestState.ASKED
    if request.needs.second and request.confirmed_at is None:
        return RequestState.SECOND
    filed = request.action is Action.CONTACT and request.expires_at != request.asked_at + REQUEST_LIFE
    return RequestState.CONFIRMING if filed else RequestState.GRANTED


def _second(request: Request) -> Request:
    return replace(request, state=RequestState.SECOND, expires_at=_last_word(request))


def _last_word(request: Request) -> int:
    """Until when another agent may agree, so that the waiting time still fits in."""
    return request.asked_at + REQUEST_LIFE - request.needs.waiting


def _granted(request: Request, now: int) -> Request:
    ready = now + request.needs.waiting
    return replace(request, state=RequestState.GRANTED, ready_at=ready, expires_at=request.asked_at + REQUEST_LIFE)
