"""The site file's sections about money and people: tariffs, levels, messages, payments, sign-in."""

from pydantic import BaseModel, ConfigDict

from alerts.settings import MessageSettings
from api.identity.settings import SignInSettings
from billing.levels import LevelPolicy
from billing.payments.settings import PaymentSettings
from billing.prepaid_model import PrepaidSettings
from billing.reports.settings import ReportSettings
from billing.tariff import TariffBook
from billing.token_model import TokenSettings


class MoneyFile(BaseModel):
    """What a site file says about money; what it does not say has its default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tariffs: TariffBook = TariffBook()
    levels: LevelPolicy = LevelPolicy()
    messages: MessageSettings = MessageSettings()
    payments: PaymentSettings = PaymentSettings()
    sign_in: SignInSettings = SignInSettings()
    reports: ReportSettings = ReportSettings()
    prepaid: PrepaidSettings = PrepaidSettings()
    tokens: TokenSettings = TokenSettings()
