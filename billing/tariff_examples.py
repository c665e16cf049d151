"""Tariffs to start from: what the demonstration sells by, and a pattern for a site's own."""

from billing.tariff import TariffBook

_WORKDAY = [
    {"at": "00:00", "band": "deep"},
    {"at": "06:00", "band": "valley"},
    {"at": "08:00", "band": "flat"},
    {"at": "10:00", "band": "peak"},
    {"at": "12:00", "band": "flat"},
    {"at": "17:00", "band": "peak"},
    {"at": "19:00", "band": "sharp"},
    {"at": "21:00", "band": "flat"},
    {"at": "23:00", "band": "deep"},
]
_FREE_DAY = [
    {"at": "00:00", "band": "deep"},
    {"at": "08:00", "band": "valley"},
    {"at": "18:00", "band": "flat"},
    {"at": "23:00", "band": "deep"},
]
_DORM = {
    "valid_from": "2020-01-01",
    "tiers": [
        {"up_to_kwh": "100", "rate": "0.5383"},
        {"up_to_kwh": "200", "rate": "0.5883"},
        {"rate": "0.8383"},
    ],
    "free": {"kwh_per_person": "6", "months_off": [2, 8], "lasts": "month"},
}
_SHOP = {
    "valid_from": "2020-01-01",
    "rates": {
        "sharp": "1.2186", "peak": "1.0568", "flat": "0.7332", "valley": "0.4096", "deep": "0.3287",
    },
    "seasons": [{"workday": _WORKDAY, "weekend": _FREE_DAY}],
    "fees": {"per_month": "10.00", "per_kwh": "0.02", "minimum_per_month": "30.00"},
}  # fmt: skip
_PUBLIC = {"valid_from": "2020-01-01", "rate": "0.6"}


def demo_tariffs() -> TariffBook:
    """Return tariffs named dorm (tiers, free energy), shop (five bands, fees) and public (flat)."""
    return TariffBook.model_validate(
        {
            "dorm": {"title": "宿舍 dormitory", "kind": "dorm", "versions": [_DORM]},
            "shop": {"title": "商铺 shop", "kind": "shop", "versions": [_SHOP]},
            "public": {"title": "公共 public", "kind": "public", "versions": [_PUBLIC]},
        }
    )
