"""Loading profiles: every fault of every file at once, with file and key."""

from pathlib import Path

import pytest

from collector.catalogue import SHIPPED, key_path, load_profiles
from domain.errors import InvalidInput

GOOD = """
name = "shed-meter"
title = "Shed meter"
source = "its own label"
word_order = "high-first"
rows = [
    { quantity = "voltage_v", address = 0x00, encoding = "u16", factor = 0.1, group = "fast" },
    { quantity = "power_w", address = 0x02, encoding = "i32", group = "fast" },
]
"""


def put(folder: Path, name: str, text: str) -> Path:
    """Write a profile file and return its path."""
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def faults_of(folder: Path) -> list[str]:
    """Return the faults of a folder as text, without the folder."""
    with pytest.raises(InvalidInput) as caught:
        load_profiles(folder)
    return [str(fault).replace(f"{folder}/", "") for fault in caught.value.faults]


def test_a_users_folder_adds_to_the_shipped_models(tmp_path):
    put(tmp_path, "shed-meter", GOOD)
    profiles = load_profiles(tmp_path)
    assert profiles["shed-meter"].title == "Shed meter"
    assert set(profiles) - set(load_profiles()) == {"shed-meter"}


def test_every_shipped_file_is_a_profile_of_that_name(shipped):
    assert sorted(shipped) == sorted(path.stem for path in SHIPPED.glob("*.toml"))


def test_all_faults_of_all_files_are_listed_at_once(tmp_path):
    put(tmp_path, "a-syntax", 'name = "a-syntax"\nrows = [\n')
    put(tmp_path, "b-keys", GOOD.replace('"shed-meter"', '"b-keys"').replace("0x02", "70000"))
    put(tmp_path, "c-facts", GOOD.replace('"shed-meter"', '"c-facts"').replace("i32", "u32"))
    found = faults_of(tmp_path)
    assert len(found) == 3
    assert found[0].startswith("a-syntax.toml: not readable as TOML: ")
    assert "line" in found[0] or "end of document" in found[0]
    assert found[1] == ("b-keys.toml: rows[1].address: Input should be less than or equal to 65535")
    assert found[2] == (
        "c-facts.toml: rows[1] (power_w).range: "
        "u32 has no sign: give a range from 0, or a signed encoding [c-facts]"
    )


def test_several_faults_of_one_file_are_all_listed(tmp_path):
    text = GOOD.replace('"shed-meter"', '"Bad Name"').replace("factor", "faktor")
    put(tmp_path, "bad", text.replace('encoding = "i32"', 'encoding = "i33"'))
    keys = [fault.split(": ")[1] for fault in faults_of(tmp_path)]
    assert keys == ["name", "rows[0].faktor", "rows[1].encoding"]


@pytest.mark.parametrize("address", ["true", '"11"', "1.0", "-1"])
def test_an_address_is_a_plain_whole_number(tmp_path, address):
    put(tmp_path, "shed-meter", GOOD.replace("0x02", address))
    assert faults_of(tmp_path)[0].startswith("shed-meter.toml: rows[1].address: ")


def test_a_file_is_named_as_its_profile(tmp_path):
    put(tmp_path, "other", GOOD)
    assert faults_of(tmp_path) == ["other.toml: name: must be the file's name, other [shed-meter]"]


def test_a_shipped_name_can_not_be_taken_again(tmp_path):
    put(tmp_path, "abb-b21", GOOD.replace("shed-meter", "abb-b21"))
    assert faults_of(tmp_path) == ["abb-b21.toml: name: already used by another profile [abb-b21]"]


def test_a_missing_folder_and_unreadable_text_are_faults(tmp_path):
    (tmp_path / "latin.toml").write_bytes(b'name = "\xff"')
    assert faults_of(tmp_path)[0].startswith("latin.toml: not readable as TOML: ")
    with pytest.raises(InvalidInput, match="no such folder of meter profiles"):
        load_profiles(tmp_path / "nowhere")


def test_key_paths_are_written_as_they_are_spoken():
    assert key_path(("relay", "trip", "writes", 0, "words", 1)) == "relay.trip.writes[0].words[1]"
