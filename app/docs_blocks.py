"""Blocks of the documentation that are generated from code, so that they can't rot."""

import re
from collections.abc import Callable
from pathlib import Path

from pydantic_core import PydanticUndefined

from app.settings import Settings
from domain.quantities import QUANTITIES, Kind


def settings_table() -> str:
    """Return the table of all settings: name, default, meaning."""
    lines = ["| setting | default | meaning |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        shown = "" if field.default is PydanticUndefined else str(field.default)
        shown = "(secret)" if "SecretStr" in str(field.annotation) else shown
        lines.append(f"| `{name}` | {f'`{shown}`' if shown else 'empty'} | {field.description} |")
    return "\n".join(lines)


def quantities_table() -> str:
    """Return the table of all quantities: name, unit, range, meaning."""
    lines = [
        "| quantity | unit | plausible | in sweeps | meaning |",
        "| --- | --- | --- | --- | --- |",
    ]
    for quantity in QUANTITIES.values():
        ends = (quantity.lowest, quantity.highest)
        shown = " to ".join("any" if end is None else f"{end:g}" for end in ends)
        plausible = "" if quantity.kind is Kind.BOOLEAN else shown
        swept = "yes" if quantity.in_sweep else ""
        lines.append(
            f"| `{quantity.name}` | {quantity.unit} | {plausible} | {swept} | {quantity.meaning} |"
        )
    return "\n".join(lines)


BLOCKS: dict[str, tuple[str, Callable[[], str]]] = {
    "settings": ("site.md", settings_table),
    "quantities": ("quantities.md", quantities_table),
}


def replace_block(path: Path, name: str, content: str) -> bool:
    """Put generated content between a page's markers; say whether the page changed."""
    text = path.read_text(encoding="utf-8")
    pattern = rf"(<!-- {name}: [^>]*-->\n).*?(<!-- end of {name} -->)"
    # A function as replacement, so that backslashes in the content stay as they are.
    new, count = re.subn(pattern, lambda m: f"{m[1]}{content}\n{m[2]}", text, flags=re.S)
    if count != 1:
        raise ValueError(f"{path} has {count} blocks named {name!r}, one is needed")
    if new != text:
        path.write_text(new, encoding="utf-8")
    return new != text


def main() -> None:
    """Write every generated block anew; run from the project's folder."""
    for name, (page, content) in BLOCKS.items():
        replace_block(Path("docs") / page, name, content())


if __name__ == "__main__":
    main()
