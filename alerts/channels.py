"""Builds the channels of the site file."""

from importlib.util import find_spec

import apprise

from alerts.apprise_channel import AppriseChannel
from alerts.model import Channel
from alerts.settings import (
    PLACES,
    AliyunSettings,
    AppriseSettings,
    MessageSettings,
    TencentSettings,
)
from domain.errors import InvalidInput
from domain.faults import Fault

PACKAGES = {"aliyun-sms": "alibabacloud_dysmsapi20170525", "tencent-sms": "tencentcloud"}
NOT_INSTALLED = "needs the provider's SDK, which is not installed: run `make providers`"
# Something that fits every place: a URL is understood, or not, whoever is named in it.
SAMPLES = dict(zip(PLACES, ("13800000000", "a@example.edu", "s1", "m1"), strict=True))


def build_channels(settings: MessageSettings) -> list[Channel]:
    """Build every channel without connecting. Raises InvalidInput with all faults."""
    faults = [
        Fault(f"messages.channels.{name}", NOT_INSTALLED)
        for name, one in settings.channels.items()
        if find_spec(PACKAGES.get(one.kind, "apprise")) is None
    ]
    faults += [
        Fault(
            f"messages.channels.{name}.url",
            "apprise does not understand this URL; its pages list the form of every service",
        )
        for name, one in settings.channels.items()
        if isinstance(one, AppriseSettings) and not _is_understood(one)
    ]
    if faults:
        raise InvalidInput(faults)
    channels: list[Channel] = []
    for name, one in settings.channels.items():
        if isinstance(one, AppriseSettings):
            channels.append(AppriseChannel(name, one))
        else:
            channels.append(_sms(name, one))
    return channels


def _sms(name: str, settings: AliyunSettings | TencentSettings) -> Channel:
    # The providers' SDKs take most of a second to load, and most sites use one of them or none.
    if isinstance(settings, AliyunSettings):
        from alerts.aliyun_sms import AliyunSms  # noqa: PLC0415

        return AliyunSms(name, settings)
    from alerts.tencent_sms import TencentSms  # noqa: PLC0415

    return TencentSms(name, settings)


def _is_understood(settings: AppriseSettings) -> bool:
    url = settings.url.get_secret_value()
    for place, sample in SAMPLES.items():
        url = url.replace(place, sample)
    return apprise.Apprise.instantiate(url) is not None
