"""What payers and cashiers read: what is bought, receipts, why power is not back yet."""

from domain.catalogue.language import Texts

TEXTS: Texts = {
    "payments.goods": {"en": "Electricity of room {account}", "zh-CN": "{account} 电费充值"},
    "payments.refund-reason": {
        "en": "Electricity refund: {reason}",
        "zh-CN": "电费退款：{reason}",
    },
    "payments.channel.cash": {"en": "cash", "zh-CN": "现金"},
    "payments.channel.wechat": {"en": "WeChat Pay", "zh-CN": "微信支付"},
    "payments.channel.alipay": {"en": "Alipay", "zh-CN": "支付宝"},
    "payments.channel.unionpay": {"en": "UnionPay", "zh-CN": "银联"},
    "payments.channel.campus-card": {"en": "campus card", "zh-CN": "校园一卡通"},
    "payments.state.created": {"en": "being placed", "zh-CN": "正在下单"},
    "payments.state.pending": {"en": "waits to be paid", "zh-CN": "待支付"},
    "payments.state.paid": {
        "en": "paid; the account is closed, the money goes back",
        "zh-CN": "已支付；账户已销户，款项将原路退回",
    },
    "payments.state.credited": {"en": "paid and credited", "zh-CN": "已支付，已到账"},
    "payments.state.expired": {"en": "expired", "zh-CN": "已过期"},
    "payments.state.closed": {"en": "closed", "zh-CN": "已关闭"},
    "payments.state.refunding": {"en": "a refund is on its way", "zh-CN": "退款中"},
    "payments.state.partly-refunded": {"en": "partly refunded", "zh-CN": "部分退款"},
    "payments.state.refunded": {"en": "refunded", "zh-CN": "已退款"},
    "payments.state.voided": {"en": "voided", "zh-CN": "已作废"},
    "payments.receipt.recharge": {"en": "Receipt: electricity recharge", "zh-CN": "电费充值收据"},
    "payments.receipt.token-sale": {"en": "Receipt: recharge tokens", "zh-CN": "充值码销售收据"},
    "payments.receipt.refund": {"en": "Receipt: electricity refund", "zh-CN": "电费退款收据"},
    "payments.receipt.void": {
        "en": "Void of receipt No. {voids:08d}",
        "zh-CN": "作废单（原收据号 {voids:08d}）",
    },
    "payments.receipt.number": {"en": "No.", "zh-CN": "收据号"},
    "payments.receipt.time": {"en": "Time", "zh-CN": "时间"},
    "payments.receipt.room": {"en": "Room", "zh-CN": "房间"},
    "payments.receipt.person": {"en": "Paid by", "zh-CN": "缴费人"},
    "payments.receipt.amount": {"en": "Amount", "zh-CN": "金额"},
    "payments.receipt.capital": {"en": "In words", "zh-CN": "金额大写"},
    "payments.receipt.cashier": {"en": "Cashier", "zh-CN": "收款员"},
    "payments.receipt.order": {"en": "Order", "zh-CN": "订单号"},
    "payments.receipt.shift": {"en": "Shift", "zh-CN": "班次"},
    "payments.receipt.note": {"en": "Note", "zh-CN": "备注"},
    "payments.receipt.yuan": {"en": "CNY {yuan}", "zh-CN": "¥{yuan}"},
    "payments.receipt.print": {"en": "Print", "zh-CN": "打印"},
}
