"""Counters for Prometheus, shared by all worker processes through files in STATE_DIR/metrics."""

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"


def prepare(state_dir: Path) -> None:
    """Empty the directory of the counters; once, in the parent, before any worker starts."""
    folder = state_dir / "metrics"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    os.environ[DIRECTORY] = str(folder)


class Metrics:
    """What the portal counts about itself. Nothing in it names a person, an address or a path with a token."""

    def __init__(self) -> None:
        # read by prometheus_client when it is first imported, so it is imported no earlier than here
        from prometheus_client import CollectorRegistry, Counter, Histogram  # noqa: PLC0415

        self._registry = CollectorRegistry()
        # in several processes the files are read instead of this registry
        self._requests = Counter(
            "keyturn_requests_total", "Requests answered", ["route", "method", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "keyturn_request_seconds",
            "Time to answer",
            ["route"],
            registry=self._registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0),
        )
        self._known: dict[
            tuple[str, str, int], tuple[Counter, Histogram]
        ] = {}  # looking one up takes as long as counting
        self._gauges: list[Callable[[], Iterable[tuple[str, str, float]]]] = []

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answer. ``route`` is the rule, never the path."""
        key = route, method, status
        found = self._known.get(key)
        if found is None:
            found = self._requests.labels(route, method, str(status)), self._seconds.labels(route)
            self._known[key] = found
        counter, histogram = found
        counter.inc()
        histogram.observe(seconds)

    def watch(self, gauge: Callable[[], Iterable[tuple[str, str, float]]]) -> None:
        """Have (name, description, value) asked for whenever the page is read."""
        self._gauges.append(gauge)

    def page(self) -> bytes:
        """All counters in Prometheus' text format."""
        from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415
        from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415

        registry: Any = self._registry
        if os.environ.get(DIRECTORY):
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
        lines = [generate_latest(registry)]
        for gauge in self._gauges:
            for name, description, value in gauge():
                lines.append(f"# HELP {name} {description}\n# TYPE {name} gauge\n{name} {value}\n".encode())
        return b"".join(lines)
