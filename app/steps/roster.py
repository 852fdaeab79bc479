"""Reading an import and judging its rows, a line at a time: no file is too long, and no bad line takes good ones along.

Standard library only, like every rules.py, and models.
"""

import codecs
import csv
import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from app.factors.password import rules as password_rules
from app.records.organizations.model import DEFAULT, Role
from app.records.people.model import BadUserId, canonical_user_id, is_email, is_phone

FIELDS = (
    "user_id",
    "first_name",
    "last_name",
    "email",
    "phone",
    "organization",
    "role",
    "password",
    "password_hash",
    "totp_secret",
    "contacts_verified",
)


LINE_MAX = 65_536  # bytes
NAME_MAX = 255  # code points

_JSON_ENDINGS = (".jsonl", ".ndjson", ".json")
_CSV_ENDINGS = (".csv", ".tsv")
_WRITTEN = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
# what turns the direction of text would let one name pass for another on a support agent's screen (UTS 39)
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNSHOWABLE = frozenset({"Cc", "Cs", "Cn", "Co", "Zl", "Zp"})


class BadFile(ValueError):
    """A file that is no import at all, so that not even its lines can be told apart."""


@dataclass(frozen=True, slots=True)
class NewPerson:
    """Somebody to be made: a good row of an import, or what was typed. ``line`` is where the row began."""

    user_id: str
    canonical_id: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    phone: str = ""
    organization: str = DEFAULT
    role: Role = Role.MEMBER
    password: str = field(default="", repr=False)
    password_hash: str = field(default="", repr=False)
    totp_secret: str = field(default="", repr=False)  # base32
    contacts_verified: bool = False
    line: int = 0


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one field; with the row as a whole where ``field`` is empty. Never shows a value."""

    field: str
    reason: str

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}" if self.field else self.reason


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was not taken. ``last_line`` differs where a quoted field holds line breaks."""

    line: int
    problems: tuple[Problem, ...]
    last_line: int = 0


@dataclass(frozen=True, slots=True)
class RawRow:
    """A row as it was read, before anything is judged."""

    line: int
    fields: dict[str, object] = field(repr=False)


# ---- rows out of a file


def read(file: BinaryIO, name: str) -> Iterator[RawRow | BadRow]:
    """The rows of a JSON Lines or CSV file, told apart by its ending or, where that says nothing, its content.

    ``file`` can seek and stands at its start. Lines are counted from 1. Raises BadFile where it is neither kind.
    """
    lines = _Lines(file)
    if _is_json(lines.first, name.lower()):
        yield from _read_json(lines)
    else:
        yield from _read_csv(lines)


class _Lines:
    """Numbered lines of bounded length, with bytes that are no UTF-8 kept as lone surrogates."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.number = 0
        start = file.readline(LINE_MAX)
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise BadFile("the file is UTF-16; save it as UTF-8")
        file.seek(len(codecs.BOM_UTF8) if start.startswith(codecs.BOM_UTF8) else 0)
        self.first = start.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")

    def next(self) -> str | None:
        """The next line without its end; None at the end of the file. Raises _TooLong, with the line behind it."""
        line = self._file.readline(LINE_MAX + 1)
        if not line:
            return None
        self.number += 1
        if len(line) > LINE_MAX:
            quotes = line.count(b'"')
            while line and not line.endswith(b"\n"):
                line = self._file.readline(LINE_MAX)
                quotes += line.count(b'"')
            raise _TooLong(odd=quotes % 2 == 1)
        return line.decode("utf-8", "surrogateescape").removesuffix("\n").removesuffix("\r")

    def place(self) -> tuple[int, int]:
        """Where the next line begins, to come back to."""
        return self._file.tell(), self.number

    def back(self, place: tuple[int, int]) -> None:
        """Go on from there once more."""
        offset, self.number = place
        self._file.seek(offset)


class _TooLong(ValueError):
    def __init__(self, *, odd: bool) -> None:
        super().__init__()
        self.odd = odd  # an odd number of quotes: in a proper CSV a field opens or closes on that line


class _Twice(ValueError):
    pass


def _is_json(first: str, name: str) -> bool:
    if first.lstrip().startswith("["):
        raise BadFile("the file is a JSON array; write one object a line (JSON Lines)")
    if name.endswith(_JSON_ENDINGS):
        return True
    return first.lstrip().startswith("{")  # no header of a CSV begins so


def _bad(line: int, reason: str, last_line: int = 0) -> BadRow:
    return BadRow(line, (Problem("", reason),), last_line)


_LONG = f"the line is longer than {LINE_MAX} bytes"
_NOT_UTF8 = "is not UTF-8"


def _is_utf8(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _read_json(lines: _Lines) -> Iterator[RawRow | BadRow]:
    while True:
        try:
            text = lines.next()
        except _TooLong:
            yield _bad(lines.number, _LONG)
            continue
        if text is None:
            return
        if not _is_utf8(text):
            yield _bad(lines.number, _NOT_UTF8)
        elif text.strip():
            yield _json_row(lines.number, text)


def _json_row(line: int, text: str) -> RawRow | BadRow:
    try:
        value = json.loads(text, object_pairs_hook=_unique)
    except _Twice:
        return _bad(line, "names a field twice")
    except (ValueError, RecursionError):
        return _bad(line, "is not JSON")
    if not isinstance(value, dict):
        return _bad(line, "is not a JSON object")
    return RawRow(line, {name: field for name, field in value.items() if field is not None})


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Twice
    return found


def _read_csv(lines: _Lines) -> Iterator[RawRow | BadRow]:
    header = _header(lines)
    if header is None:
        return
    delimiter, names = header
    while True:
        line = lines.number + 1
        long = False
        try:
            text = lines.next()
            if text is None:
                return
            is_open = _stays_open(text, 0, delimiter)
        except _TooLong as error:
            text, long, is_open = "", True, error.odd
        last_line = _end_of_record(lines, delimiter) if is_open else line
        if long:
            yield _bad(line, _LONG, last_line or 0)
        elif last_line is None:
            yield _bad(line, "a quote is never closed")
        elif last_line > line:
            # as one record: were its lines taken for rows, a name with a line break in it could make a person
            yield _bad(line, "a quoted field holds a line break", last_line)
        elif not _is_utf8(text):
            yield _bad(line, _NOT_UTF8)
        elif text.strip():
            yield _csv_row(line, text, delimiter, names)


def _header(lines: _Lines) -> tuple[str, list[str]] | None:
    text: str | None = ""
    while text is not None and not text.strip():
        try:
            text = lines.next()
        except _TooLong:
            raise BadFile(f"line {lines.number}: {_LONG}") from None
    if text is None:
        return None
    delimiter = max(",;\t", key=text.count)
    cells = _cells(text, delimiter)
    names = [name.strip() for name in cells or ()]
    for name in names:
        if name not in FIELDS:
            raise BadFile(f"line {lines.number}: there is no field {shown(name)}; the first line names the fields")
    if len(set(names)) != len(names):
        raise BadFile(f"line {lines.number}: names a field twice")
    if "user_id" not in names:
        raise BadFile(f"line {lines.number}: there is no field user_id; the first line names the fields")
    return delimiter, names


_QUOTED = re.compile(r'"(?:[^"]|"")*+"')
_CLOSING = re.compile(r'(?:[^"]|"")*+"')


def _end_of_record(lines: _Lines, delimiter: str) -> int | None:
    """The number of the line on which a record ends whose present line ended inside quotes (RFC 4180 sec. 2.6).

    None where the quote is closed nowhere in the file; then the lines go on behind the present one.
    """
    behind = lines.place()
    while True:
        try:
            more = lines.next()
        except _TooLong as error:
            if error.odd:
                return lines.number
            continue
        if more is None:
            lines.back(behind)
            return None
        closing = _CLOSING.match(more)
        if closing is None:
            continue
        at = closing.end()
        if more[at : at + 1] != delimiter or not _stays_open(more, at + 1, delimiter):
            return lines.number


def _stays_open(text: str, at: int, delimiter: str) -> bool:
    """Whether a line ends inside a quoted field, read from a place where a field begins."""
    while True:
        if text.startswith('"', at):
            closed = _QUOTED.match(text, at)
            if closed is None:
                return True
            at = closed.end()
            if text[at : at + 1] != delimiter:
                return False  # the end of the line, or a mistake, which ends the record too
        else:
            at = text.find(delimiter, at)
            if at < 0:
                return False
        at += 1


def _cells(text: str, delimiter: str) -> list[str] | None:
    if '"' not in text:
        return text.split(delimiter)
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True))
    except (csv.Error, StopIteration):
        return None


def _csv_row(line: int, text: str, delimiter: str, names: list[str]) -> RawRow | BadRow:
    cells = _cells(text, delimiter)
    if cells is None:
        return _bad(line, "is not proper CSV")
    if len(cells) != len(names):
        return _bad(line, f"has {len(cells)} fields instead of {len(names)}")
    fields: dict[str, object] = dict(zip(names, cells, strict=True))
    written = str(fields.get("contacts_verified", "")).strip().lower()
    if written in _WRITTEN:
        fields["contacts_verified"] = _WRITTEN[written]
    return RawRow(line, fields)


def shown(name: str) -> str:
    """A name out of a file as a terminal may show it."""
    return repr("".join(character if character.isprintable() else "?" for character in name[:40]))


# ---- a row judged


def judge(
    fields: Mapping[str, object],
    line: int = 0,
    *,
    hash_fits: Callable[[str], bool],
    seed_fits: Callable[[str], str],
) -> NewPerson | BadRow:
    """A person, or everything that is wrong with the row.

    ``hash_fits`` says whether a PHC string may be imported, ``seed_fits`` why a base32 key may not (empty: it may).
    """
    row = _Row(fields)
    for name in fields:
        if name not in FIELDS:
            row.refuse("", f"there is no field {shown(name)}")
    user_id = row.text("user_id")
    canonical = row.user_id(user_id)
    password = row.password()
    password_hash = row.text("password_hash")
    if password_hash and not hash_fits(password_hash):
        row.refuse("password_hash", "is not a hash of an allowed scheme and cost")
    if password and password_hash:
        row.refuse("password_hash", "stands beside a password")
    totp_secret = row.text("totp_secret")
    if totp_secret and (why_not := seed_fits(totp_secret)):
        row.refuse("totp_secret", f"is {why_not}")
    person = NewPerson(
        user_id=user_id,
        canonical_id=canonical,
        first_name=row.name("first_name"),
        last_name=row.name("last_name"),
        email=row.address("email", is_email, "is not an e-mail address"),
        phone=row.address("phone", is_phone, "is not an E.164 number such as +12025550123"),
        organization=row.name("organization") or DEFAULT,
        role=row.role(),
        password=password,
        password_hash=password_hash,
        totp_secret=totp_secret,
        contacts_verified=row.flag("contacts_verified"),
        line=line,
    )
    return BadRow(line, tuple(row.problems)) if row.problems else person


class _Row:
    """Reads fields and collects what is wrong with them, of each field the first thing."""

    def __init__(self, fields: Mapping[str, object]) -> None:
        self._fields = fields
        self.problems: list[Problem] = []

    def refuse(self, field: str, reason: str) -> None:
        if not field or field not in {problem.field for problem in self.problems}:
            self.problems.append(Problem(field, reason))

    def text(self, field: str) -> str:
        return self._typed(field).strip() if field in self._fields else ""

    def _typed(self, field: str) -> str:
        value = self._fields.get(field, "")
        if isinstance(value, str):
            return value
        self.refuse(field, "must be text")
        return ""

    def user_id(self, typed: str) -> str:
        try:
            return canonical_user_id(typed)
        except BadUserId as error:
            reason = {"empty": "is missing", "too long": f"is longer than {NAME_MAX} characters"}
            self.refuse("user_id", reason.get(str(error), "holds characters that cannot be shown"))
            return ""

    def name(self, field: str) -> str:
        name = self.text(field)
        if not name:
            return ""
        if len(name) > NAME_MAX:
            self.refuse(field, f"is longer than {NAME_MAX} characters")
        elif not showable(name):
            self.refuse(field, "holds characters that cannot be shown")
        return name

    def address(self, field: str, fits: Callable[[str], bool], reason: str) -> str:
        address = self.text(field)
        if address and not fits(address):
            self.refuse(field, reason)
        return address

    def role(self) -> Role:
        name = self.text("role")
        try:
            return Role(name) if name else Role.MEMBER
        except ValueError:
            self.refuse("role", f"is none of {', '.join(Role)}")
            return Role.MEMBER

    def flag(self, field: str) -> bool:
        value = self._fields.get(field, False)
        if value == "":  # an empty cell
            return False
        if not isinstance(value, bool):
            self.refuse(field, "must be true or false")
            return False
        return value

    def password(self) -> str:
        typed = self._typed("password")
        if not typed:
            return ""
        try:
            if len(password_rules.normalise(typed)) < password_rules.LEAST:
                self.refuse("password", f"is shorter than {password_rules.LEAST} characters")
        except password_rules.Unfit as unfit:
            long = unfit.code == "too_long"
            self.refuse("password", "is too long" if long else "holds characters that cannot be typed")
        return typed


def showable(text: str) -> bool:
    """Whether a name can be shown on one line, in the order in which it is written."""
    if text.isascii():
        return text.isprintable()
    return not any(character in _TURNING or unicodedata.category(character) in _UNSHOWABLE for character in text)
