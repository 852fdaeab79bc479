"""The measurements. Windows of the things to be compared alternate, because machines are not equally fast for long."""

import os
import re
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.foundation.settings import load_settings
from app.foundation.sql import Database
from app.records.people import store as people
from tests.bench import clients, clocks, seed, serving
from tests.bench.anchor import Anchor
from tests.bench.serving import Running, Used
from tests.bench.walk import RECOVERY, SIGN_IN, Handsets, Line, Step, Visitor, in_turn
from tests.edges import Mailbox
from tests.faults.clients import ask, free_port

CORES = os.cpu_count() or 1
_STEPS = (*SIGN_IN, *RECOVERY)


@dataclass
class Site:
    """A portal that is measured, the phones of its people, and who comes next."""

    running: Running
    phone: Handsets
    people: int
    line: Line = field(init=False)
    signing_in: Iterator[seed.Somebody] = field(init=False)
    recovering: Iterator[seed.Somebody] = field(init=False)

    def __post_init__(self) -> None:
        self.line = Line(self.running.address)
        # who recovers has another password afterwards, and each may have three PINs in a quarter of an hour
        apart = self.people * 7 // 10
        self.recovering = in_turn(1, apart)
        self.signing_in = in_turn(apart + 1, self.people)

    def hashes_done(self) -> float:
        """What the portal itself has counted; with one worker that is all of it."""
        page = ask(self.running.address, "/metrics")[2].decode()
        found = re.search(r"^keyturn_hashes_done ([0-9.]+)$", page, re.MULTILINE)
        assert found, page
        return float(found[1])

    def find_hashing_threads(self, anchor: float) -> None:
        """Learn which threads hash: those that work during a sign-in, and rest while pages are asked for."""
        for _ in range(2):
            before = self.running.threads()
            for _ in range(10):
                Visitor(self.line).get("/sign-in")
            between = self.running.threads()
            walk(Visitor(self.line, next(self.signing_in)), SIGN_IN, self.phone)
            time.sleep(0.02)
            after = self.running.threads()
            rested = {thread for thread, used in between.items() if used - before.get(thread, 0) < 0.000_05}
            worked = {thread for thread, used in after.items() if used - between.get(thread, 0) > 0.4 * anchor}
            self.running.hashing |= rested & worked
        if not self.running.hashing:
            raise RuntimeError("no thread of the portal was seen to hash")


def walk(visitor: Visitor, steps: Iterable[Step], phone: Handsets) -> None:
    """All the steps, one after the other."""
    for step in steps:
        step.do(visitor, phone)


@dataclass(frozen=True, slots=True)
class Window:
    """One step of one site in one round: seconds a request, and what the yardsticks took beside it."""

    used: Used
    anchor: float
    plain: float


@dataclass
class Rounds:
    """What the alternating windows gave: for each site and step one Window a round."""

    windows: dict[str, dict[str, list[Window]]]
    anchors: list[float]
    sender: dict[str, float]  # CPU seconds a recovery beyond idling, in A
    idle: dict[str, float]  # CPU seconds a second of the whole tree while nobody comes

    def of_step(self, site: str, step: str, value: Callable[[Window], float]) -> float:
        """The median over the rounds."""
        return statistics.median(value(window) for window in self.windows[site][step])

    def of_journey(self, site: str, steps: Iterable[Step], value: Callable[[Window], float]) -> float:
        """The median over the rounds of the sum over the steps."""
        rounds = zip(*(self.windows[site][step.name] for step in steps if step.counts), strict=True)
        return statistics.median(sum(map(value, windows)) for windows in rounds)

    def ratio(self, one: str, other: str, steps: Iterable[Step]) -> float:
        """How much more the requests of a journey take at one site than at the other, without slow hashes."""
        pairs = []
        names = [step.name for step in steps if step.counts]
        for place in range(len(self.anchors)):
            ours = sum(self.windows[one][name][place].used.requests for name in names)
            theirs = sum(self.windows[other][name][place].used.requests for name in names)
            pairs.append(ours / theirs)
        return statistics.median(pairs)


def side_by_side(
    sites: Mapping[str, Site],
    plain: Running,
    anchor: Anchor,
    *,
    rounds: int,
    visitors: int,
    tell: Callable[[str], None],
) -> Rounds:
    """Every step of both journeys at every site, beside bare verifies and bare pages."""
    yardstick = Line(plain.address)
    found = Rounds({name: {step.name: [] for step in _STEPS} for name in sites}, [], {}, _idle(sites))
    warm = anchor.verify(5)
    for site in sites.values():
        for _ in range(3):
            walk(Visitor(site.line, next(site.signing_in)), SIGN_IN, site.phone)
            walk(Visitor(site.line, next(site.recovering)), RECOVERY, site.phone)
        site.find_hashing_threads(warm)
    for _ in range(50):
        yardstick.ask("GET", "/", {})
    before = {name: site.running.used() for name, site in sites.items()}
    began = time.monotonic()
    for number in range(rounds):
        tell(f"round {number + 1} of {rounds}")
        # whoever is second finds the caches of the processor full of the other's work
        order = list(sites) if number % 2 else list(sites)[::-1]
        found.anchors.append(_round(sites, order, found, plain, yardstick, anchor, visitors))
    took = time.monotonic() - began
    for name, site in sites.items():
        # the sender goes on telling everybody's notices for a moment
        time.sleep(2)
        sender = (site.running.used() - before[name]).sender - found.idle[f"{name} sender"] * (took + 2)
        found.sender[name] = max(0.0, sender) / (rounds * visitors) / statistics.mean(found.anchors)
    return found


def _round(
    sites: Mapping[str, Site],
    order: Sequence[str],
    found: Rounds,
    plain: Running,
    yardstick: Line,
    anchor: Anchor,
    visitors: int,
) -> float:
    anchors = [anchor.verify(3)]
    for journey, source in ((SIGN_IN, "signing_in"), (RECOVERY, "recovering")):
        groups = {
            name: [Visitor(sites[name].line, next(getattr(sites[name], source))) for _ in range(visitors)]
            for name in order
        }
        for step in journey:
            if step.name == "POST /recovery/pin":  # the waiting is nobody's work
                for name in order:
                    _await_pins(groups[name], sites[name].phone)
            bare = _window(plain, [lambda: yardstick.ask("GET", "/", {})] * visitors).requests
            used = {}
            for name in order:
                phone = sites[name].phone
                used[name] = _window(
                    sites[name].running,
                    [lambda v=v, p=phone: step.do(v, p) for v in groups[name]],  # type: ignore[misc]  # noqa: B023
                )
            anchors.append(anchor.verify(3))
            beside = (anchors[-1] + anchors[-2]) / 2
            for name in order:
                found.windows[name][step.name].append(Window(used[name], beside, bare))
    return statistics.mean(anchors)


def _await_pins(visitors: Sequence[Visitor], phone: Handsets) -> None:
    deadline = time.monotonic() + 60
    while not all(visitor.who and visitor.who.phone in phone.pins for visitor in visitors):
        if time.monotonic() > deadline:
            raise RuntimeError("the PINs did not arrive within a minute")
        time.sleep(0.02)


def _window(running: Running, requests: Sequence[Callable[[], object]]) -> Used:
    """What each of some requests took, as their mean."""
    before = running.used()
    for request in requests:
        request()
    used, count = running.used() - before, len(requests)
    return Used(used.pages / count, used.hashes / count, used.store / count, used.sender / count, used.parent / count)


def _idle(sites: Mapping[str, Site], seconds: float = 3) -> dict[str, float]:
    before = {name: site.running.used() for name, site in sites.items()}
    time.sleep(seconds)
    idle = {}
    for name, site in sites.items():
        used = site.running.used() - before[name]
        idle[name] = (used.total + used.parent) / seconds
        idle[f"{name} sender"] = used.sender / seconds
    return idle


# ---- how many slow hashes


@dataclass(frozen=True, slots=True)
class Count:
    """Slow hashes of one case, and the CPU of its last request without and with them, in A."""

    hashes: float
    outside: float
    total: float


def counted(site: Site, anchor: Anchor, each: int) -> dict[str, Count]:
    """Slow hashes by what a visitor does, as the portal counts them; known and unknown people alternate."""

    def sign_in(visitor: Visitor, password: str, expected: int) -> Callable[[], object]:
        walk(visitor, SIGN_IN[:3], site.phone)
        return lambda: visitor.post("/sign-in/password", expected, password=password)

    def code(visitor: Visitor) -> Callable[[], object]:
        walk(visitor, RECOVERY[:3], site.phone)
        wrong = next(code for code in ("000000", "111111") if not visitor.who or visitor.who.code() != code)
        return lambda: visitor.post("/recovery/token", 422, code=wrong)

    def start(visitor: Visitor) -> Callable[[], object]:
        visitor.get("/recovery")
        return lambda: visitor.post("/recovery", user_id=visitor.user_id)

    def finish(visitor: Visitor) -> Callable[[], object]:
        walk(visitor, RECOVERY[:-2], site.phone)
        return lambda: RECOVERY[-2].do(visitor, site.phone)

    def known() -> Visitor:
        return Visitor(site.line, next(site.signing_in))

    def unknown() -> Visitor:
        return Visitor(site.line)

    cases: dict[str, Callable[[], Callable[[], object]]] = {
        "sign-in, right password": lambda: sign_in(known(), seed.PASSWORD, 303),
        "sign-in, wrong password": lambda: sign_in(known(), "not the password", 422),
        "sign-in, unknown person": lambda: sign_in(unknown(), "not the password", 422),
        "recovery start": lambda: start(known()),
        "recovery start, unknown person": lambda: start(unknown()),
        "recovery, wrong code": lambda: code(known()),
        "recovery, wrong code, unknown person": lambda: code(unknown()),
        "recovery, new password": lambda: finish(Visitor(site.line, next(site.recovering))),
    }
    hashes = dict.fromkeys(cases, 0.0)
    used: dict[str, list[Used]] = {name: [] for name in cases}
    anchors = []
    for _ in range(3):
        for name, prepare in cases.items():
            anchors.append(anchor.verify(2))
            before = site.hashes_done()
            ready = [prepare() for _ in range(each)]
            used[name].append(_window(site.running, ready))
            hashes[name] += site.hashes_done() - before
    a = statistics.mean(anchors)
    return {
        name: Count(
            hashes[name] / (3 * each),
            statistics.median(one.requests for one in used[name]) / a,
            statistics.median(one.requests + one.hashes for one in used[name]) / a,
        )
        for name in cases
    }


# ---- sizes


@dataclass(frozen=True, slots=True)
class Html:
    """Bytes of the pages of a whole recovery, before compression, and of the files that they ask for."""

    pages: dict[str, int]
    files: dict[str, int]
    cached_for_good: bool


def html(site: Site) -> Html:
    """A recovery in each language, and its files."""
    pages, names = {}, set()
    for language in ("en", "de"):
        visitor = Visitor(site.line, next(site.recovering), language)
        for step in RECOVERY:
            step.do(visitor, site.phone)
            names.update(re.findall(r'(?:href|src)="(/static/[^"#]+)', visitor.page.decode()))
        pages[language] = visitor.html
    files, cached = {}, True
    for name in sorted(names):
        status, headers, content = ask(site.running.address, name)
        files[name.rpartition("/")[2]] = len(content)
        cached = cached and status == 200 and "immutable" in headers.get("cache-control", "")
    return Html(pages, files, cached)


def look_ups(small: Mapping[str, str], large: Mapping[str, str], most: tuple[int, int], each: int = 300) -> float:
    """How much more CPU it takes to find a person and their contacts among many than among few; nothing else."""
    databases = [Database(load_settings(environ).database) for environ in (small, large)]
    turns = [in_turn(1, count) for count in most]

    def window(which: int) -> float:
        someone = [next(turns[which]).user_id for _ in range(each)]
        began = time.thread_time()
        for user_id in someone:
            with databases[which].read() as looking:
                person = people.find(looking, user_id)
                assert person
                people.contacts_of(looking, person.id)
        return time.thread_time() - began

    try:
        window(0), window(1)
        return statistics.median(one / other for other, one in ((window(0), window(1)) for _ in range(9)))
    finally:
        for database in databases:
            database.close()


# ---- many at once


@dataclass
class Flood:
    """Other pages while clients sign in, and what signing in takes meanwhile."""

    clients: int
    outcomes: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    quiet: dict[str, list[float]] = field(default_factory=dict)  # wall seconds, nobody else there
    during: dict[str, list[float]] = field(default_factory=dict)
    anchors: list[float] = field(default_factory=list)  # CPU seconds of a verify, as many at once as there are cores
    rates: list[float] = field(default_factory=list)  # bare verifies a second of all cores together
    sign_ins: list[float] = field(default_factory=list)  # CPU seconds each, in A
    recoveries: list[float] = field(default_factory=list)
    recovered: int = 0

    @property
    def latencies(self) -> list[float]:
        """Of all other pages during the flood."""
        return [one for several in self.during.values() for one in several]

    def count(self, told: Mapping[str, Any]) -> None:
        """Add up how sign-ins ended."""
        for outcome, times in told["outcomes"].items():
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + times
        self.seconds += told["seconds"]

    def take(self, told: Mapping[str, list[float]]) -> None:
        """Keep what pages took."""
        for name, several in told.items():
            self.during.setdefault(name, []).extend(several)


def flooded(site: Site, anchors: Sequence[Anchor], *, clients_: int, windows: int, seconds: float) -> Flood:
    """Windows of sign-ins by many clients, beside windows of bare verifies on all cores."""
    port, apart = site.running.address[1], site.people * 7 // 10
    flood = Flood(clients_)
    with clients.beside("probe", port, seconds / 2, 1, apart) as probing:
        flood.quiet = probing()
    flooding = ("flood", port, clients_, seconds, apart + 1, site.people)
    for _ in range(windows):
        a = _together(anchors, flood)
        before = site.running.used()
        with clients.beside(*flooding) as ending:
            told = ending()
        flood.sign_ins.append(_each(site.running.used() - before, told["outcomes"].get("signed_in", 0)) / a)
        flood.count(told)
        with clients.beside(*flooding) as ending, clients.beside("probe", port, seconds, 1, apart) as probing:
            flood.take(probing())
            flood.count(ending())
    return flood


def _each(used: Used, count: int) -> float:
    return used.total / max(1, count)


def _together(anchors: Sequence[Anchor], flood: Flood, each: int = 25) -> float:
    """Bare verifies on all cores at once: the CPU seconds of one."""
    for anchor in anchors:
        anchor.begin(each)
    told = [anchor.end() for anchor in anchors]
    flood.anchors.append(statistics.mean(used for used, _ in told) / each)
    flood.rates.append(sum(each / took for _, took in told))
    return flood.anchors[-1]


def recovering_at_once(
    site: Site, anchors: Sequence[Anchor], flood: Flood, *, windows: int, walkers: int, each: int
) -> None:
    """Windows of whole recoveries, several at once, messages included."""
    lock = threading.Lock()
    failures: list[BaseException] = []

    def walker() -> None:
        line = Line(site.running.address)
        try:
            for _ in range(each):
                with lock:
                    someone = next(site.recovering)
                walk(Visitor(line, someone), [step for step in RECOVERY if step.counts], site.phone)
        except BaseException as error:  # noqa: BLE001 - told by the caller
            failures.append(error)

    for _ in range(windows):
        a = _together(anchors, flood)
        before, texts = site.running.used(), len(site.phone.texts)
        threads = [threading.Thread(target=walker) for _ in range(walkers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        _until_told(site, texts + 2 * walkers * each)
        flood.recovered += walkers * each
        flood.recoveries.append(_each(site.running.used() - before, walkers * each) / a)


def _until_told(site: Site, texts: int) -> None:
    """Wait for the last notice: its cost belongs to the recovery."""
    deadline = time.monotonic() + 60
    while len(site.phone.texts) < texts and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)


def memory(running: Running) -> dict[str, list[clocks.Memory]]:
    """What each kind of process holds."""
    return {
        "worker": [clocks.memory_of(pid) for pid in running.workers],
        "server": [clocks.memory_of(pid) for pid in running.web if pid not in running.workers],
        "sender": [clocks.memory_of(pid) for pid in running.sender],
        "store": [clocks.memory_of(pid) for pid in running.store],
        "parent": [clocks.memory_of(running.process.pid)],
    }


def prepared(state: Path, phone: Handsets, mailbox: Mailbox, count: int, **settings: object) -> dict[str, str]:
    """The settings of a portal whose database holds so many people."""
    environ = serving.environment(state, free_port(), phone, mailbox, **settings)
    serving.keyturn(environ, "init")
    seed.seed(environ, count)
    return environ


def hash_on(site: Site, flood: Flood, hashes: int) -> int:
    """Sign in until the portal has computed so many slow hashes; how many it were in the end."""
    port, apart = site.running.address[1], site.people * 7 // 10
    done = sum(flood.outcomes.values()) + flood.recovered * 2
    while done < hashes:
        with clients.beside("flood", port, flood.clients, 20, apart + 1, site.people) as ending:
            told = ending()
        done += told["outcomes"].get("signed_in", 0)
    return done
