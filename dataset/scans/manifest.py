"""Manifests: what a user, or this package, knows of single scans, as a table that can be edited.

CSV with a header, or YAML with one mapping per scan id. The id "*" stands for all scans; what is
said of one scan itself comes before it. All cells but the id may be empty.

| column | says |
| --- | --- |
| scan_id | the scan |
| subject | the person; scans of one subject share a split |
| yaw_deg | turn about up, degrees, that makes the person face +z |
| scale | factor by which the mesh is too small for its unit |
| skip | yes: the scan is left out |
| unit | m, cm or mm |
| up | axis of the mesh file that points up: +x, -x, +y, -y, +z, -z |
| split | train, val or test |
| parameters | ignore: the scan's body parameters are not read |
| note | for people |
| category:NAME | what the person is of the category NAME (in YAML: categories: {NAME: ...}) |
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import yaml

from dataset.scans.scan import AXES, CM_PER_UNIT, BodySource, Scan
from dataset.splits import SPLITS
from render.errors import ScanError

EVERY_SCAN = "*"
ID_COLUMN = "scan_id"
CATEGORY_PREFIX = "category:"
NAMES_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class ScanFacts:
    """What a manifest says of one scan; None where it says nothing.

    Attributes:
        subject: the person.
        yaw_deg: turn about up, degrees, that makes the person face +z.
        scale: factor by which the mesh is too small for its unit.
        skip: whether the scan is left out.
        unit: "m", "cm" or "mm".
        up: axis of the file that points up.
        split: "train", "val" or "test".
        parameters: "ignore" where body parameters are not to be read.
        note: for people; not used.
        categories: name -> value.
    """

    subject: str | None = None
    yaw_deg: float | None = None
    scale: float | None = None
    skip: bool | None = None
    unit: str | None = None
    up: str | None = None
    split: str | None = None
    parameters: str | None = None
    note: str | None = None
    categories: Mapping[str, str] = field(default_factory=dict)

    def over(self, other: ScanFacts) -> ScanFacts:
        """Return these facts, and those of another where these say nothing."""
        said = {
            item.name: getattr(self, item.name)
            for item in fields(self)
            if item.name != "categories" and getattr(self, item.name) is not None
        }
        return replace(other, **said, categories={**other.categories, **self.categories})


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


def _positive(text: str) -> float:
    value = _number(text)
    if value <= 0.0:
        raise ValueError
    return value


def _one_of(choices: Sequence[str]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError
        return text

    return parse


_YES_NO = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}

_COLUMNS: dict[str, tuple[Callable[[str], Any], str]] = {
    "subject": (str, "a name"),
    "yaw_deg": (_number, "degrees"),
    "scale": (_positive, "a factor above 0"),
    "skip": (lambda text: _YES_NO[text.lower()], "yes or no"),
    "unit": (_one_of(tuple(CM_PER_UNIT)), ", ".join(CM_PER_UNIT)),
    "up": (_one_of(tuple(AXES)), ", ".join(AXES)),
    "split": (_one_of(SPLITS), ", ".join(SPLITS)),
    "parameters": (_one_of(("ignore",)), "ignore"),
    "note": (str, "text"),
}
"""Column -> how its text is read, and what it may be."""


def read_manifest(path: Path) -> dict[str, ScanFacts]:
    """Read a manifest.

    Returns:
        Scan id -> what is said of it; "*" for all scans.

    Raises:
        ScanError: the file cannot be read, a column is unknown, a scan is there twice, or a
            cell cannot be understood.
    """
    readers = {".csv": _csv_rows, ".yaml": _yaml_rows, ".yml": _yaml_rows}
    read = readers.get(path.suffix.lower())
    if read is None:
        raise ScanError(f"{path}: expected a CSV or YAML file, got the suffix {path.suffix!r}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ScanError(f"{path}: expected a readable manifest, got: {error}") from error
    facts: dict[str, ScanFacts] = {}
    for scan_id, cells in read(path, text):
        if scan_id in facts:
            raise ScanError(f"{path}: expected every scan once, got {scan_id} twice")
        facts[scan_id] = _facts(path, scan_id, cells)
    return facts


def apply_manifest(
    scans: Sequence[Scan], facts: Mapping[str, ScanFacts], path: Path | None = None
) -> list[Scan]:
    """Return scans with what a manifest says of them, without those to be left out.

    Args:
        scans: the scans.
        facts: scan id -> what is said of it.
        path: the manifest, for messages; None: it may speak of scans that are not there.

    Raises:
        ScanError: a manifest with a path speaks of a scan that is not there.
    """
    known = {scan.scan_id for scan in scans}
    unknown = sorted(set(facts) - known - {EVERY_SCAN})
    if path is not None and unknown:
        examples = ", ".join(sorted(known)[:NAMES_SHOWN])
        raise ScanError(f"{path}: expected ids of scans ({examples}, ...), got {unknown[0]}")
    general = facts.get(EVERY_SCAN, ScanFacts())
    own = ((scan, facts.get(scan.scan_id, ScanFacts()).over(general)) for scan in scans)
    return [_with_facts(scan, said) for scan, said in own if not said.skip]


def _with_facts(scan: Scan, facts: ScanFacts) -> Scan:
    stance = scan.stance
    if facts.up is not None:
        stance = replace(stance, up=facts.up)
    if facts.yaw_deg is not None:
        stance = replace(stance, yaw_deg=facts.yaw_deg)
    if facts.scale is not None:
        stance = replace(stance, scale=facts.scale)
    # What changes the geometry goes into the shard, so that an edited manifest is noticed.
    stated = {
        name: value
        for name in ("yaw_deg", "scale", "unit", "up", "parameters")
        if (value := getattr(facts, name)) is not None
    }
    metadata = dict(scan.metadata)
    for key, values in (("stated", stated), ("categories", facts.categories)):
        if values:
            before = metadata.get(key)
            metadata[key] = (dict(before) if isinstance(before, Mapping) else {}) | dict(values)
    return replace(
        scan,
        subject=facts.subject or scan.subject,
        unit_cm=scan.unit_cm if facts.unit is None else CM_PER_UNIT[facts.unit],
        stance=stance,
        body=BodySource() if facts.parameters == "ignore" else scan.body,
        split=facts.split or scan.split,
        metadata=metadata,
    )


def _facts(path: Path, scan_id: str, cells: Mapping[str, str]) -> ScanFacts:
    said: dict[str, Any] = {}
    categories: dict[str, str] = {}
    for column, text in cells.items():
        if column.startswith(CATEGORY_PREFIX):
            categories[column.removeprefix(CATEGORY_PREFIX)] = text
            continue
        parse, wanted = _COLUMNS[column]
        try:
            said[column] = parse(text)
        except (ValueError, KeyError) as error:
            raise ScanError(
                f"{path}: {scan_id}: expected {column} to be {wanted}, got {text!r}"
            ) from error
    return ScanFacts(**said, categories=categories)


def _check_column(path: Path, column: str) -> None:
    is_category = column.startswith(CATEGORY_PREFIX) and column != CATEGORY_PREFIX
    if column not in _COLUMNS and not is_category:
        known = ", ".join((ID_COLUMN, *_COLUMNS, CATEGORY_PREFIX + "NAME"))
        raise ScanError(f"{path}: expected the columns {known}, got {column!r}")


def _csv_rows(path: Path, text: str) -> list[tuple[str, dict[str, str]]]:
    rows = []
    try:
        lines = csv.DictReader(text.splitlines(), strict=True, skipinitialspace=True)
        header = [name.strip() for name in lines.fieldnames or ()]
        lines.fieldnames = header
        if ID_COLUMN not in header:
            raise ScanError(f"{path}: expected a column {ID_COLUMN}, got {', '.join(header)!r}")
        if len(set(header)) < len(header):
            raise ScanError(f"{path}: expected every column once, got {', '.join(header)}")
        for column in header:
            if column != ID_COLUMN:
                _check_column(path, column)
        for row in lines:
            if None in row:
                raise ScanError(f"{path}: line {lines.line_num}: expected {len(header)} cells")
            cells = {name: (value or "").strip() for name, value in row.items()}
            scan_id = cells.pop(ID_COLUMN)
            if not scan_id:
                raise ScanError(f"{path}: line {lines.line_num}: expected a scan_id, got none")
            rows.append((scan_id, {name: value for name, value in cells.items() if value}))
    except csv.Error as error:
        raise ScanError(f"{path}: expected CSV, got: {error}") from error
    return rows


def _yaml_rows(path: Path, text: str) -> list[tuple[str, dict[str, str]]]:
    try:
        # All scalars are text: 0001 is a name, not the number 1. Pairs keep what stands twice.
        node = yaml.compose(text, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise ScanError(f"{path}: expected YAML, got: {' '.join(str(error).split())}") from error
    rows = []
    for scan_id, entry in _pairs(path, node):
        cells: dict[str, str] = {}
        for column, value in _pairs(path, entry):
            if column == "categories":
                cells |= {CATEGORY_PREFIX + name: _text(path, v) for name, v in _pairs(path, value)}
                continue
            _check_column(path, column)
            cells[column] = _text(path, value)
        rows.append((scan_id, {name: value for name, value in cells.items() if value}))
    return rows


def _pairs(path: Path, node: yaml.Node | None) -> list[tuple[str, yaml.Node]]:
    if node is None or (isinstance(node, yaml.ScalarNode) and not node.value):
        return []
    if not isinstance(node, yaml.MappingNode):
        raise ScanError(f"{path}: expected a mapping of scan ids to facts, got {node.id}")
    return [(_text(path, key), value) for key, value in node.value]


def _text(path: Path, node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise ScanError(f"{path}: expected one value, got a {node.id}")
    return str(node.value).strip()
