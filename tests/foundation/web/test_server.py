"""The server as clients and the application see it."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from app.foundation.web.server import _Crew, _plain, answer
from tests import services
from tests.edges import wait_until
from tests.faults.clients import ask, free_port, wait_for
from tests.faults.served import ROOT, Served, served
from tests.faults.tiny import FILE


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(
        tmp_path_factory.mktemp("server"),
        workers=1,
        bounds="body_size=1_000, larger={'/upload': 5_000}, threads=2, body_seconds=2",
    ) as running:
        yield running


PATIENCE = 9.0  # seconds: less than those after which the server hangs up on whoever is idle


def raw(server: Served, request: bytes, seconds: float = 5) -> bytes:
    """What the server says to these bytes until it hangs up or is silent for that long."""
    reply = b""
    with socket.create_connection(server.address) as client:
        client.settimeout(seconds)
        client.sendall(request)
        try:
            while part := client.recv(65_536):
                reply += part
        except (TimeoutError, ConnectionResetError):
            pass
    return reply


def echo(server: Served, head: str = "", body: bytes = b"", target: str = "/echo") -> dict[str, Any]:
    """What the application was given."""
    line = f"POST {target} HTTP/1.1\r\nHost: portal.example\r\nConnection: close\r\n"
    reply = raw(server, f"{line}Content-Length: {len(body)}\r\n{head}\r\n".encode("latin-1") + body)
    result: dict[str, Any] = json.loads(reply.partition(b"\r\n\r\n")[2])
    return result


def test_the_application_is_given_the_true_peer_whatever_headers_say(server: Served):
    got = echo(server, "X-Forwarded-For: 203.0.113.7\r\nX-Real-IP: 203.0.113.7\r\nForwarded: for=203.0.113.7\r\n")[
        "environ"
    ]
    assert got["REMOTE_ADDR"] == "127.0.0.1"
    assert got["wsgi.url_scheme"] == "http"
    # untouched, for the application to judge by its trusted proxies
    assert got["HTTP_X_FORWARDED_FOR"] == got["HTTP_X_REAL_IP"] == "203.0.113.7"
    assert got["HTTP_FORWARDED"] == "for=203.0.113.7"


@pytest.mark.parametrize("order", [("X-Forwarded-For", "X_Forwarded_For"), ("X_Forwarded_For", "X-Forwarded-For")])
def test_an_underscore_does_not_forge_what_a_proxy_says(server: Served, order: tuple[str, str]):
    head = "".join(f"{name}: {'203.0.113.7' if '-' in name else '6.6.6.6'}\r\n" for name in order)
    assert echo(server, head)["environ"]["HTTP_X_FORWARDED_FOR"] == "203.0.113.7"


def test_repeated_headers_arrive_as_one_in_order(server: Served):
    got = echo(server, "X-Forwarded-For: 1.1.1.1\r\nCookie: a=1\r\nX-Forwarded-For: 2.2.2.2\r\nCookie: b=2\r\n")[
        "environ"
    ]
    assert got["HTTP_X_FORWARDED_FOR"] == "1.1.1.1,2.2.2.2"
    assert got["HTTP_COOKIE"] == "a=1; b=2"


def test_the_settings_of_the_process_are_not_in_the_request(server: Served):
    got = echo(server)["environ"]
    assert "PATH" not in got
    assert not [name for name in got if name.startswith("KEYTURN_")]


def test_paths_and_queries_arrive_as_pep_3333_has_them(server: Served):
    got = echo(server, target="/echo?name=J%C3%BCrgen%00")["environ"]
    assert (got["PATH_INFO"], got["QUERY_STRING"], got["SCRIPT_NAME"]) == ("/echo", "name=J%C3%BCrgen%00", "")
    status, _, body = ask(server.address, "/J%C3%BCrgen")
    assert (status, body) == (404, b"no such page: '/J\\xc3\\xbcrgen'\n")


def test_a_body_arrives_whole_with_a_length_or_in_chunks(server: Served):
    assert echo(server, "Content-Type: text/plain\r\n", b"a" * 999)["body"] == "a" * 999
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (b"one", b"two" * 100, b"")).replace(
        b"0\r\n\r\n", b""
    )
    head = b"POST /echo HTTP/1.1\r\nHost: portal.example\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    got = json.loads(raw(server, head + chunks + b"0\r\n\r\n").partition(b"\r\n\r\n")[2])
    assert got["body"] == "one" + "two" * 100
    assert got["environ"]["CONTENT_LENGTH"] == "303"
    assert "HTTP_TRANSFER_ENCODING" not in got["environ"]


def test_a_larger_body_arrives_at_its_path_alone_and_at_no_other(server: Served):
    def posted(target: str, size: int) -> bytes:
        head = f"POST {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n"
        return raw(server, head.encode() + b"a" * size).split(b" ")[1]

    assert posted("/echo", 1_001) == posted("/uploads", 1_001) == posted("/upload", 5_001) == b"413"
    assert posted("/upload", 5_000) == b"404"  # the application was asked, and has no such page


@pytest.mark.parametrize("size", [1_001, 15_000, 40_000])
@pytest.mark.parametrize("way", ["length", "chunks", "expect"])
def test_the_application_refuses_a_body_that_is_too_large_in_its_own_words(server: Served, size: int, way: str):
    """It is told how large, and given nothing of it; the connection ends."""
    head = "POST /lengths HTTP/1.1\r\nHost: x\r\n"
    if way == "chunks":
        reply = raw(server, f"{head}Transfer-Encoding: chunked\r\n\r\n{size:x}\r\n{'a' * size}\r\n0\r\n\r\n".encode())
    else:
        expect = "Expect: 100-continue\r\n" if way == "expect" else ""
        reply = raw(server, f"{head}{expect}Content-Length: {size}\r\n\r\n{'' if expect else 'a' * size}".encode())
    assert reply.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close\r\n" in reply.lower()
    told = re.search(rb"\r\n\r\n(\d+) bytes, of which 0 are here\n$", reply)
    assert told
    assert int(told[1]) == size if size < 16_000 else int(told[1]) > 16_000


def test_an_application_that_looks_at_no_length_gives_no_answer_without_the_body(server: Served):
    for method in ("POST", "GET"):
        head = f"{method} /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n"
        reply = raw(server, head.encode() + b"a" * 1_001)
        assert reply.startswith(b"HTTP/1.1 413 ")
        assert reply.endswith(b"\r\n\r\n")


def test_larger_bodies_are_read_few_at_a_time_and_all_in_turn(server: Served):
    head = b"POST /upload HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5000\r\n\r\n"
    answers: list[bytes] = []
    racers = [
        threading.Thread(target=lambda: answers.append(raw(server, head + b"a" * 5_000).split(b" ")[1]))
        for _ in range(12)
    ]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert answers == [b"404"] * 12


def test_a_head_request_is_answered_without_a_body(server: Served):
    head, _, body = raw(server, b"HEAD / HTTP/1.1\r\nHost: portal.example\r\nConnection: close\r\n\r\n").partition(
        b"\r\n\r\n"
    )
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"content-length: 6" in head
    assert body == b""


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: portal.example\r\nConnection: close\r\n\r\n".encode()


def memory(pid: int) -> int:
    """The most that a process ever had in memory, in bytes."""
    found = re.search(r"VmHWM:\s+([0-9]+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1_024


def test_a_file_arrives_whole_and_the_worker_never_has_it_in_memory(server: Served):
    pid = echo(server)["pid"]
    before = memory(pid)
    for _ in range(3):
        with socket.create_connection(server.address) as client:
            client.sendall(get("/file"))
            reply = client.makefile("rb")
            head = b"".join(iter(reply.readline, b"\r\n"))
            assert f"content-length: {FILE}".encode() in head.lower()
            length = 0
            while part := reply.read(1_048_576):
                length += len(part)
            assert length == FILE
    assert memory(pid) - before < FILE / 4


def test_clients_that_do_not_read_a_file_hold_no_thread(server: Served):
    with contextlib.ExitStack() as stack:
        for _ in range(4):  # twice as many as there are threads
            client = stack.enter_context(socket.create_connection(server.address))
            client.sendall(get("/file"))
            assert client.recv(1) == b"H"
        assert raw(server, get("/"), PATIENCE).endswith(b"hello\n")


def test_no_reply_names_a_product_or_a_version(server: Served):
    for path in ("/", "/broken", "/nowhere"):
        _, headers, _ = ask(server.address, path)
        assert headers["server"] == "web"
        assert "x-powered-by" not in headers


def test_a_page_that_breaks_says_nothing_and_leaves_the_server_whole(server: Served):
    for _ in range(5):  # more often than there are threads
        status, _, body = ask(server.address, "/broken")
        assert (status, body) == (500, b"Internal Server Error\n")
    assert ask(server.address, "/")[0] == 200
    assert "a page that breaks" in server.log.read_text()


HOST = b"Host: portal.example\r\n"
POST = b"POST /echo HTTP/1.1\r\n" + HOST
BAD = {
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n",
    "a host beside another in the target": b"GET http://a.example/ HTTP/1.1\r\nHost: b.example\r\n\r\n",
    "a tunnel": b"CONNECT a.example:25 HTTP/1.1\r\n" + HOST + b"\r\n",
    "two lengths": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    "a negative length": POST + b"Content-Length: -5\r\n\r\nabcde",
    "an unknown transfer coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a chunk that is none": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabcde",
    "a chunk that is none after a good one": POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\nabcde",
    "a folded header": b"GET / HTTP/1.1\r\n" + HOST + b"X-A: 1\r\n 2\r\n\r\n",
    "a blank before the colon": b"GET / HTTP/1.1\r\nHost : portal.example\r\n\r\n",
    "a NUL in the target": b"GET /a\x00b HTTP/1.1\r\n" + HOST + b"\r\n",
    "bytes in the target": b"GET /\xff\xfe HTTP/1.1\r\n" + HOST + b"\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a huge header": b"GET / HTTP/1.1\r\n" + HOST + b"X-A: " + b"a" * 200_000 + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\n" + HOST + b"".join(b"X-%d: a\r\n" % n for n in range(200)) + b"\r\n",
    "a huge target": b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "a large body": POST + b"Content-Length: 1001\r\n\r\n" + b"a" * 1001,
    "a large body in chunks": POST
    + b"Transfer-Encoding: chunked\r\n\r\n"
    + b"3e9\r\n"
    + b"a" * 1001
    + b"\r\n0\r\n\r\n",
    "a large body announced": POST + b"Content-Length: 99999999999\r\nExpect: 100-continue\r\n\r\n",
}


@pytest.mark.parametrize("name", BAD)
def test_bad_requests_are_refused_at_once(server: Served, name: str):
    begin = time.monotonic()
    reply = raw(server, BAD[name], PATIENCE)
    assert reply.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").startswith(b"HTTP/1.1 4"), reply[:200]
    assert reply.count(b"HTTP/1.1 4") == 1
    assert b"200 OK" not in reply
    assert b" 408 " not in reply  # which is what it says when it has waited for more in vain
    assert time.monotonic() - begin < PATIENCE  # it hung up by itself
    assert ask(server.address, "/")[0] == 200


def test_a_body_that_breaks_off_never_reaches_the_application(server: Served):
    for request in (
        POST + b"Content-Length: 10\r\n\r\nhalf",
        POST + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ):
        with socket.create_connection(server.address) as client:
            client.settimeout(30)
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)
            reply = client.recv(65_536)
        assert b" 200 " not in reply.partition(b"\r\n")[0]


def test_a_request_hidden_behind_two_lengths_is_not_answered(server: Served):
    reply = raw(
        server,
        POST
        + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /nowhere HTTP/1.1\r\n"
        + HOST
        + b"\r\n",
        seconds=1,
    )
    assert reply.count(b"HTTP/1.1 ") <= 1
    assert b"404" not in reply


def test_an_ipv6_peer_is_named_by_its_address(tmp_path: Path):
    try:
        free_port("::1")
    except OSError:
        pytest.skip("this machine has no IPv6 on loopback")
    with served(tmp_path, host="::1", workers=1) as running:
        got = json.loads(ask(running.address, "/echo", b"")[2])["environ"]
    assert (got["REMOTE_ADDR"], got["SERVER_NAME"], got["SERVER_PORT"]) == ("::1", "::1", str(running.address[1]))


@pytest.mark.parametrize(
    ("peer", "plain"),
    [
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("::ffff:0:0:1", "::ffff:0:0:1"),
    ],
)
def test_an_ipv4_peer_of_an_ipv6_socket_is_named_as_ipv4(peer: str, plain: str):
    assert _plain(peer) == plain


def test_a_taken_address_is_told_even_where_the_kernel_would_share_it(server: Served):
    program = "import sys\nfrom app.foundation.web.server import serve\nserve(print, bind=sys.argv[1], workers=1)"
    where = "{}:{}".format(*server.address)
    second = subprocess.run(
        [sys.executable, "-c", program, where], cwd=ROOT, check=False, capture_output=True, text=True, timeout=60
    )
    assert second.returncode != 0
    assert f"cannot listen at {where}" in second.stderr


def test_a_killed_worker_is_replaced_and_the_others_go_on(tmp_path: Path):
    with served(tmp_path, workers=2) as running:
        before = running.workers()
        assert len(before) == 2
        os.kill(before[0], signal.SIGKILL)
        deadline = time.monotonic() + 60
        while len(set(running.workers()) - set(before)) < 1:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        wait_for(running.address)
        assert before[1] in running.workers()


def test_workers_do_not_outlive_their_parent(tmp_path: Path):
    with served(tmp_path, workers=2) as running:
        workers = running.workers()
        running.process.kill()
        running.process.wait(60)
        deadline = time.monotonic() + 60
        while not all(services.gone(pid) for pid in workers):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_worker_born_as_its_parent_died_does_not_stay(tmp_path: Path):
    for pause in (0.0, 0.002, 0.005, 0.01, 0.02, 0.1, 0.2, 0.4):
        with served(tmp_path, workers=1) as running:
            (before,) = running.workers()
            os.kill(before, signal.SIGKILL)
            newborn = _successor(running, before)
            time.sleep(pause)
            running.process.kill()
            deadline = time.monotonic() + 60
            while not services.gone(newborn):
                assert time.monotonic() < deadline
                time.sleep(0.02)


def _successor(running: Served, before: int) -> int:
    """The worker that took the place of another, as soon as it is there."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if after := [pid for pid in running.workers() if pid != before]:
            return after[0]
    raise AssertionError("no worker came back")


def test_an_application_that_cannot_be_built_ends_the_server_with_a_failure():
    program = (
        "import sys\nfrom app.foundation.web.server import serve\n"
        "def factory():\n    raise RuntimeError('no such setting')\n"
        "sys.exit(serve(factory, bind=sys.argv[1], workers=1))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, f"127.0.0.1:{free_port()}"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "no such setting" in done.stderr


class Reply:
    """A reply that must be closed."""

    closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield b"one"
        yield b"two"

    def close(self) -> None:
        self.closed = True


def test_a_reply_in_parts_is_sent_whole_and_closed():
    reply = Reply()

    def application(_environ: dict[str, Any], start_response: Any) -> Reply:
        start_response("200 OK", [("a", "b")])(b"zero")
        return reply

    assert answer(application, {}) == (200, [("a", "b"), ("server", "web")], b"zeroonetwo")
    assert reply.closed


def test_an_error_while_answering_replaces_what_was_begun():
    def application(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        try:
            int("late")
        except ValueError:
            start_response("503 Service Unavailable", [("retry-after", "5")], sys.exc_info())
        return [b"away"]

    assert answer(application, {}) == (503, [("retry-after", "5"), ("server", "web")], b"away")


def test_beginning_a_reply_twice_is_a_mistake():
    def application(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        start_response("200 OK", [])
        return []

    with pytest.raises(AssertionError, match="twice"):
        answer(application, {})


def test_one_thread_does_what_comes_one_after_the_other():
    crew, names = _Crew(8), []
    for _ in range(20):
        done = threading.Event()

        def work(done: threading.Event = done) -> None:
            names.append(threading.current_thread().name)
            done.set()

        crew.give(work)
        assert done.wait(30)
        wait_until(lambda: len(crew._idle) == crew._started, 30, lambda: "it is not idle again")
    assert len(set(names)) == 1


def test_a_crew_works_at_once_as_far_as_it_may_and_does_the_rest_in_turn():
    crew, lock, present, most, order = _Crew(4), threading.Lock(), set(), 0, []
    gate, all_done = threading.Event(), threading.Semaphore(0)

    def work(number: int) -> None:
        nonlocal most
        with lock:
            present.add(number)
            most = max(most, len(present))
            order.append(number)
        gate.wait(60)
        with lock:
            present.remove(number)
        all_done.release()

    for number in range(40):
        crew.give(partial(work, number))
    wait_until(lambda: len(order) >= 4, 30, lambda: f"{len(order)} are at work")
    time.sleep(0.1)  # for one too many to show itself
    assert sorted(order) == [0, 1, 2, 3]
    gate.set()
    for _ in range(40):
        assert all_done.acquire(timeout=60)
    assert most == 4
    assert sorted(order) == list(range(40))


def test_nothing_given_to_a_crew_is_forgotten_however_it_comes():
    crew, count = _Crew(3), threading.Semaphore(0)
    for number in range(20_000):
        crew.give(count.release)
        if number % 7 == 0:
            time.sleep(0)  # sometimes they are idle, sometimes not
    for _ in range(20_000):
        assert count.acquire(timeout=60)
