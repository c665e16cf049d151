"""The font of all that is printed: Noto Sans CJK, from its installed package.

The package holds the cut for Taiwan. It knows the forms that the mainland writes too (other commas,
other strokes), as a font feature that is made for text shaping; here its table is read directly.
"""

from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fontTools.ttLib import TTFont
from fpdf import FPDF

FAMILY = "noto"
_PACKAGE = "cvttf_NotoSansCJK_Regular"
_SUFFIXES = (".otf", ".ttf", ".ttc")
_SCRIPT, _MAINLAND, _FORMS_OF_PLACE = "hani", "ZHS ", "locl"


@cache
def font_file() -> Path:
    """Return the font's file. Raises FileNotFoundError where its package is not installed."""
    found = find_spec(_PACKAGE)
    for folder in found.submodule_search_locations or () if found else ():
        for file in sorted(Path(folder).iterdir()):
            if file.suffix.lower() in _SUFFIXES:
                return file
    raise FileNotFoundError("the font package cvttf-notosanscjk-regular is not installed")


def use_font(document: FPDF, size_pt: float) -> None:
    """Add the font to a document and choose it; only the letters used are put in the file."""
    document.add_font(FAMILY, fname=font_file())
    font: Any = document.fonts[FAMILY]
    for code, (glyph, number) in _mainland_forms().items():
        font.cmap[code] = glyph
        font.glyph_ids[code] = number
    document.set_font(FAMILY, size=size_pt)


@cache
def _mainland_forms() -> Mapping[int, tuple[str, int]]:
    """Return the letters whose form on the mainland is another: its glyph's name and number."""
    with TTFont(font_file(), lazy=True) as font:
        letters: dict[int, str] = font.getBestCmap()
        other = _substitutions(font)
        return {
            code: (other[glyph], font.getGlyphID(other[glyph]))
            for code, glyph in letters.items()
            if glyph in other
        }


def _substitutions(font: Any) -> dict[str, str]:
    table = font["GSUB"].table
    scripts = {record.ScriptTag: record.Script for record in table.ScriptList.ScriptRecord}
    languages = scripts[_SCRIPT].LangSysRecord if _SCRIPT in scripts else ()
    found: dict[str, str] = {}
    for record in languages:
        if record.LangSysTag != _MAINLAND:
            continue
        for place in record.LangSys.FeatureIndex:
            feature = table.FeatureList.FeatureRecord[place]
            if feature.FeatureTag == _FORMS_OF_PLACE:
                for number in feature.Feature.LookupListIndex:
                    for part in table.LookupList.Lookup[number].SubTable:
                        found |= getattr(getattr(part, "ExtSubTable", part), "mapping", {})
    return found
