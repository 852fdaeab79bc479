"""The command as an operator runs it: in this process where that suffices, in one of its own where it must."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result

from app.cli import main
from app.foundation.settings import ROOT
from tests.faults.clients import free_port
from tests.services import short_directory


@dataclass
class Operator:
    """Somebody at a terminal with a state directory of their own."""

    state: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def environ(self) -> dict[str, str]:
        """What a command is started with: nothing of what this test run was started with."""
        plain = {name: value for name, value in os.environ.items() if not name.startswith("KEYTURN_")}
        return {**plain, "KEYTURN_STATE_DIR": str(self.state), **self.env}

    def run(self, *args: str, typed: str | bytes | None = None) -> Result:
        """The command in this process."""
        mask = os.umask(0)
        os.umask(mask)
        logging = structlog.get_config()
        hidden = {name: None for name in os.environ if name.startswith("KEYTURN_")}
        try:
            return CliRunner(env={**hidden, **self.environ}).invoke(main, args, input=typed, prog_name="keyturn")
        finally:
            os.umask(mask)
            structlog.configure(**logging)

    def ok(self, *args: str, typed: str | bytes | None = None) -> Result:
        """The same, which has to end well."""
        result = self.run(*args, typed=typed)
        assert result.exit_code == 0, (result.output, result.exception)
        return result

    def refused(self, *args: str, typed: str | bytes | None = None) -> str:
        """The one line that says why it ended with 1."""
        result = self.run(*args, typed=typed)
        assert result.exit_code == 1, (result.output, result.exception)
        lines = result.stderr.strip().splitlines()
        assert lines[-1].startswith("Error: "), result.stderr
        assert "Traceback" not in result.output
        return lines[-1].removeprefix("Error: ")

    def call(self, *args: str, typed: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """The command in a process of its own."""
        return subprocess.run(
            command(*args), cwd=ROOT, env=self.environ, input=typed, capture_output=True, check=False, timeout=180
        )

    @contextmanager
    def running(self, *args: str) -> Iterator[subprocess.Popen[bytes]]:
        """The command in the background, which is told to stop in the end."""
        process = subprocess.Popen(
            command(*args), cwd=ROOT, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        said = b""
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                said, _ = process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                said, _ = process.communicate()
                raise
            finally:
                sys.stdout.write(said.decode(errors="replace"))  # pytest shows it where the test fails


def command(*args: str) -> Sequence[str]:
    """The installed command."""
    return [str(Path(sys.executable).with_name("keyturn")), *args]


@pytest.fixture
def operator() -> Iterator[Operator]:
    """With settings of their own, and a short path, because a socket lies below it."""
    home = short_directory("kt-op-")
    config = home / "config"
    config.mkdir()
    # the usual port may be somebody else's
    yield Operator(home / "state", {"KEYTURN_CONFIG": str(config), "KEYTURN_BIND": f"127.0.0.1:{free_port()}"})
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def either(operator: Operator, empty_database_url: str) -> Operator:
    """The same on each kind of database in turn."""
    operator.env["KEYTURN_DATABASE_URL"] = empty_database_url
    return operator


def words(text: str) -> str:
    """Output with its columns closed up."""
    return re.sub(r"[ \t]+", " ", text)
