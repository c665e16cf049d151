"""How often, for how long and where a fault strikes."""

import pytest
from pydantic import ValidationError

from simulator.faults import (
    GLITCHES,
    MOST_FAULTS,
    ONCE,
    STANDING,
    WIRE,
    FaultBook,
    FaultKind,
    FaultSpec,
)


def strikes(book: FaultBook, times: int, meter: str = "m1", function: int = 3) -> list[bool]:
    return [bool(book.strike(WIRE, meter, "b1", at_s, function)) for at_s in range(times)]


def test_every_kind_belongs_to_one_group() -> None:
    assert sorted(FaultKind) == sorted([*WIRE, *ONCE, *STANDING, *GLITCHES])


def test_a_fault_with_a_count_strikes_that_often() -> None:
    book = FaultBook(specs=[FaultSpec(kind=FaultKind.DEAD, count=2)])
    assert strikes(book, 4) == [True, True, False, False]


def test_a_fault_lasts_from_when_it_was_first_met() -> None:
    book = FaultBook(specs=[FaultSpec(kind=FaultKind.DEAD, duration_s=2)])
    assert strikes(book, 4) == [True, True, False, False]


def test_a_fault_with_a_start_waits_for_it() -> None:
    book = FaultBook(specs=[FaultSpec(kind=FaultKind.DEAD, start_s=1, duration_s=2)])
    assert strikes(book, 4) == [False, True, True, False]


def test_a_fault_is_narrowed_to_a_meter_a_bus_and_functions() -> None:
    book = FaultBook()
    book.add(FaultSpec(kind=FaultKind.DEAD, meter="m1", bus="b1", functions=(16,)))
    assert strikes(book, 1, "m1", 16) == [True]
    assert strikes(book, 1, "m1", 3) == [False]
    assert strikes(book, 1, "m2", 16) == [False]
    assert book.strike(WIRE, "m1", "b2", 0, 16) == ()


def test_the_same_seed_strikes_the_same_times() -> None:
    spec = FaultSpec(kind=FaultKind.BAD_CRC, probability=0.5)
    first, again = (strikes(FaultBook(7, [spec]), 64) for _ in range(2))
    assert first == again
    assert 16 < sum(first) < 48
    assert first != strikes(FaultBook(8, [spec]), 64)


def test_a_bus_wide_change_happens_once_to_each_meter() -> None:
    book = FaultBook(specs=[FaultSpec(kind=FaultKind.METER_SWAP, bus="b1")])
    assert [bool(book.strike(ONCE, meter, "b1", 0)) for meter in ("m1", "m1", "m2")] == [
        True,
        False,
        True,
    ]


def test_faults_are_taken_out_by_id_or_by_what_they_name() -> None:
    book = FaultBook()
    first = book.add(FaultSpec(kind=FaultKind.DEAD, meter="m1"))
    book.add(FaultSpec(kind=FaultKind.SLOW, meter="m1"))
    book.add(FaultSpec(kind=FaultKind.SLOW, meter="m2"))
    assert book.remove(first)
    assert not book.remove(first)
    assert book.clear(meter="m1") == 1
    assert [fault.spec.meter for fault in book.entries()] == ["m2"]
    assert book.clear() == 1
    assert not book.busy


def test_a_fault_removed_no_longer_strikes() -> None:
    book = FaultBook()
    fault = book.add(FaultSpec(kind=FaultKind.DEAD))
    assert strikes(book, 1) == [True]
    book.remove(fault)
    assert strikes(book, 1) == [False]


def test_the_book_refuses_more_than_its_limit() -> None:
    book = FaultBook(specs=[FaultSpec(kind=FaultKind.DEAD)] * MOST_FAULTS)
    with pytest.raises(ValueError, match="full"):
        book.add(FaultSpec(kind=FaultKind.DEAD))


@pytest.mark.parametrize(
    "wrong",
    [{"kind": "dust"}, {"count": 0}, {"probability": 2}, {"value": "blue"}, {"unit": 3}],
)
def test_a_fault_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FaultSpec.model_validate({"kind": "dead", **wrong})
