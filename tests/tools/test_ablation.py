"""Tables 3 and 4: cells, subsets, what is kept, and how they are written."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from dataset.shards import ShardSet
from model.config import PRESETS, ModelConfig, TrainConfig
from model.run_record import read_config
from render.errors import UserInputError
from tests.tools.people_shards import write_people
from tools import ablation, ablation_cells
from tools.ablation_cells import Cell, Scores, StepMemory, check_fits, run_tool
from tools.ablation_tables import (
    Row,
    markdown_table,
    memory_notes,
    shares_of_whole,
    table_columns,
    write_tables,
)
from tools.step_cost import StepNeed

GIB = 2**30


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shard set of eight ellipsoid people at 128 pixels, two views each."""
    root = tmp_path_factory.mktemp("people") / "shards"
    splits = {"train": ["ann", "ben", "cy", "dee"], "val": ["eve"], "test": ["fay", "gus", "hal"]}
    return write_people(root, splits, resolution=128).root


def arguments_of(*argv: str) -> Any:
    return ablation.build_parser().parse_args(list(argv))


def cell_of(resolution: int = 512, parts: str = "parts", **changes: Any) -> Cell:
    model = ModelConfig(resolution=resolution, parts=parts)  # type: ignore[arg-type]
    config = dataclasses.replace(TrainConfig(model=model), **changes)
    labels: dict[str, str | int] = {"pixels": resolution, "normals": parts}
    # The tables do not look at the shards.
    return Cell(name=f"{parts}-{resolution}", labels=labels, config=config, shards=None)  # type: ignore[arg-type]


def memory_of(
    peak_gib: float | None, computed_gib: float, available: int | None = None
) -> StepMemory:
    need = StepNeed(saved_bytes=round(computed_gib * GIB), trained=0, available_bytes=available)
    peak = None if peak_gib is None else round(peak_gib * GIB)
    return StepMemory(need=need, batch=1, peak_bytes=peak, step_seconds=peak and 2.0)


def test_the_parts_table_has_a_cell_for_each_resolution_and_scheme(
    people: Path, tmp_path: Path
) -> None:
    flags = ["--resolutions", "128", "64", "--width", "4", "--max-steps", "3", "--seed", "5"]
    arguments = arguments_of("parts", str(people), *flags, "--preset", "paper")
    with pytest.raises(UserInputError, match="--resolution: "):
        ablation.parts_cells(arguments, ShardSet(people), tmp_path)
    arguments.resolutions = [128]
    cells = ablation.parts_cells(arguments, ShardSet(people), tmp_path)
    assert [cell.name for cell in cells] == ["whole-128", "parts-128"]
    whole, parts = (cell.config for cell in cells)
    assert (whole.model.parts, parts.model.parts) == ("whole", "parts")
    assert dataclasses.replace(whole, model=parts.model) == parts
    # `paper` has half the width of the parts in the other networks.
    assert (parts.model.part_width, parts.model.depth_width, parts.model.refiner_width) == (4, 2, 2)
    assert (parts.seed, parts.phase1.steps, parts.phase2.steps) == (5, 3, 3)
    assert cells[0].shards is cells[1].shards


def test_subsets_are_nested_and_share_their_test_scans(people: Path, tmp_path: Path) -> None:
    flags = ["--sizes", "4", "1", "2", "--test-scans", "2", "--preset", "lite"]
    cells = ablation.scans_cells(
        arguments_of("scans", str(people), *flags), ShardSet(people), tmp_path
    )
    assert [cell.labels["training scans"] for cell in cells] == [1, 2, 4]
    train = [set(cell.shards.splits["train"]) for cell in cells]
    assert [len(names) for names in train] == [1, 2, 4] and train[0] < train[1] < train[2]
    tests = {cell.shards.splits["test"] for cell in cells}
    assert len(tests) == 1 and len(tests.pop()) == 2
    assert len({cell.config for cell in cells}) == 1
    assert cells[0].config == dataclasses.replace(
        PRESETS["lite"], model=dataclasses.replace(PRESETS["lite"].model, resolution=128)
    )


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["scans", "--sizes", "2", "9"], "--sizes: expected 1 to 4 training scans.*found 9"),
        (["parts", "--train-scans", "0"], "--train-scans: expected 1 to 4 .*found 0"),
        (["scans", "--sizes", "2", "--test-scans", "0"], "--test-scans: expected 1 or more"),
        (["parts", "--resolutions", "512"], "--resolution: expected a whole fraction"),
        (["scans", "--metrics", "taste"], "taste"),
        (["scans", "--sizes", "2", "--views", "7"], "--views: expected numbers out of 0..1"),
        (["scans", "--sizes", "2", "--devices", "0"], "--devices: expected 1 or more, got 0"),
    ],
)
def test_what_no_cell_could_be_done_with_is_one_sentence(
    people: Path,
    tmp_path: Path,
    flags: list[str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    table, *rest = flags
    if table == "parts" and "--resolutions" not in rest:
        rest += ["--resolutions", "128"]
    status = ablation.main([table, str(people), *rest, "--out", str(tmp_path / "out")])
    lines = capsys.readouterr().err.splitlines()
    assert status == 2 and len(lines) == 1
    assert re.match(f"ablation-2k2k: .*{sentence}", lines[0]), lines[0]


def test_a_command_that_fails_gives_its_last_words(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserInputError, match="^train-2k2k: nowhere: expected a folder"):
        run_tool("tools.train_2k2k", ["nowhere"])
    assert "nowhere: expected a folder" in capfd.readouterr().err


def test_a_batch_beyond_the_memory_is_not_trained() -> None:
    # Two views of 3 GiB each.
    check_fits(cell_of(batch_size=2), memory_of(None, 3.0, available=6 * GIB))
    with pytest.raises(UserInputError, match="expected 6.0 GiB for a batch of 2.*found 5.0 GiB"):
        check_fits(cell_of(batch_size=2), memory_of(None, 3.0, available=5 * GIB))


def test_memory_by_parts_is_compared_with_that_of_the_whole_image() -> None:
    rows = [
        Row(cell=cell_of(512, "whole"), memory=memory_of(4.0, 3.8)),
        Row(cell=cell_of(512, "parts"), memory=memory_of(3.0, 3.3)),
        Row(cell=cell_of(2048, "whole"), memory=memory_of(None, 40.0)),
        Row(cell=cell_of(2048, "parts"), memory=memory_of(20.0, 21.0)),
        Row(cell=cell_of(1024, "parts"), memory=memory_of(7.0, 7.0)),
    ]
    assert shares_of_whole(rows) == {"parts-512": 0.75, "parts-2048": 0.5}
    notes = " ".join(memory_notes(rows))
    assert "whole-512 -5%, parts-512 +10%, parts-2048 +5%, parts-1024 +0%" in notes
    assert "paper: 87% at 512, 73% at 1024, 64% at 2048" in notes
    columns = {column.key: column for column in table_columns(rows, (), True)}
    assert columns["peak_bytes"].text(rows[2]) == "40.00c" and rows[2].memory is not None
    assert columns["peak_bytes"].value(rows[2]) is None
    assert columns["share"].text(rows[3]) == "50%" and columns["share"].text(rows[4]) == "-"


def test_tables_say_what_is_missing(tmp_path: Path) -> None:
    scores = Scores(
        means={"p2s_pred_to_scan_cm": 1.254, "chamfer_cm": 1.5, "p2s_scan_to_pred_cm": 2.0},
        views=5,
        missing=1,
        network_seconds=0.25,
        device="here",
    )
    rows = [
        Row(cell=cell_of(512), scores=scores, failure="1 views without scores"),
        Row(cell=cell_of(1024), failure="out of luck"),
    ]
    columns = table_columns(rows, ("p2s", "chamfer"), False)
    text = write_tables(tmp_path, rows, columns, ["A note."], "ablation-2k2k parts x")
    assert text.splitlines()[2].split() == "512 parts 1.25 1.50 2.00 5 1 0.250".split()
    assert text.splitlines()[3].split() == "1024 parts - - - - - -".split()
    written = json.loads((tmp_path / "table.json").read_text())
    assert written["rows"][0]["p2s_pred_to_scan_cm"] == 1.254
    assert written["rows"][1]["failure"] == "out of luck"
    with (tmp_path / "table.csv").open() as file:
        first, second = csv.DictReader(file)
    assert first["views"] == "5" and second["views"] == "" and second["failure"] == "out of luck"
    page = (tmp_path / "table.md").read_text()
    assert "| 512 | parts | 1.25 |" in page and "A note." in page and "out of luck" in page


def test_markdown_has_a_rule_under_the_headings() -> None:
    assert markdown_table([["a", "b"], [" 1", "2 "]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_a_dry_run_estimates_every_cell_and_writes_nothing(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    flags = ["--resolutions", "128", "--schemes", "whole", "--width", "2", "--max-steps", "7"]
    flags += ["--out", str(out), "--accelerator", "cpu", "--preset", "lite", "--dry-run"]
    assert ablation.main(["parts", str(people), *flags]) == 0
    printed = capsys.readouterr().out
    assert "7 and 7 steps" in printed and "a step takes at least 0.0" in printed
    assert "1 networks: about 0.0 hours" in printed
    assert not out.exists()


@pytest.mark.slow
def test_both_tables_are_made_and_kept(
    people: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    common = ["--width", "2", "--max-steps", "2", "--preset", "lite", "--accelerator", "cpu"]
    common += [
        "--samples",
        "200",
        "--normal-resolution",
        "48",
        "--timing-runs",
        "1",
        "--limit",
        "2",
    ]
    parts = ["parts", str(people), "--resolutions", "128", *common, "--out", str(tmp_path / "p")]
    # Ellipsoid people have no joints: their parts cannot be trained, the whole image can.
    assert ablation.main(parts) == 1
    first = json.loads((tmp_path / "p" / "table.json").read_text())["rows"]
    assert "expected joints" in first[1]["failure"] and first[1]["memory"]["peak_bytes"] > 0
    assert first[1]["views"] is None and first[1]["share"] > 0
    # After so few steps there may be no person in a mask, which is no score.
    assert first[0]["views"] + first[0]["missing"] == 2

    scans = ["scans", str(people), "--sizes", "1", "2", "--parts", "whole", *common]
    status = ablation.main([*scans, "--out", str(tmp_path / "s")])
    rows = json.loads((tmp_path / "s" / "table.json").read_text())["rows"]
    assert status == (1 if any(row["missing"] for row in rows) else 0)
    assert [row["views"] + row["missing"] for row in rows] == [2, 2]
    assert [row["training scans"] for row in rows] == [1, 2]
    assert read_config(tmp_path / "s" / "runs" / "scans-1" / "config.json").phase1.steps == 2

    def refuse(*_: object) -> None:
        raise AssertionError("everything is there")

    monkeypatch.setattr(ablation_cells, "run_tool", refuse)
    assert ablation.main([*scans, "--out", str(tmp_path / "s")]) == status
    assert json.loads((tmp_path / "s" / "table.json").read_text())["rows"] == rows
    # Another configuration in the same folder is no reason to train over it.
    assert ablation.main([*scans, "--seed", "1", "--out", str(tmp_path / "s")]) == 1
    assert "found one of others" in capfd.readouterr().err
