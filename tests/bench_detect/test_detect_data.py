"""Reading a folder of recordings: what is absent is absent, what is wrong is listed."""

import polars as pl
import pytest

from bench.detect import data_folder
from bench.detect_data import load
from domain.errors import InvalidInput


def test_the_folder_is_read_with_its_uses(folder):
    recordings = load(folder)
    assert len(recordings.uses) == 7
    assert recordings.traces["vac-0"].has_reactive
    assert not recordings.traces["kettle-0"].has_reactive


def test_non_active_power_is_split_into_q_and_the_rest(folder):
    vacuum = load(folder).traces["vac-0"]
    assert vacuum.reactive_var[100] == pytest.approx(48)
    # S = 800 / 0.985; S^2 - P^2 - Q^2
    assert vacuum.distortion_var[100] == pytest.approx(131.7, abs=0.1)


def test_every_missing_file_and_column_is_named(tmp_path):
    pl.DataFrame({"trace_id": ["a"], "t": [0]}).write_parquet(tmp_path / "samples.parquet")
    with pytest.raises(InvalidInput) as caught:
        load(tmp_path)
    text = str(caught.value)
    assert "power_w" in text
    assert "traces.parquet" in text
    assert "events.parquet" in text


def test_interleaved_traces_are_put_in_order(folder, tmp_path):
    for name in ("traces", "events"):
        pl.read_parquet(folder / f"{name}.parquet").write_parquet(tmp_path / f"{name}.parquet")
    samples = pl.read_parquet(folder / "samples.parquet")
    samples.sort("t", descending=True).write_parquet(tmp_path / "samples.parquet")
    ordered, mixed = load(folder).traces["toast-0"], load(tmp_path).traces["toast-0"]
    assert mixed.t.tolist() == ordered.t.tolist()
    assert mixed.power_w.tolist() == ordered.power_w.tolist()


def test_a_source_day_is_used_only_where_all_its_recordings_are_fine_enough(folder):
    recordings = load(folder)
    assert len(recordings.days(("PC-Laptop",), 1)) == 4
    assert recordings.days(("PC-Laptop",), 0.5) == {}


def test_a_folder_that_is_not_there_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("WATTWARDEN_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(InvalidInput, match="WATTWARDEN_DATA"):
        data_folder()
