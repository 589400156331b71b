"""Trains the demo's generator on rendered scenes and prompts: first its autoencoder, then the rest.

``python -m mine.demo.generator_training --output resources/demo/generator`` takes hours on two
cores. It can be stopped and started again: every 250 steps a checkpoint is left in a working folder
(``--work``), from which it goes on. Scores are written at the end (generator_scores.py).

The denoiser predicts velocities (Salimans & Ho 2022, arXiv 2202.00512). Two things make it learn
shapes in hours instead of days: objects weigh more than the background in its loss, and its middle
layer is pulled towards the tokens of the demo's CLIP for the clean image, at the same 8 × 8 places
(representation alignment, REPA, arXiv 2410.06940). The text encoder begins as the CLIP's and is
trained along.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import time
from pathlib import Path

import numpy as np
import torch
import torch.distributed
from torch.nn import functional

from mine.demo.autoencoder_training import to_signed, train_autoencoder
from mine.demo.clip_losses import EMPTY
from mine.demo.clip_model import MODEL, encode_images, to_input
from mine.demo.generator_model import (
    build_autoencoder,
    build_scheduler,
    build_text_encoder,
    build_unet,
    encode_prompts,
    write_pipeline,
)
from mine.demo.generator_prompts import draw_prompt
from mine.demo.generator_scores import score_generator
from mine.demo.gradients import WEIGHT_DECAY, choose_matrices, take_step, turn_matrices
from mine.demo.painting import render_scene
from mine.demo.scenes import Scene, parse_scene
from mine.demo.training import SIDE, render_scenes
from mine.demo.training_command import parse_options, write_scores

OBJECT_SHARES = (0.1, 0.45, 0.3, 0.15)  # of the scenes that are drawn, by their number of objects
OBJECT_WEIGHT = 3.0  # what an object's latents weigh above the background's
ALIGNMENT_WEIGHT = 0.5
AVERAGING = 0.999
CHECKPOINT = 250


def render_examples(
    count: int, *, seed: int, workers: int
) -> tuple[list[Scene], np.ndarray, np.ndarray]:
    """Render scenes with objects and, a tenth as many, without: scenes, images, owners of patches
    (mine.demo.clip_losses.own_patches)."""
    scenes, images, owners = render_scenes(count, seed=seed, workers=workers)
    empty = [dataclasses.replace(scene, objects=()) for scene in scenes[: count // 10]]
    bare = np.stack([render_scene(scene, side=SIDE)[0] for scene in empty])
    nobody = np.full((len(empty), *owners.shape[1:]), EMPTY, owners.dtype)
    return (
        scenes + empty,
        np.concatenate([images, bare]),
        np.concatenate([owners, nobody]),
    )


@torch.no_grad()
def encode_latents(
    autoencoder: torch.nn.Module, clip: torch.nn.Module, images: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents (image, channel, row, column) and unit CLIP tokens (image, token, feature)."""
    latents, tokens = [], []
    for start in range(0, len(images), 100):
        block = images[start : start + 100]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            latents.append(autoencoder.encode(to_signed(block)).latent_dist.mean.half())
            raw, _ = encode_images(clip, to_input(block / np.float32(255)))
        tokens.append(functional.normalize(raw.float(), dim=-1).half())
    return torch.cat(latents), torch.cat(tokens)


class DenoiserTraining:
    """The denoiser and the text encoder while they are trained, with their running averages."""

    def __init__(self, clip: torch.nn.Module, *, steps: int, rate: float) -> None:
        unet, width = build_unet(), MODEL["embed_dim"]
        head = torch.nn.Sequential(
            torch.nn.Conv2d(unet.config.block_out_channels[-1], 2 * width, 1),
            torch.nn.SiLU(),
            torch.nn.Conv2d(2 * width, width, 1),
        )
        parts = {"unet": unet, "te": build_text_encoder(clip), "proj": head}
        self.modules = torch.nn.ModuleDict(parts)
        self.parameters = list(self.modules.parameters())
        self.matrices = choose_matrices(unet)
        chosen = {id(matrix) for matrix in self.matrices}
        others = [p for p in [*unet.parameters(), *head.parameters()] if id(p) not in chosen]
        # The text encoder, which knows its words already, learns at a third of the rate.
        self.optimiser = torch.optim.AdamW(
            [{"params": others}, {"params": list(parts["te"].parameters())}],
            lr=rate,
            betas=(0.9, 0.99),
            weight_decay=WEIGHT_DECAY,
        )
        self.momentum = [torch.zeros_like(matrix) for matrix in self.matrices]
        self.steps, self.rate = steps, rate
        self.average = {name: v.clone() for name, v in self.modules.state_dict().items()}
        self.signal = build_scheduler().alphas_cumprod
        self.step = 0
        self._middle: list[torch.Tensor] = []
        unet.mid_block.register_forward_hook(lambda *args: self._middle.append(args[2]))

    def losses(
        self,
        latents: torch.Tensor,
        tokens: torch.Tensor,
        weights: torch.Tensor,
        prompts: list[str],
        random: np.random.Generator,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss of the velocity, and of the alignment; each a mean over the batch.

        latents: scaled (image, channel, row, column). tokens: centred (image, token, feature).
        weights: (image, 1, row, column). Moments are stratified over the batch.
        """
        count = len(latents)
        # Noisy moments, where shapes are decided, come a little more often.
        share = ((random.permutation(count) + random.random(count)) / count) ** 0.8
        moment = torch.from_numpy((share * len(self.signal)).astype(np.int64))
        signal = self.signal[moment][:, None, None, None]
        noise = torch.randn_like(latents)
        noisy = signal.sqrt() * latents + (1 - signal).sqrt() * noise
        velocity = signal.sqrt() * noise - (1 - signal).sqrt() * latents
        self._middle.clear()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            text = self.modules["te"](input_ids=encode_prompts(prompts)).last_hidden_state
            found = self.modules["unet"](noisy, moment, encoder_hidden_states=text).sample
            middle = self.modules["proj"](self._middle[0])
        velocity_loss = ((found.float() - velocity).square() * weights).mean()
        middle = middle.float().flatten(2).transpose(1, 2)
        distance = 1 - functional.cosine_similarity(middle, tokens, dim=-1)
        clear = 1 - moment / len(self.signal)
        return velocity_loss, (distance * clear[:, None]).mean()

    def update(self, loss: torch.Tensor) -> None:
        """Take one step with the mean gradient of all processes, and update the averages."""
        # Up over 200 steps, and down over the last three tenths.
        down = (self.steps - self.step) / (0.3 * self.steps)
        rate = self.rate * min(1, self.step / 200, down)
        for group, share in zip(self.optimiser.param_groups, (1.0, 0.3), strict=True):
            group["lr"] = share * rate
        take_step(loss, self.parameters, self.optimiser)
        turn_matrices(self.matrices, self.momentum, rate=rate)
        self.step += 1
        decay = min(AVERAGING, (self.step + 1) / (self.step + 20))
        with torch.no_grad():
            for name, value in self.modules.state_dict().items():
                if value.is_floating_point():
                    self.average[name].lerp_(value, 1 - decay)

    def save(self, path: Path) -> None:
        """Leave a checkpoint, whole or not at all."""
        content = {
            "mods": self.modules.state_dict(),
            "opt": self.optimiser.state_dict(),
            "buf": self.momentum,
            "ema": self.average,
            "step": self.step,
        }
        torch.save(content, path.with_suffix(".partial"))
        os.replace(path.with_suffix(".partial"), path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint."""
        content = torch.load(path, weights_only=True)
        self.modules.load_state_dict(content["mods"])
        self.optimiser.load_state_dict(content["opt"])
        self.momentum = content["buf"]
        self.average, self.step = content["ema"], content["step"]

    def averaged(self) -> tuple[torch.nn.Module, torch.nn.Module]:
        """The denoiser and the text encoder with averaged weights."""
        self.modules.load_state_dict(self.average)
        return self.modules["unet"], self.modules["te"]


def train_denoiser(rank: int, work: Path, options: argparse.Namespace) -> None:
    """Train in one of several processes, each on one core, which share every step's gradient."""
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(options.port)}
    torch.distributed.init_process_group("gloo", rank=rank, world_size=options.workers)
    scenes, owners, latents, tokens = read_examples(work)
    scale = 1 / float(latents[:3000].float().std())
    centre = tokens[:3000].float().mean(dim=(0, 1))
    torch.manual_seed(options.seed)
    training = DenoiserTraining(load_clip(options.clip), steps=options.steps, rate=options.rate)
    checkpoint = work / "denoiser.pt"
    if checkpoint.is_file():
        training.load(checkpoint)
    torch.manual_seed(options.seed + rank + 1000 * training.step)
    random = np.random.default_rng([options.seed, rank, training.step])
    objects = np.array([len(scene.objects) for scene in scenes])
    shares = np.array(OBJECT_SHARES)[objects] / np.bincount(objects)[objects]
    told = np.zeros(3)
    started = time.time()
    while training.step < options.steps:
        rows = random.choice(len(scenes), options.batch, p=shares / shares.sum())
        shown = np.kron(owners[rows] != EMPTY, np.ones((1, 2, 2)))
        velocity, alignment = training.losses(
            latents[rows].float() * scale,
            tokens[rows].float() - centre,
            torch.from_numpy(1 + OBJECT_WEIGHT * shown[:, None]).float(),
            [draw_prompt(scenes[row], random) for row in rows],
            random,
        )
        training.update(velocity + ALIGNMENT_WEIGHT * alignment)
        told += [velocity.item(), alignment.item(), 1]
        if rank == 0 and training.step % 100 == 0:
            velocity, alignment = told[:2] / told[2]
            said = f"velocity {velocity:.4f} alignment {alignment:.4f}"
            print(f"{training.step} {said} seconds {time.time() - started:.0f}", flush=True)
            told[:] = 0
        if rank == 0 and training.step % CHECKPOINT == 0:
            training.save(checkpoint)
    if rank == 0:
        training.save(checkpoint)


def load_clip(folder: Path) -> torch.nn.Module:
    """Load the demo's CLIP."""
    import open_clip

    model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{folder}", weights_only=True)
    return model.eval()


def make_examples(work: Path, options: argparse.Namespace) -> None:
    """Render examples, train the autoencoder on them, and keep what the denoiser learns from."""
    scenes, images, owners = render_examples(
        options.scenes, seed=options.seed, workers=options.workers
    )
    autoencoder = train_autoencoder(
        images,
        steps=options.autoencoder_steps,
        seed=options.seed,
        checkpoint=work / "autoencoder.pt",
    )
    latents, tokens = encode_latents(autoencoder, load_clip(options.clip), images)
    torch.save({"latents": latents, "tokens": tokens}, work / "latents.pt")
    np.save(work / "owners.npy", owners)
    text = json.dumps([dataclasses.asdict(scene) for scene in scenes])
    (work / "scenes.json").write_text(text)


def read_examples(
    work: Path,
) -> tuple[list[Scene], np.ndarray, torch.Tensor, torch.Tensor]:
    """Read what :func:`make_examples` kept: scenes, owners, latents, tokens."""
    stored = torch.load(work / "latents.pt", weights_only=True, mmap=True)
    scenes = [parse_scene(entry) for entry in json.loads((work / "scenes.json").read_text())]
    return scenes, np.load(work / "owners.npy"), stored["latents"], stored["tokens"]


def write_generator(work: Path, options: argparse.Namespace) -> None:
    """Write the pipeline's folder from the checkpoints."""
    _, _, latents, _ = read_examples(work)
    autoencoder = build_autoencoder()
    autoencoder.load_state_dict(torch.load(work / "autoencoder.pt", weights_only=True))
    autoencoder.register_to_config(scaling_factor=1 / float(latents[:3000].float().std()))
    training = DenoiserTraining(load_clip(options.clip), steps=options.steps, rate=options.rate)
    training.load(work / "denoiser.pt")
    unet, text_encoder = training.averaged()
    write_pipeline(options.output, autoencoder=autoencoder, unet=unet, text_encoder=text_encoder)


def main() -> None:
    """Command line: see the module's docstring."""
    options = parse_options(
        __doc__,
        work=Path("results/generator"),
        clip=Path("resources/demo/clip"),
        judge=Path("resources/demo/evaluator"),
        scenes=60_000,
        autoencoder_steps=3_000,
        steps=12_000,
        batch=16,
        rate=1e-3,
        seed=5,
        workers=2,
        port=29533,
    )
    options.work.mkdir(parents=True, exist_ok=True)
    if not (options.work / "scenes.json").is_file():
        make_examples(options.work, options)
    torch.multiprocessing.spawn(train_denoiser, (options.work, options), options.workers)
    write_generator(options.work, options)
    scores = score_generator(options.output, options.judge, seed=options.seed + 1)
    write_scores(scores, options.output)


if __name__ == "__main__":
    main()
