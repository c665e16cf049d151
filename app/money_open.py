"""Builds the money of a station from its site file: channels with their keys, services, tariffs."""

from pathlib import Path

from alerts.channels import build_channels
from app.money import Money
from app.money_file import MoneyFile
from app.station import Station
from billing.payments.channel import PaymentChannel
from billing.payments.open_channels import open_payment_channels


def open_money(station: Station, file: MoneyFile, folder: Path) -> Money:
    """Return the money of a station, ready to be started. Key files are seen from `folder`.

    Raises InvalidInput with every key file that can't be read and every tariff that can't be
    taken.
    """
    channels: dict[str, PaymentChannel] = open_payment_channels(
        file.payments, folder, station.clock
    )
    money = Money(
        station,
        file,
        channels,
        build_channels(file.messages),
        folder=folder,
        post_every_s=station.settings.charge_every_s,
        arrears_every_s=station.settings.arrears_every_s,
    )
    money.open()
    return money
