"""Videos are written, read back frame by frame, and refused without frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dataset.photographs import PhotographError
from dataset.videos import frames_per_second, read_frames, write_video


def test_frames_come_back_in_order_and_in_colour(tmp_path: Path) -> None:
    frames = [np.full((64, 96, 3), (200, 20 * number, 30), dtype=np.uint8) for number in range(6)]
    write_video(tmp_path / "v.mp4", iter(frames), 10.0)
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]
    read = list(read_frames(tmp_path / "v.mp4"))
    assert len(read) == 6 and read[0].shape == (64, 96, 3)
    for number, frame in enumerate(read):
        assert np.abs(frame.mean(axis=(0, 1)) - (200, 20 * number, 30)).max() < 8
    every_other = list(read_frames(tmp_path / "v.mp4", 2))
    assert len(every_other) == 3 and np.array_equal(every_other[1], read[2])
    assert frames_per_second(tmp_path / "v.mp4", 2) == pytest.approx(5.0)


def test_a_video_without_frames_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("no video\n")
    for name in ("empty.mp4", "text.mp4"):
        with pytest.raises(PhotographError, match=f"{name}: expected a video with frames"):
            list(read_frames(tmp_path / name))
