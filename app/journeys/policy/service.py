"""Organizations and what they decide, by the command and on the page: shown, previewed, saved, staged, withdrawn."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.foundation.chance import Chance
from app.foundation.clock import Clock
from app.foundation.sql import Database, Transaction
from app.foundation.visit import Visit
from app.journeys.policy import queries, rules
from app.journeys.policy.model import (
    OPERATOR,
    SHOWN,
    Book,
    Change,
    Edited,
    Facts,
    Moved,
    NotDone,
    Preview,
    Stranded,
    Strands,
    Verdict,
)
from app.records.audit import store as audit
from app.records.audit.model import Event, Record
from app.records.delivery.outbox import Outbox
from app.records.organizations import store as organizations
from app.records.organizations.model import Organization, Policy, Profile, Role, Telling, Version
from app.records.organizations.rules import strictest
from app.records.people import store as people
from app.records.people.model import Channel, Status
from app.steps.staff import Staff, Staffing

_LONGEST_NAME = 64
_TOLD_AT_ONCE = 100  # people in one transaction: SQLite has one writer


@dataclass(frozen=True, slots=True)
class PolicyMeans:
    """What organizations and their policies stand on.

    ``country_of`` says of a number, in E.164, to which country an SMS would go, empty where to none. ``countries`` are
    those to which the installation sends; None: everywhere.
    """

    database: Database
    clock: Clock
    chance: Chance
    outbox: Outbox
    staffing: Staffing
    country_of: Callable[[str], str]
    countries: Collection[str] | None
    language: str


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody typed, and what it was based on.

    ``profile`` None: the typed settings alter the present policy, else that profile. ``from_day`` is empty, or the day
    from which it holds. ``known`` is the number of the stranded that they ticked; None: nothing ticked.
    """

    typed: Mapping[str, str]
    profile: Profile | None = None
    from_day: str = ""
    based_on: int | None = None
    known: int | None = None
    by_sms: bool = False


@dataclass(frozen=True, slots=True)
class Decided:
    """What was saved."""

    version: Version
    changes: tuple[Change, ...]
    raised: bool

    @property
    def staged(self) -> bool:
        """Whether it holds later."""
        return self.version.holds_from > self.version.made_at


class Organizations:
    """Organizations as the operator makes and shows them."""

    def __init__(self, means: PolicyMeans) -> None:
        self._means = means

    def create(self, typed: str) -> Organization:
        """Make an organization. Raises NotDone."""
        name = typed.strip()
        if not name or len(name) > _LONGEST_NAME or not name.isprintable():
            raise NotDone(f"a name has 1 to {_LONGEST_NAME} printable characters")
        now = self._means.clock.now()
        made = Organization(self._means.chance.uuid(), name, now)
        with self._means.database.begin() as transaction:
            if not organizations.add_if_free(transaction, made):
                raise NotDone(f"there is an organization {name!r} already; nothing was changed")
            details: dict[str, object] = {"organization": made.id, "name": name}
            record = Record(Event.ORGANIZATION_CREATED, now, None, OPERATOR, "success", details=details)
            audit.add(transaction, replace(record, organization_id=made.id))
        return made

    def everyone(self) -> tuple[tuple[Organization, Policy, int], ...]:
        """Each organization with the policy that holds and how many people it has."""
        now = self._means.clock.now()
        with self._means.database.read() as looking:
            sizes = queries.sizes(looking)
            return tuple(
                (one, organizations.policy_of(looking, one.id, now), sizes.get(one.id, 0))
                for one in organizations.everyone(looking)
            )


class Policies:
    """What an organization decides, and what would follow from it."""

    def __init__(self, means: PolicyMeans) -> None:
        self._means = means

    # ---- looking

    def find(self, name: str) -> Organization:
        """The organization of a name, for the operator. Raises NotDone."""
        with self._means.database.read() as looking:
            found = organizations.find(looking, name.strip())
        if found is None:
            raise NotDone(f"there is no organization {name!r}")
        return found

    def book(self, organization: Organization) -> Book:
        """All that it decided."""
        with self._means.database.read() as looking:
            return self._book(looking, organization)

    def _book(self, transaction: Transaction, organization: Organization) -> Book:
        versions = organizations.versions(transaction, organization.id)
        return rules.book(organization, versions, self._means.clock.now())

    def edited(self, book: Book, draft: Draft) -> Edited:
        """The policy that a draft describes. Raises NotTaken with all that is wrong."""
        base = book.present if draft.profile is None else rules.started_from(draft.profile, book.present)
        return rules.edited(base, draft.typed)

    # ---- saving

    def decide(self, organization: Organization, draft: Draft) -> Decided | None:
        """Save what the operator decided; None where it is what holds already. Raises NotTaken, NotDone."""
        try:
            return self._save(organization, draft, actor=OPERATOR)
        except Moved:
            raise NotDone("somebody else changed the policy at this moment; look at it and try again") from None

    def save(self, visit: Visit, staff: Staff, organization: Organization, draft: Draft) -> Decided | None:
        """Save what an administrator decided on the page.

        Raises NotTaken; Moved where somebody else decided since the page was opened; Strands where people would be
        stranded and ``known`` is not their number; OutOfOrder, Forbidden.
        """
        book = self.book(organization)
        if draft.based_on != book.newest:
            raise Moved
        made = self.edited(book, draft)
        rules.holds_from(draft.from_day, made.policy, book.now)
        found = self.preview(organization, made.policy)
        if found.stranded and draft.known != len(found.stranded):
            raise Strands(len(found.stranded))
        return self._save(organization, draft, actor=staff.person.user_id, visit=visit, staff=staff)

    def _save(
        self,
        organization: Organization,
        draft: Draft,
        *,
        actor: str,
        visit: Visit | None = None,
        staff: Staff | None = None,
    ) -> Decided | None:
        means = self._means
        with means.database.begin() as transaction:
            if staff is not None:
                means.staffing.hold(transaction, staff, Role.ADMINISTRATOR)
            book = self._book(transaction, organization)
            if draft.based_on is not None and draft.based_on != book.newest:
                raise Moved
            made = self.edited(book, draft)
            holds_from = rules.holds_from(draft.from_day, made.policy, book.now)
            changes = rules.changes(book.present, made.policy)
            if not changes and not book.staged:
                return None
            newest = book.newest
            if book.staged and holds_from > book.now:
                newest = self._add(transaction, book, book.present, book.now, newest, actor)  # the day before ends it
            number = self._add(transaction, book, made.policy, holds_from, newest, actor)
            version = Version(organization.id, number, made.policy, book.now, actor, holds_from)
            if holds_from > book.now:
                organizations.tell_of(transaction, version, by_sms=draft.by_sms)
            self._write_down(transaction, version, changes, visit, book)
            self._tell(transaction, organization, version, staff, visit)
        return Decided(version, changes, made.raised)

    def withdraw(self, visit: Visit, staff: Staff, organization: Organization, based_on: int) -> bool:
        """Let what is staged never hold: what holds now is decided anew. False where nothing is. Raises Moved."""
        means = self._means
        with means.database.begin() as transaction:
            means.staffing.hold(transaction, staff, Role.ADMINISTRATOR)
            book = self._book(transaction, organization)
            if book.newest != based_on:
                raise Moved
            if book.staged is None:
                return False
            actor = staff.person.user_id
            number = self._add(transaction, book, book.present, book.now, book.newest, actor)
            version = Version(organization.id, number, book.present, book.now, actor, book.now)
            self._write_down(transaction, version, (), visit, book)
            self._tell(transaction, organization, version, staff, visit)
        return True

    def _add(
        self, transaction: Transaction, book: Book, policy: Policy, holds_from: int, newest: int, actor: str
    ) -> int:
        version = Version(book.organization.id, newest + 1, policy, book.now, actor, holds_from)
        if not organizations.add_version(transaction, version):
            raise Moved
        return version.number

    def _write_down(
        self,
        transaction: Transaction,
        version: Version,
        changes: Sequence[Change],
        visit: Visit | None,
        book: Book,
    ) -> None:
        details: dict[str, object] = {
            "organization": version.organization_id,
            "name": book.organization.name,
            "version": version.number,
            "changes": {one.key: [one.old, one.new] for one in changes},
            "holds_from": version.holds_from,
            "withdrawn": book.staged.number if book.staged else None,
        }
        address = visit.address if visit else ""
        record = Record(Event.POLICY_CHANGED, book.now, None, version.made_by, "success", "", address, details)
        audit.add(transaction, replace(record, organization_id=version.organization_id))

    def _tell(
        self,
        transaction: Transaction,
        organization: Organization,
        version: Version,
        staff: Staff | None,
        visit: Visit | None,
    ) -> None:
        """Tell the other administrators by e-mail: whoever changes the rules does not do so unseen."""
        now = version.made_at
        for person_id in queries.administrators(transaction, organization.id):
            person = people.get(transaction, person_id)
            if person is None or (staff is not None and person_id == staff.person.id):
                continue
            contacts = people.usable_contacts(transaction, person_id, now)
            self._means.outbox.notify(
                transaction,
                contacts=[one for one in contacts if one.channel is Channel.EMAIL],
                template="notice_policy_changed",
                variables={
                    "organization": organization.name,
                    "by": version.made_by,
                    "at": now,
                    "holds_from": version.holds_from if version.holds_from > now else 0,
                    "address": visit.address if visit else "",
                },
                language=person.language or self._means.language,
                now=now,
            )

    # ---- what would follow

    def preview(self, organization: Organization, after: Policy, *, named: int = SHOWN) -> Preview:
        """Who could do less under another policy. Nothing is written. ``named``: how many are told by name."""
        with self._means.database.read() as looking:
            found = self._preview(looking, organization, after)
            first = tuple(_named(looking, found, tuple(found.stranded)[:named]))
        return replace(found, first=first)

    def export(self, visit: Visit, staff: Staff, book: Book, draft: Draft) -> Iterator[Stranded]:
        """Everybody who would be stranded, to be saved; that it was is written down. Raises NotTaken."""
        means, organization = self._means, book.organization
        after = self.edited(book, draft).policy
        with means.database.read() as looking:
            found = self._preview(looking, organization, after)
        details: dict[str, object] = {"organization": organization.id, "people": len(found.stranded)}
        with means.database.begin() as transaction:
            means.staffing.hold(transaction, staff, Role.ADMINISTRATOR)
            actor, now = staff.person.user_id, means.clock.now()
            record = Record(Event.POLICY_EXPORTED, now, None, actor, "success", "", visit.address, details)
            audit.add(transaction, replace(record, organization_id=organization.id))
        return self._all(found)

    def _all(self, found: Preview) -> Iterator[Stranded]:
        with self._means.database.read() as looking:
            yield from _named(looking, found, tuple(found.stranded))

    def _preview(self, looking: Transaction, organization: Organization, after: Policy) -> Preview:
        now = self._means.clock.now()
        bulk = queries.Bulk(looking, organization.id, now)
        pairs = _Pairs(looking, organization, after, now)
        pairs.learn(bulk.elsewhere())
        having, numbers = bulk.traits() if pairs.proofs_differ else ({}, [])
        count = len(having) or bulk.people()
        return Preview(count, self._stranded(pairs, having, numbers), _owing(bulk, pairs))

    def _stranded(
        self, pairs: "_Pairs", having: Mapping[int, int], numbers: Sequence[tuple[int, str]]
    ) -> dict[int, Verdict]:
        judge = _Judge(self._means.countries)
        found: dict[int, Verdict] = {}
        hanging: dict[int, tuple[str, ...]] = {}  # whose verdict hangs on where their numbers are, and where these are
        for person, traits in having.items():
            verdict = judge.sure(pairs.of(person), traits)
            if verdict is None:
                hanging[person] = ()
            elif verdict.losses:
                found[person] = verdict
        for person, number in numbers:
            if person in hanging:
                hanging[person] += (self._means.country_of(number),)
        for person, where in hanging.items():
            verdict = judge.by_countries(pairs.of(person), having[person], where)
            if verdict.losses:
                found[person] = verdict
        return dict(sorted(found.items()))


def _owing(bulk: queries.Bulk, pairs: "_Pairs") -> int:
    """How many passwords would be too old only then."""
    owing = 0
    for days, whose in bulk.past(pairs.ages).items() if pairs.ages_differ else ():
        changed_at = bulk.now - days * queries.DAY
        for pair, count in Counter(map(pairs.of, whose)).items():
            before, after = (rules.expired(policy, changed_at, bulk.now) for policy in (pair.before, pair.after))
            owing += count * (after and not before)
    return owing


def _named(looking: Transaction, found: Preview, ids: Sequence[int]) -> Iterator[Stranded]:
    for row in queries.names(looking, ids):
        name = " ".join(part for part in (row.first_name, row.last_name) if part)
        yield Stranded(row.id, found.stranded[row.id], row.user_id, name)


class PolicyNotices:
    """Tells people, some at a time, that a policy to come would strand them, and what to add until then."""

    def __init__(self, means: PolicyMeans, *, at_once: int = _TOLD_AT_ONCE) -> None:
        """``at_once``: how many people are told in one transaction."""
        self._means = means
        self._policies = Policies(means)
        self._at_once = at_once

    def tell(self) -> int:
        """Queue what there is to tell, for the worker. Returns how many people were told now."""
        with self._means.database.read() as looking:
            named = {one.id: one for one in organizations.everyone(looking)}
            tellings = organizations.to_tell(looking)
        return sum(self._tell_of(named[telling.organization_id], telling) for telling in tellings)

    def _tell_of(self, organization: Organization, telling: Telling) -> int:
        told = 0
        staged = self._policies.book(organization).staged
        if staged is not None and staged.number == telling.number:
            found = self._policies.preview(organization, staged.policy, named=0).stranded
            waiting = [person for person in found if person > telling.told_upto]
            for start in range(0, len(waiting), self._at_once):
                batch = waiting[start : start + self._at_once]
                count = self._batch(organization, staged, telling, {one: found[one] for one in batch})
                if count is None:
                    return told
                told += count
                telling = replace(telling, told_upto=batch[-1])
        with self._means.database.begin() as transaction:
            organizations.told(transaction, telling, telling.told_upto, self._means.clock.now())
        return told

    def _batch(
        self, organization: Organization, staged: Version, telling: Telling, batch: Mapping[int, Verdict]
    ) -> int | None:
        """One transaction; None where another worker, or another version, was faster."""
        told = 0
        with self._means.database.begin() as transaction:
            newest = organizations.versions(transaction, organization.id)[0].number
            if newest != staged.number or not organizations.told(transaction, telling, max(batch)):
                return None
            for person_id, verdict in batch.items():
                told += self._tell(transaction, organization, staged, person_id, verdict, by_sms=telling.by_sms)
        return told

    def _tell(
        self,
        transaction: Transaction,
        organization: Organization,
        staged: Version,
        person_id: int,
        verdict: Verdict,
        *,
        by_sms: bool,
    ) -> bool:
        now = self._means.clock.now()
        person = people.get(transaction, person_id)
        if person is None or person.status is not Status.ACTIVE:
            return False
        contacts = people.usable_contacts(transaction, person_id, now)
        by_mail = [one for one in contacts if one.channel is Channel.EMAIL]
        told = self._means.outbox.notify(
            transaction,
            contacts=by_mail or (contacts if by_sms else ()),
            template="notice_policy",
            variables={
                "organization": organization.name,
                "holds_from": staged.holds_from,
                "losses": list(verdict.losses),
                "first": list(verdict.first),
                "second": list(verdict.second),
                "countries": ", ".join(staged.policy.sms_countries),
            },
            language=person.language or self._means.language,
            now=now,
        )
        return bool(told)


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    """What people of the same organizations meet, before and after; of each the home organization's policy first."""

    olds: tuple[Policy, ...]
    news: tuple[Policy, ...]
    before: Policy
    after: Policy
    touched: bool  # whether anybody's proofs could be judged differently


class _Pairs:
    """The strictest policies before and after, one pair for each set of organizations that somebody is in."""

    def __init__(self, looking: Transaction, organization: Organization, after: Policy, now: int) -> None:
        self._looking = looking
        self._id = organization.id
        self._now = now
        self._own = (organizations.policy_of(looking, organization.id, now), after)
        self._others: dict[str, Policy] = {}
        self._made: dict[tuple[str, ...], _Pair] = {}

        self._alone = self._pair((self._id,))
        self._several: dict[int, _Pair] = {}

    @property
    def ages(self) -> frozenset[int]:
        """The ages in days that a password may reach under one of them."""
        policies = (policy for pair in self._made.values() for policy in (pair.before, pair.after))
        return frozenset(policy.password.max_age_days for policy in policies) - {0}

    @property
    def ages_differ(self) -> bool:
        """Whether anybody's password could be too old only then."""
        ages = ((one.before.password.max_age_days, one.after.password.max_age_days) for one in self._made.values())
        return any(before != after for before, after in ages)

    @property
    def proofs_differ(self) -> bool:
        """Whether anybody's proofs could be judged differently."""
        return any(pair.touched for pair in self._made.values())

    def learn(self, elsewhere: Sequence[Any]) -> None:
        """Whoever is in other organizations too: the home organization's policy stands first, then by id."""
        joined: dict[int, list[tuple[bool, str]]] = {}
        for row in elsewhere:
            theirs = joined.setdefault(row.person_id, [(not row.ours_is_primary, self._id)])
            theirs.append((not row.is_primary, row.organization_id))
        for person, theirs in joined.items():
            self._several[person] = self._pair(tuple(identifier for _, identifier in sorted(theirs)))

    def of(self, person: int) -> _Pair:
        """What somebody of the organization meets."""
        return self._several.get(person, self._alone)

    def _pair(self, ids: tuple[str, ...]) -> _Pair:
        if ids not in self._made:
            olds, news = (tuple(self._policy(one, which) for one in ids) for which in (0, 1))
            before, after = strictest(olds), strictest(news)
            touched = any(rules.proof_views_differ(*two) for two in ((before, after), (olds[0], news[0])))
            self._made[ids] = _Pair(olds, news, before, after, touched)
        return self._made[ids]

    def _policy(self, identifier: str, which: int) -> Policy:
        if identifier == self._id:
            return self._own[which]
        if identifier not in self._others:
            self._others[identifier] = organizations.policy_of(self._looking, identifier, self._now)
        return self._others[identifier]


# whether an SMS reaches somebody before, and after
_NEITHER = (False, False)
_ALIKE = ((False, False), (True, True))
_ANY = (*_ALIKE, (False, True), (True, False))


class _Judge:
    """Judges each combination once; where a number is has to be known only where the answer hangs on it."""

    def __init__(self, countries: Collection[str] | None) -> None:
        self._countries = countries
        self._there: dict[tuple[_Pair, int, tuple[str, ...]], Verdict] = {}
        self._sure: dict[tuple[_Pair, int], Verdict | None] = {}

    def sure(self, pair: _Pair, traits: int) -> Verdict | None:
        """What somebody loses who has this, wherever their numbers are; None where it hangs on that."""
        key = (pair, traits)
        if key not in self._sure:
            self._sure[key] = self._wherever(pair, traits)
        return self._sure[key]

    def _wherever(self, pair: _Pair, traits: int) -> Verdict | None:
        if not pair.touched:
            return Verdict()
        if not traits & queries.PHONE:
            return _judged(pair, traits, _NEITHER)
        same = set(pair.before.sms_countries) == set(pair.after.sms_countries)
        ways = {_judged(pair, traits, reached) for reached in (_ALIKE if same else _ANY)}
        return ways.pop() if len(ways) == 1 else None

    def by_countries(self, pair: _Pair, traits: int, where: tuple[str, ...]) -> Verdict:
        """The same by the countries of the numbers."""
        key = (pair, traits, where)
        if key not in self._there:
            before, after = (rules.gets_sms(policy, where, self._countries) for policy in (pair.before, pair.after))
            self._there[key] = _judged(pair, traits, (before, after))
        return self._there[key]


def _judged(pair: _Pair, traits: int, reached: tuple[bool, bool]) -> Verdict:
    facts = Facts(
        password=bool(traits & queries.PASSWORD),
        app=bool(traits & queries.APP),
        signing_app=bool(traits & queries.SIGNING_APP),
        code=bool(traits & queries.CODE),
        signing_code=bool(traits & queries.SIGNING_CODE),
        email=bool(traits & queries.EMAIL),
    )
    before, after = reached
    return rules.verdict(
        rules.met_by(pair.olds, facts, sms=before),
        rules.met_by(pair.news, facts, sms=after),
        facts,
        sms_before=before,
        sms_after=after,
    )
