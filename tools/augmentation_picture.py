"""Draw what each augmentation does to a sample and to the loss of a trained network."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from render.errors import UserInputError
from tools.cli import EXIT_OK, new_parser, run_command

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dataset.augment import AugmentConfig
    from model.checkpoint import LoadedModel

CELL = 256
BAR, MARGIN = 22, 8
NAME_WIDTH, COLUMNS = 150, 5


def build_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = new_parser("augmentation-picture", __doc__ or "")
    parser.add_argument("shards", type=Path, help="shard set; its validation views are drawn")
    parser.add_argument(
        "--checkpoint", type=Path, default=Path("runs/latest"), help="file or run folder"
    )
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")
    parser.add_argument("--views", type=int, default=4, help="views the losses are means of")
    parser.add_argument("--draws", type=int, default=4, help="augmentations drawn of each view")
    return parser


def single_changes(config: AugmentConfig) -> dict[str, AugmentConfig]:
    """Return configurations that make no change, each change alone, and all as configured.

    Alone, what has a probability is certain, and what is off is as strong as by default.
    """
    from dataset.augment import UNCHANGED, AugmentConfig

    certain = ("mirror", "background", "light", "edges")
    changes = {"unchanged": UNCHANGED}
    for name, off in asdict(UNCHANGED).items():
        value = getattr(config, name)
        if value == off:
            value = getattr(AugmentConfig(), name)
        changes[name] = replace(UNCHANGED, **{name: 1.0 if name in certain else value})
    return changes | {"all, as configured": config}


def mean_losses(
    loaded: LoadedModel, shards: Path, augment: AugmentConfig, views: int, draws: int, seed: int
) -> tuple[NDArray[np.uint8], dict[str, float]]:
    """Return the image of the first view that changed most, and the mean loss terms.

    The terms are those of equations 8 to 10, weighted.

    Args:
        loaded: a trained network.
        shards: whose validation views are taken.
        augment: what changes them.
        views: how many views.
        draws: changes of each.
        seed: of the changes.
    """
    import torch

    from model.encoding import decode_image
    from model.objectives import PhaseObjective
    from model.samples import ViewDataset
    from model.steps import objective_arguments

    size = loaded.config.model.resolution
    rendered = loaded.config.loss.normal_target == "rendered"
    data = ViewDataset(shards, "val", size, augment=augment, seed=seed, with_normals=rendered)
    objective = PhaseObjective(loaded.network, "finetune", loaded.config).eval()
    sums: dict[str, float] = {}
    count = min(views, len(data)) * draws
    for view in range(min(views, len(data))):
        for draw in range(draws):
            with torch.no_grad():
                terms = objective(*objective_arguments(data[[(draw, view)]], None))
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + float(value) / count
    images = [decode_image(data[[(draw, 0)]].image[0]) for draw in range(draws)]
    changed = [image.permute(1, 2, 0).clamp(0.0, 1.0).numpy() * 255 for image in images]
    plain = data.files.image(0)
    most = max(changed, key=lambda image: float(abs(image - plain).mean()))
    return most.round().astype("uint8"), sums


def draw_picture(
    images: dict[str, NDArray[np.uint8]], losses: dict[str, dict[str, float]], path: Path
) -> None:
    """Write the samples in rows side by side, and under each its loss terms as bars.

    The bars of a term are drawn to one scale over all columns; figures are the terms, and
    their change against the first.
    """
    from PIL import Image, ImageDraw

    names = list(losses)
    terms = list(losses[names[0]])
    height = CELL + BAR * (len(terms) + 2) + MARGIN
    rows = -(-len(names) // COLUMNS)
    columns = min(COLUMNS, len(names))
    page = Image.new("RGB", (NAME_WIDTH + (CELL + MARGIN) * columns, height * rows), "white")
    draw = ImageDraw.Draw(page)
    largest = {term: max(max(losses[name][term] for name in names), 1e-12) for term in terms}
    for number, name in enumerate(names):
        row, column = divmod(number, COLUMNS)
        left, first = NAME_WIDTH + (CELL + MARGIN) * column, height * row
        draw.text((left, first + 5), name, fill="black")
        picture = Image.fromarray(images[name]).resize((CELL, CELL), Image.Resampling.LANCZOS)
        page.paste(picture, (left, first + BAR))
        for place, term in enumerate(terms):
            top = first + CELL + BAR * (place + 1) + 3
            if column == 0:
                draw.text((MARGIN, top + 2), term, fill="black")
            value, plain = losses[name][term], losses[names[0]][term]
            width = round((CELL - 1) * value / largest[term])
            draw.rectangle((left, top, left + width, top + BAR - 6), fill="#a8c4e0")
            change = "" if number == 0 or plain == 0 else f"  {value / plain - 1:+.0%}"
            draw.text((left + 4, top + 2), f"{value:.4f}{change}", fill="black")
    page.save(path, format="PNG", optimize=True)


def _run(arguments: argparse.Namespace) -> int:
    for name in ("views", "draws"):
        if getattr(arguments, name) < 1:
            raise UserInputError(f"--{name}: expected 1 or more, got {getattr(arguments, name)}")
    from model.checkpoint import find_checkpoint, load_checkpoint

    loaded = load_checkpoint(find_checkpoint(arguments.checkpoint, "--checkpoint"))
    images, losses = {}, {}
    for name, augment in single_changes(loaded.config.augment).items():
        images[name], losses[name] = mean_losses(
            loaded, arguments.shards, augment, arguments.views, arguments.draws, arguments.seed
        )
        print(f"{name:20s} loss {sum(losses[name].values()):.4f}", flush=True)
    draw_picture(images, losses, arguments.out)
    print(arguments.out)
    return EXIT_OK


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(build_parser(), _run, argv)


if __name__ == "__main__":
    sys.exit(main())
