"""SQL: the one database, SQLite by default, PostgreSQL by URL."""

from app.foundation.sql import installation
from app.foundation.sql.database import Database, Transaction, metadata, savepoint
from app.foundation.sql.prepared import Prepared

__all__ = ["Database", "Prepared", "Transaction", "installation", "metadata", "savepoint"]
