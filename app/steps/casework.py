"""A request of support as it goes on: moved by one conditional write, written down, and told (security rule 4)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.foundation.chance import Chance
from app.foundation.refusals import Code, OutOfOrder
from app.foundation.secretbox import Keyring, fingerprint, same
from app.foundation.sql import Transaction
from app.foundation.wordlist import in_words, octets_of
from app.records.audit import store as audit
from app.records.audit.model import Event, Record
from app.records.cases import rules, store
from app.records.cases.model import LINK_LIFE, WORDS, Kind, Move, Request
from app.records.cases.service import UndoLinks
from app.records.delivery.model import Purpose
from app.records.delivery.outbox import Outbox
from app.records.organizations import store as organizations
from app.records.people import store as people
from app.records.people.model import Contact, Person

APPROVE_PAGE = "/approve"
OPERATOR = "operator"
_FINDING = 2  # words of a code that find its request; the others are the secret
_NO_DIGEST = "0" * 64
_EVENTS = {
    Move.APPROVE: Event.SUPPORT_APPROVED,
    Move.CONFIRM: Event.SUPPORT_CONFIRMED,
    Move.REFUSE: Event.SUPPORT_REFUSED,
    Move.CANCEL: Event.SUPPORT_CANCELLED,
    Move.WITHDRAW: Event.SUPPORT_WITHDRAWN,
    Move.CARRY_OUT: Event.SUPPORT_DONE,
    Move.EXPIRE: Event.SUPPORT_EXPIRED,
}


@dataclass(frozen=True, slots=True)
class By:
    """Who does something to a request: an agent's User ID, ``self`` or ``operator``; and from where."""

    actor: str
    address: str = ""
    person_id: int | None = None  # of an agent


class Casework:
    """What agents, the person and the operator do to requests alike."""

    def __init__(
        self, *, outbox: Outbox, undo: UndoLinks, keyring: Keyring, chance: Chance, public_url: str, language: str
    ) -> None:
        self._outbox = outbox
        self._undo = undo
        self._keyring = keyring
        self._chance = chance
        self._url = public_url.rstrip("/")
        self._language = language

    # ---- codes

    def new_code(self, request: Request) -> tuple[Request, str]:
        """The request with a new code that approves it, and the code: kept as keyed hashes alone."""
        octets = self._chance.octets(WORDS)
        finder, digest = self._finder(octets), self._digest(request.id, octets)
        return replace(request, finder=finder, digest=digest, tries=0), in_words(octets)

    def find(self, transaction: Transaction, typed: bytes, now: int) -> tuple[Request, ...]:
        """Count a try of the request that a code is for, if there is one; the same work where there is none."""
        return store.count_try(transaction, self._finder(typed), now)

    def right(self, found: Sequence[Request], typed: bytes) -> Request | None:
        """The request of a code. The caller has counted the try; one comparison is made in any case."""
        fits = [one for one in found if same(self._digest(one.id, typed), one.digest)]
        if not found:
            same(self._digest("", typed), _NO_DIGEST)
        return fits[0] if fits else None

    def _finder(self, octets: bytes) -> str:
        return self._keyring.mac_hex("approval-finder", octets[:_FINDING], key=self._keyring.oldest)

    def _digest(self, request_id: str, octets: bytes) -> str:
        return self._keyring.mac_hex("approval-code", request_id, octets[_FINDING:], key=self._keyring.oldest)

    def send_code(
        self, transaction: Transaction, request: Request, person: Person, contact: Contact, code: str, now: int
    ) -> None:
        """Queue the message that asks for an approval, or for the proof that a filed contact is theirs."""
        self._outbox.enqueue(
            transaction,
            contact=contact,
            template="approval",
            variables={**self.shown(transaction, request), "code": code, "filed": contact.id == request.target},
            language=person.language or self._language,
            purpose=Purpose.PIN,  # somebody waits for it, and it is worthless once it expires
            now=now,
            expires_at=request.expires_at,
        )

    # ---- moves

    def move(
        self, transaction: Transaction, before: Request, move: Move, by: By, now: int, why: str = ""
    ) -> tuple[Request, Person]:
        """Move a request on, once, with the caller's transaction; write it down and tell the person.

        Raises OutOfOrder where the move does not apply now: it was made already, another was, or it is too late.
        """
        after = rules.moved(before, move, now)
        if after is not None and move is Move.CONFIRM:
            after = replace(after, second_by=by.person_id)
        person = people.get(transaction, before.person_id)
        if after is None or person is None or not store.move_request(transaction, before, after, now):
            raise OutOfOrder(Code.REQUEST_MOVED, due=APPROVE_PAGE)
        self.record(transaction, _EVENTS[move], after, by, now, why)
        return after, person

    def record(self, transaction: Transaction, event: Event, request: Request, by: By, now: int, why: str = "") -> None:
        """Write down what somebody did to a request; the person sees it under ACTIVITY."""
        details: dict[str, object] = {
            "request": request.id,
            "action": request.action.value,
            "why": why or request.reason,
            "organization": request.organization_id,
        }
        audit.add(transaction, Record(event, now, request.person_id, by.actor, "success", "", by.address, details))

    def tell(
        self,
        transaction: Transaction,
        request: Request,
        person: Person,
        stage: str,
        now: int,
        *,
        undo: Kind | None = None,
    ) -> tuple[Contact, ...]:
        """Queue a notice to every contact, with a link that cancels the request while it lives. Returns who is told.

        Where no contact could approve, every contact on file is told whatsoever, those that wait and those that were
        removed in the last week too: whoever took the others away cannot silence them all.
        """
        cancel = ""
        if request.living:
            token = self._chance.token()
            store.add_cancel_link(transaction, fingerprint(token), request)
            cancel = f"{self._url}{APPROVE_PAGE}/cancel/{token}"
        link = self._undo.issue(transaction, person.id, undo, now) if undo is not None else ""
        told = _told(transaction, request, person.id, now)
        for contact in told:
            self._outbox.enqueue(
                transaction,
                contact=contact,
                template="notice_support",
                variables={
                    **self.shown(transaction, request),
                    "stage": stage,
                    "at": now,
                    "ready_at": request.ready_at or 0,
                    "cancel": cancel,
                    "undo": link,
                },
                language=person.language or self._language,
                purpose=Purpose.NOTICE,
                now=now,
            )
        return told

    def was_told(self, transaction: Transaction, request: Request) -> bool:
        """Whether anybody could be told when it was asked for."""
        there = _told(transaction, request, request.person_id, request.asked_at)
        return request.needs.approval or any((one.confirmed_at or 0) <= request.asked_at for one in there)

    def shown(self, transaction: Transaction, request: Request) -> dict[str, str]:
        """What every page and message of a request names: the agent, the organization and the action."""
        agent = people.get(transaction, request.asked_by)
        home = organizations.get(transaction, request.organization_id)
        return {
            "agent": agent.name if agent else "",
            "organization": home.name if home else "",
            "action": request.action.value,
        }


def typed_words(typed: str) -> bytes | None:
    """The octets of an approval code as it was typed, None where it is none."""
    return octets_of(typed, WORDS)


def _told(transaction: Transaction, request: Request, person_id: int, now: int) -> tuple[Contact, ...]:
    if request.needs.approval:
        return people.usable_contacts(transaction, person_id, now)
    filed = people.contacts_since(transaction, person_id, now - LINK_LIFE)
    own = (one for one in filed if one.address and one.id != request.target)
    return tuple(one for one in own if one.confirmed_at is not None or one.pending_until is None)
