"""import-checkpoint: the authors' released checkpoint becomes one of this toolkit."""

from __future__ import annotations

import argparse
from pathlib import Path

from render.errors import UserInputError
from tools.cli import EXIT_OK, make_output_folder, new_parser, run_command


def build_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = new_parser(
        "import-checkpoint",
        "Turn the checkpoint that the authors of 2K2K released into one that every command takes.",
    )
    parser.add_argument("file", type=Path, help="the authors' file, such as ckpt_bg_mask.pth.tar")
    parser.add_argument("--out", type=Path, required=True, help="checkpoint to write")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing checkpoint")
    return parser


def check_out(source: Path, out: Path, overwrite: bool) -> None:
    """Raise UserInputError when something would be replaced that is to be kept."""
    if out.is_dir():
        raise UserInputError(f"--out: expected a file to write, got the folder {out}")
    if not out.exists():
        return
    if source.exists() and out.samefile(source):
        raise UserInputError(f"--out: expected another file than the one to import, got {out}")
    if not overwrite:
        raise UserInputError(
            f"--out: expected a new file, found {out} (give --overwrite to replace it)"
        )


def _run(arguments: argparse.Namespace) -> int:
    source, out = arguments.file, arguments.out
    check_out(source, out, arguments.overwrite)

    from model.checkpoint import save_checkpoint
    from model.config import TrainConfig
    from model.networks import count_parameters
    from model.released import RELEASED, read_released

    network = read_released(source)
    make_output_folder(out.parent)
    save_checkpoint(out, network, TrainConfig(model=RELEASED), shards="")
    print(
        f"{out}: the released networks, {count_parameters(network) / 1e6:.1f} million parameters "
        f"for {RELEASED.resolution} pixels, {out.stat().st_size / 1e6:.0f} MB"
    )
    print(f"Score them:     eval-2k2k --checkpoint {out} --shards SHARDS")
    print(f"Fine-tune them: train-2k2k SHARDS --init {out} --phase finetune")
    return EXIT_OK


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(build_parser(), _run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
