"""Which of many candidates add to a regression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# scipy.stats takes a second to import: as an attribute of scipy it is loaded when first used.
import scipy
from scipy import linalg, sparse, special


@dataclass(frozen=True)
class Selection:
    """Columns in the order in which a forward selection took them."""

    order: np.ndarray
    """(step,): index of the candidate"""
    correlation: np.ndarray
    """(step,): its partial correlation with the response, given what was known and taken before"""
    p: np.ndarray
    """(step,): one-sided p of what it adds, times the number of tests, at most 1"""


def normal_scores(values: np.ndarray) -> np.ndarray:
    """Each column's values by those of a normal distribution of the same rank, Φ⁻¹(rank / (n + 1)).

    values: (image, …); equal ones share their mean rank. Scores are symmetric and without heavy
    tails whatever the distribution of the values (van der Waerden 1952): on predictors of which
    most are zero, a few images would else decide.
    """
    return special.ndtri(scipy.stats.rankdata(values, axis=0) / (len(values) + 1))


def forward_selection(
    response: np.ndarray,
    known: np.ndarray,
    candidates: np.ndarray | sparse.sparray,
    *,
    count: int,
    tests: int | None = None,
    reliability: float = 1.0,
) -> Selection:
    """Take, one after the other, the candidate that adds most to a regression: at most ``count``.

    The next is the one of largest positive partial correlation with the response, given ``known``
    and those taken before. p is that of what it adds, with an error that does not ask that the
    response varies alike in all images (:func:`_robust_p`), corrected for having been the best of
    ``tests`` (Bonferroni): a voxel that sees but half of the faces varies most in images of faces,
    where alone a word that is read together with *face* is not zero. The selection ends where none
    adds anything, and where of the response rounding alone is left, as of a constant one. A
    candidate of which less than a thousandth is left is one that was taken, under another name, and
    is passed over.

    What is known is measured, so a candidate z that goes with it adds something even where it has
    no part in the response: it tells where the measure errs. If a measure holds a share ρ of the
    variance of what it measures, then with z = Pz + z_⊥, its parts within and beyond what is known,
    Pz with a mean of zero, what z adds to a perfect measure is

        b = Σ_n w_n y_n,   w = (z_⊥ − (1/ρ − 1) Pz) / |z_⊥|

    the coefficient of a regression whose known covariances are divided by their reliability (Fuller
    1987, Measurement Error Models; Westfall & Yarkoni 2016 on what follows where it is left out).
    Where Pz goes against the response w is z_⊥ / |z_⊥|. p is that of b, and the next is that of
    largest b / |w|, so that no candidate that tells errors alone stands before one that does not;
    at ρ = 1 that is the partial correlation. Those that are returned are so at any ρ.

    response: (image,), best by normal_scores. known: (image, column), maybe none.
    candidates: (image, candidate), sparse or not; a step takes one product with them. tests: how
    many candidates there were, if some were left out beforehand; all by default. reliability: ρ of
    what is known and of what is taken, in (0, 1]. Raises ValueError if a response is not finite or
    a reliability is none.
    """
    if not 0 < reliability <= 1:
        raise ValueError(f"a reliability is above 0 and at most 1, not {reliability}")
    if not np.isfinite(response).all():
        raise ValueError("a response that is regressed must be finite in all images")
    images, columns = len(response), sparse.csc_array(candidates, dtype=np.float64)
    base = np.column_stack([np.ones(images), known]).astype(np.float64)
    # Pivots put dependent columns last; dropped from the middle, they take a part of later ones.
    basis, scale, _ = linalg.qr(base, mode="economic", pivoting=True)
    basis = basis[:, np.abs(np.diag(scale)) > 1e-9 * np.abs(scale).max()]
    left = response - basis @ (basis.T @ response)
    # Of a candidate with numbers c what the basis B leaves is |c|² - |Bᵀc|², without writing it.
    size = columns.power(2).sum(axis=0)
    spread = size - columns.sum(axis=0) ** 2 / images
    least = 1e-6 * spread + 1e-12 * size
    squares = size - np.square(columns.T @ basis).sum(axis=1)
    inner, within = columns.T @ left, columns.T @ (response - response.mean() - left)
    error = 1 / reliability - 1
    tests = columns.shape[1] if tests is None else tests
    rounding = 1e-6 * np.linalg.norm(response)
    order: list[int] = []
    found: list[tuple[float, float]] = []
    while len(order) < min(count, columns.shape[1]) and np.linalg.norm(left) > rounding:
        owed = error * np.maximum(within, 0)
        length = squares + np.where(owed > 0, error**2 * (spread - squares), 0)
        added = (inner - owed) / np.sqrt(np.maximum(length, 1e-300))
        best = int(np.argmax(np.where(squares > least, added, -np.inf)))
        if squares[best] <= least[best] or added[best] <= 0 or images - basis.shape[1] < 2:
            break
        candidate = columns[:, [best]].toarray()[:, 0]
        told = basis @ (basis.T @ candidate)
        beyond = candidate - told
        unit = beyond / np.linalg.norm(beyond)
        # The constant is no measure.
        told = (told - told.mean()) / np.linalg.norm(beyond) if owed[best] > 0 else 0.0
        basis = np.column_stack([basis, unit])
        share, before = unit @ left, np.linalg.norm(left)
        left = left - unit * share
        p = _robust_p(unit - error * told, response, left, basis)
        order.append(best)
        found.append((float(share / before), min(1.0, p * tests)))
        along = columns.T @ unit
        inner, within = inner - along * share, within + along * share
        squares -= np.square(along)
    correlation, p = np.array(found).reshape(-1, 2).T
    return Selection(np.array(order, dtype=np.int64), correlation, p)


def _robust_p(
    weights: np.ndarray, response: np.ndarray, residual: np.ndarray, columns: np.ndarray
) -> float:
    """One-sided p of a sum b = Σ_n w_n y_n over a regression's images, where the variance differs
    between images.

    With e the residuals, h the leverages and H the projection of the regression's columns,

        a_n = w_n / (1 − h_n),   t = b / √Σ a_n² e_n²,   degrees = (Σ g_nn)² / Σ_nm g_nm²,
        g_nm = a_n a_m (δ_nm − H_nm)

    the error HC3 (MacKinnon & White 1985, Journal of Econometrics 29) with the degrees of freedom
    of Bell & McCaffrey (2002, Survey Methodology 28): few for a word that is read in few images. p
    is 1 where one image alone decides. For the coefficient of a column w is what the others leave
    of it, of unit length.

    weights, response, residual: (image,). columns: (image, column), orthonormal.
    """
    leverage = np.square(columns).sum(axis=1)
    if leverage.max() > 1 - 1e-9:
        return 1.0
    squares = np.square(weights / (1 - leverage))
    error = np.sqrt((squares * np.square(residual)).sum())
    # Σ_nm g_nm² from the projection's few columns, so that no matrix is of images × images.
    cross = np.square(columns.T @ (squares[:, None] * columns)).sum()
    spread = (np.square(squares) * (1 - 2 * leverage)).sum() + cross
    degrees = np.square((squares * (1 - leverage)).sum()) / spread
    return float(special.stdtr(degrees, -(weights @ response) / error)) if error > 0 else 0.0
