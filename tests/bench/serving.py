"""Servers to be measured, each a tree of processes on loopback with a state directory of its own."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import packages_distributions
from pathlib import Path

from tests.bench import clocks
from tests.bench.anchor import ROOT
from tests.edges import ACCOUNT, API_KEY, API_SECRET, SENDER, Mailbox, Phone
from tests.faults.clients import Address, ask, free_port

# Packages that only tests and checks need would be imported by those of the portal that find them there, such as
# rich by structlog: memory and start-up time that no installation has.
_HIDE = """
import sys
hidden = frozenset({hidden!r})
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name in hidden:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Hide())
"""
_STORES = frozenset({"valkey-server", "redis-server"})


def _without_development(directory: Path) -> dict[str, str]:
    """An environment in which Python sees no package but those that a plain installation has."""
    runtime, all_of_them = (_packages(ROOT / f"requirements{kind}.lock") for kind in ("", "-dev"))
    owners = {module: set(map(_plainly, names)) for module, names in packages_distributions().items()}
    hidden = sorted(module for module, names in owners.items() if names & all_of_them and not names & runtime)
    directory.mkdir(exist_ok=True)
    (directory / "sitecustomize.py").write_text(_HIDE.format(hidden=hidden))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("KEYTURN_")}
    return {**clean, "PYTHONPATH": str(directory)}


def _packages(lock: Path) -> set[str]:
    found = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==", lock.read_text(encoding="utf-8"), re.MULTILINE)
    return {_plainly(name) for name in found}


def _plainly(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def environment(state: Path, port: int, phone: Phone, mailbox: Mailbox, **settings: object) -> dict[str, str]:
    """The environment of a portal as it comes, behind a proxy on this machine, with messages kept on this machine.

    Only what one client on loopback would run into is wider than by default: messages in an hour. Addresses
    are the proxy's to tell, so every visitor has one of their own.
    """
    config = state / "config"
    config.mkdir(parents=True, exist_ok=True)
    given: dict[str, object] = {
        "CONFIG": config,
        "STATE_DIR": state,
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "BIND": f"127.0.0.1:{port}",
        "TRUSTED_PROXIES": "127.0.0.1/32",
        "SMTP_URL": mailbox.url,
        "MAIL_FROM": "keyturn@example.org",
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_API_KEY_SID": API_KEY,
        "TWILIO_API_KEY_SECRET": API_SECRET,
        "TWILIO_FROM": SENDER,
        "TWILIO_API_BASE": phone.base,
        "LIMIT_MESSAGES_PER_HOUR": 1_000_000,
        "LIMIT_SMS_PER_DAY": 20_000,
        "LIMIT_SMS_PER_ORGANIZATION": 20_000,
        "LIMIT_SMS_PER_PREFIX": 10_000,
        "LIMIT_SMS_NOTICES_PER_DAY": 20_000,
        "SMS_VERIFIED_FLOOR": 0,
        **settings,
    }
    clean = _without_development(state / "hidden")
    return {**clean, **{f"KEYTURN_{name}": str(value) for name, value in given.items()}}


def keyturn(environ: Mapping[str, str], *words: str) -> None:
    """Run one of the operator's commands to its end."""
    said(environ, *words)


def said(environ: Mapping[str, str], *words: str) -> str:
    """The same, and what it printed."""
    command = [sys.executable, "-m", "app.cli", *words]
    done = subprocess.run(command, cwd=ROOT, env=environ, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"keyturn {words[0]}: {done.stderr.strip()}")
    return done.stdout


@dataclass(frozen=True, slots=True)
class Used:
    """CPU seconds by what they were used for. ``pages`` is the web processes without the threads that hash."""

    pages: float = 0.0
    hashes: float = 0.0
    store: float = 0.0
    sender: float = 0.0
    parent: float = 0.0

    def __sub__(self, other: "Used") -> "Used":
        return Used(
            self.pages - other.pages,
            self.hashes - other.hashes,
            self.store - other.store,
            self.sender - other.sender,
            self.parent - other.parent,
        )

    @property
    def requests(self) -> float:
        """What answering took, without slow hashes: the web processes and the embedded store."""
        return self.pages + self.store

    @property
    def total(self) -> float:
        """Everything but the supervisor, which does the same whether or not anybody comes."""
        return self.pages + self.hashes + self.store + self.sender


@dataclass
class Running:
    """A running server and who is who in it."""

    address: Address
    process: subprocess.Popen[bytes]
    log: Path
    hashing: set[tuple[int, int]] = field(default_factory=set)  # (process, thread)

    @property
    def store(self) -> list[int]:
        """The embedded store."""
        return [pid for pid in clocks.children_of(self.process.pid) if clocks.program_of(pid) in _STORES]

    @property
    def web(self) -> list[int]:
        """The server's own parent and its workers."""
        if self.plain:
            return clocks.tree_of(self.process.pid)
        found = [pid for pid in clocks.children_of(self.process.pid) if clocks.children_of(pid)]
        return [one for pid in found for one in clocks.tree_of(pid)]

    @property
    def workers(self) -> list[int]:
        """The processes that answer requests."""
        return [pid for pid in self.web if not clocks.children_of(pid) and pid != self.process.pid]

    @property
    def sender(self) -> list[int]:
        """The process that sends messages."""
        known = {*self.store, *self.web}
        return [] if self.plain else [pid for pid in clocks.children_of(self.process.pid) if pid not in known]

    @property
    def plain(self) -> bool:
        """Whether it is the bare Flask page."""
        return "tests.bench.plain" in self.process.args  # type: ignore[operator]

    def used(self) -> Used:
        """What it has used up to now."""
        time.sleep(0.01)  # what is done after a reply belongs to the request too
        web = sum(clocks.cpu_of(pid) for pid in self.web)
        hashes = sum(clocks.threads_of(pid).get(thread, 0.0) for pid, thread in self.hashing)
        return Used(
            pages=web - hashes,
            hashes=hashes,
            store=sum(map(clocks.cpu_of, self.store)),
            sender=sum(map(clocks.cpu_of, self.sender)),
            parent=0.0 if self.plain else clocks.cpu_of(self.process.pid),
        )

    def threads(self) -> dict[tuple[int, int], float]:
        """CPU seconds of each thread of each worker."""
        return {(pid, thread): cpu for pid in self.workers for thread, cpu in clocks.threads_of(pid).items()}


@dataclass(frozen=True, slots=True)
class Start:
    """What it took until the first page was there."""

    cpu: float
    wall: float


def _launch(command: list[str], environ: Mapping[str, str], log: Path, address: Address) -> tuple[Running, Start]:
    began = time.monotonic()
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    running = Running(address, process, log)
    page = "/" if running.plain else "/sign-in"
    while True:
        with contextlib.suppress(OSError):
            status, _, _ = ask(address, page, seconds=5)
            if status == 200:
                return running, Start(clocks.cpu_of_tree(process.pid), time.monotonic() - began)
        if process.poll() is not None or time.monotonic() > began + 60:
            process.kill()
            raise RuntimeError(f"the server did not start:\n{log.read_text(errors='replace')[-2_000:]}")
        time.sleep(0.01)


def stop(running: Running) -> None:
    """End it in order."""
    running.process.send_signal(signal.SIGTERM)
    try:
        running.process.wait(40)
    except subprocess.TimeoutExpired:
        running.process.kill()
        running.process.wait()


@contextlib.contextmanager
def portal(environ: Mapping[str, str]) -> Iterator[tuple[Running, Start]]:
    """``keyturn serve`` on a database that is there already."""
    host, _, port = environ["KEYTURN_BIND"].rpartition(":")
    log = Path(environ["KEYTURN_STATE_DIR"]) / "serve.log"
    running, start = _launch([sys.executable, "-m", "app.cli", "serve"], environ, log, (host, int(port)))
    try:
        yield running, start
    except Exception as error:
        error.add_note(f"the last words of the portal:\n{log.read_text(errors='replace')[-4_000:]}")
        raise
    finally:
        stop(running)


@contextlib.contextmanager
def plain_page(directory: Path) -> Iterator[Running]:
    """The bare Flask page, on the same server with one worker."""
    address = ("127.0.0.1", free_port())
    where = f"{address[0]}:{address[1]}"
    command = [sys.executable, "-m", "tests.bench.plain", where, str(directory / "plain.sqlite")]
    running, _ = _launch(command, _without_development(directory / "hidden"), directory / "plain.log", address)
    try:
        yield running
    finally:
        stop(running)
