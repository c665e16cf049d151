"""Trip causes with their evidence, and events, over HTTP."""

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from api_station import Station, at, faults, get

from api.plain import plain
from domain.causes import CauseKind, Evidence, TripCause
from domain.events import Event, EventKind, Severity
from storage.ledger.sql_ledger import SqlLedger

EVIDENCE = Evidence(
    rule="malignant",
    matched={"step_w": 1480.2, "reactive_ratio": float("nan")},
    limits={"step_w": 250.0},
    samples=({"time": "2026-05-01T12:00:00Z", "power_w": 85.4, "power_factor": None},),
    policy_version=3,
)


def cause(name: str, since_s: float, **more) -> TripCause:
    usual = {"meter": "B1-0101", "kind": CauseKind.MALIGNANT, "raised_by": "malignant"}
    return TripCause(id=name, since=at(since_s), reason="a step", **(usual | more))


@pytest.fixture(scope="module")
def station(tmp_path_factory):
    """A station whose ledger holds five causes; these tests only read it."""
    ledger = SqlLedger(f"sqlite:///{tmp_path_factory.mktemp('causes') / 'ledger.db'}")
    made = Station(ledger=ledger)
    made.keep(
        cause("old", -600, cleared_at=at(-300), cleared_by="supervisor"),
        cause("open", -60, evidence=EVIDENCE),
        cause("other", -50, meter="B1-0201", kind=CauseKind.OVERPOWER),
        cause("trial", -40, shadow=True),
        cause("gone", -30, meter="B3-sold"),
    )
    yield made
    ledger.close()


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ({}, ["gone", "other", "open", "old"]),
        ({"meter": "B1-0101"}, ["open", "old"]),
        ({"kind": "overpower"}, ["other"]),
        ({"open": "true"}, ["gone", "other", "open"]),
        ({"since": "2026-05-01T11:59:00Z"}, ["gone", "other", "open"]),
        ({"since": "2026-05-01T11:59:00.001Z"}, ["gone", "other"]),
        ({"shadow": "true"}, ["trial"]),
        ({"limit": 2}, ["gone", "other"]),
        ({"meter": "B2-shop"}, []),
        ({"meter": "B3-sold"}, ["gone"]),
    ],
)
async def test_causes_are_those_that_fit_newest_first(station, filters, ids):
    answer = (await get(station)("/causes", params=filters)).json()
    assert [row["id"] for row in answer["causes"]] == ids
    assert answer["count"] == len(ids)


async def test_a_misspelt_meter_is_404_and_not_an_empty_list(station):
    response = await get(station)("/causes", params={"meter": "B1-101"})
    assert response.status_code == 404


async def test_a_cause_is_told_with_its_evidence_and_without_nan(station):
    assert (await get(station)("/causes/open")).json() == {
        "id": "open", "meter": "B1-0101", "kind": "malignant", "mode": "trip", "shadow": False,
        "open": True, "since": "2026-05-01T11:59:00Z", "until": None, "cleared_at": None,
        "cleared_by": None, "raised_by": "malignant", "reason": "a step",
        "evidence": {
            "rule": "malignant", "matched": {"step_w": 1480.2, "reactive_ratio": None},
            "limits": {"step_w": 250.0}, "policy_version": 3,
            "samples": [{"time": "2026-05-01T12:00:00Z", "power_w": 85.4, "power_factor": None}],
        },
    }  # fmt: skip


async def test_a_cleared_cause_is_not_open(station):
    answer = (await get(station)("/causes/old")).json()
    assert (answer["open"], answer["cleared_by"]) == (False, "supervisor")
    assert answer["evidence"] is None


async def test_an_unknown_cause_is_404(station):
    response = await get(station)("/causes/none")
    assert (response.status_code, response.json()["detail"]) == (404, "no trip cause 'none'")


@pytest.mark.parametrize(
    ("path", "filters", "where"),
    [
        ("/causes", {"limit": 0}, "query.limit"),
        ("/causes", {"limit": 10_001}, "query.limit"),
        ("/causes", {"kind": "evil"}, "query.kind"),
        ("/causes", {"open": "perhaps"}, "query.open"),
        ("/causes", {"opened": "true"}, "query.opened"),
        ("/events", {"kind": "party"}, "query.kind"),
        ("/events", {"since": "1 May"}, "query.since"),
        ("/events", {"meter": "B1-0101"}, "query.meter"),
        ("/commands", {"until": "2026-05-01"}, "query.until"),
    ],
)
async def test_a_filter_with_a_fault_is_422(path, filters, where):
    response = await get(Station())(path, params=filters)
    assert response.status_code == 422
    assert set(faults(response)) == {where}


async def test_events_are_those_that_fit_newest_first(ledger):
    made = Station(ledger=ledger)
    silent = Event(
        at(-60), EventKind.METER_SILENT, "B1-0101", "no answer", Severity.WARNING,
        group="b1", details={"tries": 3, "last_w": float("nan")},
    )  # fmt: skip
    back = replace(silent, time=at(-30), kind=EventKind.METER_BACK, details={})
    made.keep(silent, back, replace(back, time=at(-10), subject="B1-0201"))
    ask = get(made)

    async def times(**filters) -> list[str]:
        events = (await ask("/events", params=filters)).json()["events"]
        return [event["time"][14:19] for event in events]

    assert await times() == ["59:50", "59:30", "59:00"]
    assert await times(subject="B1-0101") == ["59:30", "59:00"]
    assert await times(kind="meter-back") == ["59:50", "59:30"]
    assert await times(since="2026-05-01T11:59:50Z") == ["59:50"]
    assert await times(limit=1) == ["59:50"]
    assert (await ask("/events", params={"kind": "meter-silent"})).json()["events"] == [
        {
            "time": "2026-05-01T11:59:00Z", "kind": "meter-silent", "severity": "warning",
            "subject": "B1-0101", "message": "no answer", "actor": "system", "group": "b1",
            "details": {"tries": 3, "last_w": None},
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (float("nan"), None),
        (float("-inf"), None),
        (True, True),
        (0, 0),
        (at(0.5), "2026-05-01T12:00:00.500000Z"),
        (at(0).astimezone(ZoneInfo("Asia/Shanghai")), "2026-05-01T12:00:00Z"),
        (CauseKind.SHED, "shed"),
        ({1: (float("nan"), [1.5])}, {"1": [None, [1.5]]}),
        (timedelta(seconds=1), "0:00:01"),
    ],
)
def test_whatever_evidence_holds_can_be_told_as_json(value, told):
    assert plain(value) == told
    assert type(plain(value)) is type(told)


@pytest.mark.parametrize("path", ["/causes", "/causes/x", "/events", "/commands", "/commands/x"])
async def test_a_ledger_that_is_down_is_503_in_words(path):
    made = Station()
    made.ledger.down = True
    response = await get(made)(path)
    assert response.status_code == 503
    assert response.json()["detail"] == "the ledger database is locked"
    assert int(response.headers["retry-after"]) > 0
