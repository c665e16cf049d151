"""SMS by Alibaba Cloud, through its own SDK."""

import json
from datetime import timedelta, timezone
from functools import cached_property

from alibabacloud_dysmsapi20170525 import models
from alibabacloud_dysmsapi20170525.client import Client
from alibabacloud_tea_openapi.utils_models import Config
from darabonba.runtime import RuntimeOptions

from alerts.model import Answer, Message, Outcome
from alerts.settings import AliyunSettings
from alerts.sms import DETAIL_MOST, by_code, has_template, template_for, values_of
from domain.messages import Recipient

OK = "OK"
REFUSED = (
    "isv.MOBILE_NUMBER_ILLEGAL",
    "isv.BLACK_KEY_CONTROL_LIMIT",
    "isv.TEMPLATE_MISSING_PARAMETERS",
    "isv.PARAM_LENGTH_LIMIT",
    "isv.INVALID_PARAMETERS",
)
# The provider counts days in China's time, wherever the site is.
CHINA = timezone(timedelta(hours=8))
FAILED_STATUS = 2
PAGE = 50


class AliyunSms:
    """Sends registered texts. The message's id goes along as OutId, and an uncertain message is
    looked for under it before it is sent again: the provider itself has no idempotency key."""

    is_group = False

    def __init__(self, name: str, settings: AliyunSettings) -> None:
        self.name = name
        self._settings = settings

    def serves(self, building: str, template: str) -> bool:
        """Say whether a text is registered."""
        return has_template(self._settings.templates, template)

    def address_of(self, to: Recipient) -> str:
        """Return the phone number."""
        return to.phone

    def send(self, message: Message) -> Outcome:
        """Send one message and return what the provider said."""
        template = template_for(self._settings.templates, message)
        if template is None:
            return Outcome(Answer.REFUSED, f"no text of {message.template} in this language")
        request = models.SendSmsRequest(
            phone_numbers=message.address,
            sign_name=self._settings.sign_name,
            template_code=template.id,
            template_param=json.dumps(values_of(template, message), ensure_ascii=False),
            out_id=message.id,
        )
        try:
            body = self._client.send_sms_with_options(request, self._limits()).body
        except Exception as error:  # noqa: BLE001 - the SDK raises what its parts raise
            return _failed(error)
        if body is None or body.code != OK:
            code, words = (body.code, body.message) if body is not None else ("", "no answer")
            return by_code(str(code), str(words), REFUSED)
        return Outcome(Answer.SENT, provider_ref=str(body.biz_id or ""))

    def was_sent(self, message: Message) -> Outcome | None:
        """Ask whether the provider was given this message on the day of its last try."""
        tried = message.last_tried_at or message.created_at
        request = models.QuerySendDetailsRequest(
            phone_number=message.address,
            send_date=f"{tried.astimezone(CHINA):%Y%m%d}",
            page_size=PAGE,
            current_page=1,
        )
        try:
            body = self._client.query_send_details_with_options(request, self._limits()).body
        except Exception:  # noqa: BLE001 - whatever it is, nobody can tell
            return None
        if body is None or body.code != OK:
            return None
        details = body.sms_send_detail_dtos.sms_send_detail_dto or []
        found = [one for one in details if one.out_id == message.id]
        if any(one.send_status != FAILED_STATUS for one in found):
            return Outcome(Answer.SENT, "the provider had it already")
        return Outcome(Answer.LATER, "the provider has it not")

    def _limits(self) -> RuntimeOptions:
        limit_ms = int(self._settings.timeout_s * 1000)
        return RuntimeOptions(
            connect_timeout=limit_ms, read_timeout=limit_ms, autoretry=False, max_attempts=1
        )

    @cached_property
    def _client(self) -> Client:
        settings = self._settings
        return Client(
            Config(
                access_key_id=settings.access_key_id.get_secret_value(),
                access_key_secret=settings.access_key_secret.get_secret_value(),
                region_id=settings.region,
                endpoint=settings.endpoint or None,
                protocol="HTTPS" if settings.secure else "HTTP",
            )
        )


def _failed(error: Exception) -> Outcome:
    code = str(getattr(error, "code", "") or type(error).__name__)
    words = str(getattr(error, "message", "") or error)
    return by_code(code, words[:DETAIL_MOST], REFUSED)
