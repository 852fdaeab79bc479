"""Seals that were kept outside are read again, whatever a mail program did to them."""

import re
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.journeys.auditing.rules import block, heads, line
from tests.hands import START

CHAIN = "0123456789abcdef" * 4
OTHER = "f" * 64
chains = st.text("0123456789abcdef", min_size=64, max_size=64)


@given(number=st.integers(1, 999_999_999), chain=chains)
def test_a_block_is_read_as_it_was_written_and_no_line_of_it_is_long_or_looks_like_a_pin(number, chain):
    written = block(START, number, chain)
    assert heads(written) == {number: chain}
    assert max(map(len, written.splitlines())) <= 32
    if number < 100_000:
        assert not re.search(r"[0-9]{6}", written)


@given(
    number=st.integers(1, 999_999_999),
    chain=chains,
    quote=st.sampled_from(["", "> ", ">", ">> ", "> > ", "| ", "    ", "\t", "\u00a0"]),
    ends=st.sampled_from(["\n", "\r\n", "  \n", "\n\n"]),
    width=st.sampled_from([20, 31, 50, 72, 200]),
    joined=st.booleans(),
)
def test_quotation_and_other_line_ends_do_not_matter(number, chain, quote, ends, width, joined):
    text = f"Dear all,\n\n{block(START, number, chain)}\n\n-- \nyours, [somebody] 2026"
    lines = text.splitlines()
    if joined:
        lines = textwrap.wrap(" ".join(lines), width, break_long_words=False)
    assert heads(ends.join(quote + one for one in lines)) == {number: chain}


def test_a_file_may_hold_several_mails_and_lines_as_well():
    text = f"{block(START, 7, CHAIN)}\nFrom: x\n{block(START, 9, OTHER)}\n{line(START, 8, OTHER)}\n"
    assert heads(text) == {7: CHAIN, 8: OTHER, 9: OTHER}
    assert heads(f"{line(START, 8, OTHER)}\n{line(START, 9, CHAIN)}\n") == {8: OTHER, 9: CHAIN}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no seal in it"),
        ("hello\n", "line 1 is no seal"),
        (f"{line(START, 8, OTHER)}\nhello\n", "line 2 is no seal"),
        (block(START, 7, CHAIN).rpartition("\n")[0], "block 1 is no seal"),
        (block(START, 7, CHAIN).replace("cdef", "cde", 1), "block 1 is no seal"),
        (block(START, 7, CHAIN).replace("cdef", "cdeg", 1), "block 1 is no seal"),
        (f"{block(START, 6, CHAIN)}\n[keyturn seal]\n", "block 2 is no seal"),
        (f"{block(START, 7, CHAIN)}\n{block(START, 7, OTHER)}", "seal 7 stands there twice"),
    ],
)
def test_what_cannot_be_read_is_said_and_never_left_out(text, why):
    with pytest.raises(ValueError, match=why):
        heads(text)
