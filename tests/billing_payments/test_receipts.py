"""Receipts in both languages, and amounts in capital numerals."""

from zoneinfo import ZoneInfo

import pytest
from pay_office import NOON

from billing.payments.model import Receipt, ReceiptKind
from billing.payments.receipt_page import capital_amount, receipt_html, receipt_text

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


@pytest.mark.parametrize(
    ("amount_minor", "words"),
    [
        (0, "零元整"),
        (1, "壹分"),
        (10, "壹角整"),
        (100, "壹元整"),
        (105, "壹元零伍分"),
        (150, "壹元伍角整"),
        (1000, "壹拾元整"),
        (10100, "壹佰零壹元整"),
        (11000, "壹佰壹拾元整"),
        (100100, "壹仟零壹元整"),
        (1000000, "壹万元整"),
        (1000100, "壹万零壹元整"),
        (10010000, "壹拾万零壹佰元整"),
        (12345678, "壹拾贰万叁仟肆佰伍拾陆元柒角捌分"),
        (10000000000, "壹亿元整"),
        (-2050, "负贰拾元伍角整"),
    ],
)
def test_amounts_in_capital_numerals(amount_minor, words):
    assert capital_amount(amount_minor) == words


def test_a_receipt_in_chinese():
    assert receipt_text(RECEIPT, "北苑", "zh-CN", BEIJING) == (
        "北苑\n电费充值收据\n收据号: 000017\n时间: 2026-05-01 12:00:00\n房间: B1 101\n"
        "缴费人: 张三\n金额: ¥50.12\n金额大写: 伍拾元壹角贰分\n订单号: W260501120000AAAA\n"
        "收款员: wang\n班次: S1\n"
    )


def test_a_receipt_in_english():
    assert receipt_text(RECEIPT, "North College", "en", BEIJING) == (
        "North College\nReceipt: electricity recharge\nNo.: 000017\nTime: 2026-05-01 12:00:00\n"
        "Room: B1 101\nPaid by: 张三\nAmount: CNY 50.12\nOrder: W260501120000AAAA\n"
        "Cashier: wang\nShift: S1\n"
    )


def test_a_page_shows_what_was_typed_and_runs_none_of_it():
    page = receipt_html(RECEIPT, "<script>x</script>", "en", BEIJING)
    assert "&lt;script&gt;" in page
    assert "<script" not in page
