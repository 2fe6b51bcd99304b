"""One photograph of a person becomes a coloured mesh: the whole way, as a library.

    from model.digitizer import Digitizer

    with Digitizer(Path("runs/latest")) as digitizer:
        reconstruction = digitizer.digitize(Path("photo.jpg"))
    write_mesh(Path("photo.glb"), reconstruction.mesh)

`digitize` on the command line does the same and writes all else that is known.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dataset.detectors import Detection, Detector, DetectorName, make_detector
from dataset.framing import Framing, frame_person, silhouette_of_joints
from dataset.person_checks import PersonError
from dataset.photographed_people import (
    Person,
    choose_person,
    detection_of_joints,
    distinct_people,
    with_masks,
)
from dataset.photographs import Photograph, read_photograph
from model.checkpoint import LoadedModel, find_checkpoint, load_checkpoint
from model.colouring import ColourConfig, colour_mesh
from model.mesh_files import scaled_to_height
from model.precision import InferencePrecision
from model.predict import Prediction, Predictor
from model.surfaces import SurfaceConfig, reconstruct_surface
from render.camera import CAMERA_DISTANCE, Camera
from render.mesh import Mesh, transformed

MOST_PEOPLE = 8
"""How many people of a photograph are looked for."""

_OUTLINE_SLACK = 0.02
"""How much further out than a detector's outline the person may reach, share of the frame."""

_OUTLINE_BLUR = 0.006
"""How far inside of a detector's outline there still is background, share of the frame."""


@dataclass(frozen=True, kw_only=True)
class DigitizeConfig:
    """How photographs become meshes.

    Attributes:
        surface: how depth becomes a surface.
        colours: how the surface is coloured.
        height_cm: of the person; meshes are then in centimetres and stand on y = 0. None leaves
            them in normalised units (`render.camera`), centred on the body.
        allow_cut_off: digitise people of whom the photograph does not show all.
        detector: who finds people and joints where they are not given.
        precision: of the networks, as in `Predictor`.
    """

    surface: SurfaceConfig = field(default_factory=SurfaceConfig)
    colours: ColourConfig = field(default_factory=ColourConfig)
    height_cm: float | None = None
    allow_cut_off: bool = False
    detector: DetectorName = "mediapipe"
    precision: InferencePrecision = "auto"

    def __post_init__(self) -> None:
        if self.height_cm is not None and not 0.0 < self.height_cm < 1000.0:
            raise ValueError(f"height_cm: expected 0 to 1000, got {self.height_cm}")


@dataclass(frozen=True, kw_only=True)
class Seconds:
    """What took how long, seconds.

    Attributes:
        detection: of people and joints.
        prediction: the networks alone.
        preparation: framing before them, and reading their answer after them.
        meshing: surface and colours.
    """

    detection: float
    prediction: float
    preparation: float
    meshing: float


@dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """A digitised person.

    Attributes:
        mesh: textured and closed, y up, facing +z: in centimetres on the ground where a height
            was given, else in normalised units around the middle of the body.
        cm_per_unit: centimetres in a normalised unit, by which the mesh was scaled; None where no
            height was given.
        prediction: depth, normals and mask of both sides in the frame of R x R pixels.
        framing: where the frame lies in the photograph.
        image: (R, R, 3) uint8 sRGB, what the networks saw.
        joints: (31, 3) pixels of the frame and confidence; 0 = missing.
        outline: (R, R) bool, of alpha, mask or detector; None where there was none.
        seconds: what took how long.
    """

    mesh: Mesh
    cm_per_unit: float | None
    prediction: Prediction
    framing: Framing
    image: NDArray[np.uint8]
    joints: NDArray[np.float64]
    outline: NDArray[np.bool_] | None
    seconds: Seconds


class Digitizer:
    """Digitises people with one loaded model; `close` (or `with`) gives the detector back.

    Args:
        checkpoint: file or run folder of train-2k2k or import-checkpoint, or a loaded model.
        config: None for the defaults.
        device: torch device.
        detector: in place of the one that the configuration names; it stays the caller's.

    Raises:
        CheckpointError: the checkpoint is none.
    """

    def __init__(
        self,
        checkpoint: Path | LoadedModel,
        config: DigitizeConfig | None = None,
        device: str = "cpu",
        detector: Detector | None = None,
    ) -> None:
        if isinstance(checkpoint, Path):
            checkpoint = load_checkpoint(find_checkpoint(checkpoint, "checkpoint"))
        self._config = config or DigitizeConfig()
        self._rules = checkpoint.config.model.rules
        self._predictor = Predictor(checkpoint, device, precision=self._config.precision)
        self._given_detector = detector
        self._own_detector: Detector | None = None

    def close(self) -> None:
        """Give the detector back, if one was made."""
        if self._own_detector is not None:
            self._own_detector.close()
            self._own_detector = None

    def __enter__(self) -> Digitizer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def digitize(
        self,
        image: Path | Photograph | NDArray[np.uint8],
        joints: NDArray[np.floating] | None = None,
        mask: NDArray[np.uint8] | NDArray[np.bool_] | None = None,
    ) -> Reconstruction:
        """Digitise one person of a photograph: the largest, where joints do not say which.

        Args:
            image: file, decoded photograph, or (H, W, 3) uint8 sRGB.
            joints: (31, 3) pixels of the photograph and confidence, in the order of
                `dataset.joints`; None lets the detector find them.
            mask: (H, W) bool, or uint8 above 127 where the person is. It goes before the
                photograph's alpha channel, and that before what a detector says.

        Raises:
            PhotographError: the photograph cannot be used.
            PersonError: it shows no person, or one that is cut off or tangled with another.
            DetectorError: a detector is needed and not set up.
        """
        photograph = as_photograph(image)
        started = time.perf_counter()
        if joints is None:
            found = self.detect(photograph)
        else:
            has_outline = mask is not None or photograph.alpha is not None
            masks = self.detect(photograph) if self.needs_outline and not has_outline else []
            found = with_masks([detection_of_joints(joints)], masks)
        seconds = time.perf_counter() - started
        person = choose_person(photograph, found, mask, allow_cut_off=self._config.allow_cut_off)
        return self.reconstruct(photograph, replace(person, detection_seconds=seconds))

    def detect(self, photograph: Photograph) -> list[Detection]:
        """Return the people that the detector finds, the largest first.

        Raises:
            DetectorError: it is not set up.
        """
        detector = self._given_detector or self._own_detector
        if detector is None:
            detector = self._own_detector = make_detector(self._config.detector, MOST_PEOPLE)
        return distinct_people(detector.detect(photograph.opaque()))

    @property
    def config(self) -> DigitizeConfig:
        """How photographs are digitised."""
        return self._config

    @property
    def needs_outline(self) -> bool:
        """Whether the networks expect the background to be taken away."""
        return self._rules.silhouette_in_depth

    def reconstruct(
        self, photograph: Photograph, person: Person, name: str = "image"
    ) -> Reconstruction:
        """Digitise somebody whose joints are known.

        Args:
            photograph: where the person is.
            person: of `choose_person`.
            name: of the photograph, for messages.

        Raises:
            PersonError: the networks see nobody.
        """
        started = time.perf_counter()
        resolution = self._predictor.resolution
        shape = (photograph.pixels.shape[0], photograph.pixels.shape[1])
        silhouette = person.outline
        if silhouette is None or not silhouette.any():
            silhouette = silhouette_of_joints(person.joints, shape)
        framing = frame_person(silhouette, resolution)
        outline = None
        if person.outline is not None:
            outline = framing.cut(person.outline.astype(np.uint8) * 255, fill=0) > 0
        pixels = photograph.opaque()
        image = framing.cut(pixels)
        if self.needs_outline:
            if outline is None:
                raise PersonError(
                    f"{name}: expected an outline by which the background is taken away, as this "
                    "checkpoint needs it (alpha, --mask, or a detector that makes one), found none"
                )
            image = image * outline[..., None].astype(np.uint8)
        joints = framing.joints(person.joints)
        slack = 0 if person.outline_is_exact else max(1, round(_OUTLINE_SLACK * resolution))
        allowed = None if outline is None else grown(outline, slack)
        prediction = self._predictor.predict(image, joints, outline=allowed)
        if not _has_cells(prediction.maps.mask):
            raise PersonError(f"{name}: expected the networks to see a person, found an empty mask")
        predicted = time.perf_counter()
        shown = outline
        if outline is not None and not person.outline_is_exact:
            shown = ~grown(~outline, max(1, round(_OUTLINE_BLUR * resolution)))
        mesh, cm_per_unit = self._mesh(prediction, pixels, framing, shown)
        return Reconstruction(
            mesh=mesh,
            cm_per_unit=cm_per_unit,
            prediction=prediction,
            framing=framing,
            image=image,
            joints=joints,
            outline=outline,
            seconds=Seconds(
                detection=person.detection_seconds,
                prediction=prediction.seconds,
                preparation=predicted - started - prediction.seconds,
                meshing=time.perf_counter() - predicted,
            ),
        )

    def _mesh(
        self,
        prediction: Prediction,
        pixels: NDArray[np.uint8],
        framing: Framing,
        shown: NDArray[np.bool_] | None,
    ) -> tuple[Mesh, float | None]:
        maps = prediction.maps
        camera = Camera(maps.resolution)
        surface = reconstruct_surface(maps, camera, self._config.surface)
        size = max(maps.resolution, min(framing.side, self._config.colours.texture_size // 2))
        painted = replace(framing, resolution=size).cut(pixels)
        mesh = colour_mesh(surface, maps, camera, painted, self._config.colours, person=shown)
        normalised = np.eye(4)
        normalised[2, 3] = CAMERA_DISTANCE
        mesh = transformed(mesh, normalised)
        if self._config.height_cm is None:
            return mesh, None
        tall = float(np.ptp(mesh.vertices[:, 1]))
        return scaled_to_height(mesh, self._config.height_cm), self._config.height_cm / tall


def _has_cells(mask: NDArray[np.bool_]) -> bool:
    """Whether four person pixels lie around a corner somewhere, the least that makes a mesh."""
    return bool((mask[1:, 1:] & mask[:-1, 1:] & mask[1:, :-1] & mask[:-1, :-1]).any())


def as_photograph(image: Path | Photograph | NDArray[np.uint8]) -> Photograph:
    """Return a photograph of what `Digitizer.digitize` takes for one."""
    if isinstance(image, Path):
        return read_photograph(image)
    if isinstance(image, Photograph):
        return image
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"image: expected (H, W, 3) uint8, got {image.shape} {image.dtype}")
    return Photograph(image)


def grown(mask: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """Return a mask that reaches further by some pixels on every side."""
    if pixels == 0:
        return mask
    return np.asarray(ndimage.distance_transform_edt(~mask) <= pixels)
