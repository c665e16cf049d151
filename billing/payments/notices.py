"""Notices: proved by their signature, kept as they came, credited once."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from billing.payments.channel import Notice, NoticeAnswer, NoticeRefused, PaymentChannel
from billing.payments.crediting import Settled, settle
from billing.payments.desk import Desk, wait_for
from billing.payments.model import WAITING, NoticeOutcome, NoticeRecord
from billing.payments.pile import Pile
from billing.payments.quota import Quota
from billing.payments.refunding import settle_refund
from billing.payments.store import PaymentsTx
from domain.events import Event, EventKind, Severity

HEADERS_MOST = 40
HEADER_LENGTH_MOST = 1_024
# What proves who asked, or only says how it got here, is not kept.
_NOT_KEPT = frozenset({"authorization", "cookie", "connection", "accept", "accept-encoding"})
Taken = tuple[PaymentChannel, Notice, NoticeRecord]


class Notices:
    """Takes what providers send of their own accord."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._pile = Pile(desk.store, self._settle_all)
        self._refused = Quota(desk.clock, desk.settings.refused_notices_a_minute, 60.0)

    def take(self, channel_name: str, headers: Mapping[str, str], body: bytes) -> NoticeAnswer:
        """Take a notice and return what to answer; it is durable when a success is answered.

        Raises UnknownSubject for a channel that is off, StoreUnavailable.
        """
        desk = self._desk
        channel = desk.channel(channel_name)
        now = desk.clock.now()
        headers = {name.lower(): value for name, value in headers.items()}
        try:
            notice = self._read(channel, headers, body, now)
        except NoticeRefused as refusal:
            self._refuse(channel, headers, body, refusal, now)
            return channel.answer(False, refusal.reason, refusal.status)
        record = record_of(channel.name, headers, body, now)
        settled = wait_for(self._pile.add((channel, notice, record)))
        desk.tell(settled.events)
        return channel.answer(True, "", 200)

    def _read(
        self, channel: PaymentChannel, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> Notice:
        if len(body) > self._desk.settings.notice_bytes_most:
            raise NoticeRefused("the body is too large", 413)
        return channel.read_notice(headers, body, now)

    def _settle_all(self, tx: PaymentsTx, taken: Sequence[Taken]) -> list[Settled]:
        tx.prefetch({notice.payment.order for _, notice, _ in taken if notice.payment is not None})
        settled, records = [], []
        for channel, notice, record in taken:
            one, order = self._settle(tx, channel, notice, record.received_at)
            settled.append(one)
            records.append(replace(record, order=order, outcome=one.outcome, reason=one.reason))
        tx.add_notices(records)
        return settled

    def _settle(
        self, tx: PaymentsTx, channel: PaymentChannel, notice: Notice, now: datetime
    ) -> tuple[Settled, str]:
        """Do what a notice asks for; return with it the order that it names."""
        if notice.payment is not None:
            return settle(tx, self._desk, channel, notice.payment, now), notice.payment.order
        if notice.refund_reply is not None:
            settled = settle_refund(tx, self._desk, notice.refund, notice.refund_reply, now)
            return settled, settled.order.id if settled.order else ""
        return Settled(NoticeOutcome.IGNORED, None, notice.about), ""

    def _refuse(
        self,
        channel: PaymentChannel,
        headers: Mapping[str, str],
        body: bytes,
        refusal: NoticeRefused,
        now: datetime,
    ) -> None:
        """Keep a refused notice, as long as there are not too many; anybody can send those."""
        if not self._refused.take():
            return
        record = replace(
            record_of(channel.name, headers, body, now),
            order=refusal.order,
            reason=refusal.reason,
        )

        def work(tx: PaymentsTx) -> None:
            tx.add_notices([record])
            order = tx.order(refusal.order) if refusal.order else None
            if order is not None and order.channel == channel.name and order.state in WAITING:
                tx.put_order(replace(order, next_query_at=now))

        wait_for(self._desk.store.transact(work))
        if self._refused.is_first():
            words = f"a notice that names {channel.name} was refused: {refusal.reason}"
            self._desk.on_event(
                Event(
                    now,
                    EventKind.PAYMENT_NOTICES_REFUSED,
                    channel.name,
                    words,
                    Severity.WARNING,
                    group=f"payments:{channel.name}",
                    details={"status": refusal.status, "reason": refusal.reason},
                )
            )


def prune(desk: Desk, rows_most: int) -> int:
    """Delete notices that were kept long enough; return how many."""
    before = desk.clock.now() - timedelta(days=desk.settings.notices_kept_days)
    return wait_for(desk.store.prune_notices(before, rows_most))


def record_of(channel: str, headers: Mapping[str, str], body: bytes, now: datetime) -> NoticeRecord:
    """Return how a notice is kept: refused, until it is known better."""
    kept = [(name, value) for name, value in headers.items() if name not in _NOT_KEPT]
    return NoticeRecord(
        received_at=now,
        channel=channel,
        order="",
        headers={name: value[:HEADER_LENGTH_MOST] for name, value in kept[:HEADERS_MOST]},
        body_digest=hashlib.sha256(body).hexdigest(),
        body_bytes=len(body),
        outcome=NoticeOutcome.REFUSED,
    )
