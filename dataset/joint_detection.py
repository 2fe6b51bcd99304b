"""Joints of a scan that has none beside it: found in pictures from all around, triangulated."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dataset.detectors import Detector, DetectorError, DetectorName, make_detector
from dataset.detectors.interface import filled
from dataset.detectors.joint_centres import to_joint_centres
from dataset.joints import JOINT_COUNT, JOINT_NAMES
from dataset.scans import LoadedScan, used_vertices
from dataset.triangulation import Triangulation, triangulate
from dataset.views import View, border_shrink, joints_in_normalised_frame
from render.camera import Camera, normalised_from_scan, transform_points
from render.closing import Closing
from render.compositing import composite, premultiply
from render.errors import ScanError
from render.lights import draw_rig, shade
from render.mesh import transformed
from render.rasteriser import Rasteriser
from render.upload import MeshHandle

RESOLUTION = 512
"""The networks see 256 pixels of a person."""

YAWS_DEG = tuple(range(0, 360, 30))
GREY = 128
INLIER_SHARE = 0.03
"""Of the picture's side: some 7 cm on a standing person, beyond which a view is wrong."""

LEAST_JOINTS = 17
"""As many as a body has without hands and feet; with fewer, what was found is hardly one."""


@dataclass(frozen=True, kw_only=True)
class FoundJoints:
    """Joints of a scan as found in pictures of it.

    Attributes:
        joints: (31, 4) float64 scan frame and unit + confidence; 0.3 where filled.
        error_cm: (31,) float64 root mean square distance from a joint to the rays on which the
            agreeing views see the detector's mark of it, centimetres; NaN where filled or missing.
        views: (31,) int number of views that agree, of `len(YAWS_DEG)`.
        swapped: how often the sides of head, arms or legs were exchanged in a view.
    """

    joints: NDArray[np.float64]
    error_cm: NDArray[np.float64]
    views: NDArray[np.intp]
    swapped: int

    def summary(self, detector: str) -> dict[str, object]:
        """Return what a shard's metadata say of them, as JSON values."""
        measured = np.flatnonzero(self.views)
        return {
            "detector": detector,
            "error_cm": {JOINT_NAMES[i]: round(float(self.error_cm[i]), 2) for i in measured},
            "views": {JOINT_NAMES[i]: int(self.views[i]) for i in measured},
            "swapped_sides": self.swapped,
        }


class JointFinder(Closing):
    """Finds joints of the scans of a process; loads the detector when it is first needed."""

    def __init__(self, rasteriser: Rasteriser) -> None:
        """Take what draws the pictures; it stays its owner's."""
        self._rasteriser = rasteriser
        self._detectors: dict[DetectorName, Detector | DetectorError] = {}

    def with_joints(self, person: LoadedScan) -> LoadedScan:
        """Return a scan with joints detected, where it has none and is not told to do without.

        Where joints may come from anywhere and there is no detector, or it finds nobody, the
        scan stays without; the reason is among its notes.

        Raises:
            DetectorError: joints are to be detected, and there is no detector.
            ScanError: joints are to be detected, and nobody is found; the surface has no area.
        """
        source = person.scan.body
        if person.joints is not None or source.joints not in ("auto", "detect"):
            return person
        try:
            found = find_joints(person, self._rasteriser, self._detector(source.detector))
        except (DetectorError, ScanError) as error:
            if source.joints == "detect":
                raise
            return replace(person, notes=(*person.notes, f"joints are not detected: {error}"))
        summary = found.summary(source.detector)
        metadata = dict(person.scan.metadata) | {"joint_detection": summary}
        return replace(
            person,
            scan=replace(person.scan, metadata=metadata),
            joints=found.joints,
            notes=(*person.notes, _note(found)),
        )

    def _detector(self, name: DetectorName) -> Detector:
        if name not in self._detectors:
            try:
                self._detectors[name] = make_detector(name)
            except DetectorError as error:  # not looked for again at every scan
                self._detectors[name] = error
        detector = self._detectors[name]
        if isinstance(detector, DetectorError):
            raise detector
        return detector

    def close(self) -> None:
        """Close the detectors."""
        for detector in self._detectors.values():
            if not isinstance(detector, DetectorError):
                detector.close()
        self._detectors.clear()


def find_joints(person: LoadedScan, rasteriser: Rasteriser, detector: Detector) -> FoundJoints:
    """Detect the joints of a scan in pictures from twelve sides, and triangulate them.

    The pictures show the scan before grey, in soft light from everywhere. What no three views
    agree on is filled from neighbours where there are some.

    Args:
        person: the scan.
        rasteriser: draws it.
        detector: of joints in pictures.

    Raises:
        ScanError: the surface has no area, or hardly a joint is found.
    """
    views = [View(camera=Camera(RESOLUTION), yaw_deg=float(yaw)) for yaw in YAWS_DEG]
    to_normalised = _normalised(person, views)
    handle = rasteriser.upload(transformed(person.mesh, to_normalised))
    try:
        pictures = [_picture(rasteriser, handle, view) for view in views]
    finally:
        rasteriser.release(handle)
    seen = np.stack([_largest(detector, picture) for picture in pictures])
    result = triangulate(seen, _projections(views), INLIER_SHARE * RESOLUTION)
    count = int((result.views > 0).sum())
    if count < LEAST_JOINTS:
        raise ScanError(
            f"{person.scan.mesh_path}: expected a person whose joints {detector.name} finds from "
            f"all sides, found {count} joints"
        )
    joints = to_joint_centres(result.joints) if detector.name == "mediapipe" else result.joints
    to_scan = np.linalg.inv(to_normalised)
    unit_cm = person.unit_cm * float(np.cbrt(np.linalg.det(to_scan[:3, :3])))
    return FoundJoints(
        joints=joints_in_normalised_frame(filled(joints), to_scan, JOINT_COUNT),
        error_cm=_error_cm(result, views, unit_cm),
        views=result.views,
        swapped=result.swapped,
    )


def _normalised(person: LoadedScan, views: list[View]) -> NDArray[np.floating]:
    vertices, faces = person.mesh.vertices, person.mesh.faces
    try:
        matrix = normalised_from_scan(vertices, faces)
    except ValueError as error:
        raise ScanError(f"{person.scan.mesh_path}: {error}") from error
    shrink = border_shrink(transform_points(matrix, used_vertices(person.mesh)), views)
    return matrix if shrink == 1.0 else normalised_from_scan(vertices, faces, shrink)


def _picture(rasteriser: Rasteriser, handle: MeshHandle, view: View) -> NDArray[np.uint8]:
    gbuffer = rasteriser.render(handle, view.camera, view.pose, "front")
    rig = draw_rig("soft", np.random.default_rng(0), view.distance)
    lit = shade(gbuffer.front, rig, view.camera, gbuffer.mask)
    wall = np.full_like(lit, GREY)
    return composite(premultiply(lit, gbuffer.coverage), gbuffer.coverage, wall)


def _largest(detector: Detector, picture: NDArray[np.uint8]) -> NDArray[np.floating]:
    people = detector.detect(picture)
    return people[0].joints if people else np.zeros((JOINT_COUNT, 3), dtype=np.float32)


def _projections(views: list[View]) -> NDArray[np.float64]:
    """Return (V, 3, 4) from the normalised frame to homogeneous pixels."""
    flip = np.diag([1.0, -1.0, -1.0])
    return np.stack([view.camera.intrinsics() @ flip @ view.pose[:3] for view in views])


def _error_cm(result: Triangulation, views: list[View], unit_cm: float) -> NDArray[np.float64]:
    """Return the errors as lengths at the distance of the middle of the scan."""
    return result.error_px / views[0].camera.focal_px * views[0].distance * unit_cm


def _note(found: FoundJoints) -> str:
    each = ", ".join(
        f"{JOINT_NAMES[row]} {found.error_cm[row]:.1f}" for row in np.flatnonzero(found.views)
    )
    return f"joints detected from {len(YAWS_DEG)} sides; reprojection error in cm: {each}"
