"""The demonstration's account: trips are held against what really ran in the rooms."""

from datetime import UTC, datetime, timedelta

from app.demo.summary import judge_trips, quantile, summary
from domain.causes import CauseKind, RuleMode, TripCause
from domain.commands import Action, Command, Receipt, ReceiptStatus
from simulator.model import LoadUse

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def use(
    meter: str, on_s: float, *, rule_class: str = "forbidden", cut: float | None = None
) -> LoadUse:
    begun = START.timestamp() + on_s
    ended = None if cut is None else START.timestamp() + cut
    return LoadUse(meter, "kettle", rule_class, begun, None, 1800, begun, ended)


def cause(meter: str, since: float, kind: CauseKind = CauseKind.MALIGNANT) -> TripCause:
    return TripCause(f"{meter}-{kind}", meter, kind, at(since), "rules", "a step of 1800 W")


def opened(held: TripCause, finished: float, status: ReceiptStatus) -> tuple[Command, Receipt]:
    command = Command(
        f"c-{held.id}", held.meter, Action.TRIP, "trip", "supervisor", held.since, at(999), held.id
    )
    return command, Receipt(command.id, held.meter, Action.TRIP, status, "", False, at(finished))


def test_a_trip_while_a_forbidden_use_ran_is_deserved_and_its_latency_counts_to_the_proof() -> None:
    held = cause("a", 12)
    proof = [opened(held, 13.5, ReceiptStatus.CONFIRMED)]
    (judged,) = judge_trips([held], [use("a", 10, cut=13)], proof, {})
    assert judged.deserved
    assert judged.latency_s == 3.5


def test_a_trip_with_only_a_permitted_use_or_another_rooms_use_is_false() -> None:
    uses = [use("a", 10, rule_class="limited"), use("b", 10)]
    judged = judge_trips([cause("a", 12)], uses, [], {})
    assert [item.deserved for item in judged] == [False]


def test_a_trip_before_the_use_began_is_false() -> None:
    assert not judge_trips([cause("a", 5)], [use("a", 10)], [], {})[0].deserved


def test_planned_kinds_are_deserved_only_by_the_planned_meters() -> None:
    causes = [cause("a", 5, CauseKind.SCHEDULE), cause("b", 5, CauseKind.SCHEDULE)]
    judged = judge_trips(causes, [], [], {CauseKind.SCHEDULE: ("a",)})
    assert [item.deserved for item in judged] == [True, False]


def test_alarms_and_shadow_causes_are_no_trips() -> None:
    alarm = TripCause("x", "a", CauseKind.TAMPER, at(1), "rules", "", mode=RuleMode.ALARM)
    shadow = TripCause("y", "a", CauseKind.MALIGNANT, at(1), "rules", "", shadow=True)
    assert judge_trips([alarm, shadow], [], [], {}) == []


def test_a_command_without_proof_is_counted_and_absent_latency_is_null() -> None:
    held = cause("a", 12)
    unknown = [opened(held, 13, ReceiptStatus.UNKNOWN)]
    uses = [use("a", 10)]
    result = summary(judge_trips([held], uses, unknown, {}), uses, unknown, {"meters": 1})
    assert (result["commands_unproven"], result["trips"], result["false_trips"]) == (1, 1, 0)
    assert result["latency_p50_s"] is None


def test_quantiles_are_those_of_the_nearest_rank() -> None:
    assert quantile([1, 2, 3, 4], 0.5) == 2
    assert quantile(list(range(1, 101)), 0.99) == 99
    assert quantile([], 0.5) is None
