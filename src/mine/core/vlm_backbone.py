"""Vision–language models of transformers, whose image tokens are read by their own logit lens.

The model is shown an image and nothing else. At the positions that the image takes in its text, the
residual stream after a layer, x, is carried through the final norm, and compared with a word's row
of the unembedding as the model compares its last layer:

    token = norm(x)        logit(word) = ⟨u_word, norm(x)⟩

Image positions are those at which the processor put the model's image token. Of a model that sees
an image whole and in tiles (LLaVA-NeXT, LLaVA-OneVision) the whole counts, which comes first; one
that takes images of any size (Qwen-VL) says how many patches it cut.

A word is a token of the model that stands for it alone; one that is spelled with several has no row
of its own and is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import isqrt
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from mine.core.backbone_keys import DTYPE, KEY
from mine.core.devices import choose_device
from mine.core.lens import BEGINNING, token_words
from mine.core.models import check_finite, digest_folder, explain_refusal, find_repository
from mine.errors import InputError

PROBE = 224
"""Side in pixels of the blank image that tells how a model lays its tokens out."""


class _ReachedError(Exception):
    """Ends a forward pass once all layers that were asked for are there."""


@dataclass(frozen=True)
class LanguageBackbone:
    """A loaded model and how its tokens are read. Use :func:`mine.core.backbone.load_backbone`."""

    network: Any
    processor: Any
    layer: int
    side: int | None
    device: torch.device
    digest: str
    rows: int = 0
    columns: int = 0
    library: str = "transformers"
    reads_logits: bool = True
    temperature: float = 1.0

    @torch.inference_mode()
    def encode_images(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Encode images: see :class:`mine.core.backbone.Backbone`.

        The pooled embedding is the mean of the tokens.
        """
        ((tokens, pooled),) = self._encode_layers(images, [self.layer])
        return tokens, pooled

    @torch.inference_mode()
    def encode_variants(self, images: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """Give images' tokens after each layer, with the layer, from one forward pass."""
        layers = range(1, len(self.decoder.layers) + 1)
        found = self._encode_layers(images, layers)
        for layer, (tokens, _) in zip(layers, found, strict=True):
            yield f"layer {layer}", tokens

    def _encode_layers(
        self, images: np.ndarray, layers: Sequence[int]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Give images' tokens and pooled embedding after each layer, as encode_images does."""
        inputs = self.prepare(images)
        places, end = self.find_places(inputs), None
        if self.tiled:
            # Texts are alike, and so are the places of all images.
            end = int(places[0].nonzero()[self.rows * self.columns - 1]) + 1
        for hidden in self.read_layers(inputs, layers, end=end):
            tokens = self.decoder.norm(hidden[places[:, :end]])
            tokens = tokens.unflatten(0, (len(images), -1)).float()
            pooled = tokens.mean(dim=1).cpu().numpy()
            check_finite(pooled, self.network.dtype, key=DTYPE)
            yield tokens.cpu().numpy(), pooled

    def prepare(self, images: np.ndarray) -> Any:
        """Return the model's inputs for images, uint8 (image, row, column, 3)."""
        from PIL import Image

        pictures = [Image.fromarray(image) for image in images]
        if self.side is not None:
            pictures = [picture.resize((self.side, self.side)) for picture in pictures]
        inputs = self.processor(
            images=[[picture] for picture in pictures],
            text=[self.text] * len(images),
            return_tensors="pt",
        )
        # Made for training alone.
        inputs.pop("labels", None)
        return inputs.to(self.device, self.network.dtype)

    @cached_property
    def text(self) -> str:
        """What the model is given: an image in its own form of a user's turn, where it has one."""
        if not self.processor.chat_template:
            return self.processor.image_token
        turn = [{"role": "user", "content": [{"type": "image"}]}]
        text = self.processor.apply_chat_template(turn, tokenize=False)
        # The tokenizer sets it again.
        return text.removeprefix(self.tokenizer.bos_token or "")

    def find_places(self, inputs: Any) -> torch.Tensor:
        """Return which positions are the image's: bool (image, position)."""
        return inputs["input_ids"] == self.network.config.image_token_id

    def read_layers(
        self, inputs: Any, layers: Sequence[int], *, end: int | None = None
    ) -> list[torch.Tensor]:
        """Return the residual stream after each of the layers, in rising order, (image, position,
        width), of positions up to ``end``; what comes after the last of them, and later positions,
        are not computed."""
        found: list[torch.Tensor] = []

        def cut(module: torch.nn.Module, given: Any, named: dict[str, Any]) -> Any:
            first = {name: named[name][:, :end] for name in ("inputs_embeds", "attention_mask")}
            return given, named | first

        def keep(module: torch.nn.Module, given: Any, output: Any) -> None:
            found.append(output[0] if isinstance(output, tuple) else output)
            if len(found) == len(layers):
                raise _ReachedError

        handles = [self.decoder.layers[layer - 1].register_forward_hook(keep) for layer in layers]
        if end is not None:
            handles.append(self.decoder.register_forward_pre_hook(cut, with_kwargs=True))
        try:
            self.network(**inputs, use_cache=False)
        except _ReachedError:
            return found
        finally:
            for handle in handles:
                handle.remove()
        raise RuntimeError(f"layer {layers[-1]} is no part of the model's forward pass")

    @torch.inference_mode()
    def encode_texts(self, texts: list[str], *, batch_size: int = 256) -> np.ndarray:
        """Encode texts: the mean over a text's positions of the last layer's state, unit length,
        float32 (text, feature)."""
        numbers = self.number_texts(texts)
        found = np.empty((len(texts), self.head.weight.shape[1]), dtype=np.float32)
        for part, ids in self.batch_texts(numbers, size=batch_size):
            hidden = self.decoder(input_ids=ids, use_cache=False).last_hidden_state.float()
            found[part] = functional.normalize(hidden.mean(dim=1), dim=-1).cpu().numpy()
        check_finite(found, self.network.dtype, key=DTYPE)
        return found

    def number_texts(self, texts: Sequence[str]) -> list[list[int]]:
        """Return texts as the numbers of their tokens, each from the mark at which texts begin,
        where the tokenizer has one; a text without any token is its end."""
        numbers, start = self.tokenizer(list(texts))["input_ids"], self.tokenizer.bos_token_id
        if start is None:
            ends = self.tokenizer.eos_token_id, self.tokenizer.pad_token_id
            return [own or [next(end for end in ends if end is not None)] for own in numbers]
        # PaliGemma's processor, which sets the mark after an image itself, takes it off others.
        return [own if own[:1] == [start] else [start, *own] for own in numbers]

    def batch_texts(
        self, numbers: Sequence[list[int]], *, size: int
    ) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
        """Divide texts, given as their tokens' numbers, into batches: which they are, and their
        tokens (text, position)."""
        lengths = np.array([len(own) for own in numbers])
        # Texts of one length at a time: where there is padding, some models attend otherwise.
        for length in np.unique(lengths):
            rows = np.flatnonzero(lengths == length)
            for part in np.split(rows, range(size, len(rows), size)):
                yield part, torch.tensor([numbers[row] for row in part], device=self.device)

    @torch.inference_mode()
    def read_texts(
        self, ids: torch.Tensor, layers: Sequence[int], row: np.ndarray, position: np.ndarray
    ) -> torch.Tensor:
        """Return the residual stream at places of texts after layers, through the final norm as an
        image's tokens: float32 (place, layer, feature).

        ids: the texts' tokens, (text, position). row, position: of each place.
        """
        states = self.decoder(
            input_ids=ids, use_cache=False, output_hidden_states=True
        ).hidden_states
        last = len(self.decoder.layers)
        found = [states[layer][row, position] for layer in layers]
        # The last of them has been through the norm.
        normed = [
            one if layer == last else self.decoder.norm(one)
            for layer, one in zip(layers, found, strict=True)
        ]
        return torch.stack(normed, dim=1).float()

    def name_tokens(self, numbers: list[int]) -> list[str | None]:
        """Return the word that each token of a text is by itself; None for a piece of a longer one,
        and for what is no word."""
        words = [self._words.get(number) for number in numbers]
        if not self._marked:
            return words
        following = [*self.tokenizer.convert_ids_to_tokens(numbers[1:]), ""]
        return [
            None if re.match(r"[^\W\d_]", entry) and not re.match(BEGINNING, entry) else word
            for word, entry in zip(words, following, strict=True)
        ]

    def choose_words(self, words: list[str]) -> list[str]:
        """Return the words that have a token of their own."""
        return [word for word in words if word in self._numbers]

    def embed_words(self, words: list[str], prompts: list[str]) -> np.ndarray:
        """Return each word's row of the unembedding; there are no prompts around it."""
        rows = self.head.weight[[self._numbers[word] for word in words]]
        return rows.float().cpu().numpy()

    @property
    def tokenizer(self) -> Any:
        """Of the model's texts."""
        return self.processor.tokenizer

    @property
    def decoder(self) -> torch.nn.Module:
        """The language model within, with its layers and the final norm."""
        return self.network.get_decoder()

    @property
    def tiled(self) -> bool:
        """Whether the model sees an image whole and in tiles."""
        return bool(getattr(self.network.config, "image_grid_pinpoints", None))

    @property
    def head(self) -> torch.nn.Module:
        """The unembedding."""
        return self.network.get_output_embeddings()

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """Tokens that stand for a word alone, word to number."""
        return token_words(self.tokenizer.get_vocab())

    @cached_property
    def _words(self) -> dict[int, str]:
        """The same, number to word."""
        return {number: word for word, number in self._numbers.items()}

    @cached_property
    def _marked(self) -> bool:
        """Whether tokens say where a word begins, so that the next may go on with it."""
        return any(re.fullmatch(BEGINNING, entry) for entry in self.tokenizer.get_vocab())


def load_language_backbone(
    *, model: str, layer: int | None, side: int | None, dtype: str, device: str
) -> LanguageBackbone:
    """Load an image–text model of transformers.

    model: ``local-dir:`` and a folder, or ``hf-hub:`` and a repository of the hub's cache. layer:
    the one whose output is read, from 1; None takes the last. side: pixels to which images are
    brought before the model's own preparation; None leaves them. Raises InputError if the model
    cannot be had, if its image tokens make no grid, if there is no such layer, or if its words are
    not predicted by a final norm and an unembedding alone.
    """
    from transformers import AutoModelForImageTextToText, AutoProcessor

    with explain_refusal("transformers", model, None, key=KEY):
        hub = model.startswith("hf-hub:")
        place = find_repository(model, fetch=False) if hub else model.removeprefix("local-dir:")
    digest = digest_folder(f"local-dir:{place}", kind="vlm", key=KEY)
    with explain_refusal("transformers", model, None, key=KEY):
        # Left to itself, transformers asks on the terminal whether to run a folder's code.
        processor = AutoProcessor.from_pretrained(place, trust_remote_code=False)
        network = AutoModelForImageTextToText.from_pretrained(
            place, dtype=getattr(torch, dtype), use_safetensors=True, trust_remote_code=False
        )
    chosen = choose_device(device, key="backbone.device")
    network = network.to(chosen).eval().requires_grad_(False)
    backbone = LanguageBackbone(network, processor, layer or 0, side, chosen, digest)
    if backbone.tiled:
        # Tiles come after the whole, and attention looks back: they change nothing that is read.
        grid = [[network.config.vision_config.image_size] * 2]
        network.config.image_grid_pinpoints = processor.image_processor.image_grid_pinpoints = grid
    layers = len(getattr(backbone.decoder, "layers", ()))
    if not layers or not hasattr(backbone.decoder, "norm"):
        raise InputError(
            f"{KEY}: expected a model with layers and a final norm, found {model!r} with a "
            f"{type(backbone.decoder).__name__}"
        )
    if layer is not None and layer > layers:
        raise InputError(f"backbone.layer: expected at most {layers} of {model!r}, found {layer}")
    backbone = replace(backbone, layer=layer or layers)
    rows, columns = _probe(backbone, model)
    return replace(backbone, rows=rows, columns=columns)


@torch.inference_mode()
def _probe(backbone: LanguageBackbone, model: str) -> tuple[int, int]:
    """Try the model on a blank image; return the rows and columns of its tokens."""
    side = backbone.side or PROBE
    blank = np.full((1, side, side, 3), 128, dtype=np.uint8)
    with explain_refusal("transformers", model, None, key=KEY):
        inputs = backbone.prepare(blank)
        # Of all positions, the logits of a large model may be gigabytes.
        said = backbone.network(**inputs, use_cache=False, logits_to_keep=1).logits
    count, config = int(backbone.find_places(inputs).sum()), backbone.network.config
    if "image_grid_thw" in inputs:
        if backbone.side is None:
            raise InputError(
                f"backbone.side: expected a number of pixels, since {model!r} takes images of any "
                "size, found null"
            )
        merged = backbone.processor.image_processor.merge_size
        rows, columns = (int(cut) // merged for cut in inputs["image_grid_thw"][0, 1:])
    elif backbone.tiled:
        rows = columns = config.vision_config.image_size // config.vision_config.patch_size
    else:
        rows = columns = isqrt(count)
    if not count or rows * columns > count or (rows * columns < count and not backbone.tiled):
        raise InputError(
            f"{KEY}: expected a model whose image tokens make a grid, found {model!r} with {count}"
        )
    (last,) = backbone.read_layers(inputs, [len(backbone.decoder.layers)])
    lens = backbone.decoder.norm(last[:, -1:]) @ backbone.head.weight.T
    check_finite(said.float().cpu().numpy(), backbone.network.dtype, key=DTYPE)
    error = (lens - said).abs().max()
    # Not `>`, which no NaN is.
    if not error <= 1e-2 * said.abs().max():
        raise InputError(
            f"{KEY}: expected a model whose next word follows from its final norm and its "
            f"unembedding alone, found {model!r}, whose logits are {float(error):.2g} off"
        )
    return rows, columns
