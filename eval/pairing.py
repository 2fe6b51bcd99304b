"""Which file of a method is the prediction of which scan, in which view."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.outputs import OutputConvention, OutputError, PredictionFacts

_YAW = re.compile(r"(?P<scan>.+?)[_-](?P<yaw>[+-]?\d{1,3})(_\d{1,3}_\d{1,3})?")
"""A scan's id and a yaw behind it: ICON's `0501_030`, PIFu's `0501_30_0_00`."""


@dataclass(frozen=True)
class Prediction:
    """One file that was made from one view of one scan.

    Attributes:
        path: the mesh.
        scan_id: its scan.
        yaw_deg: of the view, above -180 and at most 180: 330 is -30.
        yaw_known: whether the file's name or the user says so; otherwise 0 is taken.
        facts: what the user knows of it.
    """

    path: Path
    scan_id: str
    yaw_deg: float
    yaw_known: bool
    facts: PredictionFacts


@dataclass(frozen=True)
class Pairing:
    """The predictions of one method.

    Attributes:
        predictions: by (scan id, yaw).
        strangers: outputs of the method without a scan.
        others: number of files that are no final outputs of the method.
    """

    predictions: dict[tuple[str, float], Prediction]
    strangers: tuple[Path, ...]
    others: int


def pair_outputs(
    paths: Iterable[Path],
    scan_ids: Sequence[str],
    convention: OutputConvention,
    facts: Mapping[str, PredictionFacts],
) -> Pairing:
    """Pair the files of a method with scans, by name.

    The user's facts come first, then a name that is a scan's id, then an id with a yaw behind.

    Raises:
        OutputError: two files are the prediction of the same view.
    """
    known = set(scan_ids)
    found: dict[tuple[str, float], tuple[int, Prediction]] = {}
    strangers, others = [], 0
    for path in sorted(paths):
        named = _output_name(path.stem, convention)
        if named is None and path.stem not in facts:
            others += 1
            continue
        rank, name = named if named is not None else (len(convention.patterns), path.stem)
        prediction = _prediction(path, name, known, facts.get(path.stem, PredictionFacts()))
        if prediction is None:
            strangers.append(path)
            continue
        place = (prediction.scan_id, prediction.yaw_deg)
        if place in found and found[place][0] == rank:
            raise OutputError(
                f"{path}: expected one prediction of {place[0]} at yaw {place[1]:g}, got "
                f"{found[place][1].path.name} too"
            )
        if place not in found or rank < found[place][0]:
            found[place] = (rank, prediction)
    predictions = {place: prediction for place, (_, prediction) in found.items()}
    return Pairing(predictions, tuple(strangers), others)


def _output_name(stem: str, convention: OutputConvention) -> tuple[int, str] | None:
    for rank, pattern in enumerate(convention.patterns):
        match = re.fullmatch(pattern, stem)
        if match is not None:
            return rank, match["name"]
    return None


def _prediction(
    path: Path, name: str, known: set[str], facts: PredictionFacts
) -> Prediction | None:
    match = _YAW.fullmatch(name)
    scan, yaw = name, None
    if name not in known and match is not None and match["scan"] in known:
        scan, yaw = match["scan"], float(match["yaw"])
    if facts.scan is not None:
        scan = facts.scan
    if facts.yaw_deg is not None:
        yaw = facts.yaw_deg
    if scan not in known:
        return None
    turn = 0.0 if yaw is None else yaw
    if not -180.0 < turn <= 180.0:
        turn = 180.0 - (180.0 - turn) % 360.0
    return Prediction(path, scan, turn, yaw is not None, facts)
