"""WeChat Pay's trade bill: gzip of a CSV whose every value begins with a backtick."""

import csv
import hashlib
import io
import zlib
from collections.abc import Iterator, Sequence

from billing.payments.http import STATEMENT_BYTES_MOST
from billing.payments.model import RowKind, StatementRow
from billing.payments.reading import Unreadable, beijing_time, yuan_minor

SUMMARY = "总交易单数"
NEEDED = ("交易时间", "微信订单号", "商户订单号", "交易状态", "微信退款单号", "商户退款单号")
# The amount that was ordered; where a bill has no such column nothing was deducted by vouchers.
AMOUNTS = ("订单金额", "应结订单金额", "总金额")
REFUND_AMOUNTS = ("申请退款金额", "退款金额")
_GZIP = 16 + zlib.MAX_WBITS


def checked_bill(packed: bytes | str, sha1: str) -> bytes:
    """Unpack a bill, at most so large, and check its digest. Raises Unreadable."""
    raw = packed.encode() if isinstance(packed, str) else packed
    if raw[:2] == b"\x1f\x8b":
        unpacker = zlib.decompressobj(_GZIP)
        try:
            raw = unpacker.decompress(raw, STATEMENT_BYTES_MOST)
        except zlib.error as error:
            raise Unreadable("the bill is no gzip") from error
        if unpacker.unconsumed_tail:
            raise Unreadable(f"the bill is above {STATEMENT_BYTES_MOST} bytes")
    # The digest is the provider's choice; the transport keeps others out, this finds torn files.
    if hashlib.sha1(raw, usedforsecurity=False).hexdigest() != sha1.lower():
        raise Unreadable("the bill does not fit its digest")
    return raw


def bill_rows(raw: bytes) -> list[StatementRow]:
    """Read payments and refunds. Raises Unreadable."""
    try:
        lines = csv.reader(io.StringIO(raw.decode("utf-8-sig")))
        head = next(lines, [])
        missing = [name for name in NEEDED if name not in head]
        if missing:
            raise Unreadable(f"the bill lacks the columns {', '.join(missing)}")
        return list(_rows(head, lines))
    except (UnicodeDecodeError, csv.Error) as error:
        raise Unreadable(f"the bill is no CSV in UTF-8: {error}") from error


def _rows(head: Sequence[str], lines: Iterator[list[str]]) -> Iterator[StatementRow]:
    for line in lines:
        if not line or line[0].lstrip("`") == SUMMARY:
            return
        row = {name: value.lstrip("`").strip() for name, value in zip(head, line, strict=False)}
        state = row.get("交易状态", "")
        if state == "SUCCESS":
            yield _row(RowKind.PAYMENT, row, "微信订单号", AMOUNTS)
        elif state == "REFUND":
            yield _row(RowKind.REFUND, row, "微信退款单号", REFUND_AMOUNTS)


def _row(
    kind: RowKind, row: dict[str, str], reference: str, amounts: Sequence[str]
) -> StatementRow:
    amount = next((row[name] for name in amounts if row.get(name)), "")
    return StatementRow(
        kind=kind,
        provider_ref=row[reference],
        order=row["商户订单号"],
        amount_minor=yuan_minor(amount, "a row's amount"),
        time=beijing_time(row["交易时间"]),
        refund=row["商户退款单号"] if kind is RowKind.REFUND else "",
    )
