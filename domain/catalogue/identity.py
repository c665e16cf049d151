"""What occupants are told when they sign in, look at trips, and move their own relay."""

from domain.catalogue.language import Texts

TEXTS: Texts = {
    "room.trip": {"en": "{kind}: {why}", "zh-CN": "{kind}：{why}"},
    "room.relay-not-here": {
        "en": "this station does not let occupants move their relay",
        "zh-CN": "本站不支持住户自行操作继电器",
    },
    "room.no-meter": {
        "en": "no meter counts for this room today",
        "zh-CN": "该房间目前没有对应的电表",
    },
    "room.which-meter": {
        "en": "this room has several meters: name one of {meters}",
        "zh-CN": "该房间有多个电表，请指定其中一个：{meters}",
    },
    "room.cause-holds": {
        "en": "the relay stays open: {causes}",
        "zh-CN": "继电器保持断开：{causes}",
    },
    "room.opened": {"en": "opened by an occupant", "zh-CN": "住户自行断开"},
    "room.closed": {"en": "closed by an occupant", "zh-CN": "住户自行合闸"},
    "room.appeal-own": {
        "en": "only somebody who lives in the room can appeal",
        "zh-CN": "只有该房间的住户可以申诉",
    },
    "appeal.open": {"en": "not answered yet", "zh-CN": "待处理"},
    "appeal.accepted": {"en": "accepted", "zh-CN": "申诉成立"},
    "appeal.rejected": {"en": "rejected", "zh-CN": "申诉驳回"},
}  # fmt: skip
