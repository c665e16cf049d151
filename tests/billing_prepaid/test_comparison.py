"""What a meter holds against the books: told with evidence, settled by two people, never mended."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from chain import Chain, chain_of

from billing.charger import Charger
from billing.model import RegisterSpan
from billing.prepaid_model import PurchaseMoved
from billing.tariff import Fees, Tariff, TariffBook, TariffVersion
from domain.books import EntryKind
from domain.errors import Forbidden, InvalidInput, UnknownSubject
from domain.events import EventKind
from simulator.faults import FaultKind
from storage.books.charging import SqlCharging

HOUR_S = 3_600.0


def sweep(chain: Chain, remaining: int | None, energy_wh: int = 50_000, **more) -> pl.DataFrame:
    row = {
        "meter": "m1", "time": chain.rig.clock.now(), "balance_minor": remaining,
        "energy_wh": energy_wh, "quality": "good",
    }  # fmt: skip
    return pl.DataFrame([row | more])


def look(chain: Chain, remaining: int, energy_wh: int = 50_000, times: int = 2) -> list[int]:
    """Show an amount and compare, twice by default; return the open differences in fen."""
    chain.check.compare()
    for _ in range(times):
        chain.check.observe(sweep(chain, remaining, energy_wh))
        chain.check.compare()
        chain.rig.clock.leap(60)
    return [one.difference_micro // 10_000 for one in chain.check.differences()]


async def agreed(chain: Chain, amount_minor: int = 5_000) -> None:
    """Put money into the meter and let the two agree about it."""
    chain.recharge(amount_minor)
    await chain.settle()
    chain.rig.clock.leap(1)
    assert look(chain, amount_minor) == []


async def test_a_meter_that_holds_what_was_bought_less_what_was_used_agrees(sqlite_url) -> None:
    async with chain_of(sqlite_url) as chain:
        await agreed(chain)
        chain.charge(1_500)
        chain.accrued["a-103"] = 200 * 10_000
        assert look(chain, 3_300, 53_000) == []
        assert chain.check.remaining_micro("a-103") == 33_000_000
        assert [event.kind for event in chain.events] == [EventKind.PURCHASE_CONFIRMED]


async def test_a_difference_is_told_with_its_evidence_and_books_nothing(sqlite_url) -> None:
    async with chain_of(sqlite_url) as chain:
        await agreed(chain)
        chain.charge(1_500)
        before = chain.money()
        assert look(chain, 2_500, 53_000) == [-1_000]
        (found,) = chain.check.differences()
        assert (found.kind, found.account) == ("amount", "a-103")
        assert found.evidence["expected_micro"] == 35_000_000
        assert found.evidence["remaining_minor"] == 2_500
        assert found.evidence["since"]["used_wh"] == 3_000
        assert chain.events[-1].kind is EventKind.PREPAID_DIFFERENCE
        assert "2500 fen, the books say 3500 fen" in chain.events[-1].message
        assert chain.money() == before, "nothing is mended by itself"
        events = len(chain.events)
        assert look(chain, 2_400, 53_000, times=5) == [-1_100]
        assert len(chain.events) == events, "told once"


async def test_one_look_that_differs_is_no_difference_yet(sqlite_url) -> None:
    async with chain_of(sqlite_url) as chain:
        await agreed(chain)
        assert look(chain, 4_000, times=1) == []
        assert look(chain, 5_000, times=1) == []
        assert look(chain, 4_000, times=1) == []
        assert look(chain, 4_000, times=1) == [-1_000]


async def test_what_agrees_again_ends_by_itself_and_says_so(database_url) -> None:
    async with chain_of(database_url) as chain:
        await agreed(chain)
        look(chain, 4_000)
        chain.charge(1_000)  # the late reading has come in
        assert look(chain, 4_000) == []
        (found,) = chain.check.differences(open_only=False)
        assert (found.decision, found.closed_by) == ("gone", "system")


async def test_rounding_of_the_meter_is_allowed_for_in_proportion(sqlite_url) -> None:
    async with chain_of(sqlite_url, tolerance_minor=20, tolerance_share=0.01) as chain:
        await agreed(chain, 100_000)
        chain.charge(50_000)
        assert look(chain, 50_000 - 519) == []
        assert look(chain, 50_000 - 521) == [-521]


async def test_the_first_amount_of_a_meter_is_opened_by_two_people(sqlite_url) -> None:
    async with chain_of(sqlite_url) as chain:
        chain.keeper.tick()
        assert look(chain, 2_000) == [2_000]
        (found,) = chain.check.differences()
        assert found.kind == "opening"
        with pytest.raises(PurchaseMoved, match="nobody has proposed"):
            chain.check.approve(found.id, "boss")
        with pytest.raises(InvalidInput):
            chain.check.propose(found.id, "finance", " ")
        chain.check.propose(found.id, "finance", "factory credit")
        with pytest.raises(Forbidden):
            chain.check.approve(found.id, "finance")
        closed = chain.check.approve(found.id, "boss")
        assert (closed.decision, closed.closed_by) == ("adjusted", "boss")
        (posted,) = chain.books.entries(kind=EntryKind.OPENING)
        assert {leg.account: leg.amount for leg in posted.entry.legs} == {
            "meter:m1": 20_000_000, "suspense": -20_000_000,
        }  # fmt: skip
        assert posted.entry.details["proposed_by"] == "finance"
        assert look(chain, 2_000) == [] and chain.money() == (0, 0, 2_000)
        with pytest.raises(PurchaseMoved, match="settled before"):
            chain.check.approve(found.id, "boss")
        with pytest.raises(UnknownSubject):
            chain.check.approve("nothing", "boss")


async def test_what_moved_since_it_was_proposed_has_to_be_proposed_anew(database_url) -> None:
    async with chain_of(database_url) as chain:
        await agreed(chain)
        look(chain, 4_000)
        (found,) = chain.check.differences()
        chain.check.propose(found.id, "finance", "meter's own tariff was wrong")
        look(chain, 3_000)
        with pytest.raises(PurchaseMoved, match="changed since"):
            chain.check.approve(found.id, "boss")
        chain.check.propose(found.id, "finance", "meter's own tariff was wrong")
        chain.check.approve(found.id, "boss")
        assert chain.money() == (0, 0, 3_000)
        assert [one.entry.kind for one in chain.books.entries(reference=found.id)] == ["adjustment"]


async def test_old_readings_and_meters_being_written_to_are_not_compared(sqlite_url) -> None:
    async with chain_of(sqlite_url) as chain:
        await agreed(chain)
        account = chain.rooms.table["a-103"]
        chain.rig.clock.leap(301)
        assert chain.check.look("m1", account) is None, "stale"
        chain.check.observe(sweep(chain, 5_000))
        assert chain.check.look("m1", account) is not None
        chain.recharge(1_000)
        await chain.settle()
        assert chain.states()[-1] == "confirmed"
        assert chain.check.look("m1", account) is None, "read before the purchase"
        chain.rig.clock.leap(1)
        chain.check.observe(sweep(chain, 6_000))
        assert chain.check.look("m1", account) is not None
        chain.rig.add(FaultKind.DEAD, meter="m1", functions=(16,), count=1)
        chain.recharge(1_000)
        await chain.settle()
        chain.check.observe(sweep(chain, 6_000))
        assert chain.check.look("m1", account) is None, "a purchase is unknown"
        await chain.later(100)
        await chain.later(200)
        assert chain.states()[-1] == "confirmed"
        chain.rig.clock.leap(1)
        chain.check.observe(sweep(chain, 7_000))
        found = chain.check.look("m1", account)
        assert found is not None and found.agrees


async def test_missing_and_doubtful_values_are_not_taken(sqlite_url) -> None:
    async with chain_of(sqlite_url) as chain:
        chain.keeper.tick()
        chain.check.compare()
        for frame in (
            sweep(chain, None),
            sweep(chain, 0, quality="timeout"),
            sweep(chain, 0).with_columns(energy_wh=pl.lit(None, pl.Int64)),
            sweep(chain, 0, meter="m9"),
        ):
            chain.check.observe(frame)
        assert chain.check.remaining_micro("a-103") is None
        assert chain.check.look("m1", chain.rooms.table["a-103"]) is None


async def test_service_fees_are_the_rooms_own_and_no_difference(sqlite_url) -> None:
    async with chain_of(sqlite_url) as chain:
        chain.rooms.spans = [RegisterSpan("m1", "a-103", chain.rig.clock.now(), 50_000)]
        march = datetime(2026, 2, 28, 16, tzinfo=UTC)  # midnight in Shanghai
        chain.rooms.table = {"a-103": replace(chain.rooms.table["a-103"], opened_at=march)}
        await agreed(chain)
        charger = charger_of(chain, Fees(per_month=Decimal(8)))
        chain.check._accrued_micro = charger.accrued_micro
        for _ in range(35):
            chain.rig.clock.leap(24 * HOUR_S)
            charger.observe(sweep(chain, 5_000))
            charger.charge_due()
        assert chain.money() == (-800, 0, 5_000)
        assert look(chain, 5_000) == []
        chain.recharge(2_000)
        await chain.settle()
        assert chain.money() == (0, 0, 6_200), "the fee first, the rest into the meter"


def charger_of(chain: Chain, fees: Fees | None = None) -> Charger:
    rates = TariffVersion(valid_from=date(2026, 1, 1), rate=Decimal("0.60"), fees=fees or Fees())
    charger = Charger(
        chain.books,
        chain.rooms,
        SqlCharging(chain.ledger, chain.books),
        chain.rig.clock,
        ZoneInfo("Asia/Shanghai"),
        chain.events.append,
    )
    assert charger.shelf.seed(TariffBook({"dorm": Tariff(versions=(rates,))})) == []
    return charger


@pytest.mark.parametrize(("meter_price", "differs"), [(60.0, False), (75.0, True)])
async def test_the_whole_chain_agrees_where_meter_and_tariff_have_one_price(
    sqlite_url, meter_price: float, differs: bool
) -> None:
    async with chain_of(sqlite_url, poll=True) as chain:
        chain.rooms.spans = [RegisterSpan("m1", "a-103", chain.rig.clock.now(), 50_000)]
        chain.rooms.table.pop("a-104")
        chain.keeper.tick()
        charger = charger_of(chain)
        chain.check._accrued_micro = charger.accrued_micro
        chain.rig.meters["m1"].purse.price_minor_per_kwh = meter_price
        chain.recharge(5_000)
        await chain.settle()
        chain.check.compare()
        for _ in range(6):
            chain.rig.clock.leap(2 * HOUR_S)  # 1 kWh each
            have = len(chain.rig.sweeps)
            await chain.rig.until(lambda have=have: _told(chain, have))
            for one in chain.rig.sweeps[have:]:
                charger.observe(one.frame)
                chain.check.observe(one.frame)
            charger.charge_due()
            chain.check.compare()
        used_wh = chain.rig.meters["m1"].state(chain.rig.clock.now().timestamp()).energy_wh - 50_000
        assert 5_900 < used_wh < 6_300
        found = chain.check.differences()
        assert bool(found) is differs, found
        booked = chain.books.balance("meter:m1") or 0
        assert (booked - charger.accrued_micro("a-103")) == pytest.approx(
            50_000_000 - used_wh * 600, abs=20_000
        )
        assert chain.books.balance("room:a-103") == 0
        if differs:
            assert found[0].difference_micro == pytest.approx(-used_wh * 150, abs=30_000)


def _told(chain: Chain, have: int) -> bool:
    rows = [row for one in chain.rig.sweeps[have + 1 :] for row in one.frame.to_dicts()]
    return any(row["meter"] == "m1" and row["balance_minor"] is not None for row in rows)
