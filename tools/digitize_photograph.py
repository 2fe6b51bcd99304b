"""One photograph, from the file to the files."""

from __future__ import annotations

import os
import sys
import time
import webbrowser
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dataset.detectors import Detection, read_openpose_json
from dataset.photographed_people import Person, choose_person, with_masks
from dataset.photographs import Photograph, read_outline, read_photograph
from model.digitizer import Digitizer
from render.errors import OutputError, UserInputError
from render.files import write_text_atomically
from tools.digitize_names import person_name
from tools.digitize_outputs import write_reconstruction
from tools.mesh_page import mesh_page


@dataclass(frozen=True, kw_only=True)
class PhotographJob:
    """What is to be done with a photograph.

    Attributes:
        path: of the photograph.
        out: folder of the results.
        name: of the results.
        suffix: of the mesh: "glb", "obj" or "ply".
        keypoints: file of OpenPose, or None for a detector.
        mask: picture of the person's outline, or None.
        everyone: all people, not only the largest.
        view: write the page that turns the mesh, and open it.
        facts: of the run, for the JSON file.
    """

    path: Path
    out: Path
    name: str
    suffix: str
    keypoints: Path | None
    mask: Path | None
    everyone: bool
    view: bool
    facts: dict[str, Any]


def digitize_photograph(digitizer: Digitizer, job: PhotographJob) -> list[str]:
    """Digitise the people of a photograph, write what is made of them and print what it took.

    Returns:
        A sentence for each person who could not be digitised while others could.

    Raises:
        UserInputError: the photograph cannot be used, or nobody of it.
    """
    started = time.perf_counter()
    photograph = read_photograph(job.path)
    height, width = photograph.pixels.shape[:2]
    mask = None if job.mask is None else read_outline(job.mask, (height, width))
    begun = time.perf_counter()
    found = _find(digitizer, photograph, job, has_outline=mask is not None)
    seconds = time.perf_counter() - begun
    source = job.path if job.keypoints is None else job.keypoints
    numbers: Sequence[int | None] = range(len(found)) if job.everyone and found else [None]
    failures: list[UserInputError] = []
    for number in numbers:
        try:
            person = choose_person(
                photograph,
                found,
                mask,
                number=number,
                allow_cut_off=digitizer.config.allow_cut_off,
                name=str(source),
            )
            name = job.name if number is None else person_name(job.name, number + 1)
            _one_person(
                digitizer, photograph, replace(person, detection_seconds=seconds), job, name
            )
        except OutputError:
            raise
        except UserInputError as error:
            failures.append(error)
    if len(failures) == len(numbers):
        raise failures[0]
    tqdm.write(f"{job.path}: {time.perf_counter() - started:.1f} s in all")
    return [str(failure) for failure in failures]


def _find(
    digitizer: Digitizer, photograph: Photograph, job: PhotographJob, has_outline: bool
) -> list[Detection]:
    if job.keypoints is None:
        return digitizer.detect(photograph)
    people = read_openpose_json(job.keypoints)
    if digitizer.needs_outline and not has_outline and photograph.alpha is None:
        return with_masks(people, digitizer.detect(photograph))
    return people


def _one_person(
    digitizer: Digitizer, photograph: Photograph, person: Person, job: PhotographJob, name: str
) -> None:
    made = digitizer.reconstruct(photograph, person, str(job.path))
    begun = time.perf_counter()
    facts = job.facts | {
        "photograph": str(job.path),
        "size": list(photograph.pixels.shape[1::-1]),
        "seconds": {key: round(value, 3) for key, value in asdict(made.seconds).items()},
    }
    files = write_reconstruction(job.out, name, made, job.suffix, facts)
    page = None
    if job.view:
        page = job.out / f"{name}.html"
        write_text_atomically(page, mesh_page(made.mesh, photograph.pixels, name))
    seconds = made.seconds
    tqdm.write(
        f"{files[0]}: {len(made.mesh.faces):,} faces; detection {seconds.detection:.2f} s, "
        f"prediction (networks alone) {seconds.prediction:.2f} s, around it "
        f"{seconds.preparation:.2f} s, meshing {seconds.meshing:.2f} s, writing "
        f"{time.perf_counter() - begun:.2f} s"
    )
    tqdm.write(f"  beside it: {', '.join(path.name for path in files[1:])}")
    if page is not None:
        tqdm.write(f"  page: {page}")
        if _has_screen():
            webbrowser.open(page.resolve().as_uri())


def _has_screen() -> bool:
    # Without one a browser of the terminal would take the terminal.
    return sys.platform == "darwin" or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
