"""The report in a real browser: it sorts, fits a phone, and loads nothing."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from eval.page import pack_pictures, render_html
from tests.eval.test_report import results, sample_pictures

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium, found none on the path")

PROBE = """
<script>
const findings = {errors: []};
window.addEventListener("error", (event) => findings.errors.push(event.message));
addEventListener("load", () => {
  const table = document.getElementById("all");
  const column = (name) => [...table.tHead.rows[0].cells].findIndex(
    (cell) => cell.textContent.startsWith(name));
  const texts = (at) => [...table.tBodies[0].rows].map((row) => row.cells[at].textContent.trim());
  const p2s = column("P2S"), method = column("Method");
  findings.before = texts(p2s);
  table.tHead.rows[0].cells[p2s].querySelector("button").click();
  findings.rising = texts(p2s);
  table.tHead.rows[0].cells[p2s].querySelector("button").click();
  findings.falling = texts(p2s);
  findings.marked = table.tHead.rows[0].cells[p2s].getAttribute("aria-sort");
  table.tHead.rows[0].cells[method].querySelector("button").click();
  findings.methods = texts(method);
  findings.width = document.documentElement.scrollWidth;
  findings.window = window.innerWidth;
  findings.images = [...document.images].filter((i) => i.loading !== "lazy").map(
    (image) => image.naturalWidth);
  findings.links = [...table.querySelectorAll("a")].every(
    (link) => document.querySelector(link.getAttribute("href")) !== null);
  findings.requests = performance.getEntriesByType("resource").filter(
    (entry) => !entry.name.startsWith("data:")).length;
  const shown = document.createElement("pre");
  shown.id = "findings";
  shown.textContent = JSON.stringify(findings);
  document.body.append(shown);
});
</script>
"""


def findings(tmp_path: Path, width: int) -> dict[str, Any]:
    """What a script inside the page finds out, in a window of some width."""
    page = render_html(results(), {("scan-ann", 0): pack_pictures(sample_pictures())})
    file = tmp_path / "report.html"
    file.write_text(page.replace("</head>", PROBE + "</head>", 1), encoding="utf-8")
    # A window cannot be narrower than 500 pixels, but a frame in it can.
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<iframe src="report.html" width="{width}" height="800" style="border:0"></iframe>'
        "<script>onload = () => { document.body.append(document.querySelector('iframe')"
        ".contentDocument.getElementById('findings')); };</script>"
    )
    command = [
        *(str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom"),
        *("--disable-dev-shm-usage", "--allow-file-access-from-files"),
        *(f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1300,900"),
        frame.as_uri(),
    ]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    match = re.search(r'<pre id="findings">(.*?)</pre>', shown.stdout, re.DOTALL)
    assert match is not None, shown.stderr[-2000:]
    found: dict[str, Any] = json.loads(html.unescape(match[1]))
    return found


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_works_at_the_width_of_a_desk_and_of_a_phone(tmp_path: Path, width: int) -> None:
    found = findings(tmp_path, width)
    assert found["errors"] == []
    assert found["window"] == width
    assert found["width"] <= width
    # The worst of the first method first, then as the heading is clicked.
    assert found["before"] == ["2.23", "4.50", "1.23", "3.50"]
    assert found["rising"] == ["1.23", "2.23", "3.50", "4.50"]
    assert found["falling"] == ["4.50", "3.50", "2.23", "1.23"]
    assert found["marked"] == "descending"
    assert found["methods"] == ["card", "card", "net <1>", "net <1>"]
    assert found["links"] is True
    assert found["images"] and all(size > 0 for size in found["images"])
    assert found["requests"] == 0
