"""One phase of training: steps, validation, and the state that both leave."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from model.averaging import WeightAverage, trained_tensors
from model.checkpoint import BEST, TrainState, load_checkpoint
from model.config import Phase
from model.objectives import PhaseObjective, learning_rate, phase_steps
from model.pictures import training_picture
from model.runs import Run, Step
from model.steps import make_optimizer, objective_arguments, total_loss

MOST_GENERATOR_SEED = 2**63

MOST_SKIPPED_STEPS = 32
"""Loss scaling halves its scale at each step that it skips: so many in a row take it from 2^16 to
2^-16, and what is still infinite is not the scale's doing."""


@dataclass(frozen=True, kw_only=True)
class Validation:
    """What a validation found.

    Attributes:
        terms: mean loss terms over the validation views.
        total: their sum.
        picture: (3, H, W) float32 in 0..1 of the first view, in the first process.
    """

    terms: dict[str, float]
    total: float
    picture: Tensor | None


class NonFiniteLossError(ArithmeticError):
    """A step's loss or gradient was NaN or infinite; weights are those before the step.

    Attributes:
        views: numbers of the training views that it came from.
        skipped: steps in a row that loss scaling skipped before; 0 where the loss itself was it.
    """

    def __init__(self, views: list[int], skipped: int = 0) -> None:
        super().__init__(f"views {views}, {skipped} steps skipped")
        self.views, self.skipped = views, skipped


class PhaseTrainer:
    """Trains the networks of a phase and validates them.

    Args:
        run: data, network and devices. The network is trained in place.
        phase: the phase.
        resumed: its state, to go on from.
    """

    def __init__(self, run: Run, phase: Phase, resumed: TrainState | None) -> None:
        self.run, self.phase = run, phase
        self.best, self.stale = math.inf, 0
        self._skipped = 0
        self._objective = PhaseObjective(run.network, phase, run.config).train()
        optimizer = make_optimizer(self._objective, run.config)
        # Fabric moves `run.network` to the device, where the objective keeps sharing it.
        self._module, self._optimizer = run.fabric.setup(self._objective, optimizer)
        decay = run.config.optimiser.ema_decay
        self._average = None if decay is None else WeightAverage(run.network, phase, decay)
        if resumed is not None:
            optimizer.load_state_dict(resumed.optimizer)
            run.fabric.strategy.precision.load_state_dict(resumed.scaler)
            self.best = math.inf if resumed.best is None else resumed.best
            self.stale = resumed.stale
            if self._average is not None and resumed.average is not None:
                self._average.load_state_dict(resumed.average)

    @property
    def total_steps(self) -> int:
        """Steps of the whole phase."""
        return phase_steps(self.run.config.phase(self.phase), self.run.steps_per_epoch)

    def rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        phase = self.run.config.phase(self.phase)
        return learning_rate(phase, step, self.total_steps, self.run.steps_per_epoch)

    def step(self, batches: Step, step: int) -> dict[str, float]:
        """Do one optimiser step.

        Returns:
            The loss terms and their total, means over the batches of this process.

        Raises:
            NonFiniteLossError: nothing was changed.
        """
        run, settings = self.run, self.run.config.optimiser
        for group in self._optimizer.param_groups:
            group["lr"] = self.rate(step)
        with_parts = step % run.config.parts_every == 0
        first_seed = (run.config.seed * 1_000_003 + step) * 1009 + run.fabric.global_rank
        before = [buffer.clone() for buffer in self._statistics()]
        sums: dict[str, Tensor] = {}
        for number, batch in enumerate(batches):
            seed = (first_seed * len(batches) + number) % MOST_GENERATOR_SEED
            more = number < len(batches) - 1
            with run.fabric.no_backward_sync(self._module, enabled=more):
                terms = self._module(
                    *objective_arguments(batch.to(run.fabric.device), seed, with_parts)
                )
                run.fabric.backward(total_loss(terms) / len(batches))
            for name, term in terms.items():
                sums[name] = sums.get(name, 0.0) + term.detach() / len(batches)
        norm = cast(
            Tensor,
            run.fabric.clip_gradients(
                self._module,
                self._optimizer,
                max_norm=math.inf if settings.clip_norm is None else settings.clip_norm,
                error_if_nonfinite=False,
            ),
        )
        values = {name: float(term) for name, term in sums.items()}
        values["total"] = sum(values.values())
        self._skipped = 0 if norm.isfinite() else self._skipped + 1
        # The loss scaling of 16-mixed skips steps whose gradients overflow, and carries on.
        most = MOST_SKIPPED_STEPS if run.fabric.strategy.precision.state_dict() else 0
        finite = math.isfinite(values["total"])
        if run.any_process(not finite or self._skipped > most):
            for buffer, kept in zip(self._statistics(), before, strict=True):
                buffer.copy_(kept)
            raise NonFiniteLossError(self._culprits(batches), most if finite else 0)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        if self._average is not None:
            self._average.update()
        return values

    def _statistics(self) -> list[Tensor]:
        """Return the batch statistics that a forward pass of the phase changes."""
        modules = self.run.network.phase_modules(self.phase)
        return [buffer for module in modules for buffer in module.buffers()]

    @torch.no_grad()
    def _culprits(self, batches: Step) -> list[int]:
        """Return the views whose own loss is not finite; all of the step where each alone is."""
        found: set[int] = set()
        self._objective.eval()
        for batch in batches:
            for index, (_, view) in enumerate(batch.keys):
                single = batch.item(index).to(self.run.fabric.device)
                with self.run.fabric.autocast():
                    loss = total_loss(self._objective(*objective_arguments(single, None)))
                if not loss.isfinite():
                    found.add(view)
        self._objective.train()
        drawn = {view for batch in batches for _, view in batch.keys}
        gathered = self.run.gather((found, drawn))
        return sorted(
            set().union(*(each for each, _ in gathered))
            or set().union(*(each for _, each in gathered))
        )

    @contextmanager
    def _finished_weights(self) -> Iterator[None]:
        """Give the network, for a while, the weights that would finish the phase now."""
        if self._average is None:
            self.run.share_statistics()
            yield
            return
        with self._average.applied():
            self.run.share_statistics()
            yield

    def validate(self) -> Validation:
        """Validate what would finish the phase now; `best.ckpt` keeps the best of the phase."""
        run = self.run
        with self._finished_weights():
            terms = self._validation_terms()
            total = sum(terms.values())
            self.stale += 1
            if total < self.best:
                self.best, self.stale = total, 0
                run.save(BEST, None)
            picture = None
            if run.leads:
                batch = run.validation_data[[(0, 0)]].to(run.fabric.device)
                run.network.eval()
                picture = training_picture(run.network, batch, self.phase)
                self._objective.train()
        return Validation(terms=terms, total=total, picture=picture)

    @torch.no_grad()
    def _validation_terms(self) -> dict[str, float]:
        """Return the mean loss terms over the validation views, each process doing its share."""
        run = self.run
        data, size = run.validation_data, run.config.batch_size
        starts = range(0, len(data), size)[run.fabric.global_rank :: run.fabric.world_size]
        sums: dict[str, float] = {}
        self._objective.eval()
        for start in starts:
            draw = [(0, index) for index in range(start, min(start + size, len(data)))]
            batch = data[draw].to(run.fabric.device)
            with run.fabric.autocast():
                terms = self._objective(*objective_arguments(batch, None))
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + float(value) * len(draw) / len(data)
        self._objective.train()
        shares = run.gather(sums)
        return {name: sum(share.get(name, 0.0) for share in shares) for name in shares[0]}

    @property
    def out_of_patience(self) -> bool:
        """Whether validation has not improved for as long as the run waits."""
        patience = self.run.config.patience
        return patience is not None and self.stale >= patience

    def finish(self) -> TrainState:
        """Leave the network with the weights that finish the phase; returns that state."""
        run = self.run
        if self._average is not None:
            self._average.keep()
        run.share_statistics()
        if run.config.patience is not None and math.isfinite(self.best):
            run.fabric.barrier()
            best = load_checkpoint(run.out / BEST).network.state_dict()
            for name, tensor in trained_tensors(run.network, self.phase).items():
                tensor.copy_(best[name])
        return TrainState(
            phase=self.phase,
            step=self.total_steps,
            shards_digest=run.shards_digest,
            optimizer={},
            scaler={},
            average=None,
            best=None,
            stale=0,
        )

    def state(self, done: int) -> TrainState:
        """Return the state after some steps, from which the phase can go on."""
        return TrainState(
            phase=self.phase,
            step=done,
            shards_digest=self.run.shards_digest,
            optimizer=self._optimizer.state_dict(),
            scaler=self.run.fabric.strategy.precision.state_dict(),
            average=None if self._average is None else self._average.state_dict(),
            best=self.best if math.isfinite(self.best) else None,
            stale=self.stale,
        )
