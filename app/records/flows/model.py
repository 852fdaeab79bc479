"""A flow: one run of one journey in one browser, kept on the server."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LIFE = 900  # seconds from the first step to the last (requirements A-25)
PROOF_LIFE = 600  # seconds a proof is good within its flow
CLOSED = "closed"  # the state of a flow without tries, in every journey


@dataclass(frozen=True, slots=True)
class Proof:
    """A factor that was proved, and when; good for this flow alone."""

    factor: str
    at: int


@dataclass(frozen=True, slots=True)
class Flow:
    """The state of a journey. ``state`` is its named step; ``version`` rises with every change.

    ``txn`` names the run for as long as it lives and never leaves the server; the cookie changes at each rise
    of rights. ``person_id`` is None in the flow of somebody unknown, which walks the same steps. ``notes`` is
    what the present state needs, as JSON.
    """

    txn: str
    purpose: str
    state: str
    version: int
    subject: str
    person_id: int | None
    user_id: str
    stamp: str
    created_at: int
    proofs: tuple[Proof, ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def expires_at(self) -> int:
        """When the flow ends, whatever happens."""
        return self.created_at + LIFE

    def proved(self, factor: str, now: int) -> bool:
        """Whether a factor was proved in this flow, lately enough."""
        return any(proof.factor == factor and now - proof.at < PROOF_LIFE for proof in self.proofs)


@dataclass(frozen=True, slots=True)
class Course:
    """Where a journey may stand: the page of each state, and the proofs without which it may not stand there.

    Each of the proofs in ``needed`` is a name, or a set of names of which one suffices.

    ``start`` is the path to begin anew at. A flow in state ``CLOSED`` has no tries left; one in a state of
    ``ends`` did what it was for, and its last page outlives the flow's time; a second press in a state of
    ``finishing`` hears then that it was carried out. ``after`` is the path to go on at when all is over.
    """

    purpose: str
    start: str
    pages: Mapping[str, str]
    needed: Mapping[str, tuple[str | frozenset[str], ...]] = field(default_factory=dict)
    ends: frozenset[str] = frozenset()
    finishing: frozenset[str] = frozenset()
    after: str = ""

    def page_of(self, state: str) -> str:
        """The path of the page that is due in a state."""
        return self.pages.get(state, self.start)

    def earned(self, flow: Flow, now: int) -> bool:
        """Whether a flow has every proof that its state needs, each lately enough."""
        needed = self.needed.get(flow.state, ())
        return all(
            any(flow.proved(one, now) for one in ((want,) if isinstance(want, str) else want)) for want in needed
        )


@dataclass(frozen=True, slots=True)
class Held:
    """A flow as it was read, with what is needed to change it: its key and the exact bytes that were there."""

    flow: Flow
    key: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Moved:
    """What an outdated cookie finds: the step that was due when the flow went on."""

    state: str
