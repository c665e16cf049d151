"""Receipts in both languages, as text and as a page."""

from dataclasses import replace
from zoneinfo import ZoneInfo

from pay_office import NOON

from billing.payments.model import Receipt, ReceiptKind
from billing.payments.receipt_page import receipt_html, receipt_text

BEIJING = ZoneInfo("Asia/Shanghai")
RECEIPT = Receipt(
    number=17,
    kind=ReceiptKind.RECHARGE,
    order="W260501120000AAAA",
    account="b1-101",
    building="B1",
    room="101",
    amount_minor=5012,
    cashier="wang",
    shift="S1",
    time=NOON,
    person="张三",
)


def test_a_receipt_in_chinese():
    assert receipt_text(RECEIPT, "北苑", "zh-CN", BEIJING) == (
        "北苑\n电费充值收据\n收据号: 00000017\n时间: 2026-05-01 12:00:00\n房间: B1 101\n"
        "缴费人: 张三\n金额: ¥50.12\n金额大写: 伍拾元壹角贰分\n订单号: W260501120000AAAA\n"
        "收款员: wang\n班次: S1\n"
    )


def test_a_receipt_in_english():
    assert receipt_text(RECEIPT, "North College", "en", BEIJING) == (
        "North College\nReceipt: electricity recharge\nNo.: 00000017\nTime: 2026-05-01 12:00:00\n"
        "Room: B1 101\nPaid by: 张三\nAmount: CNY 50.12\nOrder: W260501120000AAAA\n"
        "Cashier: wang\nShift: S1\n"
    )


def test_a_page_shows_what_was_typed_and_runs_none_of_it():
    page = receipt_html(RECEIPT, "<script>x</script>", "en", BEIJING)
    assert "&lt;script&gt;" in page
    assert "<script" not in page


def test_the_receipt_of_a_void_names_the_one_it_takes_back():
    void = replace(RECEIPT, kind=ReceiptKind.VOID, number=18, amount_minor=-5012, voids=17)
    text = receipt_text(void, "北苑", "zh-CN", BEIJING)
    assert "作废单（原收据号 00000017）" in text
    assert "金额: ¥-50.12\n金额大写: 负伍拾元壹角贰分" in text
