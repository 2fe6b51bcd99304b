"""The report says the numbers, marks the best, and needs nothing from outside."""

from __future__ import annotations

import base64
import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from eval.metrics import Measured
from eval.pictures import SamplePictures, SidePictures, overview_picture
from eval.protocol import Failure, Results, SampleKey, SampleScore, ScoreConfig, summarise
from eval.report import pack_pictures, render_html, results_table, write_report

CONFIG = ScoreConfig(metrics=("p2s", "iou"), samples=123, voxels=45, seed=6)
P2S, IOU = "p2s_pred_to_scan_cm", "volumetric_iou"


def picture(colour: tuple[int, int, int]) -> np.ndarray:
    return np.full((32, 32, 3), colour, dtype=np.uint8)


def side(name: str, colour: tuple[int, int, int]) -> SidePictures:
    one = picture(colour)
    return SidePictures(name, one, one, one, one, (one, one, one, one))


def sample_pictures() -> SamplePictures:
    methods = (side("net <1>", (255, 0, 0)), side("card", (0, 255, 0)))
    return SamplePictures(picture((9, 9, 9)), side("Scan", (0, 0, 255)), methods, (-11.6, 20.2))


def results(p2s: float = 1.23456789, failures: tuple[Failure, ...] = ()) -> Results:
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
    return Results(CONFIG, methods, tuple(scores), failures, {"checkpoint": "runs/x/model.ckpt"})


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
    assert names == {"report.html", "results.json", "results.csv"}
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
    page = Page(html)
    assert page.loaded and all(link.startswith("data:image/jpeg;base64,") for link in page.loaded)
    assert not re.search(r"https?:|@import|url\(|<script|<link", html)
    # The input, eight cells each for the scan and two methods, and the depth bar.
    assert len(page.loaded) == 1 + 3 * 8 + 1
    data = base64.b64decode(page.loaded[0].split(",")[1])
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
    assert re.search(r"P2S \(cm\) ↓ +IoU ↑ +views", lines[0])
    assert re.search(r"net <1> +1\.73\* +0\.900\* +2", lines[2])
    assert re.search(r"card +4\.00 +0\.400 +2", lines[3])


def test_overview_has_a_row_per_sample_and_the_pictures_of_the_method() -> None:
    wide = overview_picture([("a", sample_pictures())] * 2, "card", cell=40)
    assert wide.shape[1] > 9 * 40 and 2 * 40 < wide.shape[0] < 3 * 40
    assert (wide == (0, 255, 0)).all(axis=-1).sum() == 2 * 8 * 40 * 40
    assert not (wide == (255, 0, 0)).all(axis=-1).any()
    with pytest.raises(ValueError, match="method"):
        overview_picture([("a", sample_pictures())], "unknown")
    with pytest.raises(ValueError, match="samples"):
        overview_picture([], "card")
