"""UnionPay's gateway by our own client against a local gateway with certificates of its own."""

import json

import pytest
from pay_office import NOON

from billing.payments.channel import NoticeRefused
from billing.payments.model import RowKind
from billing.payments.open_channels import open_payment_channels
from billing.payments.settings import PaymentSettings
from billing.payments.unionpay import answer_fields
from domain.clock import LeapClock
from domain.errors import LinkDown
from simulator.payments.provider import Send, Tamper
from simulator.payments.unionpay import UnionPayProvider


@pytest.fixture(scope="module")
def provider():
    made = UnionPayProvider(LeapClock(NOON))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def unionpay(office, provider):
    provider.clock = office.clock
    provider.refuse_refunds = provider.slow_refunds = provider.down = False
    provider.trades.clear()
    channel = channel_of(office, provider)
    office.payments = office.service(office.card_channel(), channel)
    return channel


def channel_of(office, provider):
    table = {"notify_url": office.inbox.url, "unionpay": provider.table(office.folder)}
    settings = PaymentSettings.model_validate(table)
    return open_payment_channels(settings, office.folder, office.clock)["unionpay"]


def placed(office, provider, amount_minor=5000):
    """An order whose form the payer's browser has posted."""
    order = office.order(amount_minor, channel="unionpay")
    assert provider.visit(json.loads(order.pay["fields"])) == order.id
    return order


def test_a_form_is_posted_and_the_order_credited_by_its_notice(office, unionpay, provider):
    order = office.order(5012, channel="unionpay")
    assert order.pay["post"] == f"{provider.url}/gateway/api/frontTransReq.do"
    provider.visit(json.loads(order.pay["fields"]))
    assert provider.pay(order.id, copies=2) == [200, 200]
    assert (office.state(order), office.balance(), office.cleared("unionpay")) == (
        "credited",
        5012,
        5012,
    )


def test_a_form_that_was_changed_is_not_signed_any_more(office, unionpay, provider):
    order = office.order(5000, channel="unionpay")
    fields = json.loads(order.pay["fields"]) | {"txnAmt": "50"}
    with pytest.raises(ValueError, match="not signed"):
        provider.visit(fields)


@pytest.mark.parametrize("tamper", [Tamper.BODY, Tamper.SIGNATURE, Tamper.SERIAL])
def test_a_notice_that_proves_nothing_is_refused(office, unionpay, provider, tamper):
    """The last one is signed with a certificate of the same root, but of a merchant."""
    order = placed(office, provider)
    assert provider.pay(order.id, tamper=tamper) == [401]
    assert (office.balance(), office.state(order)) == (0, "pending")


@pytest.mark.parametrize("tamper", [Tamper.AMOUNT, Tamper.CURRENCY, Tamper.MERCHANT, Tamper.ORDER])
def test_a_proven_notice_that_does_not_fit_is_kept_with_an_alarm(
    office, unionpay, provider, tamper
):
    order = placed(office, provider)
    assert provider.pay(order.id, tamper=tamper) == [200]
    assert (office.balance(), office.state(order)) == (0, "pending")
    assert office.kinds() == ["payment-held"]


def test_a_certificate_of_another_root_proves_nothing(office, unionpay, provider):
    other = UnionPayProvider(office.clock, merchant=provider.merchant)
    order = placed(office, provider)
    trade = provider.mark_paid(order.id)
    notice = other.notice(trade)
    answer = office.payments.notice("unionpay", notice.headers, notice.body)
    assert (answer.status, office.balance()) == (401, 0)


def test_a_certificate_that_has_run_out_proves_nothing(office, unionpay, provider, clock):
    order = placed(office, provider)
    notice = provider.notice(provider.mark_paid(order.id))
    clock.leap(400 * 86_400)
    with pytest.raises(NoticeRefused, match="not valid now"):
        unionpay.read_notice(notice.headers, notice.body, clock.now())


def test_a_lost_notice_is_made_up_for(office, unionpay, provider, clock):
    order = placed(office, provider)
    provider.pay(order.id, send=Send.NEVER)
    clock.leap(21)
    assert office.payments.tick().credited == 1
    assert office.balance() == 5000


def test_an_order_that_was_never_posted_expires(office, unionpay, clock):
    order = office.order(channel="unionpay")
    clock.leap(901)
    office.payments.tick()
    assert office.state(order) == "expired"


def test_a_refund_is_asked_about_until_it_is_done_and_the_file_has_both(
    office, unionpay, provider, clock
):
    day = clock.now().date()
    order = placed(office, provider)
    provider.pay(order.id)
    refund = office.refund(order, 2000)
    assert (refund.state, office.balance()) == ("held", 3000)
    clock.leap(11)
    office.payments.tick()
    assert office.payments.refunds.view(refund.id).state == "done"
    assert [
        (row.kind, row.order, row.refund, row.amount_minor) for row in unionpay.statement(day)
    ] == [
        (RowKind.PAYMENT, order.id, "", 5000),
        (RowKind.REFUND, "", refund.id, 2000),
    ]
    clock.leap(86_400)
    assert office.payments.statements.fetch("unionpay", day, "fin").clean


def test_a_slow_refund_is_ended_by_its_notice(office, unionpay, provider):
    provider.slow_refunds = True
    order = placed(office, provider)
    provider.pay(order.id)
    refund = office.refund(order, 2000)
    assert provider.finish_refunds() == [200]
    assert office.payments.refunds.view(refund.id).state == "done"


def test_a_refused_refund_gives_the_room_its_money_back(office, unionpay, provider):
    provider.refuse_refunds = True
    order = placed(office, provider)
    provider.pay(order.id)
    refund = office.refund(order, 2000)
    assert (refund.state, office.balance(), office.cleared("unionpay")) == ("failed", 5000, 5000)


def test_a_day_without_trades_is_an_empty_statement(office, unionpay, clock):
    assert unionpay.statement(clock.now().date()) == []


def test_an_answer_of_another_root_is_not_believed(office, provider, unionpay):
    order = placed(office, provider)
    other = UnionPayProvider(office.clock, merchant=provider.merchant)
    right = provider.root, provider.middle
    provider.root, provider.middle = other.root, other.middle
    try:
        with pytest.raises(LinkDown, match="not to be believed"):
            channel_of(office, provider).query(order)
    finally:
        provider.root, provider.middle = right


def test_answers_may_hold_braces_and_equal_signs():
    assert answer_fields("a=1&b={c=2&d=3}&e=Zm9v==&f=") == {
        "a": "1",
        "b": "{c=2&d=3}",
        "e": "Zm9v==",
        "f": "",
    }
