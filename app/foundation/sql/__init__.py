"""SQL: the one database, SQLite by default, PostgreSQL by URL."""

from app.foundation.sql import installation
from app.foundation.sql.database import Database, Transaction, metadata, savepoint

__all__ = ["Database", "Transaction", "installation", "metadata", "savepoint"]
