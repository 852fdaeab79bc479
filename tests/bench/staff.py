"""``python -m tests.bench.staff``: what support's pages and a sign-in take among many people, beside among few.

Both kinds of database in turn. Each portal runs in this process and is asked in alternating windows; what is compared
is the median on the wall, because PostgreSQL's part is another process's.
"""

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import psycopg
import sqlalchemy

from app.foundation.chance import SystemChance
from app.foundation.clock import SystemClock
from app.foundation.keyfile import keys_of
from app.foundation.secretbox import Keyring
from app.foundation.settings import load_settings
from app.foundation.sql import Database, metadata
from app.records.organizations.model import Role
from tests.bench import seed, serving
from tests.bench.walk import Handsets
from tests.cast import organization
from tests.edges import Mailbox
from tests.faults.clients import free_port
from tests.portal import Browser, Portal, opened
from tests.services import PostgreSQL, RedisServer, find_valkey

FEW = 1_000
WANTED = 2.0  # times as slow at most
SMALL = 500  # people of the small organization beside the large one
_GUESTS = 50


@dataclass(frozen=True)
class Site:
    """A portal with so many people, an agent of the large organization, and one of the small one."""

    portal: Portal
    people: int
    agent: Browser
    other: Browser


@contextmanager
def site(kind: str, count: int, folder: Path, stack: ExitStack) -> Iterator[Site]:
    """One, seeded; the large organization is ``default``."""
    phone, mailbox = stack.enter_context(Handsets()), stack.enter_context(Mailbox())
    environ = serving.environment(folder / f"{kind}{count}", free_port(), phone, mailbox)
    serving.keyturn(environ, "init")
    seed.seed(environ, count)
    path = Path(environ["KEYTURN_STATE_DIR"]) / "keyturn.sqlite"
    url = f"sqlite:///{path}"
    if kind == "postgresql":
        server = PostgreSQL()
        stack.callback(server.stop)
        server.start()
        url = server.empty()
        serving.keyturn({**environ, "KEYTURN_DATABASE_URL": url}, "init")
        _copy(path, server, url)
    chance = SystemChance()
    keyring = Keyring(keys_of(load_settings(environ), chance), chance)
    store = RedisServer(find_valkey())
    stack.callback(store.stop)
    store.start()
    wide: dict[str, Any] = {"limit_starts_per_address": 10**6, "limit_tries_per_address": 10**6}
    with opened(Database(url), store.url, SystemClock(), keyring, **wide) as portal:
        _part(portal)
        portal.add("agent", role=Role.SUPPORT)
        portal.add("other", role=Role.SUPPORT, home="small")
        agent, other = portal.browser(), portal.browser()
        agent.sign_in(portal, "agent", "correct horse battery staple")
        other.sign_in(portal, "other", "correct horse battery staple")
        yield Site(portal, count, agent, other)


def _copy(path: Path, server: PostgreSQL, url: str) -> None:
    """Everything from a SQLite file into a PostgreSQL database of the same tables."""
    source = sqlite3.connect(path)
    with server.connect(url) as target:
        target.execute("TRUNCATE organizations CASCADE")
        for table in metadata.sorted_tables:
            if table.name == "installation":
                continue
            columns = list(table.columns)
            names = ", ".join(f'"{column.name}"' for column in columns)
            flags = [place for place, one in enumerate(columns) if isinstance(one.type, sqlalchemy.Boolean)]
            rows = source.execute(f"SELECT {names} FROM {table.name}")
            with target.cursor().copy(f"COPY {table.name} ({names}) FROM STDIN") as copying:
                for row in rows:
                    values = list(row)
                    for place in flags:
                        values[place] = bool(values[place])
                    copying.write_row(values)
        for name in ("people", "audit_events", "password_history"):
            target.execute(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), (SELECT max(id) FROM {name}))")
    source.close()
    with psycopg.connect(server.connect(url).info.dsn, user="app", autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def _part(portal: Portal) -> None:
    """Put the first people into a small organization of their own, and let some of the others be its guests."""
    base = portal.base
    with base.database.begin() as transaction:
        small = organization(transaction, base.chance, "small").id
        for statement in (
            f"UPDATE people SET home_organization = :small WHERE id <= {SMALL}",
            f"UPDATE contacts SET home_organization = :small WHERE person_id <= {SMALL}",
            f"UPDATE memberships SET organization_id = :small WHERE person_id <= {SMALL}",
            f"""INSERT INTO memberships (person_id, organization_id, role, is_primary)
                SELECT id, :small, 'member', false FROM people WHERE id > {SMALL} AND id <= {SMALL + _GUESTS}""",
        ):
            transaction.execute(sqlalchemy.text(statement), {"small": small})


def _asks(browser: Browser, path: str, **query: str) -> None:
    answer = browser.get(path, query_string=query)
    assert answer.status_code == 200, answer.status


def _signs_in(one: Site, who: seed.Somebody) -> None:
    browser = one.portal.browser(REMOTE_ADDR=f"10.0.{who.number // 250 % 250}.{who.number % 250}")
    browser.sign_in_to_verify(who.user_id, seed.PASSWORD)
    assert browser.post("/sign-in/verify", code=who.code()).status_code == 303


def cases() -> dict[str, Callable[[Site, seed.Somebody], None]]:
    """What is measured, each for somebody else each time."""
    search = "/support/people"
    return {
        "search: a whole User ID": lambda one, who: _asks(one.agent, search, q=who.user_id),
        "search: what every User ID and address begins with": lambda one, _: _asks(one.agent, search, q="person"),
        "search: everybody's first name": lambda one, _: _asks(one.agent, search, q="Given"),
        "search: a last name": lambda one, who: _asks(one.agent, search, q=f"family{who.number} "),
        "search: an address": lambda one, who: _asks(one.agent, search, q=f"{who.user_id}@"),
        "search: nobody": lambda one, _: _asks(one.agent, search, q="zzzz"),
        "search in the small organization: everybody": lambda one, _: _asks(one.other, search, q="given"),
        "search in the small organization: somebody of the large": lambda one, who: _asks(
            one.other, search, q=f"family{who.number} "
        ),
        "page of a person": lambda one, who: _asks(one.agent, f"{search}/{who.user_id}"),
        "page of a person, again": lambda one, who: _asks(one.agent, f"{search}/{who.user_id}"),
        "sign-in with password and app": _signs_in,
    }


def _spread(count: int, which: int) -> seed.Somebody:
    """Somebody of the large organization, far from whom the one before was."""
    first = SMALL + _GUESTS + 1
    return seed.Somebody(first + which * 7_919 % (count - first))


def compare(few: Site, many: Site, rounds: int, each: int) -> dict[str, tuple[float, float]]:
    """Median milliseconds of each case among few and among many, in windows that alternate."""
    found = {name: ([], []) for name in cases()}  # type: dict[str, tuple[list[float], list[float]]]
    turn = 0
    for number in range(rounds + 1):
        for name, do in cases().items():
            for place, one in sorted(enumerate((few, many)), reverse=bool(number % 2)):
                times = []
                for which in range(each):
                    who = _spread(one.people, turn + which)
                    began = time.perf_counter()
                    do(one, who)
                    times.append((time.perf_counter() - began) * 1_000)
                if number:  # the first round warms up
                    found[name][place].extend(times)
            turn += 0 if "again" in name or name == "page of a person" else each
        turn += each
    return {name: (statistics.median(one), statistics.median(other)) for name, (one, other) in found.items()}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--people", type=click.IntRange(2 * FEW), default=1_000_000, show_default=True)
@click.option("--database", "kinds", multiple=True, type=click.Choice(["sqlite", "postgresql"]))
@click.option("--rounds", type=click.IntRange(1), default=6, show_default=True)
@click.option("--each", type=click.IntRange(1), default=5, show_default=True, help="Requests in a window.")
def main(people: int, kinds: tuple[str, ...], rounds: int, each: int) -> None:
    """Measure search, the page of a person and a sign-in among 1,000 people and among many."""
    slow = False
    for kind in kinds or ("sqlite", "postgresql"):
        with tempfile.TemporaryDirectory(prefix="kt-staff-", dir="/tmp") as folder, ExitStack() as stack:
            began = time.monotonic()
            many = stack.enter_context(site(kind, people, Path(folder), stack))
            few = stack.enter_context(site(kind, FEW, Path(folder), stack))
            click.echo(f"{kind}: {people:,} people written in {time.monotonic() - began:.0f} s")
            for name, (small, large) in compare(few, many, rounds, each).items():
                slow = slow or large > WANTED * small
                click.echo(f"| {name} | {small:.1f} ms | {large:.1f} ms | {large / small:.2f} |")
    raise SystemExit(int(slow))


if __name__ == "__main__":
    main()
