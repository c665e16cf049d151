"""A room's money into its meter: the real chain, with everything that can go wrong on the way."""

import asyncio
import random
from dataclasses import replace

import pytest
from chain import Chain, chain_of

from billing.model import RegisterSpan
from billing.prepaid_model import PurchaseMoved
from domain.books import BelowFloor, EntryKind
from domain.errors import InvalidInput, StoreUnavailable, UnknownSubject
from domain.events import EventKind
from simulator.faults import FaultKind

DAY_S = 86_400.0


def kinds(chain: Chain) -> list[EventKind]:
    return [event.kind for event in chain.events]


async def test_a_recharge_is_put_into_the_meter_and_booked_there(database_url) -> None:
    async with chain_of(database_url) as chain:
        chain.recharge(5_000)
        assert chain.money() == (5_000, 0, 0)
        await chain.settle()
        assert chain.held() == (5_000, 1) and chain.money() == (0, 0, 5_000)
        (order,) = chain.orders()
        assert (order.state, order.attempts, order.writes) == ("confirmed", 1, 1)
        assert order.proof["steps"][1]["write"] == "function 16 at 0x0030"
        booked = chain.books.entries(kind=EntryKind.METER_PURCHASE)
        assert [posted.entry.id.rpartition(":")[2] for posted in booked] == ["out", "in"]
        assert kinds(chain) == [EventKind.PURCHASE_CONFIRMED]
        await chain.later(DAY_S)
        assert chain.held() == (5_000, 1), "and never again"


async def test_money_that_came_any_other_way_goes_into_the_meter_too(sqlite_url) -> None:
    async with chain_of(sqlite_url) as chain:
        for amount in (1_000, 50, 60, 900):
            chain.recharge(amount)
        await chain.settle()
        chain.recharge(70)
        await chain.settle()
        assert chain.held() == (2_010, 1) and chain.money() == (70, 0, 2_010), "70 is too little"
        chain.recharge(70)
        await chain.settle()
        assert chain.held() == (2_150, 2)


async def test_rooms_whose_balance_the_station_holds_are_left_alone(sqlite_url) -> None:
    async with chain_of(sqlite_url) as chain:
        chain.recharge(5_000, "a-101")
        await chain.settle()
        assert chain.orders() == [] and chain.books.balance("room:a-101") == 50_000_000


async def test_row_13_an_unanswered_write_is_confirmed_by_its_read_back(sqlite_url) -> None:
    async with chain_of(sqlite_url) as chain:
        chain.rig.add(FaultKind.WRITE_UNANSWERED, meter="m1", count=1)
        chain.recharge(5_000)
        await chain.settle()
        assert chain.held() == (5_000, 1) and chain.money() == (0, 0, 5_000)
        assert chain.writes() == 1


async def test_row_13_power_off_after_the_write_is_unknown_until_the_meter_tells(
    database_url,
) -> None:
    async with chain_of(database_url) as chain:
        chain.rig.add(FaultKind.WRITE_UNANSWERED, meter="m1", count=1)
        chain.recharge(5_000)
        chain.keeper.tick()
        await chain.rig.until(lambda: _tick(chain) and chain.writes() == 1)
        off = chain.rig.add(FaultKind.DEAD, meter="m1")
        await chain.settle()
        assert chain.states() == ["unknown"] and chain.money() == (0, 5_000, 0)
        chain.recharge(3_000)
        for _ in range(5):
            await chain.later(3_600)
        assert chain.states() == ["unknown", "queued"], "the next one waits for the first"
        assert chain.money() == (3_000, 5_000, 0) and chain.writes() == 1
        chain.rig.faults.remove(off)
        await chain.later(3_600)
        await chain.settle()
        assert chain.states() == ["confirmed", "confirmed"]
        assert chain.held() == (8_000, 2) and chain.money() == (0, 0, 8_000)
        assert chain.writes() == 2
        assert kinds(chain)[0] is EventKind.PURCHASE_UNKNOWN


async def test_row_13_a_write_that_never_arrived_is_sent_again_after_the_read_back(sqlite_url):
    async with chain_of(sqlite_url) as chain:
        chain.rig.add(FaultKind.DEAD, meter="m1", functions=(16,), count=1)
        chain.recharge(5_000)
        await chain.settle()
        assert chain.states() == ["unknown"] and chain.money() == (0, 5_000, 0)
        await chain.later(20)
        assert chain.states() == ["queued"] and chain.money() == (5_000, 0, 0)
        await chain.later(60)
        assert chain.states() == ["confirmed"] and chain.held() == (5_000, 1)
        assert chain.writes() == 2 and chain.money() == (0, 0, 5_000)


async def test_a_lost_reply_and_a_doubled_frame_add_once(sqlite_url) -> None:
    async with chain_of(sqlite_url) as chain:
        chain.rig.add(FaultKind.LATE, meter="m1", functions=(16,), count=1, delay_s=5)
        chain.recharge(5_000)
        await chain.settle()
        frame = next(frame for _, frame in chain.rig.requests_to(1) if frame[1] == 16)
        chain.rig.link.send(frame)
        await chain.later(60)
        assert chain.held() == (5_000, 1) and chain.money() == (0, 0, 5_000)


async def test_writes_that_come_to_nothing_end_after_so_many_and_the_money_stays(
    sqlite_url,
) -> None:
    async with chain_of(sqlite_url, attempts_most=3) as chain:
        chain.rig.add(FaultKind.WRITE_LOST, meter="m1")
        chain.recharge(5_000)
        for _ in range(12):
            await chain.later(900)
        assert chain.states() == ["refused"] and chain.money() == (5_000, 0, 0)
        assert chain.writes() == 3
        assert kinds(chain)[-1] is EventKind.PURCHASE_REFUSED
        chain.rig.faults.clear()
        await chain.later(DAY_S)
        assert chain.writes() == 3, "a refused order waits for a person"
        order = chain.orders()[0]
        chain.keeper.release(order.id, "finance", "the meter was mended")
        await chain.settle()
        assert chain.states() == ["closed", "confirmed"] and chain.held() == (5_000, 1)


async def test_an_offline_meter_waits_for_weeks_and_loses_nothing(sqlite_url) -> None:
    async with chain_of(sqlite_url, expire_days=60) as chain:
        off = chain.rig.add(FaultKind.DEAD, meter="m1")
        chain.recharge(5_000)
        await chain.settle()
        asked = len(chain.rig.requests_to(1))
        for _ in range(30):
            await chain.later(DAY_S)
        assert chain.states() == ["queued"] and chain.money() == (5_000, 0, 0)
        assert chain.writes() == 0
        assert len(chain.rig.requests_to(1)) - asked <= 30
        chain.rig.faults.remove(off)
        await chain.later(DAY_S)
        assert chain.states() == ["confirmed"] and chain.held() == (5_000, 1)


async def test_an_order_nobody_could_send_expires_and_its_money_can_be_refunded(sqlite_url) -> None:
    async with chain_of(sqlite_url, expire_days=2) as chain:
        chain.reachable = False
        chain.recharge(5_000)
        await chain.settle()
        await chain.later(2 * DAY_S)
        assert chain.states() == ["refused"] and chain.money() == (5_000, 0, 0)
        chain.refund(5_000)
        chain.keeper.release(chain.orders()[0].id, "finance", "paid back")
        chain.reachable = True
        await chain.later(10)
        assert chain.states() == ["closed"] and chain.held() == (0, 0)


async def test_money_on_its_way_can_not_be_refunded(database_url) -> None:
    async with chain_of(database_url) as chain:
        chain.rig.add(FaultKind.WRITE_UNANSWERED, meter="m1", count=1)
        chain.recharge(5_000)
        await chain.rig.until(lambda: _tick(chain) and chain.writes() == 1)
        chain.rig.add(FaultKind.DEAD, meter="m1")
        await chain.settle()
        with pytest.raises(BelowFloor):
            chain.refund(5_000)
        assert chain.keeper.on_the_way_minor("a-103") == 5_000


async def test_money_refunded_before_the_write_is_not_written(sqlite_url) -> None:
    async with chain_of(sqlite_url) as chain:
        chain.reachable = False
        chain.recharge(5_000)
        await chain.settle()
        chain.refund(2_000)
        chain.reachable = True
        await chain.later(60)
        await chain.settle()
        assert chain.states() == ["closed", "confirmed"]
        assert chain.held() == (3_000, 1) and chain.money() == (0, 0, 3_000)


async def test_a_purchase_bigger_than_the_meter_takes_goes_in_parts(sqlite_url) -> None:
    async with chain_of(sqlite_url) as chain:
        chain.recharge(2_500_000)
        for _ in range(3):
            await chain.settle()
        amounts = [order.amount_minor for order in chain.orders()]
        assert amounts == [1_000_000, 1_000_000, 500_000]
        assert chain.held() == (2_500_000, 3) and chain.money() == (0, 0, 2_500_000)


async def test_a_full_meter_gets_its_money_once_it_has_room(sqlite_url) -> None:
    async with chain_of(sqlite_url) as chain:
        chain.rig.meters["m1"].purse.change(4_999_000)
        chain.recharge(5_000)
        await chain.settle()
        assert chain.states() == ["queued"] and "at the most" in chain.orders()[0].reason
        chain.rig.meters["m1"].purse.change(-100_000)
        await chain.later(900)
        assert chain.states() == ["confirmed"]


async def test_a_read_only_model_refuses_and_the_money_stays_the_rooms(sqlite_url) -> None:
    async with chain_of(sqlite_url, models=("acrel-ddsy1352", "acrel-adf400l")) as chain:
        chain.recharge(5_000)
        await chain.settle()
        assert chain.states() == ["refused"] and chain.money() == (5_000, 0, 0)
        assert "takes no purchases" in chain.orders()[0].reason and chain.writes() == 0


async def test_somebody_else_who_writes_to_the_meter_leaves_it_to_a_person(sqlite_url) -> None:
    async with chain_of(sqlite_url) as chain:
        chain.rig.add(FaultKind.DEAD, meter="m1", functions=(16,), count=1)
        chain.recharge(5_000)
        await chain.settle()
        purse = chain.rig.meters["m1"].purse
        purse.change(2_000)
        purse.purchases = 1  # a purchase by the hand unit, under the count of ours
        for _ in range(5):
            await chain.later(3_600)
        assert chain.states() == ["unknown"] and chain.money() == (0, 5_000, 0)
        order_id = chain.orders()[0].id
        with pytest.raises(InvalidInput):
            chain.keeper.settle(order_id, taken=False, actor="finance", reason=" ")
        chain.keeper.settle(order_id, taken=False, actor="finance", reason="display says 20.00")
        await chain.settle()
        assert chain.states() == ["closed", "confirmed"]
        assert chain.held() == (7_000, 2) and chain.money() == (0, 0, 5_000)


async def test_more_money_under_the_old_count_is_nobodys_proof_that_nothing_was_taken(sqlite_url):
    async with chain_of(sqlite_url) as chain:
        chain.rig.add(FaultKind.DEAD, meter="m1", functions=(16,), count=1)
        chain.recharge(5_000)
        await chain.settle()
        chain.rig.meters["m1"].purse.change(5_000)
        for _ in range(3):
            await chain.later(900)
        assert chain.states() == ["unknown"] and chain.writes() == 1


async def test_a_person_may_say_that_a_purchase_was_taken(sqlite_url) -> None:
    async with chain_of(sqlite_url) as chain:
        chain.rig.add(FaultKind.WRITE_UNANSWERED, meter="m1", count=1)
        chain.recharge(5_000)
        await chain.rig.until(lambda: _tick(chain) and chain.writes() == 1)
        chain.rig.add(FaultKind.DEAD, meter="m1")
        await chain.settle()
        order = chain.orders()[0]
        with pytest.raises(PurchaseMoved):
            chain.keeper.release(order.id, "finance", "wrong button")
        with pytest.raises(UnknownSubject):
            chain.keeper.settle("nothing", taken=True, actor="finance", reason="x")
        done = chain.keeper.settle(order.id, taken=True, actor="finance", reason="display 50.00")
        assert (done.state, done.closed_by) == ("confirmed", "finance")
        assert chain.money() == (0, 0, 5_000)
        with pytest.raises(PurchaseMoved):
            chain.keeper.settle(order.id, taken=False, actor="finance", reason="again")


async def test_what_was_in_a_changed_meter_goes_into_the_new_one(sqlite_url) -> None:
    async with chain_of(sqlite_url) as chain:
        chain.recharge(5_000)
        await chain.settle()
        chain.charge(1_230)
        old = chain.rooms.spans[0]
        now = chain.rig.clock.now()
        chain.rooms.table.pop("a-104")
        chain.rooms.spans = [
            replace(old, until=now, last_wh=70_500),
            RegisterSpan("m2", "a-103", now, 50_000),
        ]
        out = chain.keeper.take_out("m1", "finance", "meter broken")
        assert out.state == "closed" and chain.money() == (3_770, 0, 0)
        await chain.settle()
        assert chain.held("m2") == (3_770, 1) and chain.money(meter="m2") == (0, 0, 3_770)
        again = chain.keeper.take_out("m1", "finance", "meter broken")
        assert again.amount_minor == 0 and chain.money(meter="m2") == (0, 0, 3_770)


async def test_what_is_taken_out_of_a_meter_in_use_can_be_refunded_or_written_again(sqlite_url):
    async with chain_of(sqlite_url) as chain:
        chain.recharge(5_000)
        await chain.settle()
        out = chain.keeper.take_out("m1", "finance", "meter was reset")
        await chain.later(DAY_S)
        assert chain.money() == (5_000, 0, 0) and chain.writes() == 1, "held back"
        chain.refund(2_000)
        chain.rig.meters["m1"].purse.change(-5_000)
        chain.keeper.release(out.id, "finance", "he stays after all")
        await chain.settle()
        assert chain.held() == (3_000, 2) and chain.money() == (0, 0, 3_000)
        with pytest.raises(UnknownSubject):
            chain.keeper.take_out("m9", "finance", "none")
        with pytest.raises(InvalidInput):
            chain.keeper.take_out("m1", "finance", " ")


async def test_use_between_the_write_and_a_late_read_back_is_allowed_for(sqlite_url) -> None:
    async with chain_of(sqlite_url, poll=True) as chain:
        meter = chain.rig.meters["m1"]
        meter.purse.change(2_000)
        meter.purse.price_minor_per_kwh = 60
        chain.rig.add(FaultKind.WRITE_UNANSWERED, meter="m1", count=1)
        chain.recharge(5_000)
        await chain.rig.until(lambda: _tick(chain) and chain.writes() == 1)
        off = chain.rig.add(FaultKind.DEAD, meter="m1")
        await chain.settle()
        await chain.later(2 * DAY_S)  # 24 kWh, 14.40 yuan
        chain.rig.faults.remove(off)
        await chain.later(900)
        assert chain.states() == ["confirmed"]
        assert 5_400 < (chain.held()[0] or 0) < 5_700


async def test_two_meters_of_one_bus_get_their_money_side_by_side(sqlite_url) -> None:
    async with chain_of(sqlite_url) as chain:
        chain.recharge(5_000, "a-103")
        chain.recharge(3_000, "a-104")
        chain.rig.add(FaultKind.DEAD, meter="m1")
        await chain.settle()
        assert chain.held("m2") == (3_000, 1) and chain.money("a-104", "m2") == (0, 0, 3_000)
        assert chain.money() == (5_000, 0, 0)


@pytest.mark.parametrize("moment", range(0, 14))
async def test_a_stop_at_any_moment_loses_and_doubles_nothing(sqlite_url, moment: int) -> None:
    async with chain_of(sqlite_url) as chain:
        chain.recharge(5_000)
        for _ in range(moment * 3):
            chain.keeper.tick()
            await asyncio.sleep(0)
        forgotten = chain.keeper  # the process is gone; its frames on the wire are not
        chain.keeper = chain.new_keeper()
        for flight in forgotten._flights.values():
            await chain.rig.until(flight.future.done)
        for _ in range(6):
            await chain.later(120)
        assert chain.held() == (5_000, 1), chain.orders()
        assert chain.money() == (0, 0, 5_000)


@pytest.mark.parametrize("failing", [(1,), (2,), (3,), (3, 5), (1, 3, 5)])
@pytest.mark.parametrize("committed", [False, True])
async def test_a_database_that_is_away_stops_the_keeper_and_not_the_money(
    sqlite_url, monkeypatch, failing: tuple[int, ...], committed: bool
) -> None:
    async with chain_of(sqlite_url) as chain:
        chain.recharge(5_000)
        put = chain.store.put
        calls = 0

        def sometimes(*arguments, **more):
            nonlocal calls
            calls += 1
            if calls in failing:
                if committed:  # and the answer was lost
                    put(*arguments, **more).result(10)
                raise StoreUnavailable("the disk is full")
            return put(*arguments, **more)

        monkeypatch.setattr(chain.store, "put", sometimes)
        failures = 0
        for _ in range(40):
            try:
                await chain.later(30)
            except StoreUnavailable:
                failures += 1
        assert failures == sum(one <= calls for one in failing) > 0
        assert chain.states() == ["confirmed"]
        assert chain.held() == (5_000, 1) and chain.money() == (0, 0, 5_000)


async def test_a_field_that_never_answers_is_given_up_and_read_back(sqlite_url) -> None:
    async with chain_of(sqlite_url, valid_s=60) as chain:
        chain.recharge(5_000)
        await chain.rig.until(lambda: _tick(chain) and chain.states() == ["writing"])
        flight = next(iter(chain.keeper._flights.values()))
        await chain.rig.until(flight.future.done)
        flight.future = asyncio.get_running_loop().create_future()  # its answer is lost
        chain.rig.clock.leap(91)
        chain.keeper.tick()
        assert chain.states() == ["unknown"]
        await chain.later(60)
        assert chain.states() == ["confirmed"] and chain.held() == (5_000, 1)


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_goes_wrong_every_fen_is_somewhere_and_counted_once(
    database_url, seed: int
) -> None:
    dice = random.Random(seed)
    faults = [
        {"kind": FaultKind.DEAD, "duration_s": 40.0},
        {"kind": FaultKind.DEAD, "functions": (16,), "count": 1},
        {"kind": FaultKind.WRITE_UNANSWERED, "count": 1},
        {"kind": FaultKind.WRITE_LOST, "count": 1},
        {"kind": FaultKind.EXCEPTION, "count": 1, "code": 6},
        {"kind": FaultKind.BAD_CRC, "count": 2},
        {"kind": FaultKind.LATE, "count": 1, "delay_s": 1.0},
        {"kind": FaultKind.DUPLICATE, "count": 1},
    ]
    async with chain_of(database_url, attempts_most=20) as chain:
        paid = 0
        for step in range(25):
            amount = dice.randrange(100, 9_000)
            chain.recharge(amount)
            paid += amount
            chain.rig.add(meter="m1", **dice.choice(faults))
            for _ in range(dice.randrange(3)):
                await chain.later(dice.uniform(1, 60))
            if step % 8 == 7:
                chain.keeper = chain.new_keeper()
            assert sum(chain.money()) == paid
        chain.rig.faults.clear()
        for _ in range(30):
            await chain.later(900)
            assert sum(chain.money()) == paid
        assert chain.money() == (0, 0, paid) and chain.held()[0] == paid
        confirmed = [one for one in chain.orders() if one.state == "confirmed"]
        assert chain.held()[1] == len(confirmed)


def _tick(chain: Chain) -> bool:
    chain.keeper.tick()
    return True
