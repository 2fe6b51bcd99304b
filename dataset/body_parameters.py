"""SMPL-X parameters of a scan: what the files of the scan sets say, as one thing.

Files are pickles (THuman2.0 and 2.1) or JSON (2K2K). Which convention one follows is decided
from what is in it, never from the scan's number, because one set holds several:

- `translation`: added to the body in units of the scan, after it was made `scale` times as
  large; `transl`: in metres, before. Without `scale` the body is as large as the unit says.
- Hands of 12 numbers are principal components, of the male model; of 45, axis-angle, of the
  neutral one. Both are added to the model's mean hand.

Sources: the THuman2.0-Dataset README and issues 22, 23; ICON `lib/renderer/mesh.py`; for the
parameters of 2.1 and 2K2K, users' readers only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from dataset.restricted_pickle import read_pickle
from render.errors import ScanError

PCA_HANDS, AXIS_ANGLE_HANDS = 12, 45

SIZES: dict[str, tuple[int, ...]] = {
    "global_orient": (3,),
    "body_pose": (63,),
    "betas": (10,),
    "expression": (10,),
    "jaw_pose": (3,),
    "leye_pose": (3,),
    "reye_pose": (3,),
    "left_hand_pose": (PCA_HANDS, AXIS_ANGLE_HANDS),
    "right_hand_pose": (PCA_HANDS, AXIS_ANGLE_HANDS),
}
"""How many numbers each pose or shape vector may hold."""

REQUIRED = ("global_orient", "body_pose", "betas")


@dataclass(frozen=True, kw_only=True)
class BodyParameters:
    """SMPL-X parameters and where the body is in the scan.

    Attributes:
        vectors: name -> flat float64 vector, every name of `SIZES`; rotations are axis-angle
            radians in the frame of the mesh file.
        gender: "male" or "neutral", of the model that they were fitted with.
        scale: scan units per metre; None: what the scan's unit says.
        offset: (3,) float64 from the model's origin to its place.
        offset_is_scaled: whether `offset` is in scan units, and not in metres before scaling.
    """

    vectors: Mapping[str, NDArray[np.float64]]
    gender: str
    scale: float | None
    offset: NDArray[np.float64]
    offset_is_scaled: bool

    @property
    def orientation(self) -> NDArray[np.float64]:
        """(3, 3) rotation of the body; its columns are left, up and front in the mesh file."""
        return Rotation.from_rotvec(self.vectors["global_orient"]).as_matrix()

    def to_scan(self, points_m: NDArray[np.floating], unit_cm: float) -> NDArray[np.float64]:
        """Return points of the untranslated body in the frame and unit of the mesh file.

        Args:
            points_m: (N, 3) metres.
            unit_cm: length of a scan unit, used where the parameters hold no scale.
        """
        scale = 100.0 / unit_cm if self.scale is None else self.scale
        points = np.asarray(points_m, dtype=np.float64)
        if self.offset_is_scaled:
            return points * scale + self.offset
        return (points + self.offset) * scale


def read_body_parameters(path: Path) -> BodyParameters:
    """Read SMPL-X parameters from a pickle or a JSON file.

    Raises:
        ScanError: the file is neither, tries to run code, or holds other parameters.
    """
    content = _read_json(path) if path.suffix.lower() == ".json" else read_pickle(path)
    if not isinstance(content, dict):
        raise ScanError(
            f"{path}: expected a dictionary of SMPL-X parameters, got {type(content).__name__}"
        )
    missing = [name for name in REQUIRED if name not in content]
    if missing:
        raise ScanError(f"{path}: expected the SMPL-X parameter {missing[0]}, found none")
    vectors = {name: _vector(path, content, name, sizes) for name, sizes in SIZES.items()}
    hands = {len(vectors[side]) for side in ("left_hand_pose", "right_hand_pose")}
    if len(hands) > 1:
        raise ScanError(f"{path}: expected hands of one form, got 12 numbers and 45")
    is_scaled = "translation" in content
    scale = _vector(path, content, "scale", (1,))[0] if "scale" in content else None
    if scale is not None and scale <= 0.0:
        raise ScanError(f"{path}: expected a scale above 0, got {scale:g}")
    return BodyParameters(
        vectors=vectors,
        gender="male" if hands == {PCA_HANDS} else "neutral",
        scale=None if scale is None else float(scale),
        offset=_vector(path, content, "translation" if is_scaled else "transl", (3,)),
        offset_is_scaled=is_scaled,
    )


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ScanError(f"{path}: expected JSON, got {type(error).__name__}: {error}") from error


def _vector(
    path: Path, content: Mapping[str, Any], name: str, sizes: tuple[int, ...]
) -> NDArray[np.float64]:
    """Return a flat vector; one that is not there is zero throughout."""
    if name not in content:
        return np.zeros(sizes[-1] if name.endswith("hand_pose") else sizes[0])
    try:
        values = np.asarray(content[name], dtype=np.float64).ravel()
    except (TypeError, ValueError, OverflowError) as error:
        raise ScanError(f"{path}: expected {name} to hold numbers, got: {error}") from error
    if len(values) not in sizes:
        wanted = " or ".join(map(str, sizes))
        raise ScanError(f"{path}: expected {name} of {wanted} numbers, got {len(values)}")
    if not np.isfinite(values).all():
        raise ScanError(f"{path}: expected finite {name}, got NaN or infinity")
    return values
