"""The digits of a token: what they say, what a slip of the finger does, what a guess is worth."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.token_code import (
    DIGITS,
    amount_class,
    amount_of_class,
    check_digit,
    read_token,
    seal_of,
    token_text,
)
from billing.tokens import forging_odds
from domain.errors import InvalidInput

KEY = b"k" * 32
AMOUNTS = [digit * 10**e for digit in range(1, 10) for e in range(2, 6)]


def test_these_digits_stay_what_they_are() -> None:
    assert token_text(KEY, 4711, 5000) == "1000-0471-1532-9232-5701"
    assert token_text(KEY, 4711, 5000, "a-101") != token_text(KEY, 4711, 5000)


@given(
    st.integers(0, 99_999_999),
    st.sampled_from(AMOUNTS),
    st.sampled_from(["", "a-101"]),
    st.sampled_from(["-", " ", "", "\u3000", " - ", "\u2014"]),
)
def test_what_is_printed_is_read_back_however_it_is_typed(serial, amount_minor, account, between):
    text = token_text(KEY, serial, amount_minor, account).replace("-", between)
    read = read_token(f" {text}\t")
    assert (read.version, read.serial, read.amount_minor) == (1, serial, amount_minor)
    assert read.seal == seal_of(KEY, serial, amount_minor, account, 1)


def test_digits_of_a_chinese_keyboard_count_too() -> None:
    text = token_text(KEY, 4711, 5000)
    wide = "".join(chr(ord(mark) + 0xFEE0) if mark.isdigit() else mark for mark in text)
    assert read_token(wide) == read_token(text)


@given(st.integers(0, 99_999_999), st.integers(0, 19), st.integers(1, 9))
def test_one_wrong_digit_is_always_a_slip_and_never_a_guess(serial, place, by):
    digits = token_text(KEY, serial, 5000).replace("-", "")
    wrong = digits[:place] + str((int(digits[place]) + by) % 10) + digits[place + 1 :]
    with pytest.raises(InvalidInput):
        read_token(wrong)


@given(st.integers(0, 99_999_999), st.integers(0, 18))
def test_two_neighbours_swapped_are_a_slip(serial, place):
    digits = token_text(KEY, serial, 5000).replace("-", "")
    one, two = digits[place], digits[place + 1]
    swapped = digits[:place] + two + one + digits[place + 2 :]
    if swapped == digits:
        return
    with pytest.raises(InvalidInput):
        read_token(swapped)


@pytest.mark.parametrize(
    "text", ["", "1", "x" * 20, "1" * 19, "1" * 21, "1" * 40, "١" * 20, "1000-0471-1535-6029-507a"]
)
def test_what_is_no_token_is_invalid(text: str) -> None:
    with pytest.raises(InvalidInput):
        read_token(text)


def test_the_check_digit_is_damms() -> None:
    assert check_digit("572") == "4"


def test_amounts_are_one_digit_and_a_power_of_ten() -> None:
    assert [amount_class(amount) for amount in (100, 5000, 10_000, 900_000)] == [
        "12", "53", "14", "95",
    ]  # fmt: skip
    assert [amount_class(amount) for amount in (0, 50, 2500, 1_000_000, -5000)] == [None] * 5
    assert all(amount_of_class(amount_class(amount) or "00") == amount for amount in AMOUNTS)
    assert [amount_of_class(text) for text in ("00", "03", "51", "56")] == [None] * 4


def test_the_odds_of_a_guess_are_those_that_the_page_states() -> None:
    assert forging_odds(10_000) == pytest.approx(1e-12)
    assert len(token_text(KEY, 0, 100).replace("-", "")) == DIGITS


def test_seals_do_not_favour_any_digit() -> None:
    seals = [seal_of(KEY, serial, 5000, "", 1) for serial in range(20_000)]
    tenths = [sum(seal // 10_000_000 == tenth for seal in seals) for tenth in range(10)]
    assert all(1_800 < count < 2_200 for count in tenths), tenths
    assert len(set(seals)) > 19_990
