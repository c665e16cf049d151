"""Accounts out of the roster: one a room, its meters the account's registers."""

import re
from collections.abc import Collection, Mapping

from billing.model import Account
from domain.site import Meter, RoomKind, Site

ID_MOST = 60


def account_id_of(building: str, room: str, taken: Collection[str] = ()) -> str:
    """Return an id for a new account: `b1-305`, and `b1-305~2` where that one is taken.

    A room that was closed and is opened again so gets a new id.
    """
    slug = re.sub(r"[^\w.]+", "-", f"{building}-{room}".lower()).strip("-")[:ID_MOST] or "room"
    if slug not in taken:
        return slug
    number = 2
    while f"{slug}~{number}" in taken:
        number += 1
    return f"{slug}~{number}"


def rooms_of(site: Site) -> dict[tuple[str, str], list[Meter]]:
    """Return the meters of each room, in roster order; head meters belong to no room."""
    rooms: dict[tuple[str, str], list[Meter]] = {}
    for meter in site.meters:
        if not meter.head:
            rooms.setdefault((meter.building, meter.room), []).append(meter)
    return rooms


def accounts_for_roster(site: Site, tariff_of: Mapping[RoomKind, str]) -> list[Account]:
    """Return an account for each room of the roster, with the tariff of its kind.

    A room is of the kind of its first meter. A kind that `tariff_of` leaves out gets no account.
    """
    accounts: dict[str, Account] = {}
    for (building, room), meters in rooms_of(site).items():
        kind, floor = meters[0].kind, meters[0].floor
        if kind in tariff_of:
            name = account_id_of(building, room, accounts)
            accounts[name] = Account(name, building, room, kind, tariff_of[kind], floor=floor)
    return list(accounts.values())
