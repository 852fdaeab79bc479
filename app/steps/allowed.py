"""What somebody's organizations let a recovery use: which first proofs, and where its PIN goes (product.md 6)."""

from collections.abc import Callable, Iterable

from app.factors.recovery_code import store as codes
from app.factors.totp import store as apps
from app.foundation.sql import Transaction
from app.foundation.visit import Visit
from app.records.audit import store as audit
from app.records.audit.model import Event
from app.records.flows.model import Flow
from app.records.organizations import store as organizations
from app.records.organizations.model import Proof
from app.records.organizations.rules import strands
from app.records.people import store as people
from app.records.people.model import Channel, Contact, Person
from app.steps.claim import own_record

Allowed = Callable[[Transaction, Person | None, int], bool]
NOT_ALLOWED = "not_allowed"  # the reason of a proof that a policy does not take, whether or not it was right
_DAY = 86_400
_FIRST = {Proof.APP: apps.any_usable, Proof.RECOVERY_CODE: codes.any_serving}
_CHANNELS = {Proof.SMS: Channel.SMS, Proof.EMAIL: Channel.EMAIL}


def allowed(proof: Proof) -> Allowed:
    """Whether a recovery of somebody takes a first proof. The same reads for people who are unknown.

    Whoever tries a proof has it, or the try fails; so the others are asked for.
    """
    others = {one: ask for one, ask in _FIRST.items() if one is not proof}

    def ask(looking: Transaction, person: Person | None, now: int) -> bool:
        person_id = person.id if person else 0
        having = {proof, *(one for one, held in others.items() if held(looking, person_id, now))}
        return proof in organizations.recovery_of_person(looking, person_id, having, now).first

    return ask


def having(looking: Transaction, person_id: int, now: int) -> frozenset[Proof]:
    """The proofs that somebody has for a recovery now: apps, saved codes, contacts past their waiting time."""
    firsts = {one for one, held in _FIRST.items() if held(looking, person_id, now)}
    return frozenset(firsts) | reached(people.usable_contacts(looking, person_id, now))


def reached(contacts: Iterable[Contact]) -> frozenset[Proof]:
    """The second proofs that contacts make possible."""
    channels = {contact.channel for contact in contacts}
    return frozenset(proof for proof, channel in _CHANNELS.items() if channel in channels)


def always(_looking: Transaction, _person: Person | None, _now: int) -> bool:
    """Where no recovery is walked, no policy says which proofs are taken."""
    return True


def in_order(second: tuple[Proof, ...], contacts: tuple[Contact, ...]) -> tuple[Contact, ...]:
    """The contacts that a PIN may go to, those of the channel that is offered first before the others."""
    channels = [_CHANNELS[proof] for proof in second]
    return tuple(contact for channel in channels for contact in contacts if contact.channel is channel)


def flag_stranded(transaction: Transaction, visit: Visit, flow: Flow, person: Person, now: int) -> None:
    """Write down, once a day at most, that several policies leave somebody no way to recover (security rule 12).

    The home organization's proofs hold then; support and administrators see it in the log.
    """
    policies = organizations.policies_of_person(transaction, person.id, now)
    if len(policies) < 2 or not strands(policies, having(transaction, person.id, now)):
        return
    people.hold(transaction, person.id)
    newest = audit.of_person(transaction, person.id, 1, only=(Event.POLICIES_STRAND,))
    if not newest or newest[0].at <= now - _DAY:
        audit.add(transaction, own_record(Event.POLICIES_STRAND, flow, visit, now, right=False, reason="stranded"))
