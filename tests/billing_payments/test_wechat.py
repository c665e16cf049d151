"""WeChat Pay by its own SDK against a local provider with keys of its own."""

import pytest

from billing.payments.model import RowKind
from billing.payments.settings import WeChatSettings
from billing.payments.wechat import WeChat, WeChatKeys
from domain.errors import LinkDown
from simulator.payments.provider import Send, Tamper
from simulator.payments.wechat import WeChatProvider


@pytest.fixture(scope="module")
def provider():
    made = WeChatProvider()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def wechat(office, provider):
    provider.clock = office.clock
    provider.refuse_refunds = provider.slow_refunds = provider.down = False
    channel = channel_of(office, provider)
    office.payments = office.service(office.card_channel(), channel)
    return channel


def channel_of(office, provider, **changes):
    table = WeChatSettings(
        base_url=provider.url,
        app_id=provider.app_id,
        merchant=provider.merchant,
        private_key_file="-",
        certificate_serial=provider.certificate_serial,
        api_v3_key_file="-",
        public_key_file="-",
        public_key_id=provider.public_key_id,
    )
    keys = {
        "private_key": provider.merchant_key,
        "api_v3_key": provider.api_v3_key,
        "serials": frozenset({provider.public_key_id}),
        "public_key": provider.public_key,
    }
    url = office.settings.notify_url_of("wechat")
    return WeChat(table, WeChatKeys(**(keys | changes)), url, 300, office.clock)


def test_a_native_order_shows_a_code_and_is_credited_by_its_notice(office, wechat, provider):
    order = office.order(5000, channel="wechat")
    assert order.pay == {"qr": f"weixin://wxpay/bizpayurl?pr={order.id}"}
    assert provider.pay(order.id, copies=2) == [200, 200]
    assert (office.state(order), office.balance(), office.cleared("wechat")) == (
        "credited",
        5000,
        5000,
    )


def test_a_jsapi_order_gives_what_the_bridge_asks_for(office, wechat, provider):
    order = office.order(channel="wechat", way="jsapi", payer={"openid": "oUpF8uMuAJO"})
    assert order.pay["package"] == f"prepay_id=wx{order.id}"
    assert set(order.pay) == {"appId", "timeStamp", "nonceStr", "package", "signType", "paySign"}


def test_an_h5_order_gives_an_address(office, wechat, provider):
    order = office.order(channel="wechat", way="h5", payer={"client_ip": "10.0.0.7"})
    assert order.pay == {"url": f"{provider.url}/h5?prepay_id=wx{order.id}"}


@pytest.mark.parametrize(
    ("tamper", "status"),
    [(Tamper.BODY, 401), (Tamper.SIGNATURE, 401), (Tamper.SERIAL, 401), (Tamper.TIME, 401)],
)
def test_a_notice_that_proves_nothing_is_refused(office, wechat, provider, tamper, status):
    order = office.order(channel="wechat")
    assert provider.pay(order.id, tamper=tamper) == [status]
    assert (office.balance(), office.state(order)) == (0, "pending")


@pytest.mark.parametrize("tamper", [Tamper.AMOUNT, Tamper.CURRENCY, Tamper.MERCHANT, Tamper.ORDER])
def test_a_proven_notice_that_does_not_fit_is_kept_with_an_alarm(office, wechat, provider, tamper):
    order = office.order(channel="wechat")
    assert provider.pay(order.id, tamper=tamper) == [200]
    assert (office.balance(), office.state(order)) == (0, "pending")
    assert office.kinds() == ["payment-held"]
    assert len(office.store.reviews()) == 1


def test_a_notice_encrypted_with_another_key_is_refused(office, wechat, provider):
    order = office.order(channel="wechat")
    right, provider.api_v3_key = provider.api_v3_key, "0" * 32
    try:
        assert provider.pay(order.id) == [401]
    finally:
        provider.api_v3_key = right
    assert office.balance() == 0


def test_a_lost_notice_is_made_up_for(office, wechat, provider, clock):
    order = office.order(channel="wechat")
    provider.pay(order.id, send=Send.NEVER)
    clock.leap(21)
    assert office.payments.tick().credited == 1
    assert office.balance() == 5000


def test_an_unpaid_order_is_closed_there_when_it_expires(office, wechat, provider, clock):
    order = office.order(channel="wechat")
    clock.leap(901)
    office.payments.tick()
    assert (office.state(order), provider.trades[order.id].status) == ("expired", "closed")


def test_a_refund_goes_back_and_the_bill_has_both(office, wechat, provider, clock):
    day = clock.now().date()
    provider.trades.clear()
    order = office.order(5000, channel="wechat")
    provider.pay(order.id)
    refund = office.refund(order, 2000)
    assert (refund.state, office.balance(), office.cleared("wechat")) == ("done", 3000, 3000)
    rows = wechat.statement(day)
    assert [(row.kind, row.order, row.refund, row.amount_minor) for row in rows] == [
        (RowKind.PAYMENT, order.id, "", 5000),
        (RowKind.REFUND, order.id, refund.id, 2000),
    ]
    clock.leap(86_400)
    result = office.payments.statements.fetch("wechat", day, "fin")
    assert (result.clean, len(result.matches)) == (True, 2)


def test_a_slow_refund_is_ended_by_its_notice(office, wechat, provider):
    provider.slow_refunds = True
    order = office.order(5000, channel="wechat")
    provider.pay(order.id)
    refund = office.refund(order, 2000)
    assert (refund.state, office.state(order)) == ("held", "refunding")
    assert provider.finish_refunds() == [200]
    assert office.payments.refunds.view(refund.id).state == "done"
    assert office.state(order) == "partly-refunded"


def test_a_refused_refund_gives_the_room_its_money_back(office, wechat, provider):
    provider.refuse_refunds = True
    order = office.order(5000, channel="wechat")
    provider.pay(order.id)
    refund = office.refund(order, 2000)
    assert (refund.state, office.balance(), office.state(order)) == ("failed", 5000, "credited")
    assert office.kinds() == ["refund-stuck"]


def test_a_day_without_trades_is_an_empty_statement(office, wechat, provider, clock):
    provider.trades.clear()
    assert wechat.statement(clock.now().date()) == []


def test_an_answer_signed_with_another_key_is_not_believed(office, wechat, provider):
    other = WeChatProvider()
    order = office.order(channel="wechat")
    with pytest.raises(LinkDown, match="not to be believed"):
        channel_of(office, provider, public_key=other.public_key).query(order)


def test_a_merchant_with_another_key_is_refused(office, wechat, provider):
    other = WeChatProvider()
    order = office.order(channel="wechat")
    with pytest.raises(Exception, match="SIGN_ERROR"):
        channel_of(office, provider, private_key=other.merchant_key).query(order)
