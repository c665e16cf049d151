"""The section `[messages]` of the site file: channels, quiet hours, retries and limits."""

from datetime import datetime, time, timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

Seconds = Annotated[float, Field(gt=0, le=86_400)]
Name = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[a-z0-9][a-z0-9-]*$")]
# What an apprise URL may name of the recipient, and of the message.
PERSONAL = ("{phone}", "{email}", "{person}")
PLACES = (*PERSONAL, "{message}")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AppriseSettings(_Frozen):
    """A channel by an apprise URL (e-mail, webhook, WeChat Work, DingTalk, Feishu, ...).

    The URL may hold {phone}, {email}, {person} (of the recipient) and {message} (the message's
    id). One that names no recipient is a group: each notice is posted there once, for the rooms of
    `buildings` (empty: all).
    """

    kind: Literal["apprise"]
    url: SecretStr
    buildings: tuple[str, ...] = ()
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 10.0

    @field_validator("url")
    @classmethod
    def _known_places(cls, url: SecretStr) -> SecretStr:
        rest = url.get_secret_value()
        for place in PLACES:
            rest = rest.replace(place, "")
        if "{" in rest or "}" in rest:
            raise ValueError(f"may hold {', '.join(PLACES)} in braces and nothing else")
        if "://" not in rest:
            raise ValueError("must be an apprise URL such as mailtos://... or jsons://...")
        return url

    @property
    def is_group(self) -> bool:
        """Say whether it reaches a group and not a person."""
        return not any(place in self.url.get_secret_value() for place in PERSONAL)


class SmsTemplate(_Frozen):
    """A text registered with the provider: its id, and the values it takes, in their order."""

    id: Annotated[str, Field(min_length=1, max_length=64)]
    values: tuple[str, ...] = ()


class _SmsSettings(_Frozen):
    """`templates` maps `<template>` or `<template>.<language>` to a registered text; what has none
    is not sent by SMS. `endpoint` (host or host:port) is for another region; `secure` = https.
    """

    sign_name: Annotated[str, Field(min_length=1, max_length=64)]
    templates: dict[str, SmsTemplate]
    endpoint: str = ""
    secure: bool = True
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 10.0


class AliyunSettings(_SmsSettings):
    """SMS by Alibaba Cloud."""

    kind: Literal["aliyun-sms"]
    access_key_id: SecretStr
    access_key_secret: SecretStr
    region: str = "cn-hangzhou"


class TencentSettings(_SmsSettings):
    """SMS by Tencent Cloud."""

    kind: Literal["tencent-sms"]
    secret_id: SecretStr
    secret_key: SecretStr
    app_id: Annotated[str, Field(min_length=1, max_length=32)]
    region: str = "ap-guangzhou"


ChannelSettings = Annotated[
    AppriseSettings | AliyunSettings | TencentSettings, Field(discriminator="kind")
]


class QuietHours(_Frozen):
    """Local hours in which only urgent messages go out; equal times mean never."""

    start: time = time(22, 0)
    end: time = time(8, 0)

    def until(self, now: datetime, zone: ZoneInfo) -> datetime | None:
        """Return when the quiet hours end that `now` lies in, None outside of them."""
        local = now.astimezone(zone)
        at, day = local.time(), local.date()
        if self.start < self.end:
            if not self.start <= at < self.end:
                return None
        elif self.start == self.end or self.end <= at < self.start:
            return None
        elif at >= self.start:
            day += timedelta(days=1)
        return datetime.combine(day, self.end, tzinfo=zone).astimezone(now.tzinfo)


class MessageSettings(_Frozen):
    """How messages are sent. A message is tried `tries_most` times, at growing intervals.

    `per_person_a_day` holds what is above it until the next day (not last warnings);
    `per_minute` is for the whole site; `queue_most` bounds what may wait. The notifier beats every
    `beat_every_s`; it counts as dead after `dead_after_s`, and as stalled when something has been
    due for `stalled_after_s`.
    """

    channels: dict[Name, ChannelSettings] = {}
    quiet: QuietHours = QuietHours()
    tries_most: Annotated[int, Field(ge=1, le=50)] = 8
    retry_after_s: Seconds = 30.0
    retry_after_most_s: Seconds = 3600.0
    send_within_s: Annotated[float, Field(gt=0, le=600)] = 60.0
    per_person_a_day: Annotated[int, Field(ge=1, le=1000)] = 10
    per_minute: Annotated[int, Field(ge=1, le=100_000)] = 120
    queue_most: Annotated[int, Field(ge=1, le=1_000_000)] = 50_000
    at_once: Annotated[int, Field(ge=1, le=64)] = 8
    beat_every_s: Seconds = 15.0
    dead_after_s: Seconds = 120.0
    stalled_after_s: Seconds = 900.0
    alarm_again_s: Seconds = 3600.0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        faults = []
        if self.retry_after_most_s < self.retry_after_s:
            faults.append("retry_after_most_s must not be less than retry_after_s")
        if self.dead_after_s <= self.beat_every_s + self.send_within_s:
            faults.append("dead_after_s must be more than beat_every_s + send_within_s")
        if faults:
            raise ValueError("; ".join(faults))
        return self
