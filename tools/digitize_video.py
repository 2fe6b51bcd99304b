"""A video, frame by frame: joints smoothed over time, a mesh a frame, a turning video of them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from dataset.detectors import Detection
from dataset.joints import JOINT_COUNT
from dataset.person_checks import PersonError
from dataset.photographed_people import choose_person
from dataset.photographs import Photograph
from dataset.smoothing import smooth_joints
from dataset.videos import frames_per_second, read_frames, write_video
from eval.pictures import Picture
from model.digitizer import Digitizer, Reconstruction
from model.mesh_files import write_mesh
from render.errors import OutputError, UserInputError
from render.files import write_text_atomically
from tools.cli import make_output_folder
from tools.digitize_names import facts_file
from tools.digitize_outputs import CM_TO_M, joints_by_name
from tools.digitize_pictures import MeshPictures, coloured

FRAME_SIZE = 512


@dataclass(frozen=True, kw_only=True)
class VideoJob:
    """What is to be done with a video.

    Attributes:
        path: of the video.
        out: folder of the results; meshes go into a folder in it.
        name: of the results.
        suffix: of the meshes: "glb", "obj" or "ply".
        every: every so manieth frame.
        smooth_seconds: deviation of the Gaussian that smooths joints over time.
        facts: of the run, for the JSON file.
    """

    path: Path
    out: Path
    name: str
    suffix: str
    every: int
    smooth_seconds: float
    facts: dict[str, Any]


@dataclass(frozen=True)
class _Track:
    """One person through a video.

    Attributes:
        people: the person in each frame, None where there is none.
        masks: in the same order, packed bits and shape of the outline, or None.
    """

    people: list[Detection | None]
    masks: list[tuple[NDArray[np.uint8], tuple[int, ...]] | None]


def digitize_video(digitizer: Digitizer, job: VideoJob) -> list[str]:
    """Digitise the person of a video who is the largest in the frame in which one first appears.

    Returns:
        A sentence for each frame that could not be digitised.

    Raises:
        UserInputError: the video cannot be used, or nobody is in it.
    """
    started = time.perf_counter()
    track = _track(digitizer, job)
    detection_seconds = time.perf_counter() - started
    rate = frames_per_second(job.path, job.every)
    track = _smoothed(track, job.smooth_seconds * rate)
    folder = job.out / job.name
    make_output_folder(folder)
    # NAME.mp4 might be the video itself.
    turning = job.out / f"{job.name}_turntable.mp4"
    failures: list[str] = []
    frames: list[dict[str, Any]] = []
    with MeshPictures() as pictures:
        shown = _shown_frames(digitizer, job, track, pictures, frames, failures)
        write_video(turning, shown, rate)
    if not frames:
        raise PersonError(f"{job.path}: expected a frame that can be digitised, got: {failures[0]}")
    facts = job.facts | {"video": str(job.path), "frames_per_second": rate, "frames": frames}
    write_text_atomically(facts_file(job.out, job.name), json.dumps(facts, indent=1) + "\n")
    tqdm.write(
        f"{turning} and {len(frames)} meshes in {folder}: detection "
        f"{detection_seconds:.1f} s, {time.perf_counter() - started:.1f} s in all"
    )
    return failures


def _track(digitizer: Digitizer, job: VideoJob) -> _Track:
    track, last = _Track([], []), None
    frames = read_frames(job.path, job.every)
    for frame in tqdm(frames, desc="finding joints", unit="frame"):
        found = digitizer.detect(Photograph(frame))
        person = _nearest(found, last) if last is not None else (found[0] if found else None)
        last = person or last
        mask = None
        if person is not None and person.mask is not None:
            inside = person.mask > 0.5
            mask = np.packbits(inside), inside.shape
            person = replace(person, mask=None)
        track.people.append(person)
        track.masks.append(mask)
    if last is None:
        raise PersonError(f"{job.path}: expected a person in the video, found none")
    return track


def _nearest(found: list[Detection], last: Detection) -> Detection | None:
    """Return the person whose box overlaps most with where the last one was, if any does."""

    def overlap(person: Detection) -> float:
        low = np.maximum(person.box[:2], last.box[:2])
        high = np.minimum(person.box[2:], last.box[2:])
        shared = float(np.prod(np.maximum(high - low, 0.0)))
        return shared / max(person.area + last.area - shared, 1e-9)

    best = max(found, key=overlap, default=None)
    return best if best is not None and overlap(best) > 0.0 else None


def _smoothed(track: _Track, frames: float) -> _Track:
    missing = np.zeros((JOINT_COUNT, 3), dtype=np.float32)
    rows = [missing if each is None else each.joints for each in track.people]
    smooth = smooth_joints(np.array(rows), frames).astype(np.float32)
    people = [
        None if each is None else replace(each, joints=row)
        for each, row in zip(track.people, smooth, strict=True)
    ]
    return _Track(people, track.masks)


def _shown_frames(
    digitizer: Digitizer,
    job: VideoJob,
    track: _Track,
    pictures: MeshPictures,
    done: list[dict[str, Any]],
    failures: list[str],
) -> Iterator[Picture]:
    """Digitise frame after frame, write the meshes, and yield what the video shows of each."""
    total = len(track.people)
    frames = zip(read_frames(job.path, job.every), track.people, track.masks)
    for number, (frame, person, mask) in enumerate(
        tqdm(frames, total=total, desc="digitising", unit="frame")
    ):
        place = f"{job.path}: frame {number * job.every}"
        try:
            if person is None:
                raise PersonError(f"{place}: expected the person of the frames before, found none")
            if mask is not None:
                packed, shape = mask
                bits = np.unpackbits(packed, count=int(np.prod(shape))).reshape(shape)
                person = replace(person, mask=bits.astype(np.float32))
            photograph = Photograph(frame)
            chosen = choose_person(
                photograph, [person], allow_cut_off=digitizer.config.allow_cut_off, name=place
            )
            made = digitizer.reconstruct(photograph, chosen, place)
        except OutputError:
            raise
        except UserInputError as error:
            failures.append(str(error))
            continue
        file = job.out / job.name / f"{job.name}_{number * job.every:06d}.{job.suffix}"
        write_mesh(file, made.mesh, None if made.cm_per_unit is None else CM_TO_M)
        done.append(
            {
                "number": number * job.every,
                "mesh": f"{job.name}/{file.name}",
                "framing": asdict(made.framing),
                "joints": joints_by_name(made),
                "seconds": {key: round(v, 3) for key, v in asdict(made.seconds).items()},
            }
        )
        yield _beside(made, pictures, 360.0 * number / total)


def _beside(made: Reconstruction, pictures: MeshPictures, yaw_deg: float) -> Picture:
    size = (FRAME_SIZE, FRAME_SIZE)
    shrinks = made.image.shape[0] > FRAME_SIZE
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    image = np.asarray(cv2.resize(made.image, size, interpolation=method), dtype=np.uint8)
    (seen,) = pictures.views(made.mesh, [yaw_deg], FRAME_SIZE)
    return np.concatenate([image, coloured(seen)], axis=1)
