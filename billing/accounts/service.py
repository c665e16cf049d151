"""The accounts service: every action on accounts, people and money moved by hand."""

from collections.abc import Callable, Sequence
from zoneinfo import ZoneInfo

from billing.accounts.closing import Closing, RefundToSource
from billing.accounts.desk import AccountRules, Desk, Reading
from billing.accounts.importing import Importing
from billing.accounts.meters import Meters
from billing.accounts.moving import Moving
from billing.accounts.opening import Opening
from billing.accounts.people import People
from billing.accounts.requests import Requests
from billing.accounts.store import AccountsStore
from billing.model import Directory
from domain.books import Books
from domain.clock import Clock


def _nothing_unsettled(_: str) -> Sequence[str]:
    return ()


def _never_read(_: str) -> Reading | None:
    return None


class Accounts(Opening, People, Moving, Meters, Closing, Requests, Importing):
    """Actions on accounts. Thread-safe; calls block until they are durable.

    Each action carries the caller's id: sent again it changes nothing and gives the same answer;
    with other content it is refused. Each leaves an event in the audit trail, in the transaction
    of its money. Never call from the writer's thread.
    """

    def __init__(
        self,
        books: Books,
        store: AccountsStore,
        directory: Directory,
        clock: Clock,
        *,
        zone: ZoneInfo,
        settle: Callable[[str], None],
        settle_closing: Callable[[str], None] | None = None,
        refund_to_source: RefundToSource | None = None,
        unsettled: Callable[[str], Sequence[str]] = _nothing_unsettled,
        reading_of: Callable[[str], Reading | None] = _never_read,
        rules: AccountRules | None = None,
    ) -> None:
        self._desk = Desk(
            books, store, directory, clock, zone, settle, unsettled, reading_of,
            rules or AccountRules(),
        )  # fmt: skip
        self._refund_to_source = refund_to_source
        self._settle_closing = settle_closing or settle
