"""The API for programs: AuthenticateUser in JSON, and what relying programs ask about tokens."""

import threading
from dataclasses import dataclass
from typing import Any

from app.foundation.clock import Clock
from app.foundation.ephemeral import Ephemeral, Limit
from app.foundation.secretbox import fingerprint, same
from app.foundation.sql import Database
from app.foundation.visit import Visit
from app.journeys.api import queries
from app.journeys.api.model import WINDOW, Caller, Looked, NotAClient, OverQuota, Quota
from app.records.attempts.service import AddressLimits
from app.records.audit import store as audit
from app.records.audit.model import Event, Record
from app.records.organizations.model import Organization
from app.records.sessions import store as sessions
from app.steps.credentials import Authenticated, Credentials, NotAuthenticated

_CLIENTS = 3  # as many may guess at their limit at once in one organization, however many it makes
_LEASES = 100  # into so many parts the limit of a client is cut


class Quotas:
    """The limits of clients.

    Each process takes a part of a limit from the store at a time and counts that by itself, or the count would cost as
    much as the answer. All processes together never let more through than the limit.
    """

    def __init__(self, ephemeral: Ephemeral, clock: Clock) -> None:
        self._ephemeral = ephemeral
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[str, tuple[int, int, int]] = {}  # key: the window, what is left here, what is left elsewhere

    def spend(self, client_id: str, policy: str, most: int) -> Quota:
        """Count one call. Raises OverQuota."""
        now = self._clock.now()
        window, key = now // WINDOW, f"limit:api:{policy}:{client_id}"
        with self._lock:
            held, here, elsewhere = self._held.get(key, (0, 0, 0))
            if held != window or here == 0:
                lease = max(1, most // _LEASES)
                before = self._ephemeral.take(Limit(key, most, WINDOW), lease, now)
                here = max(0, min(lease, most - before))
                elsewhere = max(0, most - before - here)
            left = here - 1
            self._held[key] = (window, max(left, 0), elsewhere)
        quota = Quota(policy, most, left + elsewhere if left >= 0 else -1, WINDOW - now % WINDOW)
        if left < 0:
            raise OverQuota(quota)
        return quota


@dataclass(frozen=True, slots=True)
class ApiMeans:
    """What the API stands on. ``per_client`` and ``sign_ins_per_client`` are the limits in a minute."""

    database: Database
    ephemeral: Ephemeral
    limits: AddressLimits
    credentials: Credentials
    clock: Clock
    per_client: int
    sign_ins_per_client: int


class Api:
    """Each method takes the HTTP Basic credentials of an API client: its id and its secret."""

    def __init__(self, means: ApiMeans) -> None:
        self._means = means
        self._quotas = Quotas(means.ephemeral, means.clock)

    def authenticate(
        self, visit: Visit, client: tuple[str, str] | None, user_name: str, password: str
    ) -> tuple[Authenticated | NotAuthenticated, Quota | None]:
        """Judge a password. A client is optional here: its limit then counts instead of the address's.

        Raises NotAClient, OverQuota, and what Credentials raise.
        """
        if client is None:
            return self._means.credentials.authenticate(visit, user_name, password), None
        caller, _ = self._let_in(visit, client, "")
        most = self._means.sign_ins_per_client
        quota = self._quotas.spend(caller.id, "auth", most)
        self._quotas.spend(caller.organization_id, "auth-organization", _CLIENTS * most)
        return self._means.credentials.authenticate(visit, user_name, password, client=caller.id), quota

    def introspect(self, visit: Visit, client: tuple[str, str], token: str) -> tuple[Looked | None, Quota]:
        """Whose token it is, None where it is good for nothing or none of this client's business.

        Raises NotAClient, OverQuota.
        """
        return self._looked(*self._let_in(visit, client, token))

    def look(self, client: tuple[str, str], token: str) -> tuple[Looked | None, Quota] | None:
        """The same where everything is in order; None, and nothing was counted, where the client is none.

        Raises OverQuota.
        """
        found = self._known(client, token)
        return self._looked(*found) if found is not None else None

    def _looked(self, caller: Caller, row: Any) -> tuple[Looked | None, Quota]:
        quota = self._quotas.spend(caller.id, "tokens", self._means.per_client)
        if row.is_primary is None:
            return None, quota
        organization = Organization(row.organization_id, row.organization_name, row.organization_created_at)
        looked = Looked(
            row.user_id,
            row.first_name,
            row.last_name,
            row.issued_at,
            row.expires_at,
            organization,
            bool(row.is_primary),
        )
        return looked, quota

    def revoke(self, visit: Visit, client: tuple[str, str], token: str) -> Quota:
        """End a token, where there is one of a person of the client's organization (RFC 7009 sec. 2.2).

        Raises NotAClient, OverQuota.
        """
        means = self._means
        caller, row = self._let_in(visit, client, token)
        quota = self._quotas.spend(caller.id, "tokens", means.per_client)
        if row.is_primary is not None:
            with means.database.begin() as transaction:
                if sessions.end_token(transaction, row.token_id):
                    audit.add(transaction, self._ended(visit, caller, row))
        return quota

    def _ended(self, visit: Visit, caller: Caller, row: Any) -> Record:
        return Record(
            event=Event.TOKEN_ENDED,
            at=self._means.clock.now(),
            person_id=row.person_id,
            actor=caller.id,
            outcome="success",
            address=visit.address,
            details={"client": caller.id},
            organization_id=caller.organization_id,
        )

    def _let_in(self, visit: Visit, client: tuple[str, str], token: str) -> tuple[Caller, Any]:
        """The client, and what one statement found of a token beside it. Raises NotAClient."""
        found = self._known(client, token)
        if found is not None:
            return found
        # 256 random bits are not guessed: this only keeps a program with a wrong secret from asking for ever
        self._means.limits.attempt(visit)
        raise NotAClient

    def _known(self, client: tuple[str, str], token: str) -> tuple[Caller, Any] | None:
        client_id, secret = client
        now, digest = self._means.clock.now(), fingerprint(secret)
        with self._means.database.read() as looking:
            row = queries.look(looking, client_id, fingerprint(token), now)
        if row is not None and (same(digest, row.secret) or (row.former_until > now and same(digest, row.former))):
            return Caller(client_id, row.organization_id), row
        return None
