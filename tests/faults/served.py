"""The real server with the tiny application, as a process of its own."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults.clients import Address, free_port, wait_for

_PROGRAM = """
import sys
from app.foundation.web.server import Bounds, serve
from tests.faults.tiny import factory
if __name__ == "__main__":
    sys.exit(serve(factory, bind=sys.argv[1], workers=int(sys.argv[2]), bounds=Bounds({bounds})))
"""
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Served:
    """A running server."""

    address: Address
    process: subprocess.Popen[bytes]
    log: Path

    def workers(self) -> list[int]:
        """The processes below the parent."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def terminate(self, seconds: float = 60) -> int:
        """TERM, and wait for the end."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


@contextlib.contextmanager
def served(directory: Path, *, host: str = "127.0.0.1", workers: int = 2, bounds: str = "") -> Iterator[Served]:
    """Start it, wait until it answers, and end it. ``bounds`` are the arguments of Bounds, as source."""
    address = (host, free_port(host))
    where = f"[{host}]:{address[1]}" if ":" in host else f"{host}:{address[1]}"
    log = directory / "server.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KEYTURN_")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM.format(bounds=bounds), where, str(workers)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        wait_for(address, 60)
        yield Served(address, process, log)
    finally:
        process.kill()  # its workers notice
        process.wait(60)
