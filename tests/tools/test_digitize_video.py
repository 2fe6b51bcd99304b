"""A video becomes a mesh a frame and a turning video; frames without the person are listed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Self

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray

from dataset.detectors import Detection
from dataset.framing import silhouette_of_joints
from dataset.videos import read_frames, write_video
from model.digitizer import Digitizer
from render.errors import UserInputError
from tests.model.digitized import HEIGHT, WIDTH, joints_at, photograph_of, tiny_model
from tools.digitize_video import VideoJob, digitize_video

LEFTS = (0.0, 1.0, 9.0, 3.0, 4.0)


class RedDetector:
    """Finds the red person by its pixels: joints of the standing person, and its outline."""

    name = "red"

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Return whoever is red."""
        red = (image[..., 0].astype(int) - image[..., 1]) > 80
        if red.sum() < 100:
            return []
        columns = np.nonzero(red.any(axis=0))[0]
        still = np.nonzero(silhouette_of_joints(joints_at(), (HEIGHT, WIDTH)).any(axis=0))[0]
        joints = joints_at(float(columns.mean() - still.mean()))
        box = np.concatenate([joints[:, :2].min(0), joints[:, :2].max(0)])
        return [
            Detection(
                joints=joints.astype(np.float32),
                box=box.astype(np.float32),
                score=1.0,
                mask=red.astype(np.float32),
            )
        ]

    def close(self) -> None:
        """Nothing is held."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def video_job(tmp_path: Path, frames: list[NDArray[np.uint8]]) -> VideoJob:
    write_video(tmp_path / "walk.mp4", frames, 10.0)
    (tmp_path / "out").mkdir()
    return VideoJob(
        path=tmp_path / "walk.mp4",
        out=tmp_path / "out",
        name="walk",
        suffix="ply",
        every=1,
        smooth_seconds=0.1,
        facts={},
    )


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The results of a video of somebody who jumps in one frame and is away in another."""
    folder = tmp_path_factory.mktemp("walk")
    frames = [photograph_of(joints_at(left)) for left in LEFTS]
    frames.insert(4, photograph_of())
    job = video_job(folder, frames)
    with Digitizer(tiny_model(), detector=RedDetector()) as digitizer:
        return job.out, digitize_video(digitizer, job)


def test_each_frame_has_a_mesh_and_a_missing_person_is_listed(walk: tuple[Path, list[str]]) -> None:
    out, failures = walk
    assert len(failures) == 1 and "frame 4: expected the person" in failures[0]
    meshes = sorted((out / "walk").iterdir())
    assert [path.stem for path in meshes] == [f"walk_{n:06d}" for n in (0, 1, 2, 3, 5)]
    assert all(trimesh.load_mesh(path).is_watertight for path in meshes)
    shown = list(read_frames(out / "walk_turntable.mp4"))
    assert len(shown) == 5 and shown[0].shape == (512, 1024, 3)
    assert np.ptp(shown[2][:, 512:]) > 100, "the mesh is in the right half"


def test_the_jump_of_one_frame_is_smoothed(walk: tuple[Path, list[str]]) -> None:
    facts = json.loads((walk[0] / "walk.json").read_text())
    noses = [frame["joints"]["nose"][0] for frame in facts["frames"]]
    assert np.abs(np.diff(noses)).max() < 4.0, "the jump of eight pixels is gone"
    assert noses[-1] > noses[0]


def test_a_video_with_nobody_in_it_is_refused(tmp_path: Path) -> None:
    job = video_job(tmp_path, [photograph_of()] * 3)
    with (
        Digitizer(tiny_model(), detector=RedDetector()) as digitizer,
        pytest.raises(UserInputError, match=r"walk.mp4: expected a person in the video"),
    ):
        digitize_video(digitizer, job)
    assert not (tmp_path / "out" / "walk.json").exists()
