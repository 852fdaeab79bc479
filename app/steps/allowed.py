"""What somebody's organizations let a recovery use: which first proofs, and where its PIN goes (product.md 6)."""

from collections.abc import Callable

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
_CHANNELS = {Proof.SMS: Channel.SMS, Proof.EMAIL: Channel.EMAIL}


def allowed(proof: Proof) -> Allowed:
    """Whether a recovery of somebody takes a first proof. The same read for people who are unknown."""

    def ask(looking: Transaction, person: Person | None, now: int) -> bool:
        return proof in organizations.policy_of_person(looking, person.id if person else 0, now).recovery.first

    return ask


def always(_looking: Transaction, _person: Person | None, _now: int) -> bool:
    """Where no recovery is walked, no policy says which proofs are taken."""
    return True


def in_order(second: tuple[Proof, ...], contacts: tuple[Contact, ...]) -> tuple[Contact, ...]:
    """The contacts that a PIN may go to, those of the channel that is offered first before the others."""
    channels = [_CHANNELS[proof] for proof in second]
    return tuple(contact for channel in channels for contact in contacts if contact.channel is channel)


def flag_stranded(transaction: Transaction, visit: Visit, flow: Flow, person: Person, now: int) -> None:
    """Write down, once a day at most, that several policies leave no way to recover in common (security rule 12).

    The home organization's proofs hold then; support and administrators see it in the log.
    """
    if not strands(organizations.policies_of_person(transaction, person.id, now)):
        return
    people.hold(transaction, person.id)
    newest = audit.of_person(transaction, person.id, 1, only=(Event.POLICIES_STRAND,))
    if not newest or newest[0].at <= now - _DAY:
        audit.add(transaction, own_record(Event.POLICIES_STRAND, flow, visit, now, right=False, reason="stranded"))
