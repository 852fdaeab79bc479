"""The real portal as a process of its own, with people whose phones and mailboxes a test can read."""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from argon2 import PasswordHasher

from app.foundation.settings import ROOT
from tests.edges import ACCOUNT, API_KEY, API_SECRET, SENDER, Mail, Mailbox, Phone, Text, wait_until
from tests.faults.clients import free_port, wait_for
from tests.services import die_with_parent, short_directory

_T = TypeVar("_T")

PASSWORD = "forty quiet herons at dawn"
STEP = 30  # seconds that a code lives (RFC 6238)
# nobody's limits are on trial here, and every visitor comes from this one address
_WIDE = {"KEYTURN_LIMIT_STARTS_PER_ADDRESS": "100000", "KEYTURN_LIMIT_TRIES_PER_ADDRESS": "100000"}


def code_of(oathtool: Path, secret: str, *, late: int = 0) -> str:
    """What an independent authenticator shows; ``late`` is how many steps its clock lags behind."""
    at = f"@{time.time() - late * STEP:.0f}"
    shown = subprocess.run([oathtool, "--totp", "-b", secret, "-N", at], capture_output=True, check=True, text=True)
    return shown.stdout.strip()


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who was imported, with what they know and have."""

    user_id: str
    secret: str  # base32
    phone: str
    email: str
    oathtool: Path = field(repr=False)
    password: str = PASSWORD

    def code(self, *, late: int = 0) -> str:
        """What their authenticator app shows."""
        return code_of(self.oathtool, self.secret, late=late)

    def wrong_code(self) -> str:
        """A code that their app shows at no time within half an hour."""
        window = ["-w", "60", "-N", f"@{time.time() - 30 * STEP:.0f}"]
        shown = subprocess.run(
            [self.oathtool, "--totp", "-b", self.secret, *window], capture_output=True, check=True, text=True
        )
        return next(code for code in (f"{n:06}" for n in range(1_000)) if code not in shown.stdout.split())


class House:
    """A running `keyturn serve`. Each person is handed out once, so that no test meets what another did."""

    def __init__(
        self,
        address: str,
        people: list[Person],
        phone: Phone,
        mailbox: Mailbox,
        log: Path,
        environ: Mapping[str, str],
    ) -> None:
        self.address = address
        self._environ = environ
        self.phone = phone
        self.mailbox = mailbox
        self._people = people
        self._log = log

    def somebody(self) -> Person:
        """A person whom no test has met."""
        return self._people.pop()

    def command(self, *arguments: str, typed: str = "") -> str:
        """What `keyturn` says, run by the operator beside the portal."""
        done = subprocess.run(
            [sys.executable, "-m", "app.cli", *arguments],
            cwd=ROOT,
            env=dict(self._environ),
            input=typed.encode(),
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done
        return done.stdout.decode()

    def text(self, person: Person, count: int = 1) -> Text:
        """The newest of so many texts to a person, as soon as there are that many; there are no more."""
        return _newest(lambda: self.phone.to(person.phone), count)

    def mail(self, person: Person, count: int = 1) -> Mail:
        """The same of letters."""
        return _newest(lambda: self.mailbox.to(person.email), count)

    def logged(self, **wanted: object) -> list[dict[str, object]]:
        """The lines of the log that say all this."""
        written = self._log.read_text().splitlines(keepends=True)
        lines = [json.loads(line) for line in written if line.startswith("{") and line.endswith("\n")]
        return [line for line in lines if all(line.get(name) == value for name, value in wanted.items())]


def _newest(look: Callable[[], list[_T]], count: int) -> _T:
    wait_until(lambda: len(look()) >= count, 60, lambda: f"{len(look())} messages instead of {count}")
    found = look()
    assert len(found) == count
    return found[-1]


def _environ(home: Path, **settings: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("KEYTURN_")}
    config = home / "config"
    config.mkdir(exist_ok=True)
    paths = {"KEYTURN_CONFIG": str(config), "KEYTURN_STATE_DIR": str(home / "state")}
    return {**plain, **paths, **_WIDE, **settings}


@contextmanager
def _home() -> Iterator[Path]:
    home = short_directory("kt-br-")
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _running(arguments: list[str], environ: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*die_with_parent("TERM"), sys.executable, "-m", "app.cli", *arguments],
            cwd=ROOT,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
            raise


@contextmanager
def serving(
    oathtool: Path, people: Sequence[str], *, public_url: str = "", port: int = 0, **settings: str
) -> Iterator[House]:
    """`keyturn serve` with people of these User IDs and PASSWORD, against a phone and a mailbox on this machine."""
    port = port or free_port()
    cast = [
        Person(
            user_id,
            base64.b32encode(os.urandom(20)).decode(),
            f"+4917000001{n:02}",
            f"post{n:02}@example.org",
            oathtool,
        )
        for n, user_id in enumerate(people)
    ]
    hashed = PasswordHasher(memory_cost=19_456, time_cost=2, parallelism=1).hash(PASSWORD)
    rows = [
        {
            "user_id": one.user_id,
            "first_name": "Robin",
            "phone": one.phone,
            "email": one.email,
            "password_hash": hashed,
            "totp_secret": one.secret,
            "contacts_verified": True,
        }
        for one in cast
    ]
    with _home() as home, Phone() as phone, Mailbox() as mailbox:
        log = home / "log"
        environ = _environ(
            home,
            KEYTURN_BIND=f"127.0.0.1:{port}",
            KEYTURN_PUBLIC_URL=public_url or f"http://127.0.0.1:{port}",
            KEYTURN_WORKERS="1",
            KEYTURN_SMTP_URL=mailbox.url,
            KEYTURN_MAIL_FROM="keyturn@example.org",
            KEYTURN_TWILIO_ACCOUNT_SID=ACCOUNT,
            KEYTURN_TWILIO_API_KEY_SID=API_KEY,
            KEYTURN_TWILIO_API_KEY_SECRET=API_SECRET,
            KEYTURN_TWILIO_FROM=SENDER,
            KEYTURN_TWILIO_API_BASE=phone.base,
            KEYTURN_SUPPORT_PHONE="+49 30 5550 100",
            **settings,
        )
        imported = subprocess.run(
            [sys.executable, "-m", "app.cli", "user", "import", "-"],
            cwd=ROOT,
            env=environ,
            input="\n".join(json.dumps(row) for row in rows).encode(),
            capture_output=True,
            check=False,
        )
        assert imported.returncode == 0, imported
        with _running(["serve"], environ, log) as process:
            _wait_for(("127.0.0.1", port), process, log)
            yield House(environ["KEYTURN_PUBLIC_URL"], cast, phone, mailbox, log, environ)


def _wait_for(address: tuple[str, int], process: subprocess.Popen[bytes], log: Path) -> None:
    try:
        wait_for(address, 120)
    except OSError:
        raise AssertionError((process.poll(), log.read_text())) from None


@contextmanager
def demonstrating() -> Iterator[str]:
    """`keyturn demo`; its address, as it prints it."""
    with _home() as home:
        log = home / "log"

        def address() -> str:
            told = re.search(r"^Keyturn's demo: (http://\S+)$", log.read_text(), re.MULTILINE)
            return told[1] if told else ""

        with _running(["demo", "--port", "0"], _environ(home), log) as process:
            wait_until(lambda: bool(address()) or process.poll() is not None, 120, log.read_text)
            assert address(), log.read_text()
            yield address()
