"""``python -m tests.bench.preview``: what the preview of a policy takes among many people of one organization.

Both kinds of database in turn. Who has what is drawn, from a seed that is always the same: numbers of five countries,
e-mail, apps and codes, each of some, and one of twenty is a guest of another organization too. What is measured is one
read, without a page: the preview as it is made for the page, before each save, and by the command.
"""

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click
from sqlalchemy import insert, text

from app.factors.password.store import passwords
from app.factors.recovery_code.store import codes, sets
from app.factors.totp.store import apps
from app.foundation.clock import SystemClock
from app.foundation.sql import Database
from app.journeys.policy.service import Policies, PolicyMeans
from app.records.delivery.rules import country_of
from app.records.organizations import store as organizations
from app.records.organizations.model import STANDARD, Organization, PasswordPolicy, Policy, Proof, RecoveryPolicy
from app.records.people.store import contacts, people
from tests.bench.clocks import cpu_of_tree
from tests.conftest import create_tables
from tests.services import PostgreSQL

DAY = 86_400
AT_ONCE = 10_000
HOME, *OTHERS = (f"organization{number}" for number in range(5))
NUMBERS = ("+49170{:07d}", "+43664{:07d}", "+1202555{:04d}", "+447700{:06d}", "+4179{:07d}")
CASES = {
    "nothing": STANDARD,
    "no PIN by e-mail": replace(STANDARD, recovery=RecoveryPolicy(second=(Proof.SMS,))),
    "app as the only first proof": replace(STANDARD, recovery=RecoveryPolicy(first=(Proof.APP,))),
    "SMS to Germany alone": replace(STANDARD, sms_countries=("DE",)),
    "passwords of 90 days": replace(STANDARD, password=PasswordPolicy(max_age_days=90)),
    "no PIN by e-mail, SMS to Germany alone, passwords of 90 days": replace(
        STANDARD,
        sms_countries=("DE",),
        recovery=RecoveryPolicy(second=(Proof.SMS,)),
        password=PasswordPolicy(max_age_days=90),
    ),
}


def _person(chance: random.Random, n: int, now: int) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The rows of somebody, each with its table."""
    then = {"usable_from": now}
    yield (
        people,
        {
            "id": n,
            "user_id": f"p{n}",
            "canonical_id": f"p{n}",
            "first_name": "Given",
            "last_name": f"Family{n}",
            "status": "active",
            "stamp": "x",
            "language": "en",
            "home_organization": HOME,
            "created_at": now,
        },
    )
    joined = {"person_id": n, "role": "member"}
    yield organizations.memberships, {**joined, "organization_id": HOME, "is_primary": True}
    if n % 20 == 0:
        yield organizations.memberships, {**joined, "organization_id": OTHERS[n // 20 % 4], "is_primary": False}
    draw, number = chance.random(), chance.choice(NUMBERS)
    contact = {"person_id": n, "position": 0, "confirmed_at": now, "created_at": now, **then}
    if draw < 0.9:
        digits = chance.randrange(10 ** int(number[-3]))
        yield contacts, {**contact, "id": f"s{n}", "channel": "sms", "address": number.format(digits)}
    if draw > 0.15:
        yield contacts, {**contact, "id": f"e{n}", "channel": "email", "address": f"p{n}@example.org"}
    if chance.random() < 0.8:
        app = {"id": f"a{n}", "person_id": n, "label": "Phone", "seed": "x", "state": "active"}
        yield apps, {**app, "drift": 0, "last_step": 0, "bound_at": now, **then}
    if chance.random() < 0.6:
        yield sets, {"id": f"c{n}", "person_id": n, "salt": "x", "digest_key": "x", "made_at": now, **then}
        for place in range(10):
            yield codes, {"set_id": f"c{n}", "digest": f"{place}", "used_at": None}
    password = {"person_id": n, "hash": "x", "pepper": "", "form": "nfc1", "history_salt": "", "must_change": False}
    yield passwords, {**password, "compromised": False, "changed_at": now - chance.randrange(200) * DAY}


def seed(database: Database, count: int, now: int) -> None:
    """So many people, whose home is the first organization."""
    chance = random.Random(7)
    with database.begin() as transaction:
        for identifier in (HOME, *OTHERS):
            organizations.add(transaction, Organization(identifier, identifier, now))
    tables = (people, organizations.memberships, contacts, apps, sets, codes, passwords)
    for first in range(1, count + 1, AT_ONCE):
        rows: dict[str, list[dict[str, Any]]] = {table.name: [] for table in tables}
        for n in range(first, min(first + AT_ONCE, count + 1)):
            for table, row in _person(chance, n, now):
                rows[table.name].append(row)
        with database.begin() as transaction:
            for table in tables:
                if rows[table.name]:
                    transaction.execute(insert(table), rows[table.name])


def measure(
    database: Database, after: Policy, rounds: int, served: Callable[[], float]
) -> tuple[float, float, int, int]:
    """The best seconds on the wall and of CPU, how many would be stranded, and owe a password.

    ``served``: the CPU that a database of its own process has used so far.
    """
    nobody: dict[str, Any] = {"chance": None, "outbox": None, "staffing": None, "language": "en"}
    means = PolicyMeans(database=database, clock=SystemClock(), country_of=country_of, countries=None, **nobody)
    policies, organization = Policies(means), Organization(HOME, HOME, 0)
    walls, cpus, stranded, owing = [], [], 0, 0
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time() + served()
        found = policies.preview(organization, after)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() + served() - cpu)
        stranded, owing = len(found.stranded), found.owing
    return min(walls), min(cpus), stranded, owing


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--people", "count", type=click.IntRange(1), default=100_000, show_default=True)
@click.option("--database", "kinds", multiple=True, type=click.Choice(["sqlite", "postgresql"]))
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, help="Of each; the best is told.")
def main(count: int, kinds: tuple[str, ...], rounds: int) -> None:
    """Measure previews of several policies among many people."""
    country_of("+491701234567")  # reads what libphonenumber knows
    for kind in kinds or ("sqlite", "postgresql"):
        with tempfile.TemporaryDirectory(prefix="kt-preview-", dir="/tmp") as folder, ExitStack() as stack:
            served: Callable[[], float] = float
            url = f"sqlite:///{Path(folder) / 'keyturn.sqlite'}"
            if kind == "postgresql":
                server = PostgreSQL()
                stack.callback(server.stop)
                server.start()
                url = server.empty()
                served = partial(cpu_of_tree, server.pid)
            create_tables(url)
            database = Database(url)
            stack.callback(database.close)
            seed(database, count, int(time.time()))
            if kind == "postgresql":  # as its autovacuum does within minutes
                with database.begin() as transaction:
                    transaction.execute(text("ANALYZE"))
            click.echo(f"{kind}: {count:,} people")
            for name, after in CASES.items():
                wall, cpu, stranded, owing = measure(database, after, rounds, served)
                click.echo(f"| {name} | {stranded:,} | {owing:,} | {wall:.2f} s | {cpu:.2f} s |")


if __name__ == "__main__":
    main()
