"""Money for prepaid meters: purchase orders, comparisons, settings, and the store that keeps them.

A purchase order goes queued -> writing -> confirmed | refused | unknown. While it is being written,
and while nobody knows what became of it, its money stands on `transit:<meter>`: it can neither be
refunded to the room nor be taken for money in the meter.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from domain.books import BookAccount, Entry
from domain.errors import WattwardenError


class PurchaseState(StrEnum):
    """Where a purchase order stands. A refused one holds its money back on the room's account
    until a person releases it (closed)."""

    QUEUED = "queued"
    WRITING = "writing"
    UNKNOWN = "unknown"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    CLOSED = "closed"


# The meter has to be asked, or told, about these.
OPEN_STATES = (PurchaseState.QUEUED, PurchaseState.WRITING, PurchaseState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class PurchaseOrder:
    """An amount of a room's money for its meter, and how far it has come.

    `attempts` counts the times it was made ready, `writes` those it went out on the wire.
    `count_before`, `remaining_before_minor` and `energy_before_wh` are what the meter showed when
    it was made ready last; `next_at` is when it is looked at next.
    """

    id: str
    account: str
    meter: str
    amount_minor: int
    state: PurchaseState
    created_at: datetime
    expires_at: datetime
    next_at: datetime
    attempts: int = 0
    writes: int = 0
    count_before: int | None = None
    remaining_before_minor: int | None = None
    energy_before_wh: int | None = None
    use_most_minor: int = 0
    sent_at: datetime | None = None
    finished_at: datetime | None = None
    reason: str = ""
    closed_by: str = ""
    proof: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PrepaidMark:
    """Where a meter and the books agreed last: what each held, what had been bought till then.

    `number` counts the agreements, so that what a person settles has an id of its own.
    """

    meter: str
    account: str
    number: int
    at: datetime
    remaining_minor: int
    energy_wh: int
    book_micro: int
    bought_minor: int


@dataclass(frozen=True, slots=True)
class PrepaidDifference:
    """What a meter holds is not what the books say; the evidence is that of the last look.

    `kind` is "opening" before the two ever agreed, else "amount". `difference_micro` is the meter's
    amount less the books'. A person proposes to take over the meter's amount, another approves;
    `decision` is then "adjusted", or "gone" where the difference went away by itself.
    """

    id: str
    meter: str
    account: str
    kind: str
    opened_at: datetime
    seen_at: datetime
    difference_micro: int
    evidence: Mapping[str, Any]
    proposed_by: str = ""
    proposed_micro: int | None = None
    reason: str = ""
    closed_at: datetime | None = None
    closed_by: str = ""
    decision: str = ""


class PurchaseMoved(WattwardenError):
    """A purchase order or a difference is not in the state any more that a change rests on."""


class PrepaidSettings(BaseModel):
    """The site file's section `[prepaid]`.

    Purchases: amounts from `least_minor` on are sent; `expire_days` after that an order that could
    not be sent is refused (its money stays the room's); `attempts_most` writes that the meter has
    shown to come to nothing; `retry_first_s` doubling to `retry_most_s` between looks at a meter
    that does not answer; `resolve_after_s` before an unknown purchase is read back; `valid_s` in
    which a write must have begun; `flights_most` purchases at once on all buses.

    `use_most_minor` is what may be used between two looks at the meter, `use_minor_per_kwh` the
    most a kWh can cost: a remaining amount beyond that was moved by somebody else.

    Comparison: every `compare_every_s` with a reading of at most `stale_after_s`; a difference of
    more than `tolerance_minor` plus `tolerance_share` of what was used since the two agreed last,
    seen twice in a row, is reported.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    least_minor: Annotated[int, Field(ge=1)] = 100
    expire_days: Annotated[int, Field(ge=1, le=3650)] = 60
    attempts_most: Annotated[int, Field(ge=1, le=20)] = 5
    retry_first_s: Annotated[float, Field(gt=0, le=3600)] = 10.0
    retry_most_s: Annotated[float, Field(gt=0, le=86_400)] = 900.0
    resolve_after_s: Annotated[float, Field(ge=0, le=3600)] = 15.0
    valid_s: Annotated[float, Field(gt=0, le=600)] = 60.0
    flights_most: Annotated[int, Field(ge=1, le=1000)] = 24
    use_most_minor: Annotated[int, Field(ge=0)] = 300
    use_minor_per_kwh: Annotated[int, Field(ge=0)] = 500
    compare_every_s: Annotated[float, Field(gt=0, le=86_400)] = 600.0
    stale_after_s: Annotated[float, Field(gt=0, le=86_400)] = 300.0
    tolerance_minor: Annotated[int, Field(ge=0)] = 20
    tolerance_share: Annotated[float, Field(ge=0, le=1)] = 0.01


class PrepaidStore(Protocol):
    """Keeps purchase orders, marks and differences beside the books. Each change and the entries
    that go with it are one transaction; its future raises PurchaseMoved, EntryRefused,
    StoreUnavailable."""

    def put(
        self,
        order: PurchaseOrder,
        before: PurchaseState | None,
        entries: Sequence[Entry] = (),
        floors: Mapping[str, int] | None = None,
    ) -> "Future[None]":
        """Keep an order that was in state `before` (None: that was not there)."""

    def open_orders(self) -> Sequence[PurchaseOrder]:
        """Return every order in an open state, and the refused ones, oldest first."""

    def order(self, order_id: str) -> PurchaseOrder | None: ...

    def orders(
        self,
        *,
        state: PurchaseState | None = None,
        account: str | None = None,
        limit: int = 100,
    ) -> Sequence[PurchaseOrder]: ...

    def bought_minor(self, meter: str) -> int:
        """Return the sum of a meter's confirmed purchases."""

    def open_accounts(self, *accounts: BookAccount) -> "Future[None]":
        """Open those of these book accounts that are not there."""

    def marks(self) -> Sequence[PrepaidMark]: ...

    def agree(self, mark: PrepaidMark, difference: PrepaidDifference | None) -> "Future[None]":
        """Keep where the two agree; `difference` is the open one that ends with it."""

    def differ(self, difference: PrepaidDifference) -> "Future[None]":
        """Keep an open difference, or what was seen of it last."""

    def adjust(
        self, difference: PrepaidDifference, mark: PrepaidMark, entry: Entry
    ) -> "Future[None]":
        """End a difference by an entry, and keep where the two agree from then on."""

    def difference(self, difference_id: str) -> PrepaidDifference | None: ...

    def differences(
        self, *, open_only: bool = True, meter: str | None = None, limit: int = 100
    ) -> Sequence[PrepaidDifference]: ...
