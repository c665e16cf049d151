"""The meter roster as CSV: one line a meter, all faults with their line."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from domain.faults import Fault
from domain.site import Meter

REQUIRED = ("bus", "unit_id", "profile", "building", "floor", "room", "kind", "phases",
            "rated_current_a")  # fmt: skip
OPTIONAL = ("name", "group", "head", "shed_priority")
COLUMNS = (*REQUIRED, *OPTIONAL)


def read_roster(path: Path) -> tuple[list[Meter], list[Fault]]:
    """Read a roster file; give the good meters and every fault with file and line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return [], [Fault(str(path), "no such file")]
    except (OSError, UnicodeDecodeError) as error:
        return [], [Fault(str(path), f"can't be read as UTF-8 text: {error}")]
    return parse_roster(text, str(path))


def parse_roster(text: str, file: str) -> tuple[list[Meter], list[Fault]]:
    """Parse roster text; `file` names it in the faults."""
    reader = csv.DictReader(io.StringIO(text), restkey="", strict=True)
    try:
        header = [name.strip() for name in reader.fieldnames or []]
        faults = _header_faults(header, f"{file}:1")
        if faults:
            return [], faults
        reader.fieldnames = header
        meters: list[Meter] = []
        for row in reader:
            meter, wrong = _meter(row, f"{file}:{reader.line_num}")
            faults += wrong
            meters += [meter] if meter else []
    except csv.Error as error:
        return [], [Fault(f"{file}:{reader.line_num}", f"not valid CSV: {error}")]
    if not meters and not faults:
        faults.append(Fault(file, "no meter in the roster"))
    return meters, faults


def write_roster(meters: Iterable[Meter]) -> str:
    """Write meters as roster text that `parse_roster` reads back."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for meter in meters:
        row = meter.model_dump(mode="json", include=set(COLUMNS))
        row["head"] = "yes" if meter.head else ""
        writer.writerow({name: "" if row[name] is None else row[name] for name in COLUMNS})
    return out.getvalue()


def _header_faults(header: list[str], source: str) -> list[Fault]:
    faults = [
        Fault(source, f"column {name!r} is missing; needed are {', '.join(REQUIRED)}")
        for name in REQUIRED
        if name not in header
    ]
    faults += [
        Fault(source, f"unknown column {name!r}; allowed are {', '.join(COLUMNS)}")
        for name in header
        if name not in COLUMNS
    ]
    faults += [
        Fault(source, f"column {name!r} stands twice")
        for name in sorted({name for name in header if header.count(name) > 1})
    ]
    return faults


def _meter(row: dict[str, str | None], source: str) -> tuple[Meter | None, list[Fault]]:
    if "" in row:
        return None, [Fault(source, "more fields than columns")]
    given = {key: value.strip() for key, value in row.items() if value and value.strip()}
    given.setdefault("name", f"{given.get('building', '')}-{given.get('room', '')}")
    head = given.pop("head", "no").lower()
    if head not in ("yes", "no", "true", "false", "1", "0"):
        return None, [Fault(f"{source} head", f"must be yes or no (given: {head!r})")]
    try:
        data = {
            **given,
            "phases": _number(given.get("phases")),
            "head": head in ("yes", "true", "1"),
        }
        return Meter.model_validate({key: value for key, value in data.items() if value != ""}), []
    except ValidationError as error:
        return None, [
            Fault(
                f"{source} {'.'.join(map(str, item['loc']))}", _message(item["msg"], item["input"])
            )
            for item in error.errors(include_url=False)
        ]


def _message(message: str, given: object) -> str:
    return message if isinstance(given, dict) else f"{message} (given: {given!r})"


def _number(text: str | None) -> int | str:
    return int(text) if text and text.isdigit() else (text or "")
