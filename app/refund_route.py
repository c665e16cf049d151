"""Sends what is left on a closed account back to where it came from, newest payment first."""

from billing.accounts.closing import RefundToSource, SourceRefund
from billing.payments.model import CASH
from billing.payments.refunds import RefundRequest
from billing.payments.service import Payments

ORDERS_MOST = 200


def refund_to_source(payments: Payments) -> RefundToSource:
    """Return what refunds an account's payments, by the channels they came by.

    Asked again with the same id it makes the same refunds: their keys are made of it.
    """

    def send(wanted: SourceRefund) -> int:
        sent_minor = 0
        for order, left_minor in payments.refundable(wanted.account, ORDERS_MOST):
            amount_minor = min(left_minor, wanted.amount_minor - sent_minor)
            if amount_minor <= 0 or order.channel == CASH:
                continue
            key = f"{wanted.id}:{order.id}"
            request = RefundRequest(key, order.id, amount_minor, wanted.reason)
            # A second person has agreed when the account was closed.
            payments.refund(request, wanted.actor, approved=True)
            sent_minor += amount_minor
        return sent_minor

    return send
