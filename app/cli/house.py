"""What the commands stand on: settings, database, keys, and the means to look after people."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.foundation.settings import Settings
    from app.foundation.sql import Database
    from app.journeys.administration.service import Administration
    from app.journeys.approvals.service import Approvals
    from app.wiring import Foundation

# no store is asked while people are made or looked at, so none needs to run
NO_STORE = "unix:///dev/null/no-store"


def read_settings() -> "Settings":
    import logging

    import structlog

    from app.foundation.settings import load_settings

    # output belongs to the command; only `serve` and `worker` write a log
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    return load_settings()


def open_database(settings: "Settings") -> "Database":
    from app.foundation.settings import BadSetting
    from app.foundation.sql import Database

    try:
        return Database(settings.database)
    except Exception:  # noqa: BLE001 - and its text is not shown: it may hold the URL's password
        raise BadSetting("DATABASE_URL: cannot be read") from None


def require_current(settings: "Settings") -> None:
    from app.foundation.sql import migrations
    from app.journeys.administration.model import NotDone

    database = open_database(settings)
    try:
        if not migrations.at_head(database):
            raise NotDone("the database is not made, or not up to date; run: keyturn init")
    finally:
        database.close()


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a start found undone, and did."""

    made_keys: bool
    migrated: bool
    made_organization: bool


@dataclass(frozen=True, slots=True)
class House:
    """What the commands about people stand on."""

    base: "Foundation"
    people: "Administration"
    approvals: "Approvals"
    prepared: Prepared


@contextmanager
def open_house(settings: "Settings", *, prepare: bool) -> Iterator[House]:
    """Open keys and database. With ``prepare`` both are made where they are not there, and migrated."""
    from app import wiring
    from app.foundation import keyfile
    from app.foundation.sql import migrations
    from app.journeys.administration.service import Administration
    from app.journeys.approvals.service import Approvals

    if prepare:
        keyfile.make_state_dir(settings.state_dir)
        open_database(settings).close()
    else:
        require_current(settings)
    hands = settings.hashing_slots or os.cpu_count() or 1
    made_keys = not settings.secret_keys and not os.path.lexists(keyfile.path_of(settings))
    if made_keys:
        _require_new(settings)
    base = wiring.build_foundation(replace(settings, hashing_slots=hands), ephemeral_url=settings.redis_url or NO_STORE)
    try:
        migrated = prepare and migrations.migrate(base.database)
        wiring.admit(base)
        means = wiring.build_means(base)
        steps = wiring.build_steps(base, means)
        approvals = Approvals(wiring.build_approval_means(base, means, steps))
        people = Administration(
            database=base.database,
            passwords=means.passwords,
            apps=means.apps,
            tries=means.tries,
            outbox=means.outbox,
            undo=means.undo,
            clock=base.clock,
            chance=base.chance,
            issuer=settings.brand_name,
            language=settings.default_language,
            invitations=steps.invitations,
            hands=hands,
        )
        made_organization = prepare and people.make_default_organization()
        yield House(base, people, approvals, Prepared(made_keys, migrated, made_organization))
    finally:
        base.hasher.close()
        base.database.close()


def _require_new(settings: "Settings") -> None:
    """New keys are for a new database: in place of lost ones they would hide the loss until nobody can sign in."""
    from app.foundation import keyfile
    from app.foundation.settings import BadSetting
    from app.foundation.sql import installation, migrations

    database = open_database(settings)
    try:
        if migrations.current(database):
            with database.read() as looking:
                if lost := installation.unfit_keys(looking, {}):
                    path = keyfile.path_of(settings)
                    raise BadSetting(f"{path}: the keys of this database are lost ({', '.join(lost)}); bring them back")
    finally:
        database.close()
