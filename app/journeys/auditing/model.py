"""How the audit log is handed on."""

from enum import StrEnum


class BadHeadsError(Exception):
    """A file that holds no seals."""


class Form(StrEnum):
    """Of an export."""

    JSON_LINES = "jsonl"
    CSV = "csv"
