"""Recharge tokens: worth nothing until sold, used once, guessed never, taken back for money."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from houses import guess

from billing.payments.model import Shift
from billing.token_code import token_text
from billing.token_model import TokenRefused, TokenState
from billing.tokens import SECRET, Tokens
from domain.books import KeyReused
from domain.clock import LeapClock
from domain.errors import InvalidInput, RateLimited, UnknownSubject
from domain.events import EventKind
from storage.books.payments import SqlPayments
from storage.books.prepaid import SqlTokenStore
from storage.books.sql_books import SqlBooks
from storage.ledger.sql_ledger import SqlLedger

YUAN_50 = 5_000
MICRO_50 = 50_000_000
DAY_S = 86_400.0


def sold(tokens: Tokens, count: int = 1, sale: str = "s1", **more) -> list[str]:
    """Make tokens, sell them at the counter of lin, and return their digits."""
    tokens.issue(f"b-{sale}", count, YUAN_50, "finance", **more)
    _, cards = tokens.printed(f"b-{sale}", "printer")
    tokens.sell(sale, [card.token.serial for card in cards], "lin")
    return [card.digits for card in cards]


def money(books: SqlBooks, account: str = "a-101") -> tuple[int, int, int]:
    """The room's balance, what is owed for tokens, what the drawer has."""
    return (
        books.balance(f"room:{account}") or 0,
        books.balance("clearing:token") or 0,
        books.balance("cash:lin") or 0,
    )


def test_a_token_is_sold_for_cash_and_redeemed_once(tokens, books) -> None:
    (digits,) = sold(tokens)
    assert money(books) == (0, MICRO_50, -MICRO_50)
    first = tokens.redeem(digits.replace("-", " "), "a-101", "s1")
    assert (first.amount_minor, first.repeated) == (YUAN_50, False)
    assert money(books) == (MICRO_50, 0, -MICRO_50)
    again = tokens.redeem(digits, "a-101", "room-mate")
    assert again.repeated and again.posted.number == first.posted.number
    with pytest.raises(TokenRefused, match="used already"):
        tokens.redeem(digits, "a-102", "s2")
    assert money(books) == (MICRO_50, 0, -MICRO_50)


def test_the_recharge_says_all_that_reports_ask_for(tokens, books) -> None:
    (digits,) = sold(tokens)
    posted = tokens.redeem(digits, "a-101", "s1").posted
    serial = tokens.tokens()[0].serial
    assert posted.entry.id == f"recharge:token-{serial:08d}"
    assert posted.entry.kind == "recharge" and posted.entry.actor == "s1"
    details = {"channel": "token", "order": f"token-{serial:08d}", "amount_minor": 5000}
    assert details.items() <= posted.entry.details.items()
    assert {"building": "A", "kind": "dorm"}.items() <= posted.entry.details.items()
    sale = books.entry("token-sale:s1")
    assert sale is not None and sale.entry.details["serials"] == [f"{serial:08d}"]


def test_a_hundred_people_type_one_token_at_once_and_it_counts_once(tokens, books) -> None:
    (digits,) = sold(tokens)

    def type_in(number: int) -> str:
        try:
            return str(tokens.redeem(digits, f"a-10{1 + number % 2}", f"p{number}").repeated)
        except TokenRefused:
            return "refused"

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(type_in, range(100)))
    assert answers.count("False") == 1 and answers.count("True") == 49
    assert answers.count("refused") == 50
    both = (books.balance("room:a-101") or 0) + (books.balance("room:a-102") or 0)
    assert both == MICRO_50 and books.balance("clearing:token") == 0


def test_a_printed_token_is_worth_nothing(tokens, books) -> None:
    tokens.issue("b1", 1, YUAN_50, "finance")
    card = tokens.printed("b1", "printer")[1][0]
    with pytest.raises(TokenRefused, match="not been sold"):
        tokens.redeem(card.digits, "a-101", "s1")
    assert money(books) == (0, 0, 0)


def test_what_is_owed_for_tokens_is_what_was_sold_and_not_used(tokens, books, clock) -> None:
    cards = sold(tokens, 20)
    for card in cards[:7]:
        tokens.redeem(card, "a-101", "s1")
    serials = {card.digits: card.token.serial for card in tokens.printed("b-s1", "printer")[1]}
    for card in cards[7:10]:
        tokens.void(serials[card], "finance", "card torn", cashier="lin")
    on_sale = tokens.tokens(state=TokenState.SOLD)
    assert len(on_sale) == 10
    assert books.balance("clearing:token") == sum(one.amount_minor for one in on_sale) * 10_000
    assert money(books) == (7 * MICRO_50, 10 * MICRO_50, -17 * MICRO_50)


def test_a_token_bound_to_a_room_is_good_for_no_other(tokens, books) -> None:
    (digits,) = sold(tokens, account="a-102")
    with pytest.raises(TokenRefused, match="another room"):
        tokens.redeem(digits, "a-101", "s1")
    assert tokens.redeem(digits, "a-102", "s2").amount_minor == YUAN_50


def test_an_expired_token_is_refused_and_its_money_is_given_back(tokens, books, clock) -> None:
    (digits,) = sold(tokens, valid_days=30)
    clock.leap(30 * DAY_S)
    with pytest.raises(TokenRefused, match="expired"):
        tokens.redeem(digits, "a-101", "s1")
    serial = tokens.tokens()[0].serial
    token = tokens.void(serial, "finance", "expired", cashier="lin")
    assert (token.state, token.voided_by) == (TokenState.VOID, "finance")
    assert money(books) == (0, 0, 0)
    assert tokens.void(serial, "finance", "expired", cashier="lin") == token
    with pytest.raises(TokenRefused, match="taken back"):
        tokens.redeem(digits, "a-101", "s1")


def test_a_used_token_typed_again_after_its_last_day_still_says_what_it_brought(tokens, clock):
    (digits,) = sold(tokens, valid_days=1)
    tokens.redeem(digits, "a-101", "s1")
    clock.leap(2 * DAY_S)
    assert tokens.redeem(digits, "a-101", "s1").repeated


def test_a_used_token_can_not_be_taken_back(tokens, books) -> None:
    (digits,) = sold(tokens)
    tokens.redeem(digits, "a-101", "s1")
    with pytest.raises(TokenRefused, match="redeemed"):
        tokens.void(tokens.tokens()[0].serial, "finance", "please", cashier="lin")
    assert money(books) == (MICRO_50, 0, -MICRO_50)


def test_void_and_redeem_at_the_same_moment_give_the_money_once(tokens, books) -> None:
    cards = sold(tokens, 12)
    serials = [card.token.serial for card in tokens.printed("b-s1", "printer")[1]]

    def race(job: tuple[int, bool]) -> bool:
        place, redeems = job
        try:
            if redeems:
                tokens.redeem(cards[place], "a-101", "s1")
            else:
                tokens.void(serials[place], "finance", "lost", cashier="lin")
        except TokenRefused:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(race, [(place, who) for place in range(12) for who in (True, False)]))
    assert [won[2 * place] != won[2 * place + 1] for place in range(12)] == [True] * 12
    room, owed, drawer = money(books)
    assert owed == 0 and room + drawer == 0


def test_a_wrong_seal_and_an_unknown_serial_get_the_same_answer(tokens, ledger) -> None:
    (digits,) = sold(tokens)
    said = []
    stranger = token_text(ledger.secret(SECRET), 1, YUAN_50)
    other_amount = token_text(ledger.secret(SECRET), tokens.tokens()[0].serial, 900_000)
    for text in (guess(digits), stranger, other_amount):
        with pytest.raises(TokenRefused) as refusal:
            tokens.redeem(text, "a-101", "s1")
        said.append(str(refusal.value))
    assert len(set(said)) == 1


def test_guessing_locks_the_guesser_for_that_room_and_nobody_else(tokens, clock, events) -> None:
    (digits,) = sold(tokens)
    for by in range(1, 6):
        with pytest.raises(TokenRefused):
            tokens.redeem(guess(digits, by), "a-101", "thief")
        clock.leap(1)
    with pytest.raises(RateLimited) as locked:
        tokens.redeem(digits, "a-101", "thief")  # even the right one
    assert 3590 <= locked.value.retry_after_s <= 3600
    assert [event.kind for event in events] == [EventKind.TOKENS_PRINTED, EventKind.TOKEN_GUESSES]
    assert tokens.redeem(digits, "a-101", "s1").amount_minor == YUAN_50, "the room is not locked"
    clock.leap(3600)
    assert tokens.redeem(digits, "a-101", "thief").repeated


def test_trying_room_after_room_locks_the_guesser_everywhere_for_a_day(tokens, rooms, clock):
    (digits,) = sold(tokens)
    rooms.table |= {f"x-{n}": replace(rooms.table["a-101"], id=f"x-{n}") for n in range(20)}
    for number in range(20):
        with pytest.raises(TokenRefused):
            tokens.redeem(guess(digits, number + 1), f"x-{number}", "thief")
    with pytest.raises(RateLimited, match="today"):
        tokens.redeem(digits, "a-101", "thief")
    clock.leap(DAY_S + 1)
    assert not tokens.redeem(digits, "a-101", "thief").repeated
    assert tokens.prune() == 0
    clock.leap(2 * DAY_S)
    assert tokens.prune() == 20


def test_a_kiosk_is_locked_room_by_room_and_never_for_all(tokens, rooms) -> None:
    (digits,) = sold(tokens)
    rooms.table |= {f"x-{n}": replace(rooms.table["a-101"], id=f"x-{n}") for n in range(25)}
    for number in range(25):
        with pytest.raises(TokenRefused):
            tokens.redeem(guess(digits, number + 1), f"x-{number}", "kiosk", for_others=True)
    assert not tokens.redeem(digits, "a-101", "kiosk", for_others=True).repeated


def test_a_hundred_guesses_at_once_are_not_more_guesses(tokens) -> None:
    (digits,) = sold(tokens)

    def try_one(by: int) -> str:
        try:
            tokens.redeem(guess(digits, by), "a-101", "thief")
        except TokenRefused:
            return "wrong"
        except RateLimited:
            return "locked"
        return "in"

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(try_one, range(1, 101)))
    assert (answers.count("wrong"), answers.count("locked")) == (5, 95)


def test_slips_of_the_finger_are_free(tokens) -> None:
    (digits,) = sold(tokens)
    for _ in range(30):
        with pytest.raises(InvalidInput):
            tokens.redeem(digits[:-1] + str((int(digits[-1]) + 1) % 10), "a-101", "s1")
    assert tokens.redeem(digits, "a-101", "s1").amount_minor == YUAN_50


def test_guesses_are_remembered_over_a_restart(tokens, rooms, store, ledger, clock, events) -> None:
    (digits,) = sold(tokens)
    for by in range(1, 6):
        with pytest.raises(TokenRefused):
            tokens.redeem(guess(digits, by), "a-101", "thief")
    again = Tokens(rooms, store, ledger.secret(SECRET), clock, events.append)
    with pytest.raises(RateLimited):
        again.redeem(digits, "a-101", "thief")


def test_many_guesses_of_many_people_are_an_alarm_once(tokens, events, rooms, store, ledger, clock):
    settings = tokens.settings.model_copy(update={"alarm_wrong": 6})
    watched = Tokens(rooms, store, ledger.secret(SECRET), clock, events.append, settings)
    (digits,) = sold(watched)
    for by in range(1, 9):
        with pytest.raises(TokenRefused):
            watched.redeem(guess(digits, by), "a-101", f"p{by}")
    told = [(one.kind, one.subject, one.severity) for one in events[1:]]
    assert told == [(EventKind.TOKEN_GUESSES, "tokens", "alarm")]


def test_the_same_batch_again_makes_no_more_and_another_under_its_name_is_refused(tokens, clock):
    first = tokens.issue("b1", 3, YUAN_50, "finance")
    clock.leap(5)
    assert tokens.issue("b1", 3, YUAN_50, "finance") == first
    assert len(tokens.tokens(batch="b1")) == 3
    with pytest.raises(KeyReused):
        tokens.issue("b1", 4, YUAN_50, "finance")


def test_the_same_sale_again_sells_nothing_more_and_others_are_refused(tokens, books, clock):
    tokens.issue("b1", 4, YUAN_50, "finance")
    serials = [token.serial for token in tokens.tokens(batch="b1")]
    tokens.sell("s1", serials[:2], "lin")
    clock.leap(5)
    assert tokens.sell("s1", serials[:2], "lin").repeated
    with pytest.raises(KeyReused):
        tokens.sell("s1", serials[2:], "lin")
    with pytest.raises(TokenRefused, match="1 of these"):
        tokens.sell("s2", serials[1:3], "wang")
    assert [token.state for token in tokens.tokens(batch="b1")] == [
        "sold", "sold", "printed", "printed",
    ]  # fmt: skip
    assert money(books) == (0, 2 * MICRO_50, -2 * MICRO_50)


def test_a_sale_needs_an_open_shift_where_shifts_are_kept_and_is_on_a_receipt(
    rooms, ledger, books, clock, events
) -> None:
    store = SqlTokenStore(ledger, books, till=True)
    tokens = Tokens(rooms, store, ledger.secret(SECRET), clock, events.append)
    till = SqlPayments(ledger, books)
    tokens.issue("b1", 2, YUAN_50, "finance")
    serials = [token.serial for token in tokens.tokens()]
    with pytest.raises(TokenRefused, match="no open shift"):
        tokens.sell("s1", serials, "lin")
    assert {token.state for token in tokens.tokens()} == {TokenState.PRINTED}
    till.transact(lambda tx: tx.put_shift(Shift("shift-7", "lin", clock.now(), 0))).result(10)
    sold = tokens.sell("s1", serials, "lin")
    assert sold.entry.details["shift"] == "shift-7"
    assert tokens.sell("s1", serials, "lin").repeated
    tokens.void(serials[0], "finance", "torn", cashier="lin")
    receipts = sorted(till.receipts(limit=10), key=lambda one: one.number)
    assert [(one.number, one.kind, one.amount_minor, one.shift) for one in receipts] == [
        (1, "token-sale", 2 * YUAN_50, "shift-7"),
        (2, "refund", -YUAN_50, "shift-7"),
    ]
    total = till.transact(lambda tx: tx.shift_total_minor("shift-7")).result(10)
    assert total == YUAN_50 and books.balance("cash:lin") == -MICRO_50


def test_everything_wrong_with_an_order_is_said_at_once(tokens) -> None:
    with pytest.raises(InvalidInput) as wrong:
        tokens.issue("b1", 0, 2_500, "finance", valid_days=0)
    assert {fault.source for fault in wrong.value.faults} == {
        "count", "amount_minor", "valid_days",
    }  # fmt: skip
    with pytest.raises(UnknownSubject):
        tokens.issue("b1", 1, YUAN_50, "finance", account="nowhere")
    with pytest.raises(InvalidInput):
        tokens.sell("s1", [1, 1], "lin")
    with pytest.raises(UnknownSubject):
        tokens.sell("s1", [1], "lin")
    with pytest.raises(UnknownSubject):
        tokens.redeem("1" * 20, "nowhere", "s1")


def test_a_sold_token_is_taken_back_only_with_a_reason_and_a_drawer(tokens) -> None:
    sold(tokens)
    serial = tokens.tokens()[0].serial
    with pytest.raises(InvalidInput):
        tokens.void(serial, "finance", " ", cashier="lin")
    with pytest.raises(InvalidInput):
        tokens.void(serial, "finance", "torn")


def test_the_digits_are_nowhere_in_the_database(sqlite_url, tmp_path, rooms, clock) -> None:
    ledger = SqlLedger(sqlite_url, clock=clock)
    store = SqlTokenStore(ledger, SqlBooks(ledger, clock=clock))
    (digits,) = sold(Tokens(rooms, store, ledger.secret(SECRET), clock, lambda _: None))
    seal = digits.replace("-", "")[11:19].encode()
    ledger.close()
    content = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    assert seal not in content and b"b-s1" in content


def test_a_token_survives_a_restart_and_so_does_its_use(
    tokens, rooms, ledger, clock: LeapClock, events
) -> None:
    (digits,) = sold(tokens)
    tokens.redeem(digits, "a-101", "s1")
    books = SqlBooks(ledger, clock=clock)
    again = Tokens(rooms, SqlTokenStore(ledger, books), ledger.secret(SECRET), clock, events.append)
    assert again.redeem(digits, "a-101", "s1").repeated
    assert books.balance("room:a-101") == MICRO_50
