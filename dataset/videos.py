"""Videos as frames, and frames as videos, through OpenCV."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dataset.photographs import FEWEST_PIXELS, MOST_PIXELS, PhotographError
from render.errors import OutputError

_CODEC = "vp09"
"""VP9 in MP4: current browsers and players show it, and OpenCV's wheel can write it."""


def read_frames(path: Path, every: int = 1) -> Iterator[NDArray[np.uint8]]:
    """Yield (H, W, 3) uint8 sRGB frames of a video, upright.

    Args:
        path: of the video.
        every: yields frames 0, every, 2 every, and so on.

    Raises:
        PhotographError: no video, or one without a frame or of a size that cannot be used.
    """
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        number = 0
        while video.grab():
            if number % every == 0:
                decoded, frame = video.retrieve()
                if not decoded:
                    break
                height, width = frame.shape[:2]
                if min(height, width) < FEWEST_PIXELS or height * width > MOST_PIXELS:
                    raise PhotographError(
                        f"{path}: expected frames of {FEWEST_PIXELS} pixels or more each way and "
                        f"{MOST_PIXELS // 1_000_000} megapixels at most, found {width} x {height}"
                    )
                yield np.ascontiguousarray(frame[..., ::-1])
            number += 1
    finally:
        video.release()
    if number == 0:
        raise PhotographError(f"{path}: expected a video with frames, found none that decodes")


def frames_per_second(path: Path, every: int = 1) -> float:
    """Return how many frames of `read_frames` make a second; 25 where the video does not say."""
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    rate = float(video.get(cv2.CAP_PROP_FPS))
    video.release()
    return (rate if np.isfinite(rate) and 0.0 < rate < 1000.0 else 25.0) / every


def write_video(path: Path, frames: Iterable[NDArray[np.uint8]], rate: float) -> None:
    """Write frames as MP4 (VP9), under a temporary name until it is whole.

    Args:
        path: ends in .mp4.
        frames: (H, W, 3) uint8 sRGB, all of one size; H and W even.
        rate: frames per second.

    Raises:
        OutputError: the file cannot be written.
    """
    temporary = path.with_name(f"{path.stem}.{os.getpid()}.tmp{path.suffix}")
    writer: cv2.VideoWriter | None = None
    try:
        for frame in frames:
            if writer is None:
                size = (frame.shape[1], frame.shape[0])
                fourcc = cv2.VideoWriter.fourcc(*_CODEC)
                writer = cv2.VideoWriter(str(temporary), fourcc, rate, size)
                if not writer.isOpened():
                    raise OutputError(f"{path}: expected to write a video, got no encoder or file")
            writer.write(np.ascontiguousarray(frame[..., ::-1]))
        if writer is not None:
            writer.release()
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
