"""Run by Alembic: migrations on the connection that app/foundation/sql/migrations.py hands over, and on no other."""

import importlib
import pkgutil

from alembic import context

import app.factors
import app.records
from app.foundation.sql import metadata


def _declare_tables() -> None:
    """Every store declares its tables when it is imported; needed to compare, not to migrate."""
    for floor in (app.records, app.factors):
        for room in pkgutil.walk_packages(floor.__path__, f"{floor.__name__}."):
            if room.name.endswith(".store"):
                importlib.import_module(room.name)


if context.config.attributes.get("compare"):
    _declare_tables()
# SQLite cannot alter most of a table, so Alembic rebuilds it (render_as_batch)
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
