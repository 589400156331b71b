"""Trains the demo's CLIP on rendered scenes and their captions, and tabulates what it reaches.

``python -m mine.demo.training --output resources/demo/clip`` writes an open_clip ``local-dir:``
folder: ``open_clip_config.json``, ``open_clip_model.safetensors``, a word-level tokenizer, and
``scores.json``.

Four losses, none of which any stage of the pipeline could compute for a subject's images:

* the image–caption contrastive loss (softmax over the batch) on average-pooled tokens;
* a token-level loss from captions: for image i and phrase p,
  ``logit = scale · LSE_t(cos(token_t, text_p)) + offset`` with a sigmoid against "p is true of
  i", in the spirit of FILIP (arXiv 2111.07783) with a log-sum-exp in place of the maximum;
* the same sigmoid loss on average-pooled tokens (as SigLIP's, arXiv 2303.15343, on short phrases):
  captions alone leave the colour of a small object to be drowned by its background;
* a region–phrase loss, as open-vocabulary detectors are trained (RegionCLIP, arXiv 2112.09106):
  a patch of which at least half shows one object is matched with that object's category, colour,
  size and expression among all of the kind, and an empty patch with its background. The scenes'
  masks give the regions.

Shape is learned much later than colour, and not at all while the easier losses hold the gradient:
so the region–phrase loss goes first, alone, and the captions join it after ``region_steps``.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from mine.demo import words
from mine.demo.scenes import Scene, describe_scene, render_scene, sample_scene, token_shares

SIDE = 64
PATCH = 8
PROMPTS = ("{}", "a {}", "a picture of a {}", "a picture of the {}")
MODEL = {
    "embed_dim": 128,
    "vision_cfg": {
        "image_size": SIDE,
        "patch_size": PATCH,
        "width": 128,
        "head_width": 32,
        "layers": 3,
        "mlp_ratio": 4.0,
        "pool_type": "avg",
    },
    "text_cfg": {
        "context_length": 28,
        "vocab_size": 0,  # set from the tokenizer
        "hf_tokenizer_name": "tokenizer of this folder",
        "width": 128,
        "heads": 4,
        "layers": 2,
    },
}
MEAN, DEVIATION = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
FUNCTION_WORDS = ("a", "the", "of", "in", "and", "picture")
PADDING, UNKNOWN = "[pad]", "[unknown]"
START, END = "[start]", "[end]"
MIXED, EMPTY = -2, -1  # owners of a patch that shows several things, or only background
KINDS = {
    "category": words.CATEGORIES,
    "colour": words.COLOURS,
    "expression": words.EXPRESSIONS,
    "size": words.SIZES,
    "background": words.BACKGROUNDS,
}


def token_ids() -> dict[str, int]:
    """Return the tokenizer's words and ids; the end mark has the highest id, where CLIP's text
    tower pools.
    """
    entries = [PADDING, UNKNOWN, START, *FUNCTION_WORDS, *words.vocabulary(), END]
    return {entry: index for index, entry in enumerate(entries)}


def write_tokenizer(folder: Path) -> None:
    """Write a word-level tokenizer that transformers' ``AutoTokenizer`` loads."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    ids = token_ids()
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(START, ids[START]), (END, ids[END])]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PADDING,
        unk_token=UNKNOWN,
        bos_token=START,
        eos_token=END,
    ).save_pretrained(folder)


def encode(texts: list[str], ids: dict[str, int]) -> torch.Tensor:
    """Return ids of shape (text, position), padded to the longest text of the batch."""
    rows = [[ids[START], *(ids[word] for word in text.split()), ids[END]] for text in texts]
    table = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    for row, entries in zip(table, rows, strict=True):
        row[: len(entries)] = torch.tensor(entries)
    return table


# --- scenes ---


def render_scenes(
    count: int, *, seed: int, workers: int
) -> tuple[list[Scene], np.ndarray, np.ndarray]:
    """Render scenes in processes: scenes, uint8 (image, row, column, 3), and owners of patches."""
    parts = [count // workers + (index < count % workers) for index in range(workers)]
    with ProcessPoolExecutor(workers) as pool:
        results = list(pool.map(_render_part, parts, [(seed, index) for index in range(workers)]))
    scenes = [scene for part, _, _ in results for scene in part]
    images, owners = (np.concatenate([part[index] for part in results]) for index in (1, 2))
    return scenes, images, owners


def _render_part(count: int, seed: tuple[int, int]) -> tuple[list[Scene], np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    scenes = [sample_scene(random) for _ in range(count)]
    rendered = [render_scene(scene, side=SIDE) for scene in scenes]
    owners = np.stack([own_patches(masks) for _, masks in rendered])
    return scenes, np.stack([image for image, _ in rendered]), owners


def own_patches(masks: np.ndarray) -> np.ndarray:
    """Return whose each patch is, int8 (row, column): an object's index, EMPTY, or MIXED."""
    count = SIDE // PATCH
    shares = token_shares(masks, rows=count, columns=count)
    owner = np.full(shares.shape[1], MIXED, dtype=np.int8)
    owner[shares.sum(axis=0) <= 0.1] = EMPTY
    for index, share in enumerate(shares):
        owner[share >= 0.5] = index
    return owner.reshape(count, count)


@dataclass(frozen=True)
class Truths:
    """What is true of each scene, as 0/1 arrays: concepts (image, concept), colour–category pairs,
    expressions."""

    names: tuple[str, ...]
    concepts: np.ndarray
    pairs: np.ndarray  # (image, colour, category)

    @classmethod
    def of(cls, scenes: list[Scene]) -> Truths:
        names = tuple(words.CONCEPTS)
        index = {name: position for position, name in enumerate(names)}
        colours, categories = list(words.COLOURS), list(words.CATEGORIES)
        concepts = np.zeros((len(scenes), len(names)), dtype=bool)
        pairs = np.zeros((len(scenes), len(colours), len(categories)), dtype=bool)
        for row, scene in enumerate(scenes):
            concepts[row, index[scene.background]] = True
            for item in scene.objects:
                for concept in (item.category, item.colour, item.size, item.expression):
                    if concept is not None:
                        concepts[row, index[concept]] = True
                pairs[row, colours.index(item.colour), categories.index(item.category)] = True
        return cls(names, concepts, pairs)


def sample_phrases(
    truths: Truths, rows: np.ndarray, random: np.random.Generator
) -> tuple[list[str], torch.Tensor]:
    """Draw phrases and whether each is true of each of the batch's scenes: (phrase,), (image,
    phrase).
    """
    concepts, pairs = truths.concepts[rows], truths.pairs[rows]
    phrases, columns = [], []

    def add(phrase: str, column: np.ndarray) -> None:
        phrases.append(str(random.choice(PROMPTS)).format(phrase))
        columns.append(column)

    for position, name in enumerate(truths.names):
        add(random.choice(words.CONCEPTS[name]), concepts[:, position])
    for hypernym, members in words.HYPERNYMS.items():
        add(hypernym, concepts[:, [truths.names.index(member) for member in members]].any(axis=1))
    for word in random.choice(words.DISTRACTORS, size=24, replace=False):
        add(word, np.zeros(len(rows), dtype=bool))
    for position, colour in enumerate(words.COLOURS):
        for place, category in enumerate(words.CATEGORIES):
            if random.random() < 0.6:
                pair = " ".join(
                    random.choice(kind)
                    for kind in (words.COLOURS[colour], words.CATEGORIES[category])
                )
                add(pair, pairs[:, position, place])
    return phrases, torch.from_numpy(np.stack(columns, axis=1).astype(np.float32))


def label_regions(
    scenes: list[Scene], owners: np.ndarray
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return, for each kind of concept, the patches that have one, and which.

    owners: int8 (image, row, column) of :func:`own_patches`. Both arrays of a kind are (patch,):
    flat indices into (image × token), and indices into the kind's concepts.
    """
    flat = owners.reshape(len(owners), -1)
    found: dict[str, list[tuple[np.ndarray, int]]] = {kind: [] for kind in KINDS}
    names = {kind: list(concepts) for kind, concepts in KINDS.items()}
    for image, scene in enumerate(scenes):
        for index, item in enumerate([*scene.objects, scene]):
            owner = index if item is not scene else EMPTY
            places = np.flatnonzero(flat[image] == owner) + image * flat.shape[1]
            for kind in KINDS:
                concept = getattr(item, kind, None)
                if concept is not None:
                    found[kind].append((places, names[kind].index(concept)))
    return {
        kind: (
            np.concatenate([places for places, _ in entries]),
            np.concatenate([np.full(len(places), label) for places, label in entries]),
        )
        for kind, entries in found.items()
    }


# What is hard to learn has the larger weight.
KIND_WEIGHTS = {"category": 4.0, "colour": 1.0, "expression": 1.0, "size": 0.5, "background": 0.5}


def region_loss(
    tokens: torch.Tensor,
    texts: torch.Tensor,
    regions: dict[str, tuple[np.ndarray, np.ndarray]],
    scale: torch.Tensor,
) -> torch.Tensor:
    """Weighted sum over kinds of the cross-entropy of patches against the concepts of the kind.

    tokens: (image, token, feature); texts: (concept, feature) in the order of ``words.CONCEPTS``;
    both of unit length.
    """
    flat, order = tokens.flatten(0, 1), {name: i for i, name in enumerate(words.CONCEPTS)}
    total = torch.zeros(())
    for kind, (places, labels) in regions.items():
        logits = scale * flat[torch.from_numpy(places)] @ texts[[order[n] for n in KINDS[kind]]].T
        loss = functional.cross_entropy(logits, torch.from_numpy(labels))
        total = total + KIND_WEIGHTS[kind] * loss
    return total


def caption_loss(pooled: torch.Tensor, captions: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Contrastive cross-entropy in both directions; pooled, captions: unit (image, feature)."""
    logits, target = scale * pooled @ captions.T, torch.arange(len(pooled))
    return 0.5 * (
        functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)
    )


def token_evidence(
    tokens: torch.Tensor, phrases: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    """Log of the mean over tokens of exp(scale · cos): (image, phrase), near its largest value.

    tokens: unit (image, token, feature); phrases: unit (phrase, feature).
    """
    return torch.logsumexp(scale * tokens @ phrases.T, dim=1) - math.log(tokens.shape[1])


def phrase_loss(evidence: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Sigmoid loss on whether phrases are true of whole images; both (image, phrase)."""
    losses = functional.binary_cross_entropy_with_logits(
        evidence, labels, weight=1 + 3 * labels, reduction="none"
    )
    return losses.sum(dim=1).mean() / 20


# --- model ---


def build_model() -> torch.nn.Module:
    """Build the CLIP from open_clip's own classes."""
    import open_clip

    configuration = json.loads(json.dumps(MODEL))
    configuration["text_cfg"]["vocab_size"] = len(token_ids())
    model = open_clip.CLIP(**configuration)
    # Synonyms begin as one word, as they would in a text tower that has read much text before.
    ids, table = token_ids(), model.token_embedding.weight.data
    for synonyms in words.CONCEPTS.values():
        for synonym in synonyms[1:]:
            table[ids[synonym]] = table[ids[synonyms[0]]]
    # Patch filters begin nearly blind to a patch's mean colour, which would drown its pattern.
    filters = model.visual.conv1.weight.data
    filters -= 0.9 * filters.mean(dim=(2, 3), keepdim=True)
    filters *= 4
    return model


def encode_tokens(model: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Return patch tokens in the joint space, not normalised: (image, token, feature)."""
    visual = model.visual
    return visual.ln_post(visual.transformer(visual._embeds(images)))[:, 1:] @ visual.proj


def encode_texts(model: torch.nn.Module, ids: torch.Tensor) -> torch.Tensor:
    """Return unit text embeddings (text, feature); like ``encode_text``, for texts shorter than the
    context.
    """
    length = ids.shape[1]
    hidden = model.token_embedding(ids) + model.positional_embedding[:length]
    hidden = model.transformer(hidden, attn_mask=model.attn_mask[:length, :length])
    hidden = model.ln_final(hidden)[torch.arange(len(ids)), ids.argmax(dim=-1)]
    return functional.normalize(hidden @ model.text_projection, dim=-1)


def augment(
    images: np.ndarray, owners: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Mirror half of the images with their owners, and vary brightness: float32 in [0, 1]."""
    array, owners = images.astype(np.float32) / 255, owners.copy()
    mirrored = random.random(len(array)) < 0.5
    array[mirrored] = array[mirrored][:, :, ::-1]
    owners[mirrored] = owners[mirrored][:, :, ::-1]
    array *= random.uniform(0.85, 1.15, (len(array), 1, 1, 1)).astype(np.float32)
    array += random.normal(0, 0.01, array.shape).astype(np.float32)
    return np.clip(array, 0, 1), owners


def to_input(images: np.ndarray) -> torch.Tensor:
    """Return the model's input (image, 3, row, column) of images with values from 0 to 1."""
    array = (images - np.array(MEAN, np.float32)) / np.array(DEVIATION, np.float32)
    return torch.from_numpy(np.ascontiguousarray(array.transpose(0, 3, 1, 2), dtype=np.float32))


def train(
    *,
    scenes: int,
    steps: int,
    region_steps: int,
    batch: int,
    rate: float,
    seed: int,
    output: Path,
    workers: int,
) -> None:
    """Train from scratch and write the model's folder (every 500 steps; at the end with scores)."""
    torch.manual_seed(seed)
    random = np.random.default_rng([seed, 1])
    all_scenes, images, owners = render_scenes(scenes, seed=seed, workers=workers)
    truths, ids = Truths.of(all_scenes), token_ids()
    model = build_model()
    scale = torch.nn.Parameter(torch.tensor(math.log(20.0)))
    offset = torch.nn.Parameter(torch.tensor(-10.0))
    pooled_scale = torch.nn.Parameter(torch.tensor(math.log(20.0)))
    pooled_offset = torch.nn.Parameter(torch.tensor(-8.0))
    parameters = [*model.parameters(), scale, offset, pooled_scale, pooled_offset]
    optimiser = torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": 0.05},
            {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
        ],
        betas=(0.9, 0.98),
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rate, total_steps=steps, pct_start=0.1
    )
    started = time.time()
    for step in range(1, steps + 1):
        rows = random.choice(len(images), size=batch, replace=False)
        pixels, owned = augment(images[rows], owners[rows], random)
        chosen = [all_scenes[row] for row in rows]
        phrases, labels = sample_phrases(truths, rows, random)
        alone = step <= region_steps
        if alone:
            # The first phrases are the concepts themselves, one synonym each.
            phrases = phrases[: len(words.CONCEPTS)]
        raw = encode_tokens(model, to_input(pixels))
        tokens = functional.normalize(raw, dim=-1)
        phrase_texts = encode_texts(model, encode(phrases, ids))
        concepts = phrase_texts[: len(words.CONCEPTS)]
        losses = {
            "region": region_loss(tokens, concepts, label_regions(chosen, owned), scale.exp())
        }
        if not alone:
            captions = [describe_scene(scene, random)[random.integers(2)] for scene in chosen]
            caption_texts = encode_texts(model, encode(captions, ids))
            pooled = functional.normalize(raw.mean(dim=1), dim=-1)
            contrast = model.logit_scale.exp().clamp(max=100)
            losses["caption"] = caption_loss(pooled, caption_texts, contrast)
            evidence = token_evidence(tokens, phrase_texts, scale.exp())
            losses["phrase"] = phrase_loss(evidence + offset, labels)
            evidence = pooled_scale.exp() * pooled @ phrase_texts.T
            losses["pooled"] = phrase_loss(evidence + pooled_offset, labels)
        optimiser.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        if step % 100 == 0:
            said = " ".join(f"{name} {loss.item():.3f}" for name, loss in losses.items())
            print(f"step {step} {said} seconds {time.time() - started:.0f}", flush=True)
        if step % 500 == 0 and step < steps:
            write_model(model, output)
            print(json.dumps(score_model(model, seed=seed + 1, scenes=300)), flush=True)
    write_model(model, output)
    scores = score_model(model, seed=seed + 1, scenes=2000)
    (output / "scores.json").write_text(json.dumps(scores, indent=2) + "\n")
    print(json.dumps(scores), flush=True)


def write_model(model: torch.nn.Module, folder: Path) -> None:
    """Write an open_clip ``local-dir:`` folder: configuration, half-precision safetensors,
    tokenizer.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    configuration = json.loads(json.dumps(MODEL))
    configuration["text_cfg"]["vocab_size"] = len(token_ids())
    preprocessing = {
        "mean": MEAN,
        "std": DEVIATION,
        "size": [SIDE, SIDE],
        "interpolation": "bicubic",
    }
    text = json.dumps({"model_cfg": configuration, "preprocess_cfg": preprocessing}, indent=2)
    (folder / "open_clip_config.json").write_text(text + "\n")
    weights = {name: value.half().contiguous() for name, value in model.state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")
    write_tokenizer(folder)


# --- scores ---


@torch.no_grad()
def embed_words(model: torch.nn.Module, names: list[str]) -> torch.Tensor:
    """Return the unit mean over prompts of each word's text embedding: (word, feature)."""
    ids = token_ids()
    total = sum(
        encode_texts(model, encode([prompt.format(name) for name in names], ids))
        for prompt in PROMPTS
    )
    return functional.normalize(total, dim=-1)


@torch.no_grad()
def score_model(model: torch.nn.Module, *, seed: int, scenes: int) -> dict[str, float]:
    """Score on unseen scenes.

    Dense accuracies: over tokens of which at least half lies inside one object's mask (for the
    background, at least 0.9 outside all), the share whose best word among all concepts of the kind
    is the right one, after centring tokens and words. Retrieval: full captions among 256 scenes.
    Zero-shot: single-object scenes.
    """
    model.eval()
    random = np.random.default_rng([seed, 2])
    drawn = [sample_scene(random) for _ in range(scenes)]
    rendered = [render_scene(scene, side=SIDE) for scene in drawn]
    images = np.stack([image for image, _ in rendered])
    tokens = torch.cat(
        [
            encode_tokens(model, to_input(images[i : i + 250] / np.float32(255)))
            for i in range(0, scenes, 250)
        ]
    )
    pooled = functional.normalize(tokens.mean(dim=1), dim=-1)
    vocabulary = words.vocabulary()
    text = embed_words(model, vocabulary)
    row_of = {word: index for index, word in enumerate(vocabulary)}
    centred = functional.normalize(tokens - tokens.mean(dim=(0, 1)), dim=-1)
    text = functional.normalize(text - text.mean(dim=0), dim=-1)

    def best(points: torch.Tensor, kind: dict) -> np.ndarray:
        table = torch.stack(
            [text[[row_of[word] for word in kind[name]]].mean(dim=0) for name in kind]
        )
        return (points @ functional.normalize(table, dim=-1).T).argmax(dim=-1).numpy()

    guesses = {name: best(centred, kind) for name, kind in KINDS.items()}
    top = (centred @ text.T).argmax(dim=-1).numpy()
    hits: dict[str, list[bool]] = {name: [] for name in (*KINDS, "top_word_true")}
    per_category: dict[str, list[bool]] = {name: [] for name in words.CATEGORIES}
    for row, (scene, (_, masks)) in enumerate(zip(drawn, rendered, strict=True)):
        shares = token_shares(masks, rows=SIDE // PATCH, columns=SIDE // PATCH)
        for item, share in zip(scene.objects, shares, strict=True):
            for token in np.flatnonzero(share >= 0.5):
                for name in ("category", "colour", "expression", "size"):
                    truth = getattr(item, name)
                    if truth is not None:
                        hits[name].append(list(KINDS[name])[guesses[name][row, token]] == truth)
                per_category[item.category].append(hits["category"][-1])
                said = words.concept_of(vocabulary[top[row, token]])
                hits["top_word_true"].append(
                    said in (item.category, item.colour, item.size, item.expression)
                )
        for token in np.flatnonzero(shares.sum(axis=0) <= 0.1):
            hits["background"].append(
                list(words.BACKGROUNDS)[guesses["background"][row, token]] == scene.background
            )
    scores = {f"dense_{name}": float(np.mean(values)) for name, values in hits.items()}
    scores |= {
        f"dense_category_{name}": float(np.mean(values)) for name, values in per_category.items()
    }

    ids = token_ids()
    captions = [describe_scene(scene, random)[0] for scene in drawn[:256]]
    similarity = pooled[:256] @ encode_texts(model, encode(captions, ids)).T
    scores["retrieval_caption_of_image"] = float(
        (similarity.argmax(dim=1) == torch.arange(256)).float().mean()
    )
    scores["retrieval_image_of_caption"] = float(
        (similarity.argmax(dim=0) == torch.arange(256)).float().mean()
    )
    single = [row for row, scene in enumerate(drawn) if len(scene.objects) == 1]
    centred_pool = pooled - pooled.mean(dim=0)
    for name in ("category", "colour"):
        guess = best(centred_pool[single], KINDS[name])
        truth = [getattr(drawn[row].objects[0], name) for row in single]
        scores[f"zero_shot_{name}"] = float(
            np.mean([list(KINDS[name])[g] == t for g, t in zip(guess, truth, strict=True)])
        )
    guess = best(centred_pool, words.BACKGROUNDS)
    scores["zero_shot_background"] = float(
        np.mean(
            [
                list(words.BACKGROUNDS)[g] == scene.background
                for g, scene in zip(guess, drawn, strict=True)
            ]
        )
    )
    model.train()
    return {name: round(value, 4) for name, value in scores.items()}


def main() -> None:
    """Command line: see the module's docstring."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--scenes", type=int, default=36_000)
    parser.add_argument("--steps", type=int, default=6_500)
    parser.add_argument("--region-steps", type=int, default=4_000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    train(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
