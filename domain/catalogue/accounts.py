"""Texts of the files of rooms and people."""

from domain.catalogue.language import Texts

TEXTS: Texts = {
    "accounts.column.account": {"en": "account", "zh-CN": "账户"},
    "accounts.column.building": {"en": "building", "zh-CN": "楼栋"},
    "accounts.column.room": {"en": "room", "zh-CN": "房间"},
    "accounts.column.floor": {"en": "floor", "zh-CN": "楼层"},
    "accounts.column.kind": {"en": "kind", "zh-CN": "类型"},
    "accounts.column.tariff": {"en": "tariff", "zh-CN": "电价"},
    "accounts.column.credit_limit": {"en": "credit_limit", "zh-CN": "透支额度"},
    "accounts.column.area_m2": {"en": "area_m2", "zh-CN": "面积"},
    "accounts.column.note": {"en": "note", "zh-CN": "备注"},
    "accounts.column.opening_balance": {"en": "opening_balance", "zh-CN": "期初余额"},
    "accounts.column.person": {"en": "person", "zh-CN": "学号"},
    "accounts.column.name": {"en": "name", "zh-CN": "姓名"},
    "accounts.column.phone": {"en": "phone", "zh-CN": "手机"},
    "accounts.column.email": {"en": "email", "zh-CN": "邮箱"},
    "accounts.column.language": {"en": "language", "zh-CN": "语言"},
    "accounts.column.since": {"en": "since", "zh-CN": "入住日期"},
    "accounts.column.until": {"en": "until", "zh-CN": "退宿日期"},
}

# What such columns are called elsewhere, in small letters with _ for spaces.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "account": ("account_id", "账号"),
    "building": ("楼", "楼号", "楼宇"),
    "room": ("room_number", "房间号", "房号", "宿舍号"),
    "floor": ("层",),
    "kind": ("类别", "房间类型"),
    "tariff": ("电价方案",),
    "credit_limit": ("透支",),
    "area_m2": ("area", "面积(m2)", "面积(㎡)"),
    "note": ("说明",),
    "opening_balance": ("余额", "初始余额"),
    "person": ("person_id", "student_number", "student_no", "student_id", "工号", "学工号"),
    "phone": ("mobile", "phone_number", "手机号", "手机号码", "电话"),
    "email": ("e-mail", "mail", "电子邮箱", "邮件"),
    "since": ("from", "move_in", "入住", "入住时间"),
    "until": ("to", "move_out", "退宿", "退宿时间"),
}

# What cells may hold instead of the code.
KINDS: dict[str, str] = {"宿舍": "dorm", "商铺": "shop", "商户": "shop", "公共": "public"}
LANGUAGE_WORDS: dict[str, str] = {
    "中文": "zh-CN", "汉语": "zh-CN", "zh": "zh-CN", "chinese": "zh-CN", "zh-cn": "zh-CN",
    "英文": "en", "英语": "en", "english": "en",
}  # fmt: skip
