"""Turns pydantic's errors into faults that name the file, the key and what is allowed."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from domain.faults import Fault

Model = TypeVar("Model", bound=BaseModel)


def key_path(prefix: str, location: tuple[int | str, ...]) -> str:
    """Write a location such as ("bus", 0, "baud") as `bus[0].baud` below a prefix."""
    path = prefix
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else (f".{part}" if path else str(part))
    return path


def faults_of(error: ValidationError, file: str, prefix: str) -> list[Fault]:
    """List every error of a validation as a fault with file and key."""
    faults = []
    items = error.errors(include_url=False)
    for item in items:
        # A list whose only entries are faulty counts as empty: the entries' own faults say it.
        if item["type"] == "too_short" and any(
            _is_inside(one["loc"], item["loc"]) for one in items
        ):
            continue
        where = key_path(prefix, item["loc"])
        message = "unknown key" if item["type"] == "extra_forbidden" else item["msg"]
        given = item.get("input")
        if item["type"] not in ("missing", "extra_forbidden") and not isinstance(given, dict):
            message += f" (given: {given!r})"
        faults.append(Fault(f"{file}: {where}" if where else file, message))
    return faults


def _is_inside(location: tuple[int | str, ...], outer: tuple[int | str, ...]) -> bool:
    return len(location) > len(outer) and location[: len(outer)] == outer


def build(
    model: type[Model], data: Mapping[str, Any], file: str, prefix: str
) -> tuple[Model | None, list[Fault]]:
    """Build a model from plain data; give the model, or None and all the faults."""
    try:
        return model.model_validate(dict(data)), []
    except ValidationError as error:
        return None, faults_of(error, file, prefix)


def read_toml(path: Path) -> tuple[dict[str, Any], list[Fault]]:
    """Read a TOML file; a missing, unreadable or broken file is one fault."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")), []
    except FileNotFoundError:
        return {}, [Fault(str(path), "no such file")]
    except (OSError, UnicodeDecodeError) as error:
        return {}, [Fault(str(path), f"can't be read as UTF-8 text: {error}")]
    except tomllib.TOMLDecodeError as error:
        return {}, [Fault(str(path), f"not valid TOML: {error}")]
