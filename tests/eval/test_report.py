"""The report says the numbers, marks the best, and needs nothing from outside."""

from __future__ import annotations

import base64
import csv
import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from eval.metrics import Measured
from eval.page import pack_pictures, render_html
from eval.pictures import (
    FIGURE_TITLES,
    HEAT_TITLES,
    MAP_TITLES,
    TURN_TITLES,
    SamplePictures,
    SidePictures,
    overview_picture,
)
from eval.protocol import SampleKey, SampleScore, ScoreConfig
from eval.report import check_comparable, compare_with, read_report, write_report
from eval.results import Cost, Failure, Results, summarise
from eval.tables import latex_table, results_table
from render.errors import UserInputError

CONFIG = ScoreConfig(metrics=("p2s", "iou"), samples=123, voxels=45, seed=6)
P2S, IOU = "p2s_pred_to_scan_cm", "volumetric_iou"


def picture(colour: tuple[int, int, int]) -> np.ndarray:
    return np.full((32, 32, 3), colour, dtype=np.uint8)


def side(name: str, colour: tuple[int, int, int]) -> SidePictures:
    heat = () if name == "Scan" else HEAT_TITLES
    titles = (*MAP_TITLES, *TURN_TITLES, *FIGURE_TITLES, *heat)
    return SidePictures(name, {title: picture(colour) for title in titles})


def sample_pictures() -> SamplePictures:
    methods = (side("net <1>", (255, 0, 0)), side("card", (0, 255, 0)))
    return SamplePictures(picture((9, 9, 9)), side("Scan", (0, 0, 255)), methods, (-11.6, 20.2))


def results(
    p2s: float = 1.23456789,
    failures: tuple[Failure, ...] = (),
    costs: dict[str, Cost] | None = None,
) -> Results:
    scores = [
        SampleScore(
            method,
            SampleKey(f"scan-{subject}", subject, 0, -20.0),
            {P2S: Measured(value + extra, 123), IOU: Measured(iou, 777)},
            seconds=0.5,
        )
        for method, value, iou in (("net <1>", p2s, 0.9), ("card", 3.5, 0.4))
        for subject, extra in (("ann", 0.0), ("bob", 1.0))
    ]
    methods = tuple(summarise(name, scores, CONFIG, 2) for name in ("net <1>", "card"))
    source = {"checkpoint": "runs/x/model.ckpt"}
    return Results(CONFIG, methods, tuple(scores), failures, source, costs or {})


class Page(HTMLParser):
    """Collects cells of the methods table and everything that a browser would load."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.open: list[str] = []
        self.best = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        self.loaded += [values[name] or "" for name in ("src", "href", "srcset") if name in values]
        self.best += tag == "td" and values.get("class") == "best"
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_json_holds_full_precision_counts_and_seed(tmp_path: Path) -> None:
    files = write_report(tmp_path / "new" / "folder", results(), {}, "9.9")
    read = json.loads(files.json.read_text(encoding="utf-8"))
    assert read["samples"][0]["values"][P2S] == 1.23456789
    assert read["samples"][0]["counts"] == {P2S: 123, IOU: 777}
    assert read["methods"][0]["columns"][P2S]["mean"] == pytest.approx(1.73456789)
    assert read["methods"][0]["columns"][P2S]["interval_95"] == [1.23456789, 2.23456789]
    assert (read["settings"]["seed"], read["settings"]["samples"]) == (6, 123)
    assert read["best"] == {P2S: "net <1>", IOU: "net <1>"}
    assert (read["tool_version"], read["source"]["checkpoint"]) == ("9.9", "runs/x/model.ckpt")


def test_csv_has_one_line_per_method_and_sample(tmp_path: Path) -> None:
    files = write_report(tmp_path, results(), {})
    with files.csv.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    assert rows[0]["method"] == "net <1>" and rows[0]["scan_id"] == "scan-ann"
    assert float(rows[0][P2S]) == 1.23456789 and float(rows[3][P2S]) == 4.5


def test_only_finished_files_stay_and_nan_is_refused(tmp_path: Path) -> None:
    write_report(tmp_path, results(), {})
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"report.html", "results.json", "results.csv", "results.tex"}
    before = (tmp_path / "results.json").read_bytes()
    with pytest.raises(ValueError, match="[Nn]a[Nn]|JSON"):
        write_report(tmp_path, results(p2s=float("nan")), {})
    assert (tmp_path / "results.json").read_bytes() == before


def test_html_shows_means_intervals_and_settings_and_marks_the_best() -> None:
    html = render_html(results(), {})
    page = Page(html)
    assert page.open == []
    assert page.best == 2
    for text in ("1.73", "1.23 – 2.23", "0.900", "2 subjects, 2 views", "123 per surface", "45"):
        assert text in html
    assert re.search(r'class="best"><b>1.73</b>', html)
    assert "net &lt;1&gt;" in html and "net <1>" not in html


def test_html_loads_nothing_from_outside_and_holds_its_pictures() -> None:
    packed = {("scan-ann", 0): pack_pictures(sample_pictures())}
    html = render_html(results(), packed)
    loaded = [link for link in Page(html).loaded if not link.startswith("#sample-")]
    assert loaded and all(link.startswith("data:image/jpeg;base64,") for link in loaded)
    assert not re.search(r"https?:|@import|url\(|<link|<script ", html)
    # Side by side: the input and three each of the scan and two methods. In the sample: the
    # input, eight each, four heat maps each of the methods, and two colour bars.
    assert len(loaded) == (1 + 3 * 3) + (1 + 3 * 8 + 2 * 4 + 2)
    data = base64.b64decode(loaded[0].split(",")[1])
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (32, 32, 3)
    assert "-12 cm" in html and "+20 cm" in html


def test_html_lists_what_was_not_scored() -> None:
    html = render_html(results(failures=(Failure("all", "scan-eve", 3, "file <cut> short"),)), {})
    assert "Not scored: 1" in html and "scan-eve" in html and "file &lt;cut&gt; short" in html


def test_a_report_without_a_single_score_is_still_a_page() -> None:
    empty = Results(CONFIG, (summarise("net", [], CONFIG, 1),), (), (Failure("net", "s", 0, "x"),))
    assert "Not scored: 1" in render_html(empty, {})
    assert "-" in results_table(empty)


def test_table_for_the_terminal_has_the_means_and_stars() -> None:
    lines = results_table(results()).splitlines()
    assert re.search(r"P2S \(cm\) ↓ +IoU ↑ +views +missing", lines[0])
    assert re.search(r"net <1> +1\.73\* +0\.900\* +2 +0", lines[2])
    assert re.search(r"card +4\.00 +0\.400 +2 +0", lines[3])


def test_overview_has_a_row_per_sample_and_the_pictures_of_the_method() -> None:
    wide = overview_picture([("a", sample_pictures())] * 2, "card", cell=40)
    assert wide.shape[1] > 9 * 40 and 2 * 40 < wide.shape[0] < 3 * 40
    assert (wide == (0, 255, 0)).all(axis=-1).sum() == 2 * 8 * 40 * 40
    assert not (wide == (255, 0, 0)).all(axis=-1).any()
    with pytest.raises(ValueError, match="method"):
        overview_picture([("a", sample_pictures())], "unknown")
    with pytest.raises(ValueError, match="samples"):
        overview_picture([], "card")


def test_what_is_missing_is_counted_in_every_table() -> None:
    whole = results()
    partial = Results(
        CONFIG,
        (summarise("net <1>", whole.scores, CONFIG, 3), whole.methods[1]),
        whole.scores,
        (Failure("net <1>", "scan-eve", 0, "no file"),),
    )
    assert partial.methods[0].missing == 1
    assert re.search(r"net <1> .* 2 +1$", results_table(partial).splitlines()[2])
    assert "net <1> (1 missing)" in latex_table(partial)
    html = render_html(partial, {})
    assert '<td class="failed">1</td>' in html and "incomplete" in html


def test_latex_is_escaped_and_has_the_best_in_bold() -> None:
    scored = results()
    renamed = Results(
        CONFIG,
        (dataclasses.replace(scored.methods[0], method="net_1 & co"), scored.methods[1]),
        scored.scores,
    )
    lines = latex_table(renamed).splitlines()
    assert lines[3] == r"Method & P2S (cm) $\downarrow$ & IoU $\uparrow$ \\"
    assert lines[5] == r"net\_1 \& co & \textbf{1.73} & \textbf{0.900} \\"
    assert lines[6] == r"card & 4.00 & 0.400 \\"
    assert "original scale, alignment none, 123 points, seed 6" in lines[-1]


def test_costs_have_columns_of_their_own() -> None:
    cost = Cost(
        network_seconds=0.25,
        total_seconds=1.5,
        runs=3,
        peak_bytes=3 * 2**29,
        memory="GPU tensors",
        device="a device",
    )
    html = render_html(results(costs={"card": cost}), {})
    for text in ("Network (s)", "0.250", "1.500", "3 runs, a device", "1.50 GiB", "GPU tensors"):
        assert text in html
    assert "Network (s)" not in render_html(results(), {})


def test_a_report_is_compared_with_another_view_by_view(tmp_path: Path) -> None:
    write_report(tmp_path / "a", results(p2s=2.0), {})
    earlier = read_report(tmp_path / "a")
    compared = compare_with(results(p2s=1.5), earlier)
    assert [(c.first, c.second, c.column) for c in compared] == [
        (name, f"{name} (other)", key) for name in ("net <1>", "card") for key in (P2S, IOU)
    ]
    network = compared[0].test
    assert (network.difference, network.interval, network.subjects) == (-0.5, (-0.5, -0.5), 2)
    assert network.p_value is None and compared[1].test.difference == 0.0
    files = write_report(tmp_path / "b", results(p2s=1.5), {}, against=compared)
    read = json.loads(files.json.read_text(encoding="utf-8"))
    assert read["against"][0]["difference"] == -0.5
    assert 'id="against"' in files.html.read_text(encoding="utf-8")


def test_another_file_is_refused_as_a_report(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"samples": 3}')
    for path in (tmp_path / "x.json", tmp_path / "none.json"):
        with pytest.raises(UserInputError, match="--against: expected a results.json"):
            read_report(path)
    written = write_report(tmp_path / "a", results(), {}).json
    whole = written.read_text()
    written.write_text(whole.replace(f'"{P2S}": 1.23456789', f'"{P2S}": NaN'))
    with pytest.raises(UserInputError, match=f"{P2S}: expected a finite number"):
        read_report(written)
    written.write_text(whole.replace('"schema_version": 2', '"schema_version": 1'))
    with pytest.raises(UserInputError, match="expected schema version 2, got 1"):
        read_report(written)


def test_reports_that_measure_otherwise_are_not_compared(tmp_path: Path) -> None:
    write_report(tmp_path, results(), {})
    earlier = read_report(tmp_path)
    check_comparable(dataclasses.replace(CONFIG, seed=9, metrics=("p2s",)), earlier)
    with pytest.raises(UserInputError, match="expected scale normalised, as here, got original"):
        check_comparable(dataclasses.replace(CONFIG, scale="normalised"), earlier)
    with pytest.raises(UserInputError, match="expected samples 500, as here, got 123"):
        check_comparable(dataclasses.replace(CONFIG, samples=500), earlier)
