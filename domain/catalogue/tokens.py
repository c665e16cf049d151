"""Recharge tokens: what the keypad answers, what stands on the printed sheet."""

from domain.catalogue.language import Texts

TEXTS: Texts = {
    "tokens.digits": {"en": "a token has 20 digits", "zh-CN": "充值码应为 20 位数字"},
    "tokens.mistyped": {
        "en": "a digit is mistyped: compare it with the card",
        "zh-CN": "充值码输入有误，请与充值卡核对",
    },
    "tokens.not-genuine": {
        "en": "this is not a token that is on sale here",
        "zh-CN": "充值码无效",
    },
    "tokens.not-sold": {
        "en": "this token has not been sold: take it back to the office",
        "zh-CN": "该充值码尚未售出，请到办理处核实",
    },
    "tokens.taken-back": {
        "en": "this token was taken back by the office",
        "zh-CN": "该充值码已作废",
    },
    "tokens.other-room": {
        "en": "this token is for another room",
        "zh-CN": "该充值码仅限其他房间使用",
    },
    "tokens.used": {"en": "this token has been used already", "zh-CN": "该充值码已使用"},
    "tokens.expired": {
        "en": "this token has expired: the office gives its money back",
        "zh-CN": "该充值码已过期，可到办理处退款",
    },
    "tokens.locked-room": {
        "en": "too many wrong tokens for this room; try again later",
        "zh-CN": "该房间充值码输入错误次数过多，请稍后再试",
    },
    "tokens.locked-day": {
        "en": "too many wrong tokens today; try again tomorrow",
        "zh-CN": "今日充值码输入错误次数过多，请明日再试",
    },
    "tokens.sheet.title": {"en": "Electricity recharge tokens", "zh-CN": "电费充值码"},
    "tokens.sheet.place": {"en": "No.", "zh-CN": "序号"},
    "tokens.sheet.serial": {"en": "Serial", "zh-CN": "编号"},
    "tokens.sheet.digits": {"en": "Token", "zh-CN": "充值码"},
    "tokens.sheet.amount": {"en": "Amount (yuan)", "zh-CN": "金额（元）"},
    "tokens.sheet.room": {"en": "Room", "zh-CN": "房间"},
    "tokens.sheet.expires": {"en": "Valid until", "zh-CN": "有效期至"},
}
