"""What occupants are told about their balance, and the reason of a cut for arrears."""

from domain.catalogue.language import Texts

TEXTS: Texts = {
    "rule.arrears": {
        "en": "balance {balance}, the limit is {limit}",
        "zh-CN": "余额 {balance} 元，低于限额 {limit} 元",
    },
    "message.level-remind.title": {
        "en": "Electricity balance of {building} {room}: {balance}",
        "zh-CN": "{building} {room} 电费余额提醒：{balance} 元",
    },
    "message.level-remind.body": {
        "en": "The electricity balance of {building} {room} is {balance}."
        " Days it will last: {days}. Please recharge in time.",
        "zh-CN": "{building} {room} 电费余额为 {balance} 元，预计可用天数：{days}。请及时充值。",
    },
    "message.level-warn.title": {
        "en": "Low electricity balance of {building} {room}: {balance}",
        "zh-CN": "{building} {room} 电费余额不足：{balance} 元",
    },
    "message.level-warn.body": {
        "en": "The electricity balance of {building} {room} is low: {balance}."
        " Days it will last: {days}. Please recharge soon.",
        "zh-CN": "{building} {room} 电费余额不足，仅剩 {balance} 元，预计可用天数：{days}。"
        "请尽快充值。",
    },
    "message.level-last.title": {
        "en": "Last warning: electricity of {building} {room}",
        "zh-CN": "最后提醒：{building} {room} 电费即将用尽",
    },
    "message.level-last.body": {
        "en": "Last warning: the electricity balance of {building} {room} is {balance}."
        " Below {limit} the power will be cut, at {cut_time} at the earliest."
        " Please recharge now.",
        "zh-CN": "最后提醒：{building} {room} 电费余额仅剩 {balance} 元，低于 {limit} 元将停电，"
        "最早停电时间：{cut_time}。请立即充值。",
    },
    "message.level-arrears.title": {
        "en": "Electricity of {building} {room} is in arrears",
        "zh-CN": "{building} {room} 电费已欠费",
    },
    "message.level-arrears.body": {
        "en": "{building} {room} is in arrears: balance {balance}, limit {limit}."
        " The power will be cut at {cut_time} unless the debt is paid;"
        " once it is paid the power comes back by itself.",
        "zh-CN": "{building} {room} 电费已欠费：余额 {balance} 元，限额 {limit} 元。"
        "如未缴清，将于 {cut_time} 停电；缴清后自动恢复供电。",
    },
    "message.sign-in-code.title": {
        "en": "Your code for the electricity account",
        "zh-CN": "电费账户验证码",
    },
    "message.sign-in-code.body": {
        "en": "Your code is {code}. It counts for {minutes} minutes. Give it to nobody.",
        "zh-CN": "您的验证码是 {code}，{minutes} 分钟内有效。请勿告诉他人。",
    },
    "message.test.title": {"en": "Wattwarden: a test", "zh-CN": "Wattwarden：测试消息"},
    "message.test.body": {
        "en": "This is a test of the channel {channel}. Nothing has to be done.",
        "zh-CN": "这是渠道 {channel} 的测试消息，无需任何操作。",
    },
}
