"""Set-up of MediaPipe's pose detector: the package, and the bundle of its two networks.

The package of today ships no network. An older wheel of it carries both (Apache-2.0); they are
taken out of it, get the metadata that today's package asks for, and go as one `.task` file into
the user's cache. After that nothing is fetched any more.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from dataset.detectors.interface import DetectorError

LOGGER = logging.getLogger(__name__)

CACHE_VARIABLE = "TOOLKIT_2K2K_CACHE"
PACKAGE = "mediapipe==1.2.2"
SETUP_COMMAND = "digitize --setup-pose"

NETWORKS_PACKAGE = "mediapipe==0.10.21"
NETWORKS_SHA256 = "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3"
# One wheel for every machine, as only data is taken from it.
_WHEEL_CHOICE = ("--python-version", "3.11", "--platform", "manylinux_2_28_x86_64")

_NETWORKS = (
    ("mediapipe/modules/pose_detection/pose_detection.tflite", 2_959_046,
     "pose_detector.tflite", 127.5, 127.5),
    ("mediapipe/modules/pose_landmark/pose_landmark_full.tflite", 6_440_512,
     "pose_landmarks_detector.tflite", 0.0, 255.0),
)  # fmt: skip
"""File in the wheel, its bytes, name in the bundle, mean and deviation of the input's values."""

_EARLIEST = (1980, 1, 1, 0, 0, 0)
_PIP_SECONDS = 1800


def cache_folder() -> Path:
    """Return where the toolkit keeps what it made at set-up.

    $TOOLKIT_2K2K_CACHE, else $XDG_CACHE_HOME/2k2k-toolkit, else ~/.cache/2k2k-toolkit.
    """
    if os.environ.get(CACHE_VARIABLE):
        return Path(os.environ[CACHE_VARIABLE]).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "2k2k-toolkit"


def bundle_path() -> Path:
    """Return where the bundle of the networks is, or would be."""
    version = NETWORKS_PACKAGE.partition("==")[2]
    return cache_folder() / f"pose_landmarker_full-{version}.task"


def setup_pose() -> Path:
    """See that MediaPipe and its networks are there; fetches what is missing through pip.

    Returns:
        the bundle.

    Raises:
        DetectorError: pip gives none of it, or not what was expected, or the cache cannot be
            written to.
    """
    if find_spec("mediapipe") is None:
        # Without what it asks for: an OpenCV with windows, whose files would overwrite those of
        # the one without, and which cannot be loaded on machines that have no libGL.
        LOGGER.info("installing %s", PACKAGE)
        _pip("install", "--no-deps", PACKAGE)
        importlib.invalidate_caches()
    bundle = bundle_path()
    if not bundle.is_file():
        with tempfile.TemporaryDirectory() as folder:
            LOGGER.info("fetching the networks of %s", NETWORKS_PACKAGE)
            choice = ("--only-binary", ":all:", "--no-deps", *_WHEEL_CHOICE)
            _pip("download", *choice, "--dest", folder, NETWORKS_PACKAGE)
            wheels = list(Path(folder).glob("*.whl"))
            if len(wheels) != 1:
                raise DetectorError(
                    f"{NETWORKS_PACKAGE}: expected one wheel from pip, found {len(wheels)}"
                )
            build_bundle(wheels[0], bundle)
    return bundle


def build_bundle(wheel: Path, bundle: Path) -> None:
    """Make the bundle of the networks that a wheel carries.

    Args:
        wheel: the one with SHA-256 `NETWORKS_SHA256`.
        bundle: file to write.

    Raises:
        DetectorError: it is another wheel, or the bundle cannot be written.
    """
    with wheel.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != NETWORKS_SHA256:
        raise DetectorError(f"{wheel.name}: expected SHA-256 {NETWORKS_SHA256}, found {found}")
    part = bundle.with_name(f"{bundle.name}.{os.getpid()}.part")
    try:
        bundle.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(part, "w") as target:
            for member, size, name, mean, deviation in _NETWORKS:
                network = _with_metadata(_member(source, member, size), mean, deviation)
                # With a date of its own two builds would differ.
                target.writestr(zipfile.ZipInfo(name, _EARLIEST), network)
        part.replace(bundle)
    except OSError as error:
        raise DetectorError(
            f"{bundle}: expected a cache that can be written to, found: "
            f"{error.strerror or error} ({CACHE_VARIABLE} names another folder)"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _member(archive: zipfile.ZipFile, name: str, size: int) -> bytes:
    """Return a file of an archive without unpacking more than is expected of it."""
    with archive.open(name) as file:
        content = file.read(size + 1)
    if len(content) != size:
        raise DetectorError(f"{name}: expected {size} bytes, found {len(content)} or more")
    return content


def _with_metadata(network: bytes, mean: float, deviation: float) -> bytes:
    """Return a TFLite file with what its image input is to be normalised by."""
    try:
        with _native_helper():
            from mediapipe.tasks.python.metadata.metadata_writers.metadata_writer import (
                MetadataWriter,
            )
    except ImportError as error:
        raise DetectorError(
            f"mediapipe: expected {PACKAGE} with absl-py, certifi, flatbuffers and matplotlib, "
            f"found: {error}"
        ) from error
    writer = MetadataWriter.create(bytearray(network))
    writer.add_general_info("BlazePose")
    writer.add_image_input([mean], [deviation])
    populated, _ = writer.populate()
    return bytes(populated)


@contextmanager
def _native_helper() -> Iterator[None]:
    """Stand in for a native module that MediaPipe's wheels ask for and leave out.

    It says which metadata parser can read a file; the first one does for an image input.
    """
    leaf = "mediapipe.tasks.cc.metadata.python._pywrap_metadata_version"
    parts = leaf.split(".")
    names = [".".join(parts[:count]) for count in range(3, len(parts) + 1)]
    modules = {name: ModuleType(name) for name in names}
    modules[leaf].__dict__["GetMinimumMetadataParserVersion"] = lambda _: "1.0.0"
    modules[names[-2]].__dict__[parts[-1]] = modules[leaf]
    importlib.import_module("mediapipe.tasks")
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=_PIP_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DetectorError(f"pip: expected it to run, found: {error}") from error
    if ended.returncode != 0:
        lines = [line for line in ended.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")] or lines[-1:]
        raise DetectorError(
            f"pip {arguments[0]}: expected to get {arguments[-1]}, found: "
            f"{' '.join(errors) or 'no reason given'}"
        )
