"""Rules, causes, relays and the demonstration's screen."""

from domain.catalogue.language import Texts

TEXTS: Texts = {
    "not-known": {"en": "not known", "zh-CN": "未知"},
    "rule.malignant": {
        "en": "resistive step of {step_w:.0f} W, power factor {power_factor_least:.3f} or more",
        "zh-CN": "阻性功率突增 {step_w:.0f} W，功率因数不低于 {power_factor_least:.3f}",
    },
    "rule.overpower": {
        "en": "{power_w:.0f} W drawn for {held_s:.0f} s, the {limit} limit is {limit_w:.0f} W",
        "zh-CN": "用电功率 {power_w:.0f} W 持续 {held_s:.0f} 秒，限值（{limit}）{limit_w:.0f} W",
    },
    "rule.schedule": {
        "en": "supply hours: {slot} from {slot_from} ({day})",
        "zh-CN": "供电时段：自 {slot_from} 起 {slot}（{day}）",
    },
    "rule.shed": {
        "en": "the site draws {site_w:.0f} W of a cap of {cap_w:.0f} W",
        "zh-CN": "全站用电 {site_w:.0f} W，上限 {cap_w:.0f} W",
    },
    "rule.tamper-open-relay": {
        "en": "{current_a:.2f} A flow though the relay reads open",
        "zh-CN": "继电器显示断开，但仍有电流 {current_a:.2f} A",
    },
    "rule.tamper-reverse-power": {
        "en": "power flows backwards: {power_w:.0f} W",
        "zh-CN": "反向功率：{power_w:.0f} W",
    },
    "rule.tamper-silent": {
        "en": "no answer for {age_s:.0f} s while its bus lives",
        "zh-CN": "总线正常，但电表已 {age_s:.0f} 秒无应答",
    },
    "rule.tamper-head": {
        "en": "the bus total exceeds the sum of its {rooms:.0f} rooms by {excess_w:.0f} W",
        "zh-CN": "总线总表比 {rooms:.0f} 个房间之和多 {excess_w:.0f} W",
    },
    "kind.malignant": {"en": "forbidden load", "zh-CN": "恶性负载"},
    "kind.overpower": {"en": "over the limit", "zh-CN": "超功率"},
    "kind.arrears": {"en": "arrears", "zh-CN": "欠费"},
    "kind.schedule": {"en": "supply hours", "zh-CN": "时段控制"},
    "kind.shed": {"en": "supply shortage", "zh-CN": "限电"},
    "kind.manual": {"en": "by hand", "zh-CN": "人工操作"},
    "kind.tamper": {"en": "tampering", "zh-CN": "窃电嫌疑"},
    "relay.opening": {"en": "opening", "zh-CN": "正在断开"},
    "relay.proven": {
        "en": "open, proven in {taken_s:.1f} s",
        "zh-CN": "已断开，{taken_s:.1f} 秒确认",
    },
    "relay.closed-again": {"en": "closed again", "zh-CN": "已恢复"},
    "relay.alarm": {"en": "alarm only", "zh-CN": "仅告警"},
    "demo.meters": {"en": "meters", "zh-CN": "电表"},
    "demo.buses": {"en": "buses", "zh-CN": "总线"},
    "demo.sweeps": {"en": "sweeps/s", "zh-CN": "轮/秒"},
    "demo.readings": {"en": "readings on disk", "zh-CN": "读数已落盘"},
    "demo.spool": {"en": "spool", "zh-CN": "待入库"},
    "demo.accounts": {"en": "accounts", "zh-CN": "账户"},
    "demo.paid": {"en": "recharges", "zh-CN": "笔充值"},
    "demo.used": {"en": "used", "zh-CN": "电费"},
    "demo.owing": {"en": "in arrears", "zh-CN": "户欠费"},
    "demo.campus": {"en": "campus", "zh-CN": "全校"},
    "demo.bus": {"en": "bus", "zh-CN": "总线"},
    "demo.sweep": {"en": "sweep s", "zh-CN": "实测 秒"},
    "demo.wire": {"en": "wire s", "zh-CN": "线路极限 秒"},
    "demo.ratio": {"en": "ratio", "zh-CN": "比值"},
    "demo.silent": {"en": "silent", "zh-CN": "失联"},
    "demo.link-down": {"en": "link down", "zh-CN": "链路中断"},
    "demo.trips": {"en": "Trips and alarms", "zh-CN": "跳闸与告警"},
    "demo.time": {"en": "time", "zh-CN": "时间"},
    "demo.meter": {"en": "meter", "zh-CN": "电表"},
    "demo.cause": {"en": "cause", "zh-CN": "原因"},
    "demo.why": {"en": "why", "zh-CN": "依据"},
    "demo.relay": {"en": "relay", "zh-CN": "继电器"},
}  # fmt: skip
