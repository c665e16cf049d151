"""What the routes about tariffs, bills, use and held energy answer and take."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.params import Moment, Words
from billing.bills import Bill, UsageRow, UsageStep
from billing.calendar import to_time
from billing.chain import Decision, Reading, Ruling
from billing.charging_store import Review, ReviewState, SavedVersion
from billing.energy_audit import EnergyRow
from billing.rating import Line
from billing.tariff import Band, Tariff, TariffVersion
from domain.money import decimal_of
from domain.site import RoomKind

# More would not fit into a body.
USAGE_ROWS_MOST = 600
Wh = Annotated[int, Field(ge=0, le=10**15)]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BillLine(_Answer):
    """Energy of one tariff version, band and tier, Wh, the free part of it, rate a kWh, amount."""

    tariff: str
    version: int
    band: Band
    tier: int
    energy_wh: int
    free_wh: int
    rate: str
    amount_micro: int
    amount: str

    @classmethod
    def of(cls, line: Line) -> Self:
        """Return a line as it is told."""
        return cls(
            **line.key._asdict(),
            energy_wh=line.energy_wh,
            free_wh=line.free_wh,
            rate=str(line.rate),
            amount_micro=line.amount_micro,
            amount=money(line.amount_micro),
        )


class BillAnswer(_Answer):
    """A month's bill: lines and fees sum to the total, and that to the ledger's entries."""

    account: str
    month: str
    final: Annotated[bool, Field(description="the month is over and all of it is booked")]
    currency: str
    lines: list[BillLine]
    fees_micro: dict[str, int]
    energy_wh: int
    energy_micro: int
    total_micro: int
    total: str
    accrued_micro: Annotated[int, Field(description="used since and not booked yet")]
    free_granted_wh: int
    free_used_wh: int
    free_expired_wh: int

    @classmethod
    def of(cls, bill: Bill, currency: str) -> Self:
        """Return a bill as it is told."""
        return cls(
            account=bill.account,
            month=bill.month,
            final=bill.final,
            currency=currency,
            lines=[BillLine.of(line) for line in bill.lines],
            fees_micro=bill.fees_micro,
            energy_wh=bill.energy_wh,
            energy_micro=bill.energy_micro,
            total_micro=bill.total_micro,
            total=money(bill.total_micro),
            accrued_micro=bill.accrued_micro,
            free_granted_wh=bill.free_granted_wh,
            free_used_wh=bill.free_used_wh,
            free_expired_wh=bill.free_expired_wh,
        )


class BillList(_Answer):
    """Bills, newest first."""

    count: int
    bills: list[BillAnswer]


class UsageStretch(_Answer):
    """Energy of an hour, a day or a month, Wh, and what it cost without fees."""

    start: datetime
    end: datetime
    energy_wh: int
    cost_micro: int
    cost: str

    @classmethod
    def of(cls, row: UsageRow) -> Self:
        """Return a row as it is told."""
        return cls(
            start=row.start,
            end=row.end,
            energy_wh=row.energy_wh,
            cost_micro=row.cost_micro,
            cost=money(row.cost_micro),
        )


class UsageAnswer(_Answer):
    """Use of a room in order of time; time that no reading covers is left out."""

    account: str
    resolution: UsageStep
    currency: str
    count: int
    rows: list[UsageStretch]


class CounterReading(_Answer):
    """A counter at a time, Wh."""

    time: datetime
    energy_wh: int

    @classmethod
    def of(cls, reading: Reading) -> Self:
        """Return a reading as it is told."""
        return cls(time=to_time(reading.ms), energy_wh=reading.energy_wh)


class DecisionAnswer(_Answer):
    """How the energy between two readings is found; what does not apply is null."""

    ruling: Ruling
    energy_wh: int | None
    size_wh: int | None
    final_wh: int | None
    first_wh: int | None

    @classmethod
    def of(cls, decision: Decision | None) -> Self | None:
        """Return a decision as it is told."""
        if decision is None:
            return None
        return cls(
            ruling=decision.ruling,
            energy_wh=decision.energy_wh,
            size_wh=decision.size_wh,
            final_wh=decision.final_wh,
            first_wh=decision.first_wh,
        )


class ReviewAnswer(_Answer):
    """A jump of a counter with its evidence: nothing of it is billed while it is open."""

    id: str
    state: ReviewState
    meter: str
    account: str
    found_at: datetime
    before: CounterReading
    after: CounterReading
    difference_wh: int
    possible_wh: Annotated[int, Field(description="the most that can have flowed in between")]
    suggestion: DecisionAnswer | None
    decision: DecisionAnswer | None
    counted_wh: Annotated[int, Field(description="billed of it")]
    decided_by: str
    decided_at: datetime | None
    reason: str

    @classmethod
    def of(cls, review: Review) -> Self:
        """Return a review as it is told."""
        return cls(
            id=review.id,
            state=review.state,
            meter=review.key.meter,
            account=review.account,
            found_at=review.found_at,
            before=CounterReading.of(review.before),
            after=CounterReading.of(review.after),
            difference_wh=review.difference_wh,
            possible_wh=review.possible_wh,
            suggestion=DecisionAnswer.of(review.suggestion),
            decision=DecisionAnswer.of(review.decision),
            counted_wh=review.counted_wh,
            decided_by=review.decided_by,
            decided_at=review.decided_at,
            reason=review.reason,
        )


class ReviewList(_Answer):
    """Held jumps, newest first."""

    count: int
    reviews: list[ReviewAnswer]


class DecisionBody(_Body):
    """A person's decision: bill the difference (or `energy_wh`), drop it, count it as a rollover
    at `size_wh`, or as a swap from a counter that ended at `final_wh` to one from `first_wh`."""

    ruling: Ruling
    reason: Words
    energy_wh: Wh | None = None
    size_wh: Wh | None = None
    final_wh: Wh | None = None
    first_wh: Wh | None = None

    def decision(self) -> Decision:
        """Return it as billing takes it."""
        return Decision(self.ruling, self.energy_wh, self.size_wh, self.final_wh, self.first_wh)


class EnergyCheckRow(_Answer):
    """Where each Wh of a register's counter went; `difference_wh` is 0."""

    meter: str
    account: str
    since: datetime
    first_wh: int
    last_wh: int
    billed_wh: int
    pending_wh: int
    held_wh: int
    explained_wh: int
    difference_wh: int


class EnergyCheckAnswer(_Answer):
    """All registers; `difference_wh` is the sum of what does not add up, each taken as positive."""

    count: int
    difference_wh: int
    registers: list[EnergyCheckRow]

    @classmethod
    def of(cls, rows: Sequence[EnergyRow]) -> Self:
        """Return the check as it is told."""
        told = [
            EnergyCheckRow(**{name: getattr(row, name) for name in EnergyCheckRow.model_fields})
            for row in rows
        ]
        wrong = sum(abs(row.difference_wh) for row in rows)
        return cls(count=len(told), difference_wh=wrong, registers=told)


class TariffAnswer(_Answer):
    """A tariff with the versions that stand, in order of date."""

    name: str
    title: str
    kind: RoomKind | None
    versions: list[TariffVersion]

    @classmethod
    def of(cls, name: str, tariff: Tariff) -> Self:
        """Return a tariff as it is told."""
        return cls(name=name, title=tariff.title, kind=tariff.kind, versions=list(tariff.versions))


class TariffList(_Answer):
    """All tariffs by name."""

    count: int
    tariffs: list[TariffAnswer]


class SavedVersionAnswer(_Answer):
    """A version as it was saved: by whom, when, why; a withdrawn one never came into force."""

    version: TariffVersion
    saved_at: datetime
    actor: str
    reason: str
    withdrawn_at: datetime | None

    @classmethod
    def of(cls, saved: SavedVersion) -> Self:
        """Return a saved version as it is told."""
        return cls(
            version=saved.version,
            saved_at=saved.saved_at,
            actor=saved.actor,
            reason=saved.reason,
            withdrawn_at=saved.withdrawn_at,
        )


class VersionList(_Answer):
    """Every version of a tariff that was ever saved, oldest first."""

    name: str
    count: int
    versions: list[SavedVersionAnswer]


class VersionBody(_Body):
    """A version to come; a tariff of that name that is not there yet begins with it."""

    version: TariffVersion
    reason: Words
    title: Annotated[str | None, Field(max_length=200)] = None
    kind: RoomKind | None = None


class UsedBody(_Body):
    """Energy used in a stretch of time, Wh."""

    start: Moment
    end: Moment
    energy_wh: Wh


class PreviewBody(_Body):
    """A tariff under design, and what to price by it: a month of an account, or given energy."""

    tariff: Tariff
    account_id: Annotated[str, Field(max_length=64)] | None = None
    month: Annotated[str, Field(pattern=r"^\d{4}-\d{2}$")] | None = None
    usage: Annotated[list[UsedBody], Field(max_length=USAGE_ROWS_MOST)] = []
    people: Annotated[int, Field(ge=0, le=1000)] = 1

    @model_validator(mode="after")
    def _one_subject(self) -> Self:
        by_month = self.account_id is not None and self.month is not None
        neither = self.account_id is None and self.month is None
        if not (by_month and not self.usage) and not (neither and self.usage):
            raise ValueError("give either account_id and month, or usage")
        return self


class PreviewAnswer(_Answer):
    """What it would cost, a bill a month; nothing is booked."""

    kind: Literal["preview"] = "preview"
    count: int
    total_micro: int
    total: str
    bills: list[BillAnswer]


def money(amount_micro: int) -> str:
    """Return micro-units as text in currency units, exactly."""
    return f"{decimal_of(amount_micro):f}"
