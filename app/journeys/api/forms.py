"""The shape of what programs send: JSON or form fields, and HTTP Basic credentials."""

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from flask import abort, request

from app.foundation.refusals import Code, Wrong

_JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 64
MOST = {"user_name": 255, "password": 1_024, "token": 4_096}  # characters; what is longer is nobody's


class Malformed(Exception):
    """The body is not what its type says. One line, without a word of the body."""


def credentials() -> tuple[str, str] | None:
    """The client id and secret of the request; None where it names no client. Empty ones where they cannot be read.

    RFC 7617, in UTF-8 as we announce it and without control characters (sec. 2); RFC 6749 sec. 2.3.1 has both
    form-encoded, which changes none of ours.
    """
    return basic(request.headers.get("Authorization", ""))


def basic(header: str) -> tuple[str, str] | None:
    """The same of a header's text."""
    kind, _, given = header.partition(" ")
    if not kind:
        return None
    try:
        plain = base64.b64decode(given.strip(), validate=True).decode() if kind.lower() == "basic" else ""
    except ValueError:
        plain = ""
    name, _, secret = plain.partition(":") if plain.isprintable() else ("", "", "")
    return name, secret


def body() -> Mapping[str, Any]:
    """A JSON object. Raises Malformed; 415 where it says that it is something else."""
    if request.mimetype != _JSON:
        abort(415)
    return _object(request.get_data())


def fields() -> Mapping[str, Any]:
    """The same, or form fields as RFC 7662 and RFC 7009 have them."""
    return body() if request.mimetype != FORM else form(request.get_data())


def form(raw: bytes) -> Mapping[str, str]:
    """Form fields, each of them once. Raises Malformed."""
    try:
        return _once(parse_qsl(raw.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError:
        raise Malformed("The body is not valid form fields.") from None


def text(given: Mapping[str, Any], name: str) -> str:
    """A field that is text. Raises Wrong at it."""
    value = given.get(name, "")
    if not isinstance(value, str):
        raise Wrong(Code.BAD_CHARACTERS, field=name)
    if len(value) > MOST[name]:
        raise Wrong(Code.TOO_LONG, field=name)
    return value


def needed(given: Mapping[str, Any], name: str) -> str:
    """The same where it must not be empty."""
    value = text(given, name)
    if not value:
        raise Wrong(Code.MISSING, field=name)
    return value


def _object(raw: bytes) -> Mapping[str, Any]:
    try:
        read = json.loads(raw.decode(), object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise Malformed("The body is not valid JSON.") from None
    if not isinstance(read, dict):
        raise Malformed("The body is not a JSON object.")
    return read


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A name that comes twice is refused: parsers disagree which of the two counts (RFC 8259 sec. 4)."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name comes twice")
    return found


def _refuse(_: str) -> Any:
    raise ValueError("not a number of JSON")
