"""In which frame each method leaves its meshes, and the way back to the scan (one home).

Six public codebases write meshes in six conventions: turned with the view, in units of half an
image, half a crop or a normalised scan, some of them a voxel off. A row of the table says what
was done to the scan; `scan_from_output` undoes it. Sources are files of the methods' public
code at the commits PIFu f0a9c99, PIFuHD e47c4d9, PaMIR 35300f0, ICON cf46a6b, ECON d8f4e8b,
2K2K 2853849. A row is exact where the depth is; what the files do not tell (crop, scale, centre)
comes from the user's table of predictions, or is fitted with `--align`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from eval.alignment import AlignmentMode
from eval.surfaces import Surface
from render.camera import (
    NORMALISATION_DIVISOR,
    RELEASED_SCALE,
    normalised_from_scan,
    yaw_rotation,
)
from render.errors import UserInputError

Length = Literal["scan", "height", "largest coordinate", "recorded"]
Centre = Literal["none", "box", "median", "centroid", "recorded"]
LENGTHS: tuple[Length, ...] = ("scan", "height", "largest coordinate", "recorded")
CENTRES: tuple[Centre, ...] = ("none", "box", "median", "centroid", "recorded")

HALF_WIDTH_PER_HEIGHT = 1.024 / 1.8
"""Half an image of PIFu's and ICON's renderers over the scan's height (ICON
scripts/render_single.py)."""


class OutputError(UserInputError):
    """A prediction cannot be brought into the scan's frame."""


@dataclass(frozen=True, kw_only=True)
class OutputConvention:
    """How the meshes of a method lie to their scan: X = R^T (v + offset) * length + centre.

    Attributes:
        name: of the method.
        patterns: regular expressions of whole file names without suffix, with a group `name`;
            where several fit, files of the earlier ones are taken.
        offset: added to every vertex first, output units.
        length: what `factor` is a multiple of: the scan's unit, its height, its largest
            absolute coordinate around its centroid, or a length that the user gives
            (`units_per_scan_unit` of the prediction).
        factor: length of one output unit.
        centre: what the origin of the output is on the scan: its origin, the middle of its
            bounding box, the median of its vertices (upwards the middle of the box), its
            area-weighted centroid, or a point that the user gives.
        turn: 1 where the method sees the scan turned by +yaw about +y, -1 by -yaw, 0 where its
            output is in the scan's own axes.
        cropped: units are those of a crop of the image, which the user has to give.
        source: where this is known from.
    """

    name: str
    patterns: tuple[str, ...] = (r"(?P<name>.+)",)
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    length: Length = "scan"
    factor: float = 1.0
    centre: Centre = "none"
    turn: int = 0
    cropped: bool = False
    source: str = ""

    def __post_init__(self) -> None:
        for field, known in (("length", LENGTHS), ("centre", CENTRES), ("turn", (-1, 0, 1))):
            value = getattr(self, field)
            if value not in known:
                raise OutputError(f"{self.name}: {field}: expected one of {known}, got {value!r}")
        for pattern in self.patterns:
            try:
                named = "name" in re.compile(pattern).groupindex
            except re.error:
                named = False
            if not named:
                raise OutputError(
                    f"{self.name}: patterns: expected a regular expression with a group "
                    f"(?P<name>...), got {pattern!r}"
                )
        if not np.isfinite([*self.offset, self.factor]).all() or self.factor <= 0.0:
            raise OutputError(f"{self.name}: expected a finite offset and a factor above 0")


@dataclass(frozen=True, kw_only=True)
class PredictionFacts:
    """What the user knows of one prediction; all of it optional.

    Attributes:
        scan: id of its scan.
        yaw_deg: by how much the scan was turned for its image, degrees; for 2K2K, less the turn
            that its renderer takes off first.
        crop: x0, y0 and width of the square crop, pixels of the image (PIFuHD).
        image_size: width and height of that image, pixels.
        origin_at: x, y, z of the scan, in its unit, at the output's origin (ICON, ECON: x and z
            of the pelvis, y of the middle of the box).
        units_per_scan_unit: the scale of the normalised scan (PaMIR's s).
        matrix: (4, 4) scan-from-output, scan units; replaces everything else.
        seconds: time of the whole reconstruction.
        peak_bytes: memory that it took.
    """

    scan: str | None = None
    yaw_deg: float | None = None
    crop: tuple[float, float, float] | None = None
    image_size: tuple[float, float] | None = None
    origin_at: tuple[float, float, float] | None = None
    units_per_scan_unit: float | None = None
    matrix: tuple[tuple[float, ...], ...] | None = None
    seconds: float | None = None
    peak_bytes: int | None = None


_IMAGE: dict[str, Any] = {"length": "height", "factor": HALF_WIDTH_PER_HEIGHT, "turn": 1}

CONVENTIONS: dict[str, OutputConvention] = {
    row.name: row
    for row in (
        OutputConvention(
            name="ours",
            source="meshes are written in the frame and unit of the scan",
        ),
        OutputConvention(
            name="pifu",
            patterns=(r"result_(?P<name>.+)",),
            centre="median",
            source="PIFu apps/render_data.py:149-182, lib/renderer/camera.py:153-155; exact",
            **_IMAGE,
        ),
        OutputConvention(
            name="pifuhd",
            patterns=(r"result_(?P<name>.+)_\d+",),
            centre="median",
            cropped=True,
            source="PIFuHD lib/data/EvalWPoseDataset.py:109-133, 246-266, apps/recon.py:63-65; "
            "exact on PIFu's renders with the crop known, z axis inferred",
            **_IMAGE,
        ),
        OutputConvention(
            name="pamir",
            patterns=(r"(?P<name>.+)",),
            offset=(0.5 / 256, 0.5 / 256, 0.5 / 256),
            length="recorded",
            centre="box",
            turn=-1,
            source="PaMIR networks/evaluator.py:116, 191-198, data/main_normalize_mesh.py:31-41; "
            "exact with the scan's random scale known",
        ),
        OutputConvention(
            name="icon",
            patterns=(
                r"(?P<name>.+)_refine",
                r"(?P<name>.+)_remesh",
                r"(?P<name>.+)_recon",
            ),
            centre="recorded",
            source="ICON scripts/render_single.py:79-166, apps/ICON.py:758-759; exact on its "
            "renders up to a grid of 256, with the pelvis known",
            **_IMAGE,
        ),
        OutputConvention(
            name="icon-512",
            patterns=(r"(?P<name>.+)_recon",),
            offset=(1 / 256, 1 / 256, 1 / 256),
            centre="recorded",
            source="as icon; grids above 256 lose a slice, lib/common/seg3d_lossless.py:585-596",
            **_IMAGE,
        ),
        OutputConvention(
            name="econ",
            patterns=(r"(?P<name>.+)_\d+_full", r"(?P<name>.+)_final"),
            offset=(1 / 512, 1 / 512, 0.0),
            centre="recorded",
            source="ECON lib/common/BNI_utils.py:185-194, lib/dataset/EvalDataset.py:223-246; with "
            "ICON's renderer. Half a pixel is added: inputs taken as sampled at pixel centres",
            **_IMAGE,
        ),
        OutputConvention(
            name="2k2k",
            length="largest coordinate",
            factor=RELEASED_SCALE * NORMALISATION_DIVISOR,
            centre="centroid",
            turn=1,
            source="2K2K test_02_model.py:351-358, render/render_utils.py:11-31; its factor 1.0367 "
            "is unexplained, so compare with the scale that --align icp fits",
        ),
    )
}
"""The methods that are known, by name."""


def missing_facts(convention: OutputConvention, facts: PredictionFacts) -> tuple[str, ...]:
    """Return the names of the facts without which the transform is not determined."""
    if facts.matrix is not None:
        return ()
    needed = {
        "crop": convention.cropped and facts.crop is None,
        "image_size": convention.cropped and facts.image_size is None,
        "units_per_scan_unit": convention.length == "recorded"
        and facts.units_per_scan_unit is None,
        "origin_at": convention.centre == "recorded" and facts.origin_at is None,
    }
    return tuple(name for name, lacking in needed.items() if lacking)


def scan_from_output(
    convention: OutputConvention,
    facts: PredictionFacts,
    scan: Surface,
    unit_cm: float,
    yaw_deg: float,
    align: AlignmentMode,
) -> NDArray[np.float64]:
    """Return the (4, 4) matrix from a method's output to the scan, centimetres.

    Args:
        convention: of the method.
        facts: what is known of this prediction.
        scan: cm, in the axes of its file (y up).
        unit_cm: length of one scan unit.
        yaw_deg: of the view.
        align: what will be fitted later; what that finds need not be known.

    Raises:
        OutputError: something has to be known that neither the table nor the user says, and
            that will not be fitted.
    """
    if facts.matrix is not None:
        matrix = np.array(facts.matrix, dtype=np.float64)
        if not np.linalg.det(matrix[:3, :3]) > 0.0:
            raise OutputError("--frames: matrix: expected a positive determinant, got a mirror")
        return np.asarray(np.diag([unit_cm, unit_cm, unit_cm, 1.0]) @ matrix)
    lacking = missing_facts(convention, facts)
    fitted = {"none": (), "translation": ("origin_at",), "icp": lacking}[align]
    open_facts = [name for name in lacking if name not in fitted]
    if open_facts:
        raise OutputError(
            f"{convention.name}: expected {', '.join(open_facts)} of this prediction "
            f"(--frames, or --align icp), got none"
        )
    linear = yaw_rotation(convention.turn * yaw_deg)[:3, :3].T * _length_cm(
        convention, facts, scan, unit_cm
    )
    crop = _uncropped(facts) if convention.cropped else np.eye(4)
    shifted = np.eye(4)
    shifted[:3, 3] = convention.offset
    placed = np.eye(4)
    placed[:3, :3] = linear
    placed[:3, 3] = _centre_cm(convention, facts, scan, unit_cm)
    return np.asarray(placed @ crop @ shifted, dtype=np.float64)


def _length_cm(
    convention: OutputConvention, facts: PredictionFacts, scan: Surface, unit_cm: float
) -> float:
    if convention.length == "scan":
        return convention.factor * unit_cm
    if convention.length == "height":
        return convention.factor * float(np.ptp(scan.bounds, axis=0)[1])
    if convention.length == "recorded":
        # Without it the alignment starts from equal heights, whatever this is.
        return convention.factor * unit_cm / (facts.units_per_scan_unit or 1.0)
    to_normalised = normalised_from_scan(scan.vertices, scan.faces)
    return convention.factor / (NORMALISATION_DIVISOR * float(to_normalised[0, 0]))


def _centre_cm(
    convention: OutputConvention, facts: PredictionFacts, scan: Surface, unit_cm: float
) -> NDArray[np.float64]:
    middle = scan.bounds.mean(axis=0)
    if facts.origin_at is not None:
        return np.array(facts.origin_at) * unit_cm
    if convention.centre == "none":
        return np.zeros(3)
    if convention.centre == "median":
        median = np.median(scan.vertices, axis=0)
        return np.array([median[0], middle[1], median[2]])
    if convention.centre == "centroid":
        to_normalised = normalised_from_scan(scan.vertices, scan.faces)
        return np.asarray(-to_normalised[:3, 3] / to_normalised[0, 0])
    return np.asarray(middle)


def _uncropped(facts: PredictionFacts) -> NDArray[np.float64]:
    """Return the (4, 4) matrix from half-crop to half-image units (PIFuHD's unused un-crop)."""
    if facts.crop is None or facts.image_size is None:
        return np.eye(4)
    (x0, y0, width), (image_width, image_height) = facts.crop, facts.image_size
    matrix = np.diag([width / image_width] * 3 + [1.0])
    half = image_width // 2
    matrix[0, 3] = (x0 + width // 2 - half) / half
    matrix[1, 3] = -(y0 + width // 2 - image_height // 2) / half
    return matrix
