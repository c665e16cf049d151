"""Alipay's trade bill: a zip with CSV files in GBK between lines that begin with #."""

import csv
import io
import zipfile
from collections.abc import Iterator
from urllib.parse import urlsplit

from billing.payments.http import STATEMENT_BYTES_MOST, Http
from billing.payments.model import RowKind, StatementRow
from billing.payments.reading import Unreadable, beijing_time, yuan_minor
from billing.payments.settings import checked_url
from domain.errors import LinkDown

NEEDED = (
    "支付宝交易号",
    "商户订单号",
    "业务类型",
    "完成时间",
    "订单金额（元）",
    "退款批次号/请求号",
)
_SUMMARY = "汇总"
_FILES_MOST = 20


def fetch_bill(url: str, timeout_s: float) -> list[StatementRow]:
    """Fetch and read a bill from the address that the provider named.

    Raises LinkDown, Unreadable.
    """
    parts = urlsplit(url)
    try:
        host = checked_url(f"{parts.scheme}://{parts.netloc}")
    except ValueError as error:
        raise Unreadable(f"the bill's address {error}") from error
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    answer = Http("alipay", host, timeout_s).call("GET", path, bytes_most=STATEMENT_BYTES_MOST)
    if answer.status != 200:
        raise LinkDown(f"alipay does not give the bill out: status {answer.status}")
    return bill_rows(answer.body)


def bill_rows(packed: bytes) -> list[StatementRow]:
    """Read payments and refunds of all detail files. Raises Unreadable."""
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            files = archive.infolist()[:_FILES_MOST]
            if sum(file.file_size for file in files) > STATEMENT_BYTES_MOST:
                raise Unreadable(f"the bill is above {STATEMENT_BYTES_MOST} bytes")
            pages = [archive.read(file).decode("gb18030") for file in files]
    except (zipfile.BadZipFile, UnicodeDecodeError, RuntimeError) as error:
        raise Unreadable("the bill is no zip of GBK text") from error
    return [row for page in pages for row in _rows(page)]


def _rows(page: str) -> Iterator[StatementRow]:
    lines = (line for line in page.splitlines() if line.strip() and not line.startswith("#"))
    reader = csv.reader(lines)
    head = [name.strip() for name in next(reader, [])]
    if head and any(_SUMMARY in line for line in page.splitlines()[:1]):
        return
    missing = [name for name in NEEDED if name not in head]
    if missing:
        raise Unreadable(f"the bill lacks the columns {', '.join(missing)}")
    for line in reader:
        row = {name: value.strip() for name, value in zip(head, line, strict=False)}
        kind = RowKind.REFUND if row["业务类型"] == "退款" else RowKind.PAYMENT
        yield StatementRow(
            kind=kind,
            provider_ref=row["支付宝交易号"],
            order=row["商户订单号"],
            amount_minor=yuan_minor(row["订单金额（元）"].lstrip("-"), "a row's amount"),
            time=beijing_time(row["完成时间"]),
            refund=row["退款批次号/请求号"] if kind is RowKind.REFUND else "",
        )
