"""import-checkpoint names what is wrong with a file, keeps what is there, and feeds the others.

Files here are small: a tensor's one number stands for all of its elements.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from model.checkpoint import load_checkpoint, save_checkpoint
from model.config import ModelConfig, TrainConfig
from model.networks import build_network
from model.released import RELEASED
from tests.model.golden_inputs import released_shapes
from tests.scenes import write_person
from tools.eval_2k2k import main as eval_2k2k
from tools.import_checkpoint import main
from tools.render_dataset import main as render_dataset
from tools.train_2k2k import main as train_2k2k

FAST = ["--samples", "200", "--voxels", "16", "--normal-resolution", "48", "--pictures", "0"]
FAST += ["--metrics", "p2s", "--timing-runs", "1"]


def constant_state(value: float = 0.25) -> dict[str, Tensor]:
    """Return a tensor of each released name and shape, all elements the same number."""
    return {
        name: torch.tensor(0 if name.endswith("tracked") else value).expand(shape)
        for name, shape in released_shapes().items()
    }


def write(path: Path, state: object, **beside: object) -> Path:
    torch.save({"epoch": 1, "model_state_dict": state, **beside}, path)
    return path


def refusal(capsys: pytest.CaptureFixture[str], source: Path, *flags: str) -> str:
    """Return the one sentence with which a file is refused."""
    capsys.readouterr()
    out = source.parent / "released.ckpt"
    assert main([str(source), "--out", str(out), *flags]) == 2
    sentence = capsys.readouterr().err
    assert sentence.count("\n") == 1 and sentence.startswith("import-checkpoint: ")
    assert not list(source.parent.glob("*.tmp"))
    return sentence


def test_a_file_of_the_authors_becomes_a_checkpoint_whatever_device_it_came_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    state = {f"module.{name}": tensor for name, tensor in constant_state().items()}
    # As if all tensors, the loss too, had been saved from a CUDA device.
    with monkeypatch.context() as patch:
        patch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
        optimizer = {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 1e-4}]}
        source = write(
            tmp_path / "ckpt.pth.tar",
            state,
            best_loss=torch.tensor(0.5),
            optimizer_state_dict=optimizer,
        )
    out = tmp_path / "released.ckpt"
    out.write_bytes(b"an older one")
    assert main([str(source), "--out", str(out), "--overwrite"]) == 0
    said = capsys.readouterr().out
    assert "77.7 million parameters for 2048 pixels" in said
    assert f"eval-2k2k --checkpoint {out}" in said and f"--init {out} --phase finetune" in said
    loaded = load_checkpoint(out)
    assert loaded.config.model == RELEASED and loaded.shards == "" and loaded.state is None
    for tensor in loaded.network.parameters():
        assert tensor.min() == tensor.max() == 0.25


def test_missing_unexpected_and_misshapen_tensors_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = constant_state()
    for name in [name for name in state if name.startswith("refine.")]:
        del state[name]
    state["img2normal_hand.Conv1.conv.0.bias"] = torch.zeros(64)
    state["img2normal_down.Conv1.conv.0.weight"] = torch.zeros(64, 6, 3, 3)
    sentence = refusal(capsys, write(tmp_path / "phase1.pth.tar", state))
    assert "phase1.pth.tar: expected the tensors of the published networks" in sentence
    assert "missing refine.depth1.up.1.weight, " in sentence and " and 87 more" in sentence
    assert "unexpected img2normal_hand.Conv1.conv.0.bias" in sentence
    assert (
        "of another shape img2normal_down.Conv1.conv.0.weight (64, 6, 3, 3) for (64, 3, 3, 3)"
        in sentence
    )


def test_weights_that_are_not_finite_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = constant_state()
    state["refine.merge3_2.bias"] = torch.tensor([0.0, float("nan"), 0.0])
    sentence = refusal(capsys, write(tmp_path / "wild.pth.tar", state))
    assert "expected finite weights, got NaN or infinity in refine.merge3_2.bias" in sentence


def test_other_files_are_refused_and_nothing_in_them_is_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Harmful:
        def __reduce__(self):  # type: ignore[no-untyped-def]
            return (Path.touch, (tmp_path / "touched",))

    assert "got no such file" in refusal(capsys, tmp_path / "none.pth.tar")
    (tmp_path / "text.pth.tar").write_text("no weights")
    assert "got another file or one that is cut short" in refusal(capsys, tmp_path / "text.pth.tar")
    harmful = write(tmp_path / "code.pth.tar", {}, model=Harmful())
    sentence = refusal(capsys, harmful)
    assert "more than tensors, numbers and plain containers" in sentence
    assert "weights_only" not in sentence and not (tmp_path / "touched").exists()
    other = tmp_path / "other.pth.tar"
    torch.save({"state_dict": {}}, other)
    assert "with model_state_dict, got another torch file" in refusal(capsys, other)
    whole = write(tmp_path / "whole.pth.tar", {"a": torch.zeros(1000)})
    (tmp_path / "cut.pth.tar").write_bytes(whole.read_bytes()[:3000])
    assert "one that is cut short" in refusal(capsys, tmp_path / "cut.pth.tar")
    monkeypatch.setattr("model.released.LARGEST_FILE_BYTES", 2000)
    assert "expected a checkpoint of at most" in refusal(capsys, whole)


def test_what_is_there_is_kept_unless_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = write(tmp_path / "ckpt.pth.tar", constant_state()), tmp_path / "released.ckpt"
    out.write_bytes(b"precious")
    assert "--out: expected a new file" in refusal(capsys, source)
    broken = write(tmp_path / "broken.pth.tar", {})
    assert "missing img2normal_face.Conv1" in refusal(capsys, broken, "--overwrite")
    assert out.read_bytes() == b"precious"
    assert main([str(source), "--out", str(tmp_path)]) == 2
    assert "--out: expected a file to write, got the folder" in capsys.readouterr().err
    assert main([str(source), "--out", str(source), "--overwrite"]) == 2
    assert "expected another file than the one to import" in capsys.readouterr().err


def test_every_command_takes_released_networks_and_keeps_their_convention(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # The same networks, narrow and small, as import-checkpoint would write them.
    model = ModelConfig(
        resolution=128, part_width=4, depth_width=4, refiner_width=4, convention="released"
    )
    network = build_network(model, 0)
    checkpoint = tmp_path / "released.ckpt"
    with torch.no_grad():
        network.state_dict()["refiner.head.bias"].copy_(torch.tensor([1.9, 2.1, 0.0]))
    save_checkpoint(checkpoint, network, TrainConfig(model=model), shards="")
    shards = str(tmp_path / "shards")
    for seed in range(3):
        write_person(tmp_path / "scans", f"person{seed}", seed=seed)
    options = ["--scans", str(tmp_path / "scans"), "--out", shards, "--jobs", "1"]
    options += ["--resolution", "128", "--angles", "0", "10", "10", "--store-mesh", "all"]
    assert render_dataset(options) == 0

    scores = ["--checkpoint", str(checkpoint), "--out", str(tmp_path / "scores"), *FAST]
    assert eval_2k2k(scores) == 2
    assert "--shards: expected the shard set to score on" in capsys.readouterr().err
    assert eval_2k2k([*scores, "--shards", shards]) == 0
    run = tmp_path / "run"
    flags = [
        "--init",
        str(checkpoint),
        "--phase",
        "finetune",
        "--max-steps",
        "1",
        "--out",
        str(run),
    ]
    assert train_2k2k([shards, *flags, "--accelerator", "cpu"]) == 0
    tuned = load_checkpoint(run / "model.ckpt")
    assert tuned.config.model == model
    before, after = (each.state_dict()["refiner.head.bias"] for each in (network, tuned.network))
    assert not torch.equal(before, after)
