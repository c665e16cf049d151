"""SMS by Tencent Cloud, through its own SDK."""

from functools import cached_property

from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.sms.v20210111 import models
from tencentcloud.sms.v20210111.sms_client import SmsClient

from alerts.model import Answer, Message, Outcome
from alerts.settings import TencentSettings
from alerts.sms import by_code, has_template, template_for, values_of
from domain.messages import Recipient

OK = "Ok"
REFUSED = (
    "InvalidParameterValue.IncorrectPhoneNumber",
    "InvalidParameterValue.TemplateParameterFormatError",
    "InvalidParameterValue.TemplateParameterLengthLimit",
    "FailedOperation.ContainSensitiveWord",
    "FailedOperation.PhoneNumberInBlacklist",
)


class TencentSms:
    """Sends registered texts. The message's id goes along as SessionContext, which comes back in
    the provider's status reports; it has no idempotency key and no way to ask by it."""

    is_group = False

    def __init__(self, name: str, settings: TencentSettings) -> None:
        self.name = name
        self._settings = settings

    def serves(self, building: str, template: str) -> bool:
        """Say whether a text is registered."""
        return has_template(self._settings.templates, template)

    def address_of(self, to: Recipient) -> str:
        """Return the phone number."""
        return to.phone

    def was_sent(self, message: Message) -> Outcome | None:
        """None: the provider can't be asked by our id."""
        return None

    def send(self, message: Message) -> Outcome:
        """Send one message and return what the provider said."""
        template = template_for(self._settings.templates, message)
        if template is None:
            return Outcome(Answer.REFUSED, f"no text of {message.template} in this language")
        request = models.SendSmsRequest()
        request.PhoneNumberSet = [message.address]
        request.SmsSdkAppId = self._settings.app_id
        request.SignName = self._settings.sign_name
        request.TemplateId = template.id
        request.TemplateParamSet = list(values_of(template, message).values())
        request.SessionContext = message.id
        try:
            statuses = self._client.SendSms(request).SendStatusSet or []
        except TencentCloudSDKException as error:
            return by_code(str(error.get_code()), str(error.get_message()), REFUSED)
        if len(statuses) != 1:
            return Outcome(Answer.LATER, f"an answer about {len(statuses)} numbers, not one")
        (status,) = statuses
        if status.Code != OK:
            return by_code(str(status.Code), str(status.Message), REFUSED, str(status.SerialNo))
        return Outcome(Answer.SENT, provider_ref=str(status.SerialNo or ""))

    @cached_property
    def _client(self) -> SmsClient:
        settings = self._settings
        http = HttpProfile(
            protocol="https" if settings.secure else "http",
            endpoint=settings.endpoint or None,
            reqTimeout=max(int(settings.timeout_s), 1),
        )
        credential = Credential(
            settings.secret_id.get_secret_value(), settings.secret_key.get_secret_value()
        )
        profile = ClientProfile(signMethod="TC3-HMAC-SHA256", httpProfile=http)
        return SmsClient(credential, settings.region, profile)
