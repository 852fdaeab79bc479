"""``python -m tests.bench``: what things cost, against the goals (docs/performance.md says how to read it)."""

import json
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import click

from tests.bench import measures, programs, serving
from tests.bench.anchor import Anchor
from tests.bench.measures import CORES, Site
from tests.bench.report import Findings, judge
from tests.bench.walk import Handsets
from tests.edges import Mailbox

SMALL, LARGE = "few", "many"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--full", is_flag=True, help="1,000,000 people and 10,000 hashes, as the goals say; takes much longer.")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write all figures there too.")
@click.option("--people", type=click.IntRange(2_000), help="The large database.  [100,000; with --full 1,000,000]")
@click.option("--rounds", type=click.IntRange(1), default=10, show_default=True, help="Of alternating windows.")
@click.option("--visitors", type=click.IntRange(1), default=12, show_default=True, help="Requests in a window.")
@click.option("--seconds", type=click.FloatRange(1), default=6.0, show_default=True, help="A window of the flood.")
def main(*, full: bool, file: Path | None, people: int | None, rounds: int, visitors: int, seconds: float) -> None:
    """Measure the portal on this machine, as ratios to a bare Argon2id verify and a bare Flask page."""
    if rounds * visitors > 600:
        raise click.UsageError("of 1,000 people 700 recover, each once: rounds times visitors may be 600 at most")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kt-bench-", dir="/tmp") as directory, ExitStack() as stack:
        bench = _Bench(Path(directory), stack, full=full)
        bench.compare(people or (1_000_000 if full else 100_000), rounds, visitors)
        bench.flood(seconds, 10_000 if full else 500)
        report = judge(bench.found)
    bench.tell("")
    click.echo(report.table())
    click.echo(f"\n{time.monotonic() - began:.0f} s")
    if file:
        file.write_text(json.dumps(report.figures(), indent=2) + "\n", encoding="utf-8")


class _Bench:
    """The sequence of measurements."""

    def __init__(self, directory: Path, stack: ExitStack, *, full: bool) -> None:
        self._directory = directory
        self._stack = stack
        self._anchors = [stack.enter_context(Anchor()) for _ in range(CORES)]
        self.found = Findings(full=full)

    def tell(self, what: str) -> None:
        """Say on a terminal what goes on."""
        if sys.stderr.isatty():
            click.echo(f"\r\x1b[K{what}", nl=False, err=True)

    def _edges(self, stack: ExitStack) -> tuple[Handsets, Mailbox]:
        return stack.enter_context(Handsets()), stack.enter_context(Mailbox())

    def compare(self, people: int, rounds: int, visitors: int) -> None:
        """Few people, many people and a bare page, side by side: one worker each, one visitor at a time."""
        with ExitStack() as stack:
            environs, sites = {}, {}
            for name, count in ((SMALL, 1_000), (LARGE, people)):
                self.tell(f"writing {count:,} people")
                phone, mailbox = self._edges(stack)
                environs[name] = measures.prepared(self._directory / name, phone, mailbox, count, WORKERS=1)
                running, _ = stack.enter_context(serving.portal(environs[name]))
                sites[name] = Site(running, phone, count)
            plain = stack.enter_context(serving.plain_page(self._directory))
            anchor = self._anchors[0]
            self.found.people = people
            self.found.rounds = measures.side_by_side(
                sites, plain, anchor, rounds=rounds, visitors=visitors, tell=self.tell
            )
            self.tell("counting slow hashes")
            self.found.counts = measures.counted(sites[SMALL], anchor, max(1, visitors // 3))
            self.found.html = measures.html(sites[SMALL])
            self.tell("asking about a token")
            self.found.introspection = programs.introspection(
                sites[SMALL].running, plain, environs[SMALL], rounds=9, each=200
            )
            self.tell("looking people up")
            self.found.look_ups = measures.look_ups(environs[SMALL], environs[LARGE], (1_000, people))

    def flood(self, seconds: float, hashes: int) -> None:
        """The portal as it comes: cold start, memory, and many visitors at once."""
        with ExitStack() as stack:
            phone, mailbox = self._edges(stack)
            environ = measures.prepared(self._directory / "as-it-comes", phone, mailbox, 5_000)
            for number in range(4):
                self.tell("starting")
                with serving.portal(environ) as (_, start):
                    if number:  # the first one compiles
                        self.found.starts.append(start)
            running, _ = stack.enter_context(serving.portal(environ))
            site = Site(running, phone, 5_000)
            self.found.memory_before = measures.memory(running)
            self.tell("twelve clients sign in")
            flood = measures.flooded(site, self._anchors, clients_=12, windows=3, seconds=seconds)
            self.tell("several recover at once")
            measures.recovering_at_once(site, self._anchors, flood, windows=3, walkers=3 * CORES, each=5)
            self.tell("hashing on")
            self.found.hashes = measures.hash_on(site, flood, hashes)
            self.found.memory_after = measures.memory(running)
            self.found.flood = flood


if __name__ == "__main__":
    main()
