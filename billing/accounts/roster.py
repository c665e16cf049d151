"""Accounts out of the roster: one a room, its meters the account's registers."""

import re
from collections.abc import Container, Mapping

from billing.model import Account
from domain.site import Meter, RoomKind, Site

ID_MOST = 60


def account_id_of(building: str, room: str) -> str:
    """Return the id of a room's first account, such as `b1-305`."""
    return re.sub(r"[^\w.]+", "-", f"{building}-{room}".lower()).strip("-")[:ID_MOST] or "room"


def free_id(name: str, taken: Container[str]) -> str:
    """Return an id that is not taken: `b1-305~2` for a room that is opened for a second time."""
    free, number = name, 1
    while free in taken:
        number += 1
        free = f"{name}~{number}"
    return free


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
            name = free_id(account_id_of(building, room), accounts)
            accounts[name] = Account(name, building, room, kind, tariff_of[kind], floor=floor)
    return list(accounts.values())
