"""Children of the portal: kept alive, stopped in order, never left behind."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

from tests import services

ROOT = Path(__file__).parents[2]
HEAD = """
    import os, signal, sys, time
    from pathlib import Path
    from app.foundation.chance import SystemChance
    from app.foundation.clock import SystemClock
    from app.foundation.processes import Child, Children

    notes = Path(sys.argv[1])

    def note(text):
        with (notes / "notes").open("a") as file:
            file.write(text + "\\n")

    def waits(name, seconds=0.0):
        "Runs until TERM, and then for so many seconds more."
        def run():
            def leave(*_):
                time.sleep(seconds)
                note(f"{name} left")
                sys.exit(0)
            signal.signal(signal.SIGTERM, leave)
            note(f"{name} {os.getpid()}")
            while True:
                time.sleep(10)
        return run

    def keep(*children, **options):
        return Children(SystemClock(), SystemChance(), children, **options).run()
"""


def parent(directory: Path, program: str, *, start_new_session: bool = False) -> subprocess.Popen[str]:
    """A process that keeps children."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HEAD) + textwrap.dedent(program), str(directory)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=start_new_session,
    )


def notes(directory: Path) -> list[str]:
    path = directory / "notes"
    return path.read_text().splitlines() if path.exists() else []


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def pid_of(directory: Path, name: str) -> int:
    """The newest process of that name."""
    return int(
        next(line for line in reversed(notes(directory)) if line.startswith(f"{name} ") and "left" not in line).split()[
            1
        ]
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


TWO = """
    sys.exit(keep(Child("web", waits("web", 0.5), 10), Child("worker", waits("worker"), 10)))
"""


def test_term_stops_children_one_after_the_other_in_their_order(tmp_path: Path):
    process = parent(tmp_path, TWO)
    until(lambda: len(notes(tmp_path)) == 2)
    process.terminate()
    status, _ = ended(process)
    assert status == 0
    assert notes(tmp_path)[2:] == ["web left", "worker left"]


def test_a_child_that_dies_comes_back_and_its_sister_goes_on(tmp_path: Path):
    process = parent(tmp_path, TWO)
    until(lambda: len(notes(tmp_path)) == 2)
    web, worker = pid_of(tmp_path, "web"), pid_of(tmp_path, "worker")
    os.kill(web, signal.SIGKILL)
    until(lambda: pid_of(tmp_path, "web") != web)
    assert not services.gone(worker)
    assert pid_of(tmp_path, "worker") == worker
    process.terminate()
    status, output = ended(process)
    assert status == 0
    assert '"child": "web"' in output or "child=web" in output


def test_a_child_that_never_lives_long_is_given_up_and_the_others_are_stopped(tmp_path: Path):
    process = parent(
        tmp_path,
        """

        class Hasty(SystemClock):
            "Waits a hundredth of what it is asked to."
            def sleep(self, seconds):
                super().sleep(seconds / 100)
            def monotonic(self):
                return super().monotonic() * 100

        def dies():
            note("born")
            return 3

        children = [Child("worker", waits("worker"), 1_000), Child("ill", dies, 10)]
        sys.exit(Children(Hasty(), SystemChance(), children).run())
        """,
    )
    status, output = ended(process)
    assert status == 1
    assert notes(tmp_path).count("born") == 5
    assert "worker left" in notes(tmp_path)
    assert "child_given_up" in output


def test_a_child_that_ignores_term_is_killed_after_its_grace(tmp_path: Path):
    process = parent(tmp_path, 'sys.exit(keep(Child("deaf", waits("deaf", 60), 0.5)))')
    until(lambda: len(notes(tmp_path)) == 1)
    begin = time.monotonic()
    process.terminate()
    status, _ = ended(process)
    assert status == 0
    assert 0.4 < time.monotonic() - begin < 30  # by itself it would take a minute
    assert services.gone(pid_of(tmp_path, "deaf"))


def test_children_leave_when_their_parent_is_killed(tmp_path: Path):
    process = parent(tmp_path, TWO)
    until(lambda: len(notes(tmp_path)) == 2)
    process.kill()
    ended(process)
    until(lambda: {"web left", "worker left"} <= set(notes(tmp_path)))


def test_a_ctrl_c_reaches_the_parent_alone_which_stops_all_in_order(tmp_path: Path):
    process = parent(tmp_path, TWO, start_new_session=True)
    until(lambda: len(notes(tmp_path)) == 2)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    status, output = ended(process)
    assert status == 0
    assert notes(tmp_path)[2:] == ["web left", "worker left"]
    assert "KeyboardInterrupt" not in output


def test_what_is_tended_is_tended_again_after_it_failed(tmp_path: Path):
    process = parent(
        tmp_path,
        """
        def tend():
            note("tended")
            if notes.joinpath("notes").read_text().count("tended") == 1:
                raise RuntimeError("the store is away")

        sys.exit(keep(Child("web", waits("web"), 10), tend=tend))
        """,
    )
    until(lambda: notes(tmp_path).count("tended") >= 4)
    process.terminate()
    status, output = ended(process)
    assert status == 0
    assert "the store is away" in output


def test_a_child_that_breaks_says_why_and_runs_none_of_its_parents_code(tmp_path: Path):
    process = parent(
        tmp_path,
        """
        def breaks():
            if not (notes / "broken").exists():
                (notes / "broken").touch()
                raise RuntimeError("out of order")
            return waits("mended")()

        status = keep(Child("web", breaks, 10))
        note("the parent's code")
        sys.exit(status)
        """,
    )
    until(lambda: any(line.startswith("mended") for line in notes(tmp_path)))
    process.terminate()
    _, output = ended(process)
    assert "out of order" in output
    assert notes(tmp_path).count("the parent's code") == 1


def test_each_child_lets_go_of_what_belongs_to_its_parent_before_it_runs(tmp_path: Path):
    process = parent(
        tmp_path,
        """
        sys.exit(keep(Child("web", waits("web"), 10), in_child=lambda: note(f"let go {os.getpid()}")))
        """,
    )
    until(lambda: len(notes(tmp_path)) == 2)
    process.terminate()
    ended(process)
    assert notes(tmp_path)[:2] == [f"let go {pid_of(tmp_path, 'web')}", f"web {pid_of(tmp_path, 'web')}"]
