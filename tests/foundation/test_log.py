"""The log: one line of JSON for each event, whoever speaks, with frames but without the values in them."""

import json
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

FORGERIES = {
    "line": 'a\n{"event": "forged"}',
    "separator": "a\u2028b",
    "terminal": "a\x1b[31mb",
    "nul": "a\0b",
    "surrogate": "a\ud800b",
    "umlaut": "aüb",
}
LIBRARIES = ("twilio.http_client", "urllib3.connectionpool", "sqlalchemy.engine.Engine", "alembic")
LEVELS = {"DEBUG": 4, "INFO": 3, "WARNING": 2, "ERROR": 1}
_EACH = "; ".join(f"say.{name}('x')" for name in ("debug", "info", "warning", "error"))

# name: the level that is configured, and what is said then
PROGRAMS: dict[str, tuple[str, str]] = {
    "event": ("INFO", "structlog.get_logger().info('request', status=200, route='/recovery/<id>')"),
    "standard library": ("INFO", "logging.getLogger('granian').warning('worker %s left', 3)"),
    "traceback": (
        "INFO",
        """
def check(password):
    local = password + "!"
    raise RuntimeError("no")
try:
    check("marked-password")
except RuntimeError as error:
    structlog.get_logger().error("unexpected", exc_info=error)
    logging.exception("unexpected")
""",
    ),
    "context": (
        "INFO",
        """
with structlog.contextvars.bound_contextvars(request_id="r1"):
    structlog.get_logger().info("a")
    logging.warning("b")
""",
    ),
    **{
        f"forged {name}": ("INFO", f"structlog.get_logger().info('x', path={text!r}); logging.warning({text!r})")
        for name, text in FORGERIES.items()
    },
    **{f"structlog {level}": (level, f"say = structlog.get_logger(); {_EACH}") for level in LEVELS},
    **{f"logging {level}": (level, f"say = logging.getLogger('app'); {_EACH}") for level in LEVELS},
    **{name: ("DEBUG", f"logging.getLogger({name!r}).info('PIN 123456')") for name in LIBRARIES},
}
_RUN = """
import json, logging, sys
import structlog
from app.foundation.log import configure
for name, (level, program) in json.loads(sys.argv[1]).items():
    print(json.dumps({"program": name}), flush=True)
    configure(level)
    exec(program, {"logging": logging, "structlog": structlog})
    sys.stdout.flush()
"""


@pytest.fixture(scope="module")
def said() -> Mapping[str, list[dict[str, Any]]]:
    """What each program leaves on standard output; in a process of its own, because configuring is for good."""
    arguments = [sys.executable, "-c", _RUN, json.dumps(PROGRAMS)]
    done = subprocess.run(arguments, capture_output=True, check=True, timeout=60)
    assert done.stderr == b""
    assert done.stdout.isascii()
    groups: dict[str, list[dict[str, Any]]] = {}
    for line in map(json.loads, done.stdout.splitlines()):
        if "program" in line:
            groups[line["program"]] = []
        else:
            groups[list(groups)[-1]].append(line)
    return groups


def test_each_event_is_a_line_of_json_with_level_and_utc_time(said):
    [line] = said["event"]
    assert {key: line[key] for key in ("event", "level", "status", "route")} == {
        "event": "request",
        "level": "info",
        "status": 200,
        "route": "/recovery/<id>",
    }
    assert line["at"].endswith("Z")
    assert abs((datetime.now(UTC) - datetime.fromisoformat(line["at"])).total_seconds()) < 300


def test_the_standard_library_speaks_the_same_language(said):
    [line] = said["standard library"]
    assert (line["event"], line["level"]) == ("worker 3 left", "warning")
    assert line["at"].endswith("Z")


@pytest.mark.parametrize("name", FORGERIES)
def test_nobody_can_forge_a_line_or_talk_to_the_terminal(said, name):
    one, other = said[f"forged {name}"]
    assert (one["event"], one["path"], other["event"]) == ("x", FORGERIES[name], FORGERIES[name])


def test_a_traceback_names_places_and_no_values(said):
    lines = said["traceback"]
    assert len(lines) == 2
    for line in lines:
        assert "marked" not in json.dumps(line)
        [raised] = line["exception"]
        assert (raised["exc_type"], raised["exc_value"]) == ("RuntimeError", "no")
        assert raised["frames"][-1]["name"] == "check"


@pytest.mark.parametrize("level", LEVELS)
def test_the_level_counts_for_both(said, level):
    assert len(said[f"structlog {level}"]) == len(said[f"logging {level}"]) == LEVELS[level]


@pytest.mark.parametrize("name", LIBRARIES)
def test_libraries_that_print_what_they_send_are_silent_even_when_all_else_speaks(said, name):
    assert said[name] == []


def test_what_is_bound_to_the_context_is_on_every_line(said):
    assert [line["request_id"] for line in said["context"]] == ["r1", "r1"]
