"""Trains the demo's vision-language model on rendered scenes, and tabulates what it reaches.

``python -m mine.demo.vlm_training --output resources/demo/vlm`` writes a folder that transformers
loads (see vlm_model.py) and ``scores.json``. The image tower is that of the demo's CLIP and stays
as it is. There are two losses:

* the next word of a caption after the image;
* a token-level loss: at an image's position, the model's next-word probabilities against what the
  patch shows, its concepts by TARGETS and each concept's synonyms alike. Without it nothing asks an
  image's position to say anything: the words that a lens reads there are by-products, and of few
  layers (arXiv 2602.01530).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from mine.core.models import load_open_clip
from mine.demo import words
from mine.demo.clip_losses import KINDS, label_regions
from mine.demo.clip_model import END, SIDE, START, to_input
from mine.demo.clip_scores import score_tokens
from mine.demo.optimising import descend
from mine.demo.painting import render_scene
from mine.demo.scenes import Scene, describe_scene, draw_captions, sample_scene
from mine.demo.training import render_scenes
from mine.demo.training_command import parse_options, write_scores
from mine.demo.vlm_model import IMAGE, TOKENS, build_model, language_ids, write_model

# How much of a patch's probability belongs to each kind of concept that it shows.
TARGETS = {"category": 0.5, "colour": 0.25, "expression": 0.15, "size": 0.1, "background": 1.0}


def encode_captions(captions: list[str], ids: dict[str, int]) -> torch.Tensor:
    """Return ids (caption, position) of start, image, caption, end, and padding."""
    rows = [[*(ids[word] for word in caption.split()), ids[END]] for caption in captions]
    head = [ids[START], *[ids[IMAGE]] * TOKENS]
    table = torch.zeros(len(rows), len(head) + max(map(len, rows)), dtype=torch.long)
    table[:, : len(head)] = torch.tensor(head)
    for row, entries in zip(table, rows, strict=True):
        row[len(head) : len(head) + len(entries)] = torch.tensor(entries)
    return table


def set_targets(scenes: list[Scene], owners: np.ndarray, ids: dict[str, int]) -> torch.Tensor:
    """Return what each patch is to say: probabilities (image × token, word), or zeros where it
    shows several things.

    owners: int8 (image, row, column) of :func:`mine.demo.clip_losses.own_patches`.
    """
    targets = np.zeros((owners.size, len(ids)), dtype=np.float32)
    for kind, (places, labels) in label_regions(scenes, owners).items():
        spread = np.zeros((len(KINDS[kind]), len(ids)), dtype=np.float32)
        for row, synonyms in zip(spread, KINDS[kind].values(), strict=True):
            row[[ids[word] for word in synonyms]] = TARGETS[kind] / len(synonyms)
        np.add.at(targets, places, spread[labels])
    total = targets.sum(axis=1, keepdims=True)
    return torch.from_numpy(targets / np.maximum(total, 1e-6))


def read_positions(model: torch.nn.Module, features: torch.Tensor, ids: torch.Tensor) -> tuple:
    """Return next-word logits at the image's positions, (image, token, word), and at what follows,
    (image, position, word), from the image's last one on.

    features: of the tower, (image, token, width). ids: of :func:`encode_captions`. Whatever is
    padded comes last, where a causal model does not look.
    """
    embedded = model.get_input_embeddings()(ids)
    image = model.model.multi_modal_projector(features)
    embedded = torch.cat([embedded[:, :1], image, embedded[:, 1 + TOKENS :]], dim=1)
    hidden = model.model.language_model(inputs_embeds=embedded, use_cache=False).last_hidden_state
    logits = model.lm_head(hidden[:, 1:])
    return logits[:, :TOKENS], logits[:, TOKENS - 1 : -1]


@torch.inference_mode()
def read_features(model: torch.nn.Module, images: np.ndarray) -> torch.Tensor:
    """Return the tower's patches, half precision (image, token, width), of images, uint8 (image,
    row, column, 3)."""
    tower, parts = model.model.vision_tower, []
    for start in range(0, len(images), 250):
        pixels = to_input(images[start : start + 250] / np.float32(255))
        last = tower(pixels, output_hidden_states=True).hidden_states[-1]
        parts.append(last[:, 1:].half())
    return torch.cat(parts)


def fit_model(
    model: torch.nn.Module,
    scenes: list[Scene],
    features: torch.Tensor,
    owners: np.ndarray,
    *,
    steps: int,
    batch: int,
    rate: float,
    seed: int,
) -> None:
    """Train the projector and the language model; features: of :func:`read_features`."""
    random, ids = np.random.default_rng([seed, 1]), language_ids()
    parameters = [value for value in model.parameters() if value.requires_grad]

    def find_losses(_: int) -> dict[str, torch.Tensor]:
        rows = random.choice(len(scenes), size=batch, replace=False)
        chosen = [scenes[row] for row in rows]
        table = encode_captions(draw_captions(chosen, random), ids)
        image, text = read_positions(model, features[torch.from_numpy(rows)].float(), table)
        target = set_targets(chosen, owners[rows], ids)
        said = functional.log_softmax(image, dim=-1).flatten(0, 1)
        return {
            "token": -(target * said).sum() / (target.sum(dim=1) > 0).sum(),
            "word": functional.cross_entropy(
                text.flatten(0, 1), table[:, 1 + TOKENS :].flatten(), ignore_index=0
            ),
        }

    descend(find_losses, parameters, rate=rate, steps=steps, betas=(0.9, 0.98), told=50)


@torch.inference_mode()
def score_model(model: torch.nn.Module, *, seed: int, scenes: int) -> dict[str, float]:
    """Score on unseen scenes.

    Dense accuracies as :func:`mine.demo.clip_scores.score_model` has them, of the logit lens: a
    concept's probability is that of its words together. Told: the share of captions that name the
    background last, or a category after its attributes, of which the most probable of all
    backgrounds, or categories, is the right one.
    """
    model.eval()
    random, ids = np.random.default_rng([seed, 2]), language_ids()
    drawn = [sample_scene(random) for _ in range(scenes)]
    rendered = [render_scene(scene, side=SIDE) for scene in drawn]
    features = read_features(model, np.stack([image for image, _ in rendered]))
    captions = [describe_scene(scene, random)[0] for scene in drawn]
    vocabulary, parts = [ids[word] for word in words.vocabulary()], []
    spread = {
        kind: torch.stack(
            [
                functional.one_hot(torch.tensor([ids[word] for word in synonyms]), len(ids)).sum(0)
                for synonyms in concepts.values()
            ]
        ).float()
        for kind, concepts in KINDS.items()
    }
    told: dict[str, list[bool]] = {"category": [], "background": []}
    for start in range(0, scenes, 250):
        part = slice(start, start + 250)
        table = encode_captions(captions[part], ids)
        image, text = read_positions(model, features[part].float(), table)
        chance = image.softmax(dim=-1)
        guess = {kind: (chance @ table.T).argmax(dim=-1).numpy() for kind, table in spread.items()}
        parts.append((guess, image[..., vocabulary].argmax(dim=-1).numpy()))
        for kind, hits in told.items():
            shown = spread[kind][:, table[:, 1 + TOKENS :]].permute(1, 2, 0)
            best = (text.softmax(dim=-1) @ spread[kind].T).argmax(dim=-1)
            named = shown.sum(dim=-1) > 0
            hits += (best == shown.argmax(dim=-1))[named].tolist()
    guesses = {kind: np.concatenate([guess[kind] for guess, _ in parts]) for kind in KINDS}
    top = np.concatenate([best for _, best in parts])
    scores = score_tokens(drawn, [masks for _, masks in rendered], guesses, top)
    scores |= {f"told_{kind}": float(np.mean(hits)) for kind, hits in told.items()}
    return {name: round(value, 4) for name, value in scores.items()}


def train(
    *,
    output: Path,
    clip: str,
    scenes: int,
    steps: int,
    batch: int,
    rate: float,
    seed: int,
    workers: int,
) -> None:
    """Render scenes, train on them, and write the model's folder with its scores."""
    torch.manual_seed(seed)
    tower, _, _ = load_open_clip(model=f"local-dir:{clip}", pretrained=None, key="clip")
    model, ids = build_model(tower), language_ids()
    # Synonyms begin as one word, as those of a language model that has read much text nearly are.
    for table in (model.get_input_embeddings().weight.data, model.lm_head.weight.data):
        for synonyms in words.CONCEPTS.values():
            table[[ids[word] for word in synonyms]] = table[ids[synonyms[0]]].clone()
    drawn, images, owners = render_scenes(scenes, seed=seed, workers=workers)
    features = read_features(model, images)
    fit_model(model, drawn, features, owners, steps=steps, batch=batch, rate=rate, seed=seed)
    write_model(model, output)
    write_scores(score_model(model, seed=seed + 1, scenes=300), output)


def main() -> None:
    """Command line: see the module's docstring."""
    options = parse_options(
        __doc__,
        clip="resources/demo/clip",
        scenes=4_000,
        steps=1_500,
        batch=16,
        rate=4e-3,
        seed=2000,
        workers=1,
    )
    train(**vars(options))


if __name__ == "__main__":
    main()
