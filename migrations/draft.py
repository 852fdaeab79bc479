"""Draft the next migration from what the stores declare: ``python -m migrations.draft "what changes"``.

A draft to be tidied by hand. It compares with a throwaway database that has all the present migrations.
"""

import re
import sys
import tempfile
from pathlib import Path

from alembic import command

from app.foundation.sql import Database
from app.foundation.sql.migrations import configuration, head, migrate


def draft(message: str) -> str:
    """Write migrations/versions/<next number>_<message>.py and return its path."""
    number = f"{int(head() or '0') + 1:04d}"
    made = configuration()
    made.set_main_option("file_template", f"{number}_{re.sub('[^a-z0-9]+', '_', message.lower()).strip('_')}")
    made.attributes["compare"] = True
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'draft.sqlite'}")
        if head():
            migrate(database)
        with database.engine.begin() as connection:
            made.attributes["connection"] = connection
            script = command.revision(made, message, autogenerate=True, rev_id=number)
        database.close()
    return str(script.path) if script and not isinstance(script, list) else ""


if __name__ == "__main__":
    sys.stdout.write(draft(" ".join(sys.argv[1:]) or "change") + "\n")
