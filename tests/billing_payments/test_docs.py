"""docs/payments.md: its signature is right, its settings are taken, its limits are true."""

import re
import tomllib
from pathlib import Path

from billing.payments.campus_card import signature
from billing.payments.settings import PaymentSettings

PAGE = (Path(__file__).parents[2] / "docs" / "payments.md").read_text(encoding="utf-8")


def test_the_example_of_a_signature_is_right():
    told = re.search(r"With secret `(\w+)`:\n\n```\n(.*?)\n```\n\ngives `(\w+)`", PAGE, re.S)
    method, path, stamp, nonce, body = told[2].split("\n")
    assert signature(told[1].encode(), method, path, stamp, nonce, body.encode()) == told[3]


def test_the_example_of_the_settings_is_taken():
    example = re.search(r"```toml\n(.*?)```", PAGE, re.S)[1]
    settings = PaymentSettings.model_validate(tomllib.loads(example)["payments"])
    assert len(settings.providers()) == 4


def test_the_limits_are_those_of_the_settings():
    settings = PaymentSettings()
    said = re.search(r"Limits, all in the settings: (.*?)\n\n", PAGE, re.S)[1].replace("\n", " ")
    for words in (
        f"{settings.waiting_orders_most} waiting orders",
        f"{settings.orders_an_hour_most} orders an hour",
        f"{settings.orders_at_once_most} orders placed at once",
        f"{settings.notice_bytes_most // 1024} kB for a notice",
        f"{settings.orders_a_tick} orders and refunds a tick",
        f"{settings.refunds_an_order_most} refunds an order",
        f"{settings.refund_tries_most} tries a refund",
        f"{settings.statement_rows_most:,} rows a statement",
    ):
        assert words in said, words
