"""The roster and the latest values over HTTP."""

import pytest
from api_station import NOON, Station, at, faults, get


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, ["B1-0101", "B1-0201", "B2-shop"]),
        ({"building": "B1"}, ["B1-0101", "B1-0201"]),
        ({"bus": "b2"}, ["B2-shop"]),
        ({"room": "201"}, ["B1-0201"]),
        ({"floor": "1"}, ["B1-0101", "B2-shop"]),
        ({"kind": "shop"}, ["B2-shop"]),
        ({"building": "B1", "floor": "2"}, ["B1-0201"]),
        ({"building": "B1", "kind": "shop"}, []),
    ],
)
async def test_meters_are_those_that_fit_all_filters(filters, names):
    answer = (await get(Station())("/meters", params=filters)).json()
    assert [meter["name"] for meter in answer["meters"]] == names
    assert answer["count"] == len(names)


async def test_a_meter_is_told_with_the_policy_group_in_force():
    ask = get(Station())
    assert (await ask("/meters/B1-0101")).json()["group"] == "dorm"
    assert (await ask("/meters/B1-0201")).json() == {
        "name": "B1-0201", "bus": "b1", "unit_id": 2, "profile": "acrel-ddsy1352", "building": "B1",
        "floor": "2", "room": "201", "kind": "dorm", "phases": 1, "rated_current_a": 60.0,
        "group": "quiet", "head": False, "shed_priority": None,
    }  # fmt: skip


async def test_a_page_of_meters_says_how_many_there_are():
    answer = (await get(Station())("/meters", params={"offset": 1, "limit": 1})).json()
    assert answer["count"] == 3
    assert [meter["name"] for meter in answer["meters"]] == ["B1-0201"]


@pytest.mark.parametrize("path", ["/meters/B9", "/meters/B9/latest", "/meters/B9/readings"])
async def test_an_unknown_meter_is_404_in_words(path):
    response = await get(Station())(path)
    assert response.status_code == 404
    assert response.json()["detail"] == "no meter 'B9' in the roster"


async def test_a_misspelt_filter_is_a_fault_and_not_passed_over():
    response = await get(Station())("/meters", params={"bulding": "B1", "kind": "attic"})
    assert response.status_code == 422
    assert faults(response) == {
        "query.bulding": "is not known here",
        "query.kind": "Input should be 'dorm', 'shop' or 'public'",
    }


async def test_latest_values_keep_the_time_of_their_own_reading():
    station = Station()
    station.latest = [
        {
            "meter": "B1-0101",
            "time": at(-1),
            "quality": "timeout",
            "values": {"power_w": (85.5, at(-2.5)), "relay_closed": (False, at(-30))},
        }
    ]
    answer = (await get(station)("/meters/B1-0101/latest")).json()
    assert (answer["time"], answer["age_s"]) == ("2026-05-01T11:59:59Z", 1.0)
    assert answer["quality"] == "timeout"
    assert answer["values"]["power_w"] == {
        "value": 85.5, "unit": "W", "time": "2026-05-01T11:59:57.500000Z", "age_s": 2.5,
    }  # fmt: skip
    assert answer["values"]["relay_closed"]["value"] is False
    never = {"value": None, "unit": "Wh", "time": None, "age_s": None}
    assert answer["values"]["energy_wh"] == never


async def test_a_meter_that_was_never_read_has_null_values():
    answer = (await get(Station())("/meters/B2-shop/latest")).json()
    assert (answer["meter"], answer["time"], answer["age_s"]) == ("B2-shop", None, None)
    assert answer["values"]["power_w"]["value"] is None


async def test_not_a_number_is_null():
    station = Station()
    values = {"power_w": (float("nan"), NOON), "current_a": (float("inf"), NOON)}
    station.latest = [{"meter": "B1-0101", "time": NOON, "quality": "good", "values": values}]
    response = await get(station)("/meters/B1-0101/latest")
    assert response.json()["values"]["power_w"]["value"] is None
    assert response.json()["values"]["current_a"]["value"] is None
    assert "NaN" not in response.text


async def test_latest_of_many_takes_the_filters_of_the_roster():
    station = Station()
    station.latest = [
        {"meter": name, "time": NOON, "quality": "good", "values": {}}
        for name in ("B1-0101", "B1-0201", "B2-shop")
    ]
    answer = (await get(station)("/latest", params={"building": "B1", "limit": 1})).json()
    assert answer["count"] == 2
    assert [row["meter"] for row in answer["meters"]] == ["B1-0101"]
    assert answer["time"] == "2026-05-01T12:00:00Z"


async def test_buses_without_a_reader_have_unknown_values_and_no_zeros():
    buses = {bus["bus"]: bus for bus in (await get(Station())("/buses")).json()["buses"]}
    assert list(buses) == ["b1", "b2"]
    assert (buses["b2"]["link"], buses["b2"]["baud"]) == ("serial", 4800)
    for name in ("link_up", "scan_s", "wire_s", "wire_share"):
        assert buses["b2"][name] is None
