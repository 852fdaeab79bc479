"""Child processes: they never outlive their parent, and come back when they die before it."""

import contextlib
import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import FrameType

import structlog

from app.foundation.chance import Chance
from app.foundation.clock import Clock

_PR_SET_PDEATHSIG = 1  # prctl(2)
_LOOK_SECONDS = 0.2
_LONG_LIFE = 10.0  # seconds; a child that lived shorter was born ill
_PATIENCE = 5  # short lives in a row
_LONGEST_WAIT = 30.0

_log = structlog.get_logger()


def dying_with_parent(by: signal.Signals = signal.SIGKILL) -> Callable[[], None]:
    """A ``preexec_fn``: the kernel sends the child that signal when its parent is gone, however it went.

    The kernel watches the *thread* that forked, so start such children from a thread that lives as long as the
    process. Only Linux has this; elsewhere it does nothing.
    """
    prctl = _prctl()  # looked up before the fork: the child takes no lock
    return partial(_arrange, prctl, by, os.getpid())


def die_with_parent(by: signal.Signals, parent: int) -> None:
    """The same for this very process, soon after that parent forked it."""
    _arrange(_prctl(), by, parent)


def _prctl() -> Callable[..., int] | None:
    return ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None


def _arrange(prctl: Callable[..., int] | None, by: signal.Signals, parent: int) -> None:
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, int(by), 0, 0, 0)
        if os.getppid() != parent:  # it went before the kernel was told
            os._exit(1)


@dataclass(frozen=True, slots=True)
class Child:
    """A part of the portal in a process of its own.

    ``run`` is called in a fork of the parent, with the signals as a new program has them, and returns the exit
    status. ``grace`` is how many seconds it gets between TERM and KILL.
    """

    name: str
    run: Callable[[], int]
    grace: float


class _Life:
    """One child over all its lives."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.pid: int | None = None
        self.born = 0.0
        self.due = 0.0
        self.short_lives = 0


class Children:
    """Keeps children alive until TERM, INT or HUP, then stops them one after the other, first come first.

    It forks, so its process must have no other thread. ``tend`` is called several times a second, to look
    after what is no child (the embedded store); what it raises is logged, and it is called again a little later.
    ``in_child`` is called in each child first, to let go of what is the parent's alone.
    """

    def __init__(
        self,
        clock: Clock,
        chance: Chance,
        children: Sequence[Child],
        tend: Callable[[], object] | None = None,
        in_child: Callable[[], object] | None = None,
    ) -> None:
        self._clock = clock
        self._chance = chance
        self._lives = [_Life(child) for child in children]
        self._tend = tend
        self._in_child = in_child
        self._tend_due = 0.0
        self._tend_failures = 0
        self._leaving = False

    def run(self) -> int:
        """Block until a signal asks to stop: 0, or 1 where a child was not to be kept alive."""
        earlier = {
            number: signal.signal(number, self._leave) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        }
        status = 0
        try:
            while not self._leaving:
                for life in self._lives:
                    self._look(life)
                    if life.short_lives >= _PATIENCE:
                        _log.error("child_given_up", child=life.child.name)
                        status, self._leaving = 1, True
                        break
                self._look_after()
                self._clock.sleep(_LOOK_SECONDS)
        finally:
            for life in self._lives:
                self._stop(life)
            for number, handler in earlier.items():
                signal.signal(number, handler)
        return status

    def _leave(self, _number: int, _frame: FrameType | None) -> None:
        self._leaving = True

    def _look(self, life: _Life) -> None:
        now = self._clock.monotonic()
        if life.pid is not None:
            pid, status = os.waitpid(life.pid, os.WNOHANG)
            if pid == 0:
                if now - life.born >= _LONG_LIFE:
                    life.short_lives = 0
                return
            life.pid = None
            life.short_lives += 1
            life.due = now + self._wait(life.short_lives)
            _log.error("child_ended", child=life.child.name, status=os.waitstatus_to_exitcode(status))
        if now >= life.due and life.short_lives < _PATIENCE:
            life.pid, life.born = self._start(life.child), now

    def _wait(self, failures: int) -> float:
        return min(_LONGEST_WAIT, 0.25 * 2.0**failures) * (0.75 + 0.5 * self._chance.fraction())

    def _look_after(self) -> None:
        now = self._clock.monotonic()
        if self._tend is None or now < self._tend_due:
            return
        try:
            self._tend()
            self._tend_failures = 0
        except Exception as error:  # noqa: BLE001 - whatever it is, the children go on
            self._tend_failures += 1
            self._tend_due = self._clock.monotonic() + self._wait(self._tend_failures)
            _log.error("tending_failed", reason=str(error))

    def _start(self, child: Child) -> int:
        arrange = dying_with_parent(signal.SIGTERM)
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            arrange()
            os.setsid()  # a Ctrl-C at the terminal reaches the parent alone, which then stops all in order
            if self._in_child is not None:
                self._in_child()
            status = child.run()
        except SystemExit as leaving:
            status = leaving.code if isinstance(leaving.code, int) else 1
        except BaseException:  # noqa: BLE001 - a fork must never return into its parent's code
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)

    def _stop(self, life: _Life) -> None:
        if life.pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(life.pid, signal.SIGTERM)
        deadline = self._clock.monotonic() + life.child.grace
        killed = False
        while True:
            pid, _ = os.waitpid(life.pid, os.WNOHANG)
            if pid:
                break
            if not killed and self._clock.monotonic() >= deadline:
                _log.error("child_killed", child=life.child.name)
                os.kill(life.pid, signal.SIGKILL)
                killed = True
            self._clock.sleep(0.02)
        life.pid = None
