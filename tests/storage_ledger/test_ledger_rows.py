"""Every kind of row comes back as it went in; lists are narrowed and ordered."""

from datetime import UTC, date, datetime, time, timedelta, timezone

import pytest

from domain.causes import CauseKind, Evidence, RuleMode, TripCause
from domain.commands import Action, Command, Receipt, ReceiptStatus
from domain.events import Event, EventKind, Severity
from domain.policy import GroupPolicy, MalignantPolicy, Policy, SchedulePolicy, Slot, WhiteListEntry
from domain.ports import KeepPower, Restore
from domain.site import Bus, Meter, Parity, RoomKind, Site

NOON = datetime(2026, 11, 22, 12, 0, 0, 123_456, tzinfo=UTC)
EVIDENCE = Evidence(
    rule="malignant",
    matched={"step_w": 1203.5, "power_factor": 0.998, "band": None, "name": "热得快"},
    limits={"step_w": 250.0, "power_factor_min": 0.96},
    samples=(
        {"time": "2026-11-22T12:00:00+00:00", "power_w": 55.25, "power_factor": None},
        {"time": "2026-11-22T12:00:01+00:00", "power_w": 1258.75, "power_factor": 0.99},
    ),
    policy_version=7,
)
FULL = TripCause(
    id="c1",
    meter="b1-101",
    kind=CauseKind.MALIGNANT,
    since=NOON,
    raised_by="rules",
    reason="a step of 1204 W at power factor 1.00",
    evidence=EVIDENCE,
    until=NOON + timedelta(hours=1),
    cleared_at=NOON + timedelta(minutes=5),
    cleared_by="office",
    mode=RuleMode.TRIP,
    shadow=True,
)


@pytest.fixture
def ledger_url(database_url: str) -> str:
    """Every test here runs on SQLite and on PostgreSQL."""
    return database_url


def cause(name: str, minutes: float = 0, **changes) -> TripCause:
    since = NOON + timedelta(minutes=minutes)
    fields = {"meter": "m1", "kind": CauseKind.MANUAL, "raised_by": "li", "reason": "r", **changes}
    return TripCause(id=name, since=since, **fields)


def command(name: str, minutes: float = 0, meter: str = "m1") -> Command:
    issued = NOON + timedelta(minutes=minutes)
    return Command(
        id=name,
        meter=meter,
        action=Action.TRIP,
        reason="fire drill",
        requested_by="li",
        issued_at=issued,
        expires_at=issued + timedelta(seconds=30),
        cause_id="c1",
    ).sealed(b"key")


def receipt(name: str, status: ReceiptStatus = ReceiptStatus.CONFIRMED) -> Receipt:
    return Receipt(
        command_id=name,
        meter="m1",
        action=Action.TRIP,
        status=status,
        reason="read back open",
        relay_closed=False,
        finished_at=NOON + timedelta(seconds=1),
        writes=1,
        proof={"reads": [[0, 1]], "forced_control": True},
    )


def write(ledger, *rows) -> None:
    assert ledger.record(*rows).result(10) is None


def test_a_cause_comes_back_with_all_its_evidence(ledger):
    write(ledger, FULL)
    assert ledger.cause("c1") == FULL
    assert ledger.causes() == [FULL]
    assert ledger.cause("nobody") is None


def test_a_cause_with_nothing_more_than_it_needs_comes_back(ledger):
    bare = cause("c2")
    write(ledger, bare)
    assert ledger.cause("c2") == bare


def test_a_cause_recorded_again_replaces_the_old_one(ledger):
    write(ledger, cause("c1"))
    cleared = cause("c1", cleared_at=NOON + timedelta(hours=1), cleared_by="li")
    write(ledger, cleared)
    assert ledger.causes() == [cleared]


def test_causes_are_narrowed_and_the_newest_come_first(ledger):
    old = cause("a", 0, cleared_at=NOON + timedelta(minutes=1))
    malignant = cause("b", 1, kind=CauseKind.MALIGNANT)
    shadow = cause("c", 2, shadow=True)
    other = cause("d", 3, meter="m2")
    write(ledger, old, malignant, shadow, other)
    assert ledger.causes() == [other, shadow, malignant, old]
    assert ledger.causes(limit=2) == [other, shadow]
    assert ledger.causes(open_only=True, meter="m1") == [shadow, malignant]
    assert ledger.causes(shadow=False) == [other, malignant, old]
    assert ledger.causes(shadow=True) == [shadow]
    assert ledger.causes(kind=CauseKind.MALIGNANT) == [malignant]
    assert ledger.causes(since=NOON + timedelta(minutes=2)) == [other, shadow]


def test_a_command_comes_back_with_its_seal_and_its_receipt(ledger):
    sent = command("k1")
    write(ledger, sent)
    assert ledger.command("k1") == (sent, None)
    write(ledger, receipt("k1"))
    assert ledger.command("k1") == (sent, receipt("k1"))
    found, _ = ledger.command("k1")
    assert found.is_intact(b"key")
    assert ledger.command("k2") is None


def test_a_command_or_receipt_of_the_same_id_again_changes_nothing(ledger):
    write(ledger, command("k1"), receipt("k1"))
    write(ledger, command("k1", meter="another"), receipt("k1", ReceiptStatus.UNKNOWN))
    assert ledger.commands() == [(command("k1"), receipt("k1"))]


def test_commands_are_narrowed_and_the_newest_come_first(ledger):
    write(ledger, command("a"), command("b", 1, "m2"), command("c", 2))
    assert [sent.id for sent, _ in ledger.commands()] == ["c", "b", "a"]
    assert [sent.id for sent, _ in ledger.commands(meter="m1", limit=1)] == ["c"]
    since = NOON + timedelta(minutes=1)
    assert [sent.id for sent, _ in ledger.commands(since=since)] == ["c", "b"]


def test_an_unknown_relay_stays_unknown(ledger):
    told = Receipt("k", "m", Action.CLOSE, ReceiptStatus.UNKNOWN, "no answer", None, NOON)
    write(ledger, command("k"), told)
    assert ledger.command("k")[1] == told


def event(minutes: float, **changes) -> Event:
    fields = {"kind": EventKind.METER_SILENT, "subject": "m1", "message": "no reply", **changes}
    return Event(time=NOON + timedelta(minutes=minutes), **fields)


def test_events_come_back_narrowed_and_the_newest_first(ledger):
    first = event(0, details={"reads": 3, "last": None}, group="bus-1", severity=Severity.ALARM)
    second = event(1, kind=EventKind.METER_BACK, actor="li")
    third = event(1, subject="m2")
    write(ledger, first, second, third)
    assert ledger.events() == [third, second, first]
    assert ledger.events(subject="m1") == [second, first]
    assert ledger.events(kind=EventKind.METER_BACK) == [second]
    assert ledger.events(since=NOON + timedelta(seconds=1), limit=1) == [third]


def test_the_same_event_twice_is_two_events(ledger):
    write(ledger, event(0))
    write(ledger, event(0))
    assert len(ledger.events()) == 2


def test_a_keep_power_lock_is_ended_by_recording_it_again(ledger):
    lock = KeepPower("m1", NOON, "li", "exam")
    other = KeepPower("m2", NOON + timedelta(hours=1), "li", "lab")
    write(ledger, lock, other)
    ended = KeepPower("m1", NOON, "li", "exam", NOON + timedelta(hours=2))
    write(ledger, ended)
    assert ledger.keep_power() == [other, ended]


def test_restores_are_counted_once_each(ledger):
    early, late = Restore("m1", NOON, "c1"), Restore("m1", NOON + timedelta(hours=1), "c2")
    write(ledger, early, late)
    write(ledger, late)
    assert ledger.restores_since(NOON) == [late, early]
    assert ledger.restores_since(NOON + timedelta(minutes=1)) == [late]


def test_times_of_any_zone_are_the_same_moment_in_utc(ledger):
    local = NOON.astimezone(timezone(timedelta(hours=8)))
    write(ledger, TripCause("a", "m", CauseKind.SHED, local, "x", "y"))
    found = ledger.cause("a").since
    assert found == NOON
    assert found.utcoffset() == timedelta(0)


def test_a_time_without_a_zone_is_refused_and_its_neighbours_are_kept(ledger):
    bad = ledger.record(Restore("m1", NOON.replace(tzinfo=None), "c1"))
    good = ledger.record(Restore("m1", NOON, "c2"))
    with pytest.raises(Exception, match="without a zone"):
        bad.result(10)
    assert good.result(10) is None
    assert ledger.restores_since(NOON) == [Restore("m1", NOON, "c2")]


def test_rows_recorded_together_are_kept_together_or_not_at_all(ledger):
    half = ledger.record(command("k1"), Restore("m1", NOON.replace(tzinfo=None), "c1"))
    with pytest.raises(Exception, match="without a zone"):
        half.result(10)
    assert ledger.commands() == []


def test_what_is_no_journal_row_is_refused_at_once(ledger):
    with pytest.raises(TypeError, match="not a journal row"):
        ledger.record("nonsense")


SITE = Site(
    name="north",
    title="North campus",
    time_zone="Asia/Shanghai",
    currency="CNY",
    buses=(
        Bus(name="bus-2", link="serial", port="/dev/ttyUSB0", parity=Parity.NONE),
        Bus(name="bus-1", link="rtu-over-tcp", host="10.0.0.7", tcp_port=4001, timeout_s=0.25),
    ),
    meters=(
        Meter(
            name="n1-101",
            bus="bus-2",
            unit_id=1,
            profile="acrel-ddsy1352",
            building="N1",
            floor="1",
            room="101",
            kind=RoomKind.DORM,
            rated_current_a=20,
            group="freshmen",
            shed_priority=3,
        ),
        Meter(
            name="n1-head",
            bus="bus-1",
            unit_id=1,
            profile="eastron-sdm630",
            building="N1",
            room="riser",
            kind=RoomKind.PUBLIC,
            phases=3,
            rated_current_a=100,
            head=True,
        ),
    ),
)
POLICY = Policy(
    groups={
        "dorm": GroupPolicy(
            malignant=MalignantPolicy(
                white_list=(WhiteListEntry(name="dryer", power_w=800, from_time=time(7, 30)),)
            ),
            schedule=SchedulePolicy(
                workday=(Slot(at=time(23), state="open"),), holidays=(date(2026, 10, 1),)
            ),
        )
    }
)


def test_site_and_policy_come_back_in_their_order(ledger):
    assert ledger.site() is None
    assert ledger.policy() is None
    assert ledger.save_site(SITE, POLICY, "li") == 1
    assert ledger.site() == SITE
    assert ledger.policy() == POLICY.model_copy(update={"version": 1})


def test_loading_the_same_policy_again_keeps_its_version_and_a_new_one_counts_on(ledger):
    ledger.save_site(SITE, POLICY, "li")
    smaller = SITE.model_copy(update={"meters": SITE.meters[:1]})
    assert ledger.save_site(smaller, ledger.policy(), "wang") == 1
    assert ledger.site() == smaller
    changed = Policy(groups={"shop": GroupPolicy()})
    assert ledger.save_policy(changed, "wang", "shops get rules") == 2
    assert ledger.policy() == changed.model_copy(update={"version": 2})
    assert ledger.policy_version(1) == POLICY.model_copy(update={"version": 1})
    assert ledger.policy_version(3) is None


def test_loading_a_site_and_changing_policy_leave_their_trace(ledger, clock):
    ledger.save_site(SITE, POLICY, "li")
    ledger.save_policy(POLICY, "wang", "again")
    newest, first, loaded = ledger.events()
    assert (loaded.kind, loaded.actor) == (EventKind.ROSTER_LOADED, "li")
    assert loaded.details["added"] == ["n1-101", "n1-head"]
    assert (first.kind, first.details["version"]) == (EventKind.POLICY_CHANGED, 1)
    assert (newest.actor, newest.details["reason"], newest.time) == ("wang", "again", clock.now())


def test_a_secret_is_made_once_and_stays(open_ledger):
    ledger = open_ledger()
    first = ledger.secret("command-seal")
    assert len(first) == 32
    assert ledger.secret("command-seal") == first
    assert ledger.secret("another") != first
    ledger.close()
    assert open_ledger().secret("command-seal") == first
