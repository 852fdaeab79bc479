"""`keyturn serve` and `keyturn worker`: store, pages and sender as processes."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import click

from app.cli.house import NO_STORE, open_database, open_house, read_settings

if TYPE_CHECKING:
    from flask import Flask

    from app.foundation.settings import Settings

_PAGES_GRACE = 40.0  # seconds; replies get 30 to finish
_WORKER_GRACE = 20.0  # a message that is being sent is sent to its end
_WORKER_PATIENCE = 30.0


@click.command()
@click.option("--no-worker", is_flag=True, help="Send no messages here; `keyturn worker` does.")
@click.pass_context
def serve(context: click.Context, *, no_worker: bool) -> None:
    """Run the portal: pages, worker and, unless REDIS_URL is set, the embedded store."""
    settings = read_settings()
    with open_house(settings, prepare=True):
        pass
    context.exit(run(settings, with_worker=not no_worker))


@click.command()
@click.pass_context
def worker(context: click.Context) -> None:
    """Send messages, and nothing else."""
    settings = read_settings()
    _await_current(settings)
    with open_house(settings, prepare=False):
        _check_channels(settings)
        _speak(settings)
    context.exit(_send(settings, settings.redis_url or NO_STORE))


def run(settings: "Settings", *, with_worker: bool, ready: Callable[[], None] | None = None) -> int:
    """Store, pages and worker until told to stop; they end in the other order. Returns the exit status."""
    from app.foundation import metrics
    from app.foundation.chance import SystemChance
    from app.foundation.clock import SystemClock
    from app.foundation.ephemeral.embedded import EmbeddedStore
    from app.foundation.processes import Child, Children
    from app.foundation.web.server import claim

    clock, chance = SystemClock(), SystemChance()
    # whatever can be refused is refused here, in one line, and not again and again in a child
    claim(settings.bind)
    if with_worker:
        _check_channels(settings)
    _speak(settings)
    store = None if settings.redis_url else EmbeddedStore(settings.state_dir, chance, clock)
    try:
        url = store.start() if store else settings.redis_url
        metrics.prepare(settings.state_dir)
        children = [Child("web", partial(_serve_pages, settings, url), _PAGES_GRACE)]
        if with_worker:
            children.append(Child("worker", partial(_send, settings, url), _WORKER_GRACE))
        waiting = [ready] if ready else []

        def tend() -> None:
            if store:
                store.ensure()
            if waiting and _listens(settings.bind):
                waiting.pop()()

        return Children(clock, chance, children, tend=tend, in_child=store.detach if store else None).run()
    finally:
        if store:
            store.stop()


def _serve_pages(settings: "Settings", store_url: str) -> int:
    from app import wiring
    from app.foundation.clock import SystemClock
    from app.foundation.web import downloads
    from app.foundation.web.application import MOST_BYTES
    from app.foundation.web.server import Bounds
    from app.foundation.web.server import serve as serve_pages
    from app.journeys.importing.model import IMPORT, MOST_UPLOADED

    def factory() -> "Flask":
        base = wiring.build_foundation(settings, ephemeral_url=store_url)
        return wiring.build_web(base, wiring.build_means(base))

    larger = {IMPORT: MOST_UPLOADED}
    downloads.forget(SystemClock().now())
    bounds = Bounds(threads=wiring.THREADS, body_size=MOST_BYTES, larger=larger)
    return serve_pages(factory, bind=settings.bind, workers=settings.workers, bounds=bounds)


def _send(settings: "Settings", store_url: str) -> int:
    import signal
    import threading

    from app import wiring

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    base = wiring.build_foundation(settings, ephemeral_url=store_url)
    try:
        wiring.run_worker(base, stop)
    finally:
        base.database.close()
    return 0


def _check_channels(settings: "Settings") -> None:
    """Raise BadSetting where a channel could not be opened."""
    from app.foundation.clock import SystemClock
    from app.records.delivery import channels

    channels.build(settings, SystemClock())


def _speak(settings: "Settings") -> None:
    from app.foundation.log import configure

    configure(settings.log_level)


def _await_current(settings: "Settings") -> None:
    """`serve` may be migrating at this moment: a worker that starts beside it waits a little."""
    from app.foundation.clock import SystemClock
    from app.foundation.sql import migrations

    clock, database = SystemClock(), open_database(settings)
    try:
        until = clock.monotonic() + _WORKER_PATIENCE
        while not migrations.at_head(database) and clock.monotonic() < until:
            clock.sleep(0.5)
    finally:
        database.close()


def _listens(bind: str) -> bool:
    import socket

    host, _, port = bind.rpartition(":")
    with suppress(OSError), socket.create_connection((host.strip("[]"), int(port)), timeout=1):
        return True
    return False
