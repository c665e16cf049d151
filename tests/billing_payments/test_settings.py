"""The section [payments]: what it takes, and that every fault is said before anything is opened."""

import pytest
from pay_office import NOON
from pydantic import ValidationError

from billing.payments.open_channels import open_payment_channels
from billing.payments.settings import PaymentSettings
from domain.clock import LeapClock
from domain.errors import InvalidInput
from simulator.payments.alipay import AlipayProvider
from simulator.payments.campus_card import CampusCardProvider
from simulator.payments.unionpay import UnionPayProvider
from simulator.payments.wechat import WeChatProvider

CARD = {
    "base_url": "https://card.example.edu.cn/bridge/",
    "merchant": "POWER01",
    "key_id": "K1",
    "secret_file": "campus-card.key",
}
WECHAT = {
    "app_id": "wx8888",
    "merchant": "1900000109",
    "private_key_file": "wechat.pem",
    "certificate_serial": "5157F09EFDC096DE15EBE81A47057A72",
    "api_v3_key_file": "wechat.key",
    "public_key_file": "wechat-public.pem",
    "public_key_id": "PUB_KEY_ID_1",
}
ALIPAY = {
    "app_id": "2021000000000001",
    "seller": "2088000000000001",
    "private_key_file": "alipay.pem",
    "alipay_public_key_file": "alipay-public.pem",
}
UNIONPAY = {
    "merchant": "777290058110048",
    "signing_certificate_file": "unionpay-own.cer",
    "private_key_file": "unionpay.pem",
    "root_certificate_file": "unionpay-root.cer",
    "middle_certificate_file": "unionpay-middle.cer",
}


def settings(**tables):
    return PaymentSettings.model_validate({"notify_url": "https://power.example.edu.cn", **tables})


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A folder with every key file as it should be."""
    folder = tmp_path_factory.mktemp("keys")
    for provider in (CampusCardProvider(), WeChatProvider(), AlipayProvider()):
        provider.table(folder)
    UnionPayProvider(LeapClock(NOON)).table(folder)
    bare = "".join((folder / "alipay-public.pem").read_text().splitlines()[1:-1])
    (folder / "alipay-public.pem").write_text(bare)
    return folder


def opened(folder, **tables):
    return open_payment_channels(settings(**tables), folder, LeapClock(NOON))


def faults(folder, **tables):
    with pytest.raises(InvalidInput) as caught:
        opened(folder, **tables)
    return {fault.source: fault.message for fault in caught.value.faults}


def test_without_a_table_a_channel_is_off(tmp_path):
    assert PaymentSettings().providers() == ()
    assert open_payment_channels(PaymentSettings(), tmp_path, LeapClock(NOON)) == {}


def test_all_channels_open_without_a_connection(keys):
    """Keys come as PEM, and as the bare base64 that Alipay shows."""
    tables = {"campus-card": CARD, "wechat": WECHAT, "alipay": ALIPAY, "unionpay": UNIONPAY}
    assert sorted(opened(keys, **tables)) == ["alipay", "campus-card", "unionpay", "wechat"]


def test_every_key_file_that_is_wrong_is_said_at_once(keys, tmp_path):
    (tmp_path / "campus-card.key").write_text("short")
    (tmp_path / "wechat.key").write_text("x" * 31)
    (tmp_path / "wechat.pem").write_text("nothing")
    (tmp_path / "wechat-public.pem").write_bytes((keys / "wechat.pem").read_bytes())
    found = faults(tmp_path, wechat=WECHAT, alipay=ALIPAY, **{"campus-card": CARD})
    assert set(found) == {
        "payments.campus-card.secret_file",
        "payments.wechat.private_key_file",
        "payments.wechat.api_v3_key_file",
        "payments.wechat.public_key_file",
        "payments.alipay.private_key_file",
        "payments.alipay.alipay_public_key_file",
    }
    assert "No such file" in found["payments.alipay.private_key_file"]


def test_a_certificate_of_another_key_is_refused(keys):
    found = faults(keys, unionpay=UNIONPAY | {"signing_certificate_file": "unionpay-root.cer"})
    assert found == {"payments.unionpay.signing_certificate_file": "does not belong to the key"}


def test_wechat_may_be_trusted_by_its_certificates(keys, tmp_path):
    table = {key: value for key, value in WECHAT.items() if not key.startswith("public_key")}
    for name in ("wechat.pem", "wechat.key"):
        (tmp_path / name).write_bytes((keys / name).read_bytes())
    (tmp_path / "platform").mkdir()
    wechat = table | {"certificate_dir": "platform"}
    assert list(faults(tmp_path, wechat=wechat)) == ["payments.wechat.certificate_dir"]


def test_a_secret_that_is_being_replaced_is_good_until_it_is_gone(keys, tmp_path):
    for name in ("campus-card.key", "old.key"):
        (tmp_path / name).write_bytes((keys / "campus-card.key").read_bytes())
    table = CARD | {"former_key_id": "K0", "former_secret_file": "old.key"}
    (channel,) = opened(tmp_path, **{"campus-card": table}).values()
    assert set(channel._secrets) == {"K0", "K1"}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"amount_least_minor": 0}, "greater than 0"),
        ({"amount_least_minor": 500, "amount_most_minor": 100}, "must not be below"),
        ({"speed": 3}, "Extra inputs"),
        ({"query_waits_s": []}, "must not be empty"),
        ({"campus-card": CARD | {"base_url": "http://card.example"}}, "this machine alone"),
        ({"campus-card": CARD | {"base_url": "ftp://x"}}, "https://"),
        ({"campus-card": CARD | {"base_url": "https://u:p@card.example"}}, "plain address"),
        ({"campus-card": CARD | {"former_key_id": "K0"}}, "belong together"),
        ({"wechat": WECHAT | {"public_key_id": None}}, "belong together"),
        ({"wechat": WECHAT | {"certificate_dir": "x"}}, "either"),
        ({"alipay": ALIPAY | {"seller": "12"}}, "pattern"),
        ({"campus-card": CARD, "notify_url": None}, "notify_url is needed"),
        ({"notify_url": "http://power.example.edu.cn"}, "this machine alone"),
    ],
)
def test_what_a_table_may_not_hold(table, words):
    with pytest.raises(ValidationError, match=words):
        settings(**table)


def test_a_local_provider_may_be_reached_without_tls():
    table = CARD | {"base_url": "http://127.0.0.1:8099/"}
    made = settings(**{"campus-card": table})
    assert made.campus_card.base_url == "http://127.0.0.1:8099"


def test_notices_go_to_an_address_of_their_own():
    assert settings().notify_url_of("wechat") == (
        "https://power.example.edu.cn/api/v1/payments/notices/wechat"
    )
