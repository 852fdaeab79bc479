"""What was found, beside the goals of docs/performance.md, as a plain table."""

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.bench.clocks import Memory
from tests.bench.measures import CORES, Count, Flood, Html, Rounds, Window
from tests.bench.serving import Start
from tests.bench.walk import RECOVERY, SIGN_IN, Step

FEW, MANY = "few", "many"
# goals in milliseconds were set on a machine on which a bare verify takes so many seconds
_REFERENCE = 0.040


@dataclass
class Findings:
    """Everything that was measured."""

    full: bool
    people: int = 0
    rounds: Rounds = field(default_factory=lambda: Rounds({}, [], {}, {}))
    counts: dict[str, Count] = field(default_factory=dict)
    html: Html = field(default_factory=lambda: Html({}, {}, cached_for_good=False))
    look_ups: float = 0.0
    introspection: float = 0.0  # x a bare page
    starts: list[Start] = field(default_factory=list)
    memory_before: dict[str, list[Memory]] = field(default_factory=dict)
    memory_after: dict[str, list[Memory]] = field(default_factory=dict)
    hashes: int = 0
    flood: Flood = field(default_factory=lambda: Flood(0))


@dataclass(frozen=True, slots=True)
class Row:
    """One line. ``met`` is None where there is no goal."""

    what: str
    measured: str
    goal: str = ""
    met: bool | None = None


@dataclass
class Report:
    """The lines by chapter, and the bare figures."""

    findings: Findings
    chapters: dict[str, list[Row]]

    def table(self) -> str:
        """For people."""
        rows = [row for chapter in self.chapters.values() for row in chapter]
        what = max(len(row.what) for row in rows)
        measured = max(len(row.measured) for row in rows)
        goal = max(len(row.goal) for row in rows)
        lines = []
        for title, chapter in self.chapters.items():
            lines += ["", title]
            for row in chapter:
                verdict = {None: "", True: "met", False: "NOT MET"}[row.met]
                line = f"  {row.what:<{what}}  {row.measured:>{measured}}  {row.goal:<{goal}}  {verdict}"
                lines.append(line.rstrip())
        return "\n".join(lines[1:])

    def figures(self) -> dict[str, Any]:
        """For programs."""
        chapters = {title: [asdict(row) for row in rows] for title, rows in self.chapters.items()}
        return {"table": chapters, "found": asdict(self.findings)}


def judge(found: Findings) -> Report:
    """Compare with the goals."""
    return Report(
        found,
        {
            "Anchor": list(_anchor(found)),
            "Rate per CPU-second, as a part of what the hashes alone allow (goal 1)": list(_rate(found)),
            "Slow hashes (goal 2)": list(_counts(found)),
            "CPU outside the slow hashes: of A; x the bare Flask page (goal 3)": list(_requests(found)),
            f"{found.people:,} people beside 1,000, CPU outside the slow hashes (goal 4)": list(_sizes(found)),
            "Memory and start (goal 5)": list(_resources(found)),
            f"Other pages while {found.flood.clients} clients sign in (goal 6)": list(_latency(found)),
            "Bytes (goal 7)": list(_bytes(found)),
        },
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1_000:.2f} ms" if seconds < 0.01 else f"{seconds * 1_000:.1f} ms"


def _a(found: Findings) -> float:
    return statistics.median(found.rounds.anchors)


def _anchor(found: Findings) -> Iterator[Row]:
    a, flood = _a(found), found.flood
    yield Row("A: a bare Argon2id verify (19 MiB, 2 passes), one at a time", f"{_ms(a)} CPU")
    yield Row(f"the same, {CORES} at once", f"{_ms(statistics.median(flood.anchors))} CPU")
    yield Row(f"bare verifies on {CORES} cores", f"{statistics.median(flood.rates):.1f}/s")
    plain = found.rounds.of_step(FEW, "GET /sign-in", lambda window: window.plain)
    yield Row("a bare Flask page (one template, one SQLite read), same server", f"{_ms(plain)} CPU")


def _of_a(window: Window) -> float:
    return window.used.requests / window.anchor


def _with_hashes(window: Window) -> float:
    return (window.used.requests + window.used.hashes) / window.anchor


def _hashes(steps: Iterable[Step]) -> int:
    return sum(step.hashes for step in steps)


def _rate(found: Findings) -> Iterator[Row]:
    rounds, flood = found.rounds, found.flood
    check = 1 / rounds.of_step(FEW, "POST /sign-in/password", _with_hashes)
    yield Row("password check: POST /sign-in/password", f"{check:.2f}")
    sign_in = _hashes(SIGN_IN) / rounds.of_journey(FEW, SIGN_IN, _with_hashes)
    yield _at_least("sign-in (User ID, password), one at a time", sign_in, 0.85)
    busy = 1 / statistics.median(flood.sign_ins)
    yield _at_least(f"sign-in, {flood.clients} clients at once", busy, 0.85)
    recovery = _hashes(RECOVERY) / (rounds.of_journey(FEW, RECOVERY, _with_hashes) + rounds.sender[FEW])
    yield _at_least("whole recovery with its three messages, one at a time", recovery, 0.72)
    at_once = _hashes(RECOVERY) / statistics.median(flood.recoveries)
    yield _at_least(f"whole recovery with its three messages, {3 * CORES} at once", at_once, 0.72)
    hashing = rounds.of_step(FEW, "POST /sign-in/password", lambda window: window.used.hashes / window.anchor)
    yield Row("a slow hash in the portal ÷ A", f"{hashing:.3f}")


def _at_least(what: str, measured: float, bound: float) -> Row:
    return Row(what, f"{measured:.2f}", f"≥ {bound:.2f}", measured >= bound)


def _counts(found: Findings) -> Iterator[Row]:
    bounds = {
        "sign-in, right password": 1,
        "sign-in, wrong password": 1,
        "sign-in, unknown person": 1,
        "recovery start": 0,
        "recovery start, unknown person": 0,
        "recovery, wrong code": 0,
        "recovery, wrong code, unknown person": 0,
        "recovery, new password": 2,
    }
    for name, count in found.counts.items():
        bound = bounds[name]
        sign = "≤" if name == "recovery, new password" else "="
        met = count.hashes <= bound if sign == "≤" else count.hashes == bound
        yield Row(name, f"{count.hashes:g}", f"{sign} {bound}", met)
    for known, unknown in (
        ("sign-in, wrong password", "sign-in, unknown person"),
        ("recovery start", "recovery start, unknown person"),
        ("recovery, wrong code", "recovery, wrong code, unknown person"),
    ):
        ratio = found.counts[unknown].total / found.counts[known].total
        yield Row(f"CPU: {unknown} ÷ known", f"{ratio:.2f}")


def _requests(found: Findings) -> Iterator[Row]:
    rounds = found.rounds
    for journey in (SIGN_IN, RECOVERY):
        for step in journey:
            of_a = rounds.of_step(FEW, step.name, _of_a)
            of_page = rounds.of_step(FEW, step.name, lambda window: window.used.requests / window.plain)
            seconds = rounds.of_step(FEW, step.name, lambda window: window.used.requests)
            told = f"{_ms(seconds)}  {of_a:.3f} A  {of_page:4.1f}x"
            if step.counts:
                yield Row(step.name, told, "≤ 0.050 A", of_a <= 0.05)
            else:
                yield Row(f"{step.name} (every two seconds, with JavaScript)", told)
    whole = rounds.of_journey(FEW, RECOVERY, _of_a)
    yield Row("whole recovery, all requests", f"{whole:.3f} A", "≤ 0.30 A", whole <= 0.30)
    store = rounds.of_journey(FEW, RECOVERY, lambda window: window.used.store / window.anchor)
    yield Row("of that the embedded store", f"{store:.3f} A")
    yield Row("its messages, by the sender (three; two by SMS)", f"{rounds.sender[FEW]:.3f} A")
    middle = statistics.median(rounds.of_step(FEW, step.name, _of_a) for step in RECOVERY if step.counts) * _REFERENCE
    yield Row("median request of it, where A is 40 ms", _ms(middle), "≤ 1.5 ms", middle <= 0.0015)
    asked = found.introspection
    yield Row("POST /api/v1/tokens/introspect", f"{asked:4.2f}x", "≤ 1.50x", asked <= 1.5)
    sign_in = rounds.of_journey(FEW, SIGN_IN, _of_a)
    yield Row("whole sign-in, all requests", f"{sign_in:.3f} A")
    yield Row("nobody comes: CPU a second, all processes", f"{rounds.idle[FEW] * 1_000:.1f} ms")


def _sizes(found: Findings) -> Iterator[Row]:
    ratios = {
        "recovery start (POST /recovery)": found.rounds.ratio(MANY, FEW, [RECOVERY[1]]),
        "sign-in, all requests": found.rounds.ratio(MANY, FEW, SIGN_IN),
        "recovery, all requests": found.rounds.ratio(MANY, FEW, RECOVERY),
        "a person and their contacts, from the database alone": found.look_ups,
    }
    for name, ratio in ratios.items():
        yield Row(name, f"{ratio:.2f}x", "≤ 1.10x", ratio <= 1.10)


def _resources(found: Findings) -> Iterator[Row]:
    for when, memory in (("at the start", found.memory_before), (f"after {found.hashes:,} hashes", found.memory_after)):
        worst = max(memory["worker"], key=lambda one: one.resident)
        yield Row(
            f"a worker {when}: resident (shared fairly; peak)",
            f"{worst.resident:.0f} ({worst.shared_fairly:.0f}; {worst.peak:.0f}) MiB",
            "≤ 64 MiB",
            worst.resident <= 64,
        )
    others = ", ".join(f"{kind} {held[0].shared_fairly:.0f}" for kind, held in found.memory_after.items() if held)
    everything = sum(one.shared_fairly for held in found.memory_after.values() for one in held)
    yield Row(f"all processes, shared fairly ({others})", f"{everything:.0f} MiB")
    cpu = statistics.median(start.cpu for start in found.starts)
    wall = statistics.median(start.wall for start in found.starts)
    scaled = cpu / _a(found) * _REFERENCE
    yield Row(
        "cold start to the first page, all processes",
        f"{cpu:.2f} s CPU ({scaled:.2f} s where A is 40 ms), {wall:.2f} s wall",
        "≤ 1 s",
        cpu <= 1,
    )


def _latency(found: Findings) -> Iterator[Row]:
    flood, a = found.flood, _a(found)
    quiet = [one for several in flood.quiet.values() for one in several]
    yield Row("median when nobody else is there", _ms(statistics.median(quiet)))
    middle, late = statistics.median(flood.latencies), _p95(flood.latencies)
    yield Row("median", _ms(middle), "≤ 10 ms", middle <= 0.010)
    yield Row("95 of 100", f"{_ms(late)}  {late / a:.1f} A", "≤ 5 A", late <= 5 * a)
    for name, several in flood.during.items():
        yield Row(f"  {name}", f"{_ms(statistics.median(several))}  {_ms(_p95(several))}")
    done = flood.outcomes.get("signed_in", 0)
    yield Row("sign-ins a second meanwhile", f"{done / flood.seconds:.1f}/s")
    others = {outcome: times for outcome, times in flood.outcomes.items() if outcome != "signed_in"}
    yield Row(
        "sign-ins done; turned away by 503; other failures", f"{done}; {others.pop('503', 0)}; {sum(others.values())}"
    )


def _p95(several: Sequence[float]) -> float:
    return sorted(several)[int(len(several) * 0.95)]


def _bytes(found: Findings) -> Iterator[Row]:
    for language, count in found.html.pages.items():
        yield Row(f"HTML of a whole recovery, {language}", f"{count / 1_000:.1f} kB", "≤ 25 kB", count <= 25_000)
    files = ", ".join(f"{name} {size / 1_000:.1f}" for name, size in found.html.files.items())
    good = found.html.cached_for_good
    told = f"{sum(found.html.files.values()) / 1_000:.1f} kB, once"
    yield Row(f"static files ({files} kB), cached for good", told, "yes", good)
