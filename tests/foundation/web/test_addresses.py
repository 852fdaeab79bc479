"""Whose address counts: the peer's, or what a proxy that we trust says of it. A client's own word never does."""

import ipaddress
from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.foundation.visit import address_block
from tests.doors import FORM, Knock, form, knock, standing, token_in
from tests.foundation.web.conftest import HOST, ORIGIN

PROXY = "10.0.0.1"


@pytest.fixture(scope="module")
def narrow(sqlite_template, valkey_server, tmp_path_factory):
    """A portal that lets one flow start per address block, behind proxies of 10.0.0.0/8 and fd00::/8."""
    proxies = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    with standing(
        sqlite_template,
        tmp_path_factory.mktemp("narrow"),
        valkey_server.url,
        limit_starts_per_address=1,
        trusted_proxies=proxies,
    ) as portal:
        yield portal


@pytest.fixture
def start(narrow, valkey_server):
    """Start a flow from an address, by a proxy's word perhaps, and get the status. Every counter is at zero before."""
    valkey_server.flush()
    page = knock(narrow.web, Knock(path="/recovery"))
    cookie = page.headers["Set-Cookie"].partition(";")[0]
    body = form([("csrf_token", token_in(page.text)), ("user_id", "nobody")])

    def run(address: str | None, *forwarded: str, header: str = "X-Forwarded-For") -> int:
        headers = tuple((header, value) for value in forwarded)
        answer = knock(
            narrow.web,
            Knock("POST", "/recovery", body=body, kind=FORM, cookie=cookie, address=address, headers=headers),
        )
        return answer.status_code

    return run


def test_a_stranger_gets_no_second_address_by_saying_so(start):
    assert start("192.0.2.1") == 303
    assert start("192.0.2.1") == 429
    for said in (
        "203.0.113.1",
        "127.0.0.1",
        "10.0.0.1",
        "203.0.113.1, 10.0.0.1",
        "",
        "rubbish",
        "\x00",
        "::1",
        "x" * 9000,
    ):
        assert start("192.0.2.1", said) == 429
    for header in (
        "X-Real-IP",
        "Forwarded",
        "X-Client-IP",
        "True-Client-IP",
        "CF-Connecting-IP",
        "X-Cluster-Client-IP",
    ):
        assert start("192.0.2.1", "203.0.113.1", header=header) == 429


def test_a_proxy_that_we_trust_is_believed_about_its_neighbour_alone(start):
    assert start(PROXY, "192.0.2.1") == 303
    assert start(PROXY, "192.0.2.1") == 429
    assert start(PROXY, "192.0.2.2") == 303
    # what stands further left was said by the client
    assert start(PROXY, "203.0.113.9, 192.0.2.1") == 429
    assert start(PROXY, "10.0.0.9, 192.0.2.1") == 429
    assert start(PROXY, "rubbish, 192.0.2.1") == 429
    assert start(PROXY, "203.0.113.9", "192.0.2.1") == 429
    assert start("192.0.2.1") == 429  # the same, coming in person


def test_a_chain_of_trusted_proxies_is_followed_to_the_first_stranger(start):
    assert start(PROXY, "192.0.2.1, 10.0.0.2, 10.0.0.3") == 303
    assert start(PROXY, "192.0.2.1,10.0.0.4") == 429
    assert start(PROXY, "203.0.113.9, 192.0.2.1, fd00::1") == 429


def test_a_proxy_itself_counts_as_an_address_like_any(start):
    assert start(PROXY) == 303
    assert start(PROXY) == 429
    assert start("10.0.0.2") == 303
    assert start(PROXY, "10.0.0.5, 10.0.0.6") == 303  # nobody but proxies: the furthest
    assert start("10.0.0.5") == 429


@pytest.mark.parametrize(
    "said",
    [
        "rubbish",
        "",
        " ",
        ",",
        "192.0.2.1,",
        "192.0.2.1:4711",
        "unknown",
        "[2001:db8::1]",
        "192.0.2.256",
        "192.0.2",
        "0x7f.1",
        "010.0.0.1",
        "1" * 400,
        "٣.1.1.1",
        "ü",
    ],
)
def test_what_a_trusted_proxy_says_and_cannot_be_is_refused_and_never_skipped(start, said):
    for _ in range(3):
        assert start(PROXY, said) == 400
    assert start(PROXY, f"192.0.2.77, {said}") == 400
    assert start(PROXY, "192.0.2.77") == 303  # nothing was counted for anybody


def test_ipv6_is_counted_by_its_64_bit_network(start):
    assert start("2001:db8:1:2::1") == 303
    assert start("2001:db8:1:2:ffff:ffff:ffff:ffff") == 429
    assert start("2001:DB8:1:2::1") == 429
    assert start(PROXY, "2001:db8:1:2::77") == 429
    assert start("2001:db8:1:3::1") == 303


def test_one_address_in_two_spellings_is_one_address(start):
    assert start("192.0.2.1") == 303
    assert start("::ffff:192.0.2.1") == 429
    assert start(f"::ffff:{PROXY}", "192.0.2.1") == 429
    assert start(PROXY, "::ffff:192.0.2.1") == 429
    assert start("fe80::1%eth0") == 303
    assert start("fe80::2%eth1") == 429
    assert start(PROXY, "fe80::1%" + "z" * 200) == 429


@pytest.mark.parametrize("address", [None, "", "unix:", "/run/socket"])
def test_a_peer_without_an_address_is_one_address_for_all_and_no_proxy(start, address):
    assert start(address) == 303
    assert start(address, "192.0.2.1") == 429


@pytest.mark.parametrize(
    ("address", "block"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8::", "2001:db8::/64"),
        ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("rubbish", "unknown"),
        ("", "unknown"),
    ],
)
def test_blocks(address, block):
    assert address_block(address) == block


@settings(deadline=None)
@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_the_low_64_bits_make_no_other_block(address, low):
    neighbour = ipaddress.IPv6Address(int(address) >> 64 << 64 | low)
    if address.ipv4_mapped or neighbour.ipv4_mapped:
        return
    assert address_block(str(address)) == address_block(str(neighbour))


@settings(max_examples=150, deadline=None)
@given(
    said=st.lists(
        st.one_of(st.ip_addresses().map(str), st.text(st.characters(max_codepoint=255), max_size=20)), max_size=4
    )
)
def test_no_header_makes_it_fail(secure, said):
    headers = tuple(("X-Forwarded-For", one) for one in said)
    answer = knock(secure.web, Knock(path="/recovery", host=HOST, address="10.0.0.1", headers=headers))
    assert answer.status_code in {200, 400}


def test_the_scheme_is_ours_whatever_a_proxy_says(secure):
    for said in ("http", "https", "gopher"):
        headers = (("X-Forwarded-Proto", said), ("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-Prefix", "/x"))
        answer = knock(secure.web, Knock(path="/", host=HOST, address="10.0.0.1", headers=headers))
        assert answer.location == "/sign-in"
        page = knock(
            secure.web, Knock(path="/.well-known/security.txt", host=HOST, address="10.0.0.1", headers=headers)
        )
        assert f"Canonical: {ORIGIN}/.well-known/security.txt\n" in page.text
