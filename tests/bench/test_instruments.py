"""The instruments of the benchmark: a figure is worth no more than what it was read from."""

import os
import subprocess
import sys
import time

from tests.bench import clocks
from tests.bench.walk import in_turn
from tests.edges import wait_until

_BURN = """
import os, subprocess, sys, threading, time
def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
thread = threading.Thread(target=burn, args=(0.2,))
thread.start(); thread.join()
subprocess.run([sys.executable, "-c", "import time\\nwhile time.process_time() < 0.3: pass"])
children = os.times()
print(time.process_time(), children.children_user + children.children_system, flush=True)
sys.stdin.readline()
"""


def test_the_clock_of_another_process_counts_its_ended_threads_and_children() -> None:
    command = [sys.executable, "-c", _BURN]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        own, childrens = map(float, process.stdout.readline().split())
        alone = clocks.cpu_of(process.pid)
        assert own >= 0.2
        assert own <= alone < own + 0.1, "the thread that ended counts, the child does not"
        assert childrens > 0.25
        tree = clocks.cpu_of_tree(process.pid)
        assert abs(tree - alone - childrens) < 0.1, "the child that ended counts for the tree"
        # as soon as it waits, which on a busy machine may be a little later
        wait_until(lambda: _stands_still(process.pid), 30, lambda: "waiting costs something")
        process.communicate("\n")


def _stands_still(pid: int) -> bool:
    before = clocks.cpu_of(pid)
    time.sleep(0.05)
    return clocks.cpu_of(pid) == before


def test_the_clock_of_a_process_that_is_gone_reads_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert clocks.cpu_of(process.pid) == 0
    assert clocks.tree_of(process.pid) == [process.pid]


def test_each_thread_has_a_clock_of_its_own() -> None:
    own = clocks.threads_of(os.getpid())
    assert len(own) >= 1
    assert max(own.values()) > 0


def test_people_take_turns_over_the_whole_range() -> None:
    for least, most in ((1, 1), (1, 2), (1, 700), (701, 1_000), (5, 16)):
        turns = in_turn(least, most)
        first = [next(turns).number for _ in range(most - least + 1)]
        assert sorted(first) == list(range(least, most + 1))
        assert next(turns).number == first[0]
