"""make-demo-scans: writes textured demo people with true joints, to render and train on."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from render.errors import UserInputError
from tools.cli import EXIT_OK, new_parser, run_command

if TYPE_CHECKING:
    from dataset.people.person import PersonPlan, Studio

SMALL_TEXTURE_UP_TO_VERTICES = 60_000


class DemoScanError(UserInputError):
    """The demo people cannot be made as asked."""


@dataclass(frozen=True, kw_only=True)
class DemoScanConfig:
    """What to make.

    Attributes:
        out: folder that takes `person_0000`, ...
        count: people; person i is determined by `seed + i` alone.
        vertices: vertices of each mesh.
        texture: side of the square texture, pixels.
        splits: people for training, validation and test, in this order, or None.
        overwrite: replace people that are there already.
        jobs: processes.
    """

    out: Path
    count: int
    vertices: int
    texture: int
    seed: int
    splits: tuple[int, int, int] | None
    overwrite: bool
    jobs: int

    def __post_init__(self) -> None:
        from dataset.people.person import MAX_VERTICES, MIN_VERTICES

        if self.count < 1:
            raise DemoScanError(f"--count: expected 1 or more, got {self.count}")
        if self.jobs < 1:
            raise DemoScanError(f"--jobs: expected 1 or more, got {self.jobs}")
        if self.seed < 0:
            raise DemoScanError(f"--seed: expected 0 or more, got {self.seed}")
        if not MIN_VERTICES <= self.vertices <= MAX_VERTICES:
            raise DemoScanError(
                f"--vertices: expected {MIN_VERTICES} to {MAX_VERTICES}, got {self.vertices}"
            )
        if not 64 <= self.texture <= 8192:
            raise DemoScanError(f"--texture: expected 64 to 8192, got {self.texture}")
        if self.splits is not None:
            if min(self.splits) < 0:
                raise DemoScanError(f"--splits: expected counts >= 0, got {self.splits}")
            if sum(self.splits) != self.count:
                raise DemoScanError(
                    f"--splits: expected counts that add up to --count {self.count}, "
                    f"got {sum(self.splits)}"
                )
        if self.out.exists() and not self.out.is_dir():
            raise DemoScanError(f"--out: expected a folder, {self.out} is a file")

    def split_of(self, number: int) -> str | None:
        """Return the split of person `number`, or None when none was asked for."""
        if self.splits is None:
            return None
        train, val, _ = self.splits
        return "train" if number < train else "val" if number < train + val else "test"


def build_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = new_parser("make-demo-scans", "Make textured demo people with true joints.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the people")
    parser.add_argument("--count", type=int, default=17, help="people to make")
    parser.add_argument("--vertices", type=int, default=200_000, help="vertices of each mesh")
    parser.add_argument(
        "--quality",
        choices=("standard", "high"),
        default="standard",
        help="'high' doubles the side of the default texture",
    )
    parser.add_argument(
        "--texture",
        type=int,
        default=None,
        help="side of the texture in pixels; by default 2048, or 1024 up to "
        f"{SMALL_TEXTURE_UP_TO_VERTICES} vertices",
    )
    parser.add_argument(
        "--scan-layout", choices=("demo",), default="demo", help="files and folders of each person"
    )
    parser.add_argument(
        "--splits",
        type=int,
        nargs=3,
        metavar=("TRAIN", "VAL", "TEST"),
        default=None,
        help="people of each split, in this order, recorded with each person",
    )
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--overwrite", action="store_true", help="replace people already there")
    return parser


def config_from(arguments: argparse.Namespace) -> DemoScanConfig:
    """Check the command line and fill in what it leaves open."""
    texture = arguments.texture
    if texture is None:
        texture = 1024 if arguments.vertices <= SMALL_TEXTURE_UP_TO_VERTICES else 2048
        texture *= 2 if arguments.quality == "high" else 1
    return DemoScanConfig(
        out=arguments.out,
        count=arguments.count,
        vertices=arguments.vertices,
        texture=texture,
        seed=arguments.seed,
        splits=tuple(arguments.splits) if arguments.splits else None,
        overwrite=arguments.overwrite,
        jobs=arguments.jobs,
    )


def make_people(config: DemoScanConfig) -> tuple[int, int]:
    """Make the people that are missing; return how many were made and how many kept."""
    from joblib import Parallel, delayed
    from tqdm import tqdm

    from dataset.people.person import open_studio, plan_person
    from dataset.people.writing import is_complete, person_id

    folders = [config.out / person_id(number) for number in range(config.count)]
    missing = [n for n, f in enumerate(folders) if config.overwrite or not is_complete(f)]
    for number in set(range(config.count)).difference(missing):
        _check_kept(config, number, folders[number])
    if not missing:
        return 0, config.count
    print("loading the body model (a minute or two the first time on a machine)", file=sys.stderr)
    studio, model = open_studio(config.texture)
    try:
        config.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DemoScanError(
            f"--out: expected a folder that can be made, got {config.out}: {error}"
        ) from error
    tasks = [
        delayed(_make_one)(
            studio,
            plan_person(config.seed + number, model, studio.landmarks),
            config.vertices,
            folders[number],
            config.split_of(number),
        )
        for number in missing
    ]
    jobs = min(config.jobs, len(missing))
    results = Parallel(n_jobs=jobs, return_as="generator_unordered")(tasks)
    for _ in tqdm(results, total=len(missing), unit="person", desc="people"):
        pass
    return len(missing), config.count - len(missing)


def _check_kept(config: DemoScanConfig, number: int, folder: Path) -> None:
    """Raise DemoScanError where a person that would be kept was made with other flags."""
    path = folder / "metadata.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DemoScanError(f"{path}: expected a person's metadata, got: {error}") from error
    wanted: dict[str, object] = {
        "seed": config.seed + number,
        "vertices": config.vertices,
        "texture": config.texture,
    }
    if config.splits is not None:
        wanted["split"] = config.split_of(number)
    for name, value in wanted.items():
        there = found.get(name) if isinstance(found, dict) else None
        if there != value:
            raise DemoScanError(
                f"{folder}: expected a person with {name} {value}, found one with {there} "
                "(give another --out, or --overwrite to make it again)"
            )


def _make_one(
    studio: Studio, plan: PersonPlan, vertices: int, folder: Path, split: str | None
) -> None:
    from dataset.people.person import make_person
    from dataset.people.writing import write_person

    write_person(make_person(studio, plan, vertices), plan, folder, split)


def run(arguments: argparse.Namespace) -> int:
    """Make the people and say where they are."""
    config = config_from(arguments)
    made, kept = make_people(config)
    print(f"{config.out}: {made} people made, {kept} kept")
    return EXIT_OK


def main(argv: list[str] | None = None) -> int:
    """Command line entry."""
    return run_command(build_parser(), run, argv)


if __name__ == "__main__":
    sys.exit(main())
