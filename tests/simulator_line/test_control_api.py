"""The simulator's control API: truth, faults and loads."""

from collections.abc import AsyncIterator, Mapping

import httpx
import pytest

from collector.profile import Profile
from domain.errors import InvalidInput, UnknownSubject
from domain.site import Bus, Meter, RoomKind, Site
from simulator.control_api import control_app
from simulator.faults import FaultKind, FaultSpec
from simulator.field import SimulatedField
from simulator.modbus import Request
from simulator.scripted import ScriptedLoads


def site(profile: str = "acrel-ddsy1352", bus: str = "bus-1") -> Site:
    meters = tuple(
        Meter(
            name=f"room-{unit}", bus=bus, unit_id=unit, profile=profile, building="B1",
            room=str(unit), kind=RoomKind.DORM, rated_current_a=40,
        )
        for unit in (1, 2, 3)
    )  # fmt: skip
    return Site(
        name="test",
        time_zone="Asia/Shanghai",
        buses=(Bus(name="bus-1", link="rtu-over-tcp"),),
        meters=meters,
    )


@pytest.fixture
def field(profiles: Mapping[str, Profile], loads: ScriptedLoads) -> SimulatedField:
    return SimulatedField(site(), profiles, loads, campus_now=lambda: 1000.0, seed=3)


@pytest.fixture
async def api(field: SimulatedField) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=control_app(field))
    async with httpx.AsyncClient(transport=transport, base_url="http://simulator") as client:
        yield client


async def test_health_tells_campus_time_and_size(api: httpx.AsyncClient) -> None:
    answer = await api.get("/healthz")
    assert answer.json() == {"status": "ok", "now_s": 1000.0, "meters": 3}


async def test_state_tells_each_meter_as_it_truly_is(
    api: httpx.AsyncClient, loads: ScriptedLoads
) -> None:
    loads.set("room-2", 900, 0, 225.0)
    meters = (await api.get("/state")).json()["meters"]
    assert [meter["meter"] for meter in meters] == ["room-1", "room-2", "room-3"]
    assert meters[1]["power_w"] == 900
    assert meters[1]["current_a"] == 4
    assert meters[1]["relay_closed"] is True
    assert 50_000 < meters[1]["energy_wh"] < 9_000_000
    assert (await api.get("/state/room-2")).json()["voltage_v"] == 225


async def test_the_same_seed_gives_the_same_counters(
    profiles: Mapping[str, Profile], field: SimulatedField
) -> None:
    again = SimulatedField(site(), profiles, ScriptedLoads(), campus_now=lambda: 1.0, seed=3)
    other = SimulatedField(site(), profiles, ScriptedLoads(), campus_now=lambda: 1.0, seed=4)
    first = field.meter("room-1").state(0).energy_wh
    assert again.meter("room-1").state(0).energy_wh == first
    assert other.meter("room-1").state(0).energy_wh != first


async def test_a_fault_is_made_seen_and_taken_back(
    api: httpx.AsyncClient, field: SimulatedField
) -> None:
    answer = await api.post("/faults", json={"kind": "reverse-power", "meter": "room-1"})
    assert answer.status_code == 201
    fault = answer.json()["id"]
    meters = (await api.get("/state")).json()["meters"]
    assert meters[0]["faults"] == [{"id": fault, "kind": "reverse-power"}]
    assert meters[0]["power_w"] == -500
    (listed,) = (await api.get("/faults")).json()["faults"]
    assert (listed["id"], listed["meter"], listed["since_s"]) == (fault, "room-1", 1000)
    assert (await api.delete(f"/faults/{fault}")).json() == {"removed": 1}
    assert not field.faults.busy
    assert (await api.delete(f"/faults/{fault}")).status_code == 404


async def test_faults_are_cleared_by_what_they_name(api: httpx.AsyncClient) -> None:
    for body in (
        {"kind": "dead", "meter": "room-1"},
        {"kind": "slow", "meter": "room-1"},
        {"kind": "slow", "bus": "bus-1"},
    ):
        await api.post("/faults", json=body)
    removed = (await api.delete("/faults", params={"kind": "slow", "bus": "bus-1"})).json()
    assert removed == {"removed": 1}
    assert (await api.delete("/faults")).json() == {"removed": 2}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"kind": "dead", "meter": "room-9"}, 404),
        ({"kind": "dead", "bus": "bus-9"}, 404),
        ({"kind": "dust"}, 422),
        ({"kind": "dead", "colour": "red"}, 422),
        ({"kind": "dead", "count": 0}, 422),
        ({"kind": "glitch", "quantity": "power_kw"}, 422),
    ],
)
async def test_a_fault_that_cannot_be_is_refused(
    api: httpx.AsyncClient, body: dict[str, object], status: int
) -> None:
    answer = await api.post("/faults", json=body)
    assert answer.status_code == status
    assert answer.json()["detail"]
    assert (await api.get("/faults")).json() == {"faults": []}


async def test_a_load_is_switched_on_and_is_in_the_truth(api: httpx.AsyncClient) -> None:
    order = {"meter": "room-3", "appliance": "heater", "for_s": 60}
    answer = await api.post("/loads", json=order)
    assert answer.status_code == 201
    assert answer.json()["power_w"] == 1500
    (use,) = (await api.get("/truth")).json()["uses"]
    assert (use["meter"], use["appliance"], use["on_s"]) == ("room-3", "heater", 1000)
    assert (await api.get("/state/room-3")).json()["power_w"] == 2000
    assert (await api.get("/truth", params={"since_s": 2000})).json()["uses"] == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"meter": "room-9", "appliance": "heater"}, 404),
        ({"meter": "room-1", "appliance": "time machine"}, 404),
        ({"meter": "room-1", "appliance": "heater", "for_s": -1}, 422),
        ({"meter": "room-1"}, 422),
    ],
)
async def test_a_load_that_cannot_be_is_refused(
    api: httpx.AsyncClient, body: dict[str, object], status: int
) -> None:
    assert (await api.post("/loads", json=body)).status_code == status


async def test_counters_tell_requests_and_relay_writes(
    api: httpx.AsyncClient, field: SimulatedField
) -> None:
    meter = field.meter("room-1")
    meter.answer(Request(1, 3, 0x0D, 1, (), 8), 1000.0)
    meter.answer(Request(1, 16, 0x57, 2, (1, 1), 13), 1000.0)
    counters = (await api.get("/counters")).json()
    assert counters["meters"]["room-1"] == {"requests": 2, "relay_writes": 1, "relay_moves": 0}
    assert counters["meters"]["room-2"]["requests"] == 0
    assert counters["buses"] == {"bus-1": {"requests": 2, "refused": 0}}


async def test_an_unknown_meter_has_no_state(api: httpx.AsyncClient) -> None:
    assert (await api.get("/state/room-9")).status_code == 404


def test_a_head_meter_sees_the_whole_bus_and_what_bypasses_its_meters(
    profiles: Mapping[str, Profile], loads: ScriptedLoads
) -> None:
    rooms = site()
    head = rooms.meters[0].model_copy(update={"name": "head", "unit_id": 9, "head": True})
    whole = rooms.model_copy(update={"meters": (head, *rooms.meters)})
    field = SimulatedField(whole, profiles, loads, campus_now=lambda: 1000.0)
    field.meter("room-1").move_relay(False, 1000.0)
    field.add_fault(FaultSpec(kind=FaultKind.METER_BYPASSED, meter="room-2"))
    seen = [field.meter(f"room-{unit}").state(1001).power_w for unit in (1, 2, 3)]
    assert seen == [0, 0, 500]
    assert field.meter("head").state(1001).power_w == 1000
    with pytest.raises(UnknownSubject):
        field.switch_on("head", "heater", 60)


def test_a_site_that_does_not_fit_is_refused_with_every_fault(
    profiles: Mapping[str, Profile],
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        SimulatedField(
            site("sundial", "bus-7"), profiles, ScriptedLoads(), campus_now=lambda: 0.0,
            ports={"bus-8": 0},
        )  # fmt: skip
    assert len(refusal.value.faults) == 7
