"""Alipay by its own SDK against a local gateway with keys of its own."""

import pytest

from billing.payments.alipay import Alipay
from billing.payments.model import RowKind
from billing.payments.open_channels import alipay_keys
from billing.payments.settings import AlipaySettings
from domain.errors import LinkDown
from simulator.payments.alipay import AlipayProvider
from simulator.payments.provider import Send, Tamper


@pytest.fixture(scope="module")
def provider():
    made = AlipayProvider()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def alipay(office, provider):
    provider.clock = office.clock
    provider.refuse_refunds = provider.slow_refunds = provider.down = False
    provider.trades.clear()
    channel = channel_of(office, provider, provider.merchant_key, provider.public_key)
    office.payments = office.service(office.card_channel(), channel)
    return channel


def channel_of(office, provider, merchant_key, public_key):
    table = AlipaySettings(
        base_url=provider.gateway,
        app_id=provider.app_id,
        seller=provider.seller,
        private_key_file="-",
        alipay_public_key_file="-",
    )
    keys = alipay_keys(merchant_key.encode(), public_key.encode())
    return Alipay(table, keys, office.settings.notify_url_of("alipay"), 300, office.clock)


def test_a_code_is_shown_and_the_order_credited_by_its_notice(office, alipay, provider):
    order = office.order(5012, channel="alipay")
    assert order.pay == {"qr": f"https://qr.alipay.com/{order.id}"}
    assert provider.pay(order.id, copies=2) == [200, 200]
    assert (office.state(order), office.balance(), office.cleared("alipay")) == (
        "credited",
        5012,
        5012,
    )


@pytest.mark.parametrize("way", ["page", "wap"])
def test_a_page_is_signed_and_the_order_comes_to_be_when_the_payer_goes_there(
    office, alipay, provider, way
):
    order = office.order(5000, channel="alipay", way=way)
    assert provider.trades == {}
    assert provider.visit(order.pay["url"]) == order.id
    assert provider.pay(order.id) == [200]
    assert office.balance() == 5000


def test_an_address_that_was_changed_is_not_signed_any_more(office, alipay, provider):
    order = office.order(5000, channel="alipay", way="page")
    with pytest.raises(ValueError, match="not signed"):
        provider.visit(order.pay["url"].replace("50.00", "0.50"))


@pytest.mark.parametrize("tamper", [Tamper.BODY, Tamper.SIGNATURE, Tamper.TIME, Tamper.SERIAL])
def test_a_notice_that_proves_nothing_is_refused(office, alipay, provider, tamper):
    """The last one is signed by the right key, but with SHA-1 under the name of RSA2."""
    order = office.order(channel="alipay")
    assert provider.pay(order.id, tamper=tamper) == [401]
    assert (office.balance(), office.state(order)) == (0, "pending")


@pytest.mark.parametrize("tamper", [Tamper.AMOUNT, Tamper.CURRENCY, Tamper.MERCHANT, Tamper.ORDER])
def test_a_proven_notice_that_does_not_fit_is_kept_with_an_alarm(office, alipay, provider, tamper):
    order = office.order(channel="alipay")
    assert provider.pay(order.id, tamper=tamper) == [200]
    assert (office.balance(), office.state(order)) == (0, "pending")
    assert office.kinds() == ["payment-held"]


def test_a_lost_notice_is_made_up_for(office, alipay, provider, clock):
    order = office.order(channel="alipay")
    provider.pay(order.id, send=Send.NEVER)
    clock.leap(21)
    assert office.payments.tick().credited == 1
    assert office.balance() == 5000


def test_an_order_that_nobody_scanned_expires(office, alipay, provider, clock):
    order = office.order(channel="alipay", way="wap")
    clock.leap(901)
    office.payments.tick()
    assert office.state(order) == "expired"


def test_an_unpaid_order_is_closed_there_when_it_expires(office, alipay, provider, clock):
    order = office.order(channel="alipay")
    clock.leap(901)
    office.payments.tick()
    assert (office.state(order), provider.trades[order.id].status) == ("expired", "closed")


def test_a_refund_goes_back_and_the_bill_has_both(office, alipay, provider, clock):
    day = clock.now().date()
    order = office.order(5000, channel="alipay")
    provider.pay(order.id)
    refund = office.refund(order, 2000)
    assert (refund.state, office.balance(), office.cleared("alipay")) == ("done", 3000, 3000)
    assert [
        (row.kind, row.order, row.refund, row.amount_minor) for row in alipay.statement(day)
    ] == [
        (RowKind.PAYMENT, order.id, "", 5000),
        (RowKind.REFUND, order.id, refund.id, 2000),
    ]
    clock.leap(86_400)
    assert office.payments.statements.fetch("alipay", day, "fin").clean


def test_a_refund_that_moved_no_money_at_once_is_asked_about(office, alipay, provider, clock):
    provider.slow_refunds = True
    order = office.order(5000, channel="alipay")
    provider.pay(order.id)
    refund = office.refund(order, 2000)
    assert (refund.state, office.balance()) == ("held", 3000)
    provider.finish_refunds()
    clock.leap(11)
    assert office.payments.tick().refunds == 1
    assert (office.payments.refunds.view(refund.id).state, office.balance()) == ("done", 3000)


def test_a_refused_refund_gives_the_room_its_money_back(office, alipay, provider):
    provider.refuse_refunds = True
    order = office.order(5000, channel="alipay")
    provider.pay(order.id)
    refund = office.refund(order, 2000)
    assert (refund.state, office.balance(), office.cleared("alipay")) == ("failed", 5000, 5000)


def test_a_day_without_trades_is_an_empty_statement(office, alipay, clock):
    assert alipay.statement(clock.now().date()) == []


def test_an_answer_signed_with_another_key_is_not_believed(office, alipay, provider):
    other = AlipayProvider()
    order = office.order(channel="alipay")
    channel = channel_of(office, provider, provider.merchant_key, other.public_key)
    with pytest.raises(LinkDown, match="not to be believed"):
        channel.query(order)


def test_a_merchant_with_another_key_is_refused(office, alipay, provider):
    other = AlipayProvider()
    order = office.order(channel="alipay")
    channel = channel_of(office, provider, other.merchant_key, provider.public_key)
    with pytest.raises(Exception, match=r"isv\.invalid-signature"):
        channel.query(order)
