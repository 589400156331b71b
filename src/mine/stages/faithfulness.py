"""Faithfulness: do the tokens a ranking puts first carry the prediction?

Tokens outside the first k (mode "keep": sufficiency) or inside them (mode "remove": necessity) are
replaced by the baseline's token. The patched prediction follows from the scalars alone, with no
forward pass: the softmax over where(kept, s1, s0) of where(kept, u1, u0).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import torch
import xarray as xr

from mine.core.integrated_gradients import AttributionBatch
from mine.core.rankings import RANKINGS, place_tokens
from mine.statistics.bootstrap import bootstrap_weights, interval
from mine.statistics.curves import area_under_curve

MODES = ("keep", "remove")
TARGETS = ("prediction", "measured")
BOUNDS = ("value", "low", "high")

# Floats of one work array of the patching, in double precision.
CHUNK = 2**17


def predict_patched(
    batch: AttributionBatch, places: Sequence[torch.Tensor], counts: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Predictions with the first k tokens of each ranking kept, and with them removed.

    Tokens are gathered into segments between successive k; sums of exp(s){1, u} over the segments,
    accumulated from either end, give every k at once. All terms of a denominator are positive, so
    nothing cancels, and double precision holds logits hundreds apart.

    places: of each ranking, (image, voxel or 1, token), 0 for the token ranked first.
    counts: k, rising. Returns (keep, remove), each (ranking, image, voxel, fraction). Invariants:
    keep at k = 0 and remove at k = T are the baseline's prediction, keep at k = T and remove at
    k = 0 the image's.
    """
    images, voxels, heads, tokens = batch.s1.shape
    device = batch.s1.device
    keep = torch.empty(len(places), images, voxels, len(counts), device=device)
    remove = torch.empty_like(keep)
    ends = torch.as_tensor(list(counts), device=device)
    segment = torch.searchsorted(ends, torch.arange(tokens, device=device), right=True)
    segments = torch.arange(len(ends) + 1, device=device)
    member = (segment[:, None] == segments).double()
    # Rankings side by side, so that one product of fair size serves them all.
    together = torch.stack([place.expand(images, voxels, tokens) for place in places], dim=-1)
    width = len(places) * len(segments)
    voxel_step = max(1, CHUNK // (tokens * (4 * heads + width)))
    for image, start in product(range(images), range(0, voxels, voxel_step)):
        part = slice(start, start + voxel_step)
        s0, s1 = batch.s0[0, part].double(), batch.s1[image, part].double()
        u0, u1 = batch.u0[0, part].double(), batch.u1[image, part].double()
        highest = torch.maximum(s0, s1).amax(dim=-1, keepdim=True)
        e0, e1 = torch.exp(s0 - highest), torch.exp(s1 - highest)
        terms = torch.stack([e0, e0 * u0, e1, e1 * u1], dim=1).flatten(1, 2)
        sums = terms @ member[together[image, part]].flatten(-2)
        sums = sums.unflatten(-1, (len(places), len(segments))).unflatten(1, (4, heads))
        first = sums.cumsum(dim=-1)[..., :-1]
        last = sums.flip(-1).cumsum(dim=-1).flip(-1)[..., 1:]
        for patched, (inside, outside) in ((keep, (2, 0)), (remove, (0, 2))):
            weight = first[:, inside] + last[:, outside]
            value = first[:, inside + 1] + last[:, outside + 1]
            sum_of_heads = (value / weight).sum(dim=1)
            patched[:, image, part] = sum_of_heads.transpose(0, 1).float()
    bias = batch.bias[:, None]
    return keep.add_(bias), remove.add_(bias)


class FaithfulnessCurves:
    """Curves of patching, gathered from a stream of batches: sums only, one voxel batch at a time.

    Feed every batch of mine.core.integrated_gradients.stream_attributions to ``add``, then ask for
    the ``dataset``. Memory is 4 bytes × 2 × ranking × mode × fraction × image × voxel_batch.
    """

    def __init__(
        self,
        *,
        voxels: int,
        norm: np.ndarray,
        fractions: Sequence[float],
        generator: np.random.Generator,
        resamples: int,
        measured: np.ndarray | None = None,
        images: np.ndarray | None = None,
        rankings: Sequence[str] = RANKINGS,
        level: float = 0.95,
    ) -> None:
        """norm: (streamed image, token), norms of the raw tokens. fractions: of the tokens, rising.

        measured: (streamed image, voxel), the responses, or None. images: (streamed image,) bool,
        those of the stream that take part; all by default. resamples: of the bootstrap over images.
        """
        norm = np.asarray(norm, dtype=np.float32)
        used = np.ones(len(norm), bool) if images is None else np.asarray(images, dtype=bool)
        if unknown := set(rankings) - set(RANKINGS):
            raise ValueError(f"unknown rankings {sorted(unknown)}; there are {list(RANKINGS)}")
        self._used = used
        self._row = np.cumsum(used) - 1
        self._norm = torch.as_tensor(norm)
        # Keyed by image before the stream starts: the same whatever the batches.
        self._random = torch.as_tensor(generator.random(norm.shape))
        self._measured = None if measured is None else np.asarray(measured, dtype=np.float32)
        self._fractions = np.asarray(fractions, dtype=np.float64)
        self._counts = np.rint(self._fractions * norm.shape[1]).astype(int).tolist()
        self._rankings = tuple(rankings)
        self._level = level
        self._weights = bootstrap_weights(
            int(used.sum()), resamples=resamples, generator=generator
        ).astype(np.float32)
        self._targets = TARGETS if measured is not None else TARGETS[:1]
        curve = (len(self._rankings), len(MODES), len(self._fractions))
        self._r2 = np.full((len(self._targets), *curve, voxels), np.nan, np.float32)
        self._error = np.full((*curve, voxels), np.nan, np.float32)
        # Measures whose mean over voxels is bootstrapped: R² to each target, normalised error.
        measures = len(self._targets) + 1
        self._draws = np.zeros((measures, *curve, resamples))
        self._valid = np.zeros(measures)
        self._open: slice | None = None

    def add(self, batch: AttributionBatch) -> None:
        """Take in one batch: patched predictions of every ranking, as errors per image."""
        if batch.voxels != self._open:
            self._close()
            self._start(batch)
        chosen = np.flatnonzero(self._used[batch.images])
        if len(chosen) == 0:
            return
        if len(chosen) < len(batch.prediction):
            batch = _choose_images(batch, chosen)
        streamed = np.arange(len(self._used))[batch.images][chosen]
        device = batch.prediction.device
        rows = slice(self._row[streamed[0]], self._row[streamed[-1]] + 1)
        places = place_tokens(
            batch,
            norm=self._norm[streamed].to(device),
            random=self._random[streamed].to(device),
            rankings=self._rankings,
        )
        self._full[rows] = batch.prediction.cpu().numpy()
        references = [batch.prediction]
        if self._measured is not None:
            response = self._measured[streamed][:, batch.voxels]
            references.append(torch.as_tensor(response, device=device))
        for mode, patched in enumerate(predict_patched(batch, list(places.values()), self._counts)):
            for target, reference in enumerate(references):
                squared = (patched - reference[..., None]).square_().permute(0, 3, 1, 2)
                self._squared[target, :, mode, :, rows] = squared.cpu().numpy()

    def dataset(self) -> xr.Dataset:
        """The curves of all voxels and of their mean.

        - r2 (target, ranking, mode, fraction, voxel): R² over images of the patched prediction to
          the full prediction and to the measured response
        - normalised_error (ranking, mode, fraction, voxel): Σ (patched − full)² over
          Σ (baseline − full)²: 0 is the full prediction, 1 the baseline's
        - auc (target, ranking, mode, voxel) of r2, error_auc (ranking, mode, voxel): areas over
          the fractions
        - roi_r2, roi_error, roi_auc, roi_error_auc: the means over voxels with intervals (bound)
          from a bootstrap over images
        - auc_difference (bound, target, ranking, mode), error_auc_difference: IG minus the other
          ranking, paired. A better ranking has the larger auc in "keep", the smaller in "remove".

        Voxels whose reference is constant over images are nan, and left out of the means.
        """
        self._close()
        value = np.stack([*self._r2, self._error])
        # ddof 0 mean over valid voxels; a measure that no voxel has stays nan.
        with np.errstate(invalid="ignore"):
            mean = np.nansum(value, axis=-1) / self._valid[:, None, None, None]
            draws = self._draws / self._valid[:, None, None, None, None]
        areas = area_under_curve(mean, self._fractions)
        area_draws = area_under_curve(draws, self._fractions, axis=3)
        roi_curve = self._bounds(mean, draws)
        roi_area = self._bounds(areas, area_draws)
        last = len(self._targets)
        curve = ("ranking", "mode", "fraction")
        bound = ("bound", "target", *curve)
        variables = {
            "r2": (("target", *curve, "voxel"), self._r2),
            "normalised_error": ((*curve, "voxel"), self._error),
            "auc": (
                ("target", "ranking", "mode", "voxel"),
                area_under_curve(self._r2, self._fractions, axis=3).astype(np.float32),
            ),
            "error_auc": (
                ("ranking", "mode", "voxel"),
                area_under_curve(self._error, self._fractions, axis=2).astype(np.float32),
            ),
            "roi_r2": (bound, roi_curve[:, :last]),
            "roi_error": (("bound", *curve), roi_curve[:, last]),
            "roi_auc": (bound[:-1], roi_area[:, :last]),
            "roi_error_auc": (("bound", "ranking", "mode"), roi_area[:, last]),
        }
        if "integrated_gradients" in self._rankings:
            ig = [self._rankings.index("integrated_gradients")]
            difference = self._bounds(areas[:, ig] - areas, area_draws[:, ig] - area_draws)
            variables["auc_difference"] = (bound[:-1], difference[:, :last])
            variables["error_auc_difference"] = (("bound", "ranking", "mode"), difference[:, last])
        result = xr.Dataset(
            variables,
            coords={
                "target": list(self._targets),
                "ranking": list(self._rankings),
                "mode": list(MODES),
                "fraction": self._fractions,
                "bound": list(BOUNDS),
            },
            attrs={"images": int(self._used.sum()), "level": self._level},
        )
        for name, text in _LONG_NAMES.items():
            if name in result:
                result[name].attrs["long_name"] = text
        return result

    def _start(self, batch: AttributionBatch) -> None:
        self._open = batch.voxels
        self._baseline = batch.baseline_prediction.cpu().numpy().astype(np.float64)
        images, voxels = int(self._used.sum()), len(self._baseline)
        curve = (len(self._rankings), len(MODES), len(self._fractions))
        self._squared = np.full((len(self._targets), *curve, images, voxels), np.nan, np.float32)
        self._full = np.full((images, voxels), np.nan)

    def _close(self) -> None:
        """Finish a batch of voxels: all its images have passed."""
        if self._open is None:
            return
        if np.isnan(self._full).any():
            raise RuntimeError(f"voxels {self._open} left the stream before all their images came")
        here, weights = self._open, self._weights
        references = [self._full]
        if self._measured is not None:
            references.append(self._measured[self._used][:, here].astype(np.float64))
        spread = [_spread(reference, weights) for reference in references]
        distance = np.square(self._full - self._baseline)
        scale = [*spread, (distance.mean(axis=0), weights @ distance)]
        for measure, (variance, variance_draws) in enumerate(scale):
            target = measure if measure < len(references) else 0
            valid = variance > 0
            self._valid[measure] += valid.sum()
            with np.errstate(divide="ignore"):
                inverse = np.where(valid, 1 / variance, np.nan)
                # A resample of one image over and over has no variance: the sample's stands in.
                inverse_draws = 1 / np.where(variance_draws > 0, variance_draws, variance)
            inverse_draws[:, ~valid] = 0
            is_error = measure == len(references)
            for curve in np.ndindex(self._draws.shape[1:-1]):
                squared = self._squared[(target, *curve)]
                ratio = squared.mean(axis=0, dtype=np.float64) * inverse
                ratio_draws = ((weights @ squared) * inverse_draws).sum(axis=-1)
                if is_error:
                    self._error[(*curve, here)] = ratio
                    self._draws[(measure, *curve)] += ratio_draws
                else:
                    self._r2[(measure, *curve, here)] = 1 - ratio
                    self._draws[(measure, *curve)] += valid.sum() - ratio_draws
        self._open = None

    def _bounds(self, value: np.ndarray, draws: np.ndarray) -> np.ndarray:
        """(value, low, high) along a new first dimension; draws along the last."""
        low, high = interval(draws, level=self._level, axis=-1)
        return np.stack([value, low, high]).astype(np.float32)


_LONG_NAMES = {
    "r2": "R² over images of the patched prediction to the target",
    "normalised_error": "squared error to the full prediction over that of the baseline",
    "auc": "area under r2 over the fractions",
    "error_auc": "area under normalised_error over the fractions",
    "roi_r2": "mean of r2 over voxels",
    "roi_error": "mean of normalised_error over voxels",
    "roi_auc": "mean of auc over voxels",
    "roi_error_auc": "mean of error_auc over voxels",
    "auc_difference": "roi_auc of integrated gradients minus that of the ranking, paired",
    "error_auc_difference": "roi_error_auc of integrated gradients minus that of the ranking",
    "fraction": "tokens kept or removed, as a fraction of all",
}


def _spread(reference: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variance over images, per voxel and per resample; exactly 0 where constant."""
    centred = reference - reference.mean(axis=0)
    centred[:, np.ptp(reference, axis=0) == 0] = 0
    draws = weights @ np.square(centred) - np.square(weights @ centred)
    return np.square(centred).mean(axis=0), draws


def _choose_images(batch: AttributionBatch, chosen: np.ndarray) -> AttributionBatch:
    """The batch with some of its images only; its slice then no longer says which."""
    rows = torch.as_tensor(chosen, device=batch.prediction.device)
    fields = ("s1", "u1", "prediction", "attribution", "completeness_error", "nodes")
    return replace(batch, **{name: getattr(batch, name)[rows] for name in fields})
