"""Orders by people in their own rooms: they end what occupants opened, and nothing else."""

import pytest
from world import World, policy

from domain.causes import CauseKind
from domain.commands import Action, ReceiptStatus

MALIGNANT = CauseKind.MALIGNANT
WANG, LI, OPERATOR = "occupant wang", "occupant li", "Mr Wu"
CONFIRMED, REFUSED = ReceiptStatus.CONFIRMED, ReceiptStatus.REFUSED


async def test_an_occupant_opens_his_relay_and_his_room_mate_closes_it() -> None:
    world = World()
    await world.at(0)
    assert (await world.ask(Action.TRIP, "m0", WANG, "away")).status is CONFIRMED
    assert not world.closed()
    assert (await world.ask(Action.CLOSE, "m0", LI, "back")).status is CONFIRMED
    assert world.closed()


async def test_an_occupants_close_ends_no_safety_trip_even_one_that_comes_between() -> None:
    world = World()
    await world.at(0)
    await world.ask(Action.TRIP, "m0", WANG, "away")
    await world.say(world.verdict(MALIGNANT))
    receipt = await world.ask(Action.CLOSE, "m0", WANG, "back")
    assert receipt.status is REFUSED
    assert "malignant still holds the relay open; ended: manual" in receipt.reason
    assert not world.closed()
    # The same order by an operator does end it.
    assert (await world.ask(Action.CLOSE, "m0", OPERATOR, "looked at")).status is CONFIRMED
    assert world.closed()


async def test_an_occupant_can_not_end_what_an_operator_opened() -> None:
    world = World()
    await world.at(0)
    await world.ask(Action.TRIP, "m0", OPERATOR, "works")
    assert (await world.ask(Action.CLOSE, "m0", WANG, "cold")).status is REFUSED
    assert not world.closed()


async def test_an_occupant_does_not_take_over_an_operators_trip() -> None:
    world = World()
    await world.at(0)
    await world.ask(Action.TRIP, "m0", OPERATOR, "works")
    receipt = await world.ask(Action.TRIP, "m0", WANG, "away")
    assert (receipt.status, receipt.reason) == (
        REFUSED, "opened by hand already, by Mr Wu: works",
    )  # fmt: skip
    (cause,) = world.ledger.causes(open_only=True)
    assert (cause.raised_by, cause.reason) == (OPERATOR, "works")


async def test_an_operator_takes_over_an_occupants_trip_and_it_is_his_to_end() -> None:
    world = World()
    await world.at(0)
    await world.ask(Action.TRIP, "m0", WANG, "away")
    await world.ask(Action.TRIP, "m0", OPERATOR, "works")
    assert (await world.ask(Action.CLOSE, "m0", WANG, "back")).status is REFUSED
    assert not world.closed()
    world.restart()
    assert (await world.ask(Action.CLOSE, "m0", WANG, "back")).status is REFUSED


@pytest.mark.parametrize("who", [WANG, "occupant "])
async def test_occupants_do_not_use_up_the_offices_orders_of_a_minute(who: str) -> None:
    world = World(rules=policy(trips_per_min=2))
    await world.at(0)
    for action in (Action.TRIP, Action.CLOSE) * 3:
        await world.ask(action, "m0", who, "again")
    assert (await world.ask(Action.TRIP, "m0", OPERATOR, "works")).status is CONFIRMED
