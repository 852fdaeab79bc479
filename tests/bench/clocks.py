"""What other processes have used: CPU by their own clocks, memory, threads. Linux only."""

import contextlib
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

_RUN = re.compile(r"se\.sum_exec_runtime\s*:\s*([0-9.]+)")
_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_of(pid: int) -> float:
    """CPU seconds of a process, threads that ended included; 0 for one that is gone.

    The clock's number is made as in clock_getcpuclockid(3): it names any process, not only one's own.
    """
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def cpu_of_reaped(pid: int) -> float:
    """CPU seconds of the children of a process that it has waited for, in steps of a hundredth."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[13]) + int(fields[14])) / _TICKS
    return 0.0


def children_of(pid: int) -> list[int]:
    """The living children of a process, whichever of its threads made them."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                found += map(int, (thread / "children").read_text().split())
    return sorted(found)


def tree_of(pid: int) -> list[int]:
    """A process and all its living descendants."""
    return [pid, *(below for child in children_of(pid) for below in tree_of(child))]


def cpu_of_tree(pid: int) -> float:
    """CPU seconds of a process and of everything it ever started."""
    return sum(cpu_of(one) + cpu_of_reaped(one) for one in tree_of(pid))


def program_of(pid: int) -> str:
    """The name of the file that a process runs."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/exe").readlink().name
    return ""


def threads_of(pid: int) -> dict[int, float]:
    """CPU seconds of each living thread of a process.

    To the nanosecond where the kernel tells (CONFIG_SCHED_DEBUG or CONFIG_SCHEDSTATS), else in hundredths.
    """
    found = {}
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                found[int(thread.name)] = _cpu_of_thread(thread)
    return found


def _cpu_of_thread(thread: Path) -> float:
    with contextlib.suppress(OSError):
        told = _RUN.search((thread / "sched").read_text())
        if told:
            return float(told[1]) / 1_000
    with contextlib.suppress(OSError, IndexError):
        return int((thread / "schedstat").read_text().split()[0]) / 1e9
    fields = (thread / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


@dataclass(frozen=True, slots=True)
class Memory:
    """In MiB. ``shared_fairly`` is the proportional set size: what is shared is divided among those who share it."""

    resident: float
    shared_fairly: float
    peak: float


def memory_of(pid: int) -> Memory:
    """What a process holds now, and the most that it ever held."""
    roll = Path(f"/proc/{pid}/smaps_rollup").read_text()
    status = Path(f"/proc/{pid}/status").read_text()
    return Memory(_mib(roll, "Rss"), _mib(roll, "Pss"), _mib(status, "VmHWM"))


def _mib(text: str, name: str) -> float:
    found = re.search(rf"^{name}:\s+([0-9]+) kB", text, re.MULTILINE)
    return int(found[1]) / 1_024 if found else 0.0
