"""Flows in the ephemeral store: created under caps, changed by compare-and-set, moved at each rise of rights."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from app.foundation.chance import Chance
from app.foundation.clock import Clock
from app.foundation.ephemeral import Census, Ephemeral
from app.foundation.refusals import Code, OutOfOrder, Throttled, Unavailable
from app.foundation.secretbox import fingerprint
from app.foundation.visit import Visit
from app.records.flows.model import CLOSED, LIFE, Course, Flow, Held, Moved, Proof

# kept beyond its end, so that a late visitor hears "expired" and not "unknown"
_KEPT = 2 * LIFE
_MOST_PER_BLOCK = 400
_BLOCKS_OF_A_NETWORK = 5  # so many times that for all blocks of one network, which one customer may well have
_MOST_IN_ALL = 50_000
_T = TypeVar("_T")


class Flows:
    """All the flows of all journeys. Only the SHA-256 of a cookie is stored (ASVS 7.2.3)."""

    def __init__(
        self,
        ephemeral: Ephemeral,
        clock: Clock,
        chance: Chance,
        *,
        most_per_block: int = _MOST_PER_BLOCK,
        most_in_all: int = _MOST_IN_ALL,
    ) -> None:
        self._ephemeral = ephemeral
        self._clock = clock
        self._chance = chance
        self._most_per_block = most_per_block
        self._most_in_all = most_in_all

    def create(
        self,
        purpose: str,
        state: str,
        *,
        subject: str,
        person_id: int | None,
        user_id: str,
        stamp: str,
        visit: Visit,
        **notes: Any,
    ) -> tuple[str, Held]:
        """A new flow: its cookie and itself. Raises Throttled or Unavailable at a cap (security rule 14)."""
        now = self._clock.now()
        flow = Flow(self._chance.name(), purpose, state, 1, subject, person_id, user_id, stamp, now, notes=notes)
        cookie = self._chance.token()
        key, raw = _key(cookie), _to_json(flow)
        censuses = [
            Census(f"flows:of:{visit.block}", self._most_per_block),
            Census(f"flows:of:{visit.network}", self._most_per_block * _BLOCKS_OF_A_NETWORK),
            Census("flows:all", self._most_in_all, reserve=self._most_in_all // 5),
        ]
        full = self._ephemeral.admit(key, raw, _KEPT, now=now, censuses=censuses)
        if 0 < full < len(censuses):
            raise Throttled(Code.TOO_MANY_STARTS, retry_after=_KEPT)  # the census counts them until they are swept up
        if full:
            raise Unavailable(Code.STORE_AWAY, retry_after=60)
        return cookie, Held(flow, key, raw)

    def load(self, cookie: str | None, purpose: str) -> Held | Moved | None:
        """The flow of a cookie; what it was moved to, without its rights; or None where nothing is known of it."""
        if not cookie or len(cookie) > 64:
            return None
        key = _key(cookie)
        raw = self._ephemeral.get(key)
        if raw is None:
            return None
        value = json.loads(raw)
        if value.get("purpose") != purpose:
            return None
        if value.get("moved"):
            return Moved(value["state"])
        return Held(_flow(value), key, raw)

    def at(self, cookie: str | None, course: Course, state: str) -> Held:
        """The flow of a page in its step, with its proofs fresh. Raises OutOfOrder with the step that is due."""
        held = self.load(cookie, course.purpose)
        if held is None:
            raise OutOfOrder(Code.FLOW_LOST, due=course.start)
        if isinstance(held, Moved):
            # a browser that lost the newer cookie can only start again: sent on to where the newer one belongs,
            # it would be sent there for ever
            lost = course.after if state in course.ends and course.after else course.start
            due = lost if held.state == state else course.page_of(held.state)
            raise OutOfOrder(_late(course, state, held.state), due=due)
        flow, now = held.flow, self._clock.now()
        if flow.state == CLOSED:
            raise OutOfOrder(Code.PIN_SPENT, due=course.start)
        if flow.state not in course.ends and (self.expired(flow) or not course.earned(flow, now)):
            raise OutOfOrder(Code.FLOW_EXPIRED, due=course.start)
        if flow.state != state:
            raise OutOfOrder(_late(course, state, flow.state), due=course.page_of(flow.state))
        return held

    def retry(
        self, held: Held, step: Callable[[Held], _T | None], only_while: Callable[[Flow], bool] = lambda _: True
    ) -> _T | None:
        """Repeat a compare-and-set that somebody else's step overtook, for as long as it still makes sense."""
        latest: Held | None = held
        while latest is not None and latest.flow.state == held.flow.state and only_while(latest.flow):
            done = step(latest)
            if done is not None:
                return done
            latest = self.again(latest)
        return None

    def again(self, held: Held) -> Held | None:
        """The same flow as it is now, or None where it went on to another id."""
        raw = self._ephemeral.get(held.key)
        value = json.loads(raw) if raw else {}
        return Held(_flow(value), held.key, raw) if raw and not value.get("moved") else None

    def change(self, held: Held, *, state: str | None = None, proof: Proof | None = None, **notes: Any) -> Held | None:
        """Advance in place. None where the flow changed meanwhile: somebody was faster."""
        flow = _next(held.flow, state, proof, notes)
        raw = _to_json(flow)
        return Held(flow, held.key, raw) if self._ephemeral.swap(held.key, held.raw, raw, _KEPT) else None

    def advance(
        self, held: Held, *, state: str, proof: Proof | None = None, stamp: str | None = None, **notes: Any
    ) -> tuple[str, Held] | None:
        """Advance to a new id, whose cookie is returned; the old one keeps only a mark (requirements S1-08).

        None where the flow changed meanwhile.
        """
        flow = _next(held.flow, state, proof, notes)
        if stamp is not None:
            flow = replace(flow, stamp=stamp)
        cookie = self._chance.token()
        key, raw = _key(cookie), _to_json(flow)
        mark = json.dumps({"moved": True, "purpose": flow.purpose, "state": flow.state}).encode()
        moved = self._ephemeral.move(held.key, held.raw, key, raw, mark, _KEPT)
        return (cookie, Held(flow, key, raw)) if moved else None

    def expired(self, flow: Flow) -> bool:
        """Whether the flow's time is over."""
        return self._clock.now() >= flow.expires_at


def _late(course: Course, asked: str, stands: str) -> Code:
    """What to tell somebody whose flow stands elsewhere than at the step that they ask for."""
    return Code.CARRIED_OUT if asked in course.finishing and stands in course.ends else Code.OUT_OF_ORDER


def _next(flow: Flow, state: str | None, proof: Proof | None, notes: dict[str, Any]) -> Flow:
    return replace(
        flow,
        state=flow.state if state is None else state,
        version=flow.version + 1,
        proofs=flow.proofs if proof is None else (*flow.proofs, proof),
        notes={**flow.notes, **notes},
    )


def _key(cookie: str) -> str:
    return f"flow:{fingerprint(cookie)}"


def _to_json(flow: Flow) -> bytes:
    value = {
        "txn": flow.txn,
        "purpose": flow.purpose,
        "state": flow.state,
        "version": flow.version,
        "subject": flow.subject,
        "person_id": flow.person_id,
        "user_id": flow.user_id,
        "stamp": flow.stamp,
        "created_at": flow.created_at,
        "proofs": [[proof.factor, proof.at] for proof in flow.proofs],
        "notes": dict(flow.notes),
    }
    # as it is typed: escapes would make a User ID of emoji six times as long in the store
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _flow(value: dict[str, Any]) -> Flow:
    return Flow(
        txn=value["txn"],
        purpose=value["purpose"],
        state=value["state"],
        version=value["version"],
        subject=value["subject"],
        person_id=value["person_id"],
        user_id=value["user_id"],
        stamp=value["stamp"],
        created_at=value["created_at"],
        proofs=tuple(Proof(factor, at) for factor, at in value["proofs"]),
        notes=value["notes"],
    )
