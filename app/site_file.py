"""The site file: site, buses, policy and settings in one TOML file, checked whole."""

from collections import Counter
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from app.money_file import MoneyFile
from app.roster import read_roster
from app.settings import Settings
from app.validation import build, faults_of, read_toml
from collector.catalogue import load_profiles
from collector.profile import Profile
from domain.errors import InvalidInput
from domain.faults import Fault
from domain.policy import Policy
from domain.site import Bus, Meter, RoomKind, Site

MONEY_SECTIONS = tuple(MoneyFile.model_fields)
SECTIONS = ("site", "bus", "policy", "settings", *MONEY_SECTIONS)
SITE_KEYS = ("name", "title", "time_zone", "currency", "roster")


@dataclass(frozen=True, slots=True)
class SiteFile:
    """A checked site file: the site with its roster, its policy, the settings, the profiles, and
    what it says about money."""

    site: Site
    policy: Policy
    settings: Settings
    profiles: Mapping[str, Profile]
    money: MoneyFile


def load_site_file(path: Path) -> SiteFile:
    """Read and check a site file without connecting to anything.

    Raises InvalidInput with every fault found, each with file and key or line.
    """
    data, faults = read_toml(path)
    if faults:
        raise InvalidInput(faults)
    file = str(path)
    faults += [
        Fault(f"{file}: {key}", f"unknown section; allowed are {', '.join(SECTIONS)}")
        for key in data
        if key not in SECTIONS
    ]
    settings, wrong = _settings(data.get("settings", {}), path)
    faults += wrong
    profiles, wrong = _profiles(settings, path.parent)
    faults += wrong
    policy, wrong = build(Policy, data.get("policy", {}), file, "policy")
    faults += wrong
    sections = {name: data[name] for name in MONEY_SECTIONS if name in data}
    money, wrong = build(MoneyFile, sections, file, "")
    faults += wrong
    site, wrong = _site(data, path)
    faults += wrong
    if site:
        declared = {str(bus.get("name")) for bus in data.get("bus", ()) if isinstance(bus, dict)}
        faults += cross_faults(site, policy, profiles, file, declared)
    if faults or not (site and policy and settings and money):
        raise InvalidInput(faults)
    return SiteFile(site, policy, settings, profiles, money)


def cross_faults(
    site: Site,
    policy: Policy | None,
    profiles: Mapping[str, Profile],
    file: str,
    declared: Set[str] = frozenset(),
) -> list[Fault]:
    """List what is wrong between the parts of a site: names that don't exist, things met twice.

    `declared` names buses that are in the file but have faults of their own.
    """
    known = {bus.name for bus in site.buses} | declared
    return [
        *_bus_faults(site.buses, file),
        *_meter_faults(site.meters, known, profiles, file),
        *(_policy_faults(site, policy, profiles, file) if policy else ()),
    ]


def _settings(data: object, path: Path) -> tuple[Settings | None, list[Fault]]:
    file = str(path)
    if not isinstance(data, dict):
        return None, [Fault(f"{file}: settings", "must be a table")]
    try:
        # The environment wins over the file, so only keys that it does not give come from here.
        from_environment = Settings().model_fields_set
        kept = {key: value for key, value in data.items() if key not in from_environment}
        settings = Settings(**kept)
        # Where the stores are must not depend on the folder a command is started from.
        here = path.parent / settings.data_dir
        return settings.model_copy(update={"data_dir": here}), []
    except ValidationError as error:
        return None, faults_of(error, file, "settings")


def _profiles(settings: Settings | None, folder: Path) -> tuple[Mapping[str, Profile], list[Fault]]:
    extra = folder / settings.profiles_dir if settings and settings.profiles_dir else None
    try:
        return load_profiles(extra), []
    except InvalidInput as error:
        return {}, list(error.faults)


def _site(data: Mapping[str, Any], path: Path) -> tuple[Site | None, list[Fault]]:
    file, table = str(path), data.get("site")
    if not isinstance(table, dict):
        return None, [Fault(f"{file}: site", "this section is missing")]
    faults = [
        Fault(f"{file}: site.{key}", f"unknown key; allowed are {', '.join(SITE_KEYS)}")
        for key in table
        if key not in SITE_KEYS
    ]
    buses, wrong = _buses(data.get("bus"), file)
    faults += wrong
    roster = table.get("roster")
    if not isinstance(roster, str):
        faults.append(Fault(f"{file}: site.roster", "name the CSV file with the meters"))
        meters: list[Meter] = []
    else:
        meters, wrong = read_roster(path.parent / roster)
        faults += wrong
    fields = {key: value for key, value in table.items() if key in SITE_KEYS and key != "roster"}
    site, wrong = build(Site, {**fields, "buses": buses, "meters": meters}, file, "site")
    faults += wrong
    if site and not _zone_exists(site.time_zone):
        faults.append(
            Fault(
                f"{file}: site.time_zone",
                f"no such time zone; IANA names such as Asia/Shanghai are allowed"
                f" (given: {site.time_zone!r})",
            )
        )
    return site, faults


def _buses(data: object, file: str) -> tuple[list[Bus], list[Fault]]:
    if not isinstance(data, list) or not data:
        return [], [Fault(f"{file}: bus", "at least one [[bus]] is needed")]
    buses, faults = [], []
    for index, table in enumerate(data):
        bus, wrong = build(Bus, table, file, f"bus[{index}]")
        faults += wrong
        buses += [bus] if bus else []
    return buses, faults


def _zone_exists(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _bus_faults(buses: tuple[Bus, ...], file: str) -> Iterator[Fault]:
    for name, count in Counter(bus.name for bus in buses).items():
        if count > 1:
            yield Fault(f"{file}: bus", f"the name {name!r} is given to {count} buses", name)
    for bus in buses:
        if bus.link == "serial" and not bus.port:
            yield Fault(f"{file}: bus {bus.name}.port", "a serial bus needs its device", bus.name)
        if bus.link != "serial" and not bus.host:
            yield Fault(f"{file}: bus {bus.name}.host", f"a {bus.link} bus needs a host", bus.name)


def _meter_faults(
    meters: tuple[Meter, ...], buses: Set[str], profiles: Mapping[str, Profile], file: str
) -> Iterator[Fault]:
    for name, count in Counter(meter.name for meter in meters).items():
        if count > 1:
            yield Fault(f"{file}: roster", f"the meter name {name!r} stands {count} times", name)
    for (bus, unit), count in Counter((m.bus, m.unit_id) for m in meters).items():
        if count > 1:
            yield Fault(f"{file}: roster", f"unit {unit} of bus {bus} stands {count} times", bus)
    for bus, count in Counter(meter.bus for meter in meters if meter.head).items():
        if count > 1:
            yield Fault(
                f"{file}: roster", f"bus {bus} has {count} head meters; one is allowed", bus
            )
    for meter in meters:
        if meter.bus not in buses:
            known = ", ".join(sorted(buses)) or "none"
            yield Fault(f"{file}: roster", f"no bus {meter.bus!r}; known: {known}", meter.name)
        if profiles and meter.profile not in profiles:
            known = ", ".join(sorted(profiles))
            yield Fault(
                f"{file}: roster", f"no profile {meter.profile!r}; known: {known}", meter.name
            )


def _policy_faults(
    site: Site, policy: Policy, profiles: Mapping[str, Profile], file: str
) -> Iterator[Fault]:
    groups = {meter.policy_group for meter in site.meters} | {kind.value for kind in RoomKind}
    names = {meter.name for meter in site.meters}
    for group, rules in policy.groups.items():
        if group not in groups:
            yield Fault(f"{file}: policy.groups.{group}", "no meter of the roster is in this group")
        for index, entry in enumerate(rules.malignant.white_list):
            for name in sorted(set(entry.meters) - names):
                key = f"policy.groups.{group}.malignant.white_list[{index}].meters"
                yield Fault(f"{file}: {key}", f"no meter {name!r} in the roster", name)
    for meter in site.meters:
        if meter.group and meter.group not in policy.groups:
            yield Fault(f"{file}: roster", f"no policy group {meter.group!r}", meter.name)
    for profile in policy.control.polarity_verified:
        if profiles and profile not in profiles:
            key = f"{file}: policy.control.polarity_verified"
            yield Fault(key, f"no profile {profile!r}; known: {', '.join(sorted(profiles))}")
