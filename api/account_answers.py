"""The shapes of accounts, people, stays, requests for money, and files, as JSON."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from api.plain import plain
from billing.accounts.desk import Done
from billing.accounts.store import MoneyRequest, RequestKind, RequestState
from billing.model import Account, BalanceMode, Occupancy, Person, RegisterSpan
from billing.people_files.plan import FileKind, ImportPlan, ItemKind
from domain.money import decimal_of
from domain.site import RoomKind

ITEMS_SHOWN = 1_000
Booked = Annotated[
    int | None, Field(description="as booked; what was used since the last booking is not in it")
]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class AccountAnswer(_Answer):
    """The account of a room or shop."""

    id: str
    building: str
    room: str
    floor: str
    kind: RoomKind
    tariff: str
    mode: BalanceMode
    credit_limit_micro: int
    balance_micro: Booked
    balance: str | None
    open: bool
    opened_at: datetime | None
    closed_at: datetime | None
    area_m2: float | None
    note: str

    @classmethod
    def of(cls, account: Account, balance_micro: int | None) -> Self:
        """Tell an account."""
        return cls(**_account(account, balance_micro))


class AccountList(_Answer):
    """Accounts that fit, by building and room; `count` is how many fit."""

    count: int
    accounts: list[AccountAnswer]


class RegisterAnswer(_Answer):
    """From when until when, and from which reading to which, a meter counts for an account."""

    meter: str
    serial: str
    since: datetime
    first_wh: int
    until: datetime | None
    last_wh: int | None

    @classmethod
    def of(cls, span: RegisterSpan) -> Self:
        """Tell a register's span."""
        return cls(
            meter=span.meter, serial=span.serial, since=span.since, first_wh=span.first_wh,
            until=span.until, last_wh=span.last_wh,
        )  # fmt: skip


class RoomAnswer(AccountAnswer):
    """An account with its registers, oldest first."""

    registers: list[RegisterAnswer]

    @classmethod
    def with_registers(
        cls, account: Account, balance_micro: int | None, spans: "list[RegisterSpan]"
    ) -> Self:
        """Tell an account and its registers."""
        registers = [RegisterAnswer.of(span) for span in spans]
        return cls(**_account(account, balance_micro), registers=registers)


class DoneAnswer(_Answer):
    """What became of an action; `repeated`: it was done before, and nothing was done now."""

    id: str
    kind: str
    subject: str
    repeated: bool
    result: dict[str, Any]

    @classmethod
    def of(cls, done: Done) -> Self:
        """Tell an action's outcome."""
        return cls(
            id=done.id, kind=done.kind, subject=done.subject, repeated=done.repeated,
            result=plain(done.result),
        )  # fmt: skip


class RosterAnswer(_Answer):
    """Accounts that were opened for rooms of the roster, and meters that wait for a reading."""

    opened: list[str]
    waiting: list[str]


class StayAnswer(_Answer):
    """A stay: from a day on, until the first day away."""

    person: str
    account: str
    since: date
    until: date | None

    @classmethod
    def of(cls, stay: Occupancy) -> Self:
        """Tell a stay."""
        return cls(person=stay.person, account=stay.account, since=stay.since, until=stay.until)


class StayList(_Answer):
    """Stays, by their first day."""

    count: int
    occupancies: list[StayAnswer]


class PersonAnswer(_Answer):
    """Somebody who lives in a room or runs a shop."""

    id: str
    name: str
    phone: str
    email: str
    language: str
    occupancies: list[StayAnswer]

    @classmethod
    def of(cls, person: Person, stays: "list[Occupancy]") -> Self:
        """Tell a person and where he lives and lived."""
        return cls(
            id=person.id, name=person.name, phone=person.phone, email=person.email,
            language=person.language, occupancies=[StayAnswer.of(stay) for stay in stays],
        )  # fmt: skip


class PersonList(_Answer):
    """People that fit, by number; `count` is how many fit."""

    count: int
    people: list[PersonAnswer]


class MoneyRequestAnswer(_Answer):
    """A request that money be moved by hand, as it stands now."""

    id: str
    kind: RequestKind
    account: str
    to_account: str | None
    amount_micro: int
    amount: str
    recharge: str | None
    reason: str
    requested_by: str
    requested_at: datetime
    expires_at: datetime
    state: RequestState
    decided_by: str | None
    decided_at: datetime | None
    decision: str | None
    entry: str | None

    @classmethod
    def of(cls, request: MoneyRequest) -> Self:
        """Tell a request."""
        return cls(
            id=request.id,
            kind=request.kind,
            account=request.account,
            to_account=request.to_account or None,
            amount_micro=request.amount_micro,
            amount=amount_text(request.amount_micro),
            recharge=request.recharge or None,
            reason=request.reason,
            requested_by=request.requested_by,
            requested_at=request.requested_at,
            expires_at=request.expires_at,
            state=request.state,
            decided_by=request.decided_by or None,
            decided_at=request.decided_at,
            decision=request.decision or None,
            entry=request.entry or None,
        )


class MoneyRequestList(_Answer):
    """Requests, newest first."""

    count: int
    requests: list[MoneyRequestAnswer]


class ImportItem(_Answer):
    """One change: the row of the file, whom it is about, and fields before and after."""

    kind: ItemKind
    row: int
    subject: str
    fields: dict[str, tuple[Any, Any]]


class ImportAnswer(_Answer):
    """What applying a file would do (`applied` false) or did; apply it with its `digest`."""

    kind: FileKind
    file: str
    digest: str
    applied: bool
    counts: dict[str, int]
    items: list[ImportItem]
    items_left_off: int

    @classmethod
    def of(cls, plan: ImportPlan) -> Self:
        """Tell a dry run."""
        shown = plan.items[:ITEMS_SHOWN]
        return cls(
            kind=plan.kind,
            file=plan.file,
            digest=plan.digest,
            applied=False,
            counts=dict(plan.counts),
            items=[
                ImportItem(
                    kind=item.kind, row=item.row, subject=item.subject, fields=dict(item.fields)
                )
                for item in shown
            ],
            items_left_off=len(plan.items) - len(shown),
        )

    @classmethod
    def done(cls, kind: FileKind, file: str, result: Mapping[str, Any]) -> Self:
        """Tell what was applied."""
        return cls(
            kind=kind, file=file, digest=str(result["digest"]), applied=True,
            counts=dict(result["counts"]), items=[], items_left_off=0,
        )  # fmt: skip


def amount_text(amount_micro: int) -> str:
    """Return an amount as a decimal text with at least two places, exactly."""
    exact = f"{decimal_of(amount_micro).normalize():f}"
    whole, _, part = exact.partition(".")
    return f"{whole}.{part:0<2}"


def _account(account: Account, balance_micro: int | None) -> dict[str, Any]:
    return {
        "id": account.id,
        "building": account.building,
        "room": account.room,
        "floor": account.floor,
        "kind": account.kind,
        "tariff": account.tariff,
        "mode": account.mode,
        "credit_limit_micro": account.credit_limit_micro,
        "balance_micro": balance_micro,
        "balance": None if balance_micro is None else amount_text(balance_micro),
        "open": account.closed_at is None,
        "opened_at": account.opened_at,
        "closed_at": account.closed_at,
        "area_m2": account.area_m2,
        "note": account.note,
    }
