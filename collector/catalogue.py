"""The meter models known to a site: those shipped, and those of the user's own folder."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from collector.invariants import profile_faults
from collector.profile import Profile
from domain.errors import InvalidInput
from domain.faults import Fault

SHIPPED = Path(__file__).parent / "profiles"
__all__ = ["SHIPPED", "load_profiles", "profile_faults", "read_profile"]


def load_profiles(extra: Path | None = None) -> dict[str, Profile]:
    """Return all shipped profiles and those of the folder `extra`, by name.

    Raises InvalidInput with every fault of every file: TOML syntax, keys, values, invariants,
    a name given twice.
    """
    profiles: dict[str, Profile] = {}
    faults: list[Fault] = []
    if extra is not None and not extra.is_dir():
        faults.append(Fault(str(extra), "no such folder of meter profiles"))
    for path in _files(extra):
        profile, found = read_profile(path)
        faults += found
        if profile is None:
            continue
        if profile.name in profiles:
            faults.append(Fault(f"{path}: name", "already used by another profile", profile.name))
        profiles.setdefault(profile.name, profile)
    if faults:
        raise InvalidInput(faults)
    return profiles


def read_profile(path: Path) -> tuple[Profile | None, list[Fault]]:
    """Read one file; the profile is None where it can't even be built, the faults say why."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return None, [Fault(str(path), f"not readable as TOML: {error}")]
    try:
        profile = Profile.model_validate(data)
    except ValidationError as error:
        return None, [Fault(f"{path}: {key}", message) for key, message in _wrong_keys(error)]
    faults = profile_faults(profile, str(path))
    if profile.name != path.stem:
        faults.append(Fault(f"{path}: name", f"must be the file's name, {path.stem}", profile.name))
    return profile, faults


def _wrong_keys(error: ValidationError) -> Iterator[tuple[str, str]]:
    """Yield key and message of each fault; a container is not blamed for what it contains."""
    found = [(item["loc"], item["msg"]) for item in error.errors()]
    for location, message in found:
        inner = any(
            len(loc) > len(location) and loc[: len(location)] == location for loc, _ in found
        )
        if not inner:
            yield key_path(location), message


def key_path(location: tuple[int | str, ...]) -> str:
    """Write a key path as it is spoken of: rows[3].factor."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _files(extra: Path | None) -> Iterator[Path]:
    yield from sorted(SHIPPED.glob("*.toml"))
    if extra is not None and extra.is_dir():
        yield from sorted(extra.glob("*.toml"))
