"""How well a prediction fits: R² and Pearson correlation over images.

Each also as a function of means over images, which is what the bootstrap asks for.
"""

from __future__ import annotations

import numpy as np

from mine.statistics.arithmetic import centre, divide


def r_squared(measured: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Coefficient of determination 1 − SS_residual / SS_total, over images; nan if constant.

    measured, predicted: (image, ...), the same shape. It is not the squared correlation:
    it is negative where the prediction is worse than the mean of the measured values.
    """
    measured, predicted = _as_pair(measured, predicted)
    residual = np.square(measured - predicted).sum(axis=0)
    total = np.square(centre(measured, 0)).sum(axis=0)
    return 1.0 - divide(residual, total)


def pearson(measured: np.ndarray, predicted: np.ndarray, *, axis: int = 0) -> np.ndarray:
    """Pearson correlation over images along ``axis``; nan where either is constant."""
    measured, predicted = _as_pair(measured, predicted)
    measured, predicted = centre(measured, axis), centre(predicted, axis)
    scale = np.sqrt(np.square(measured).sum(axis=axis)) * np.sqrt(
        np.square(predicted).sum(axis=axis)
    )
    return np.clip(divide((measured * predicted).sum(axis=axis), scale), -1.0, 1.0)


def correlate_rows(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pearson correlation between every row of one array and every row of another; nan if
    constant.
    """
    scaled = []
    for rows in (first, second):
        centred = rows - rows.mean(axis=1, keepdims=True)
        length = np.linalg.norm(centred, axis=1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            scaled.append(np.where(length > 1e-9, centred / length, np.nan))
    return scaled[0] @ scaled[1].T


def r_squared_terms(measured: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, ...]:
    """Terms per image whose means give R²: (residual², y, y²), y centred. See r_squared_of_means.

    measured, predicted: (image, column). Centring costs nothing and keeps the variance exact.
    """
    measured, predicted = _as_pair(measured, predicted)
    centred = centre(measured, 0)
    return np.square(measured - predicted), centred, np.square(centred)


def r_squared_of_means(residual: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """R² from the means of r_squared_terms: 1 − residual / (second − first²)."""
    return 1.0 - divide(residual, second - np.square(first))


def pearson_terms(measured: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, ...]:
    """Terms per image whose means give the correlation: (y, p, y², p², y·p), both centred."""
    measured, predicted = _as_pair(measured, predicted)
    y, p = centre(measured, 0), centre(predicted, 0)
    return y, p, np.square(y), np.square(p), y * p


def pearson_of_means(
    y: np.ndarray, p: np.ndarray, yy: np.ndarray, pp: np.ndarray, yp: np.ndarray
) -> np.ndarray:
    """Pearson correlation from the means of pearson_terms."""
    scale = np.sqrt(np.maximum(yy - np.square(y), 0)) * np.sqrt(np.maximum(pp - np.square(p), 0))
    return divide(yp - y * p, scale)


def _as_pair(measured: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    measured = np.asarray(measured, dtype=np.float64)
    predicted = np.asarray(predicted, dtype=np.float64)
    if measured.shape != predicted.shape:
        raise ValueError(
            f"measured and predicted differ in shape: {measured.shape}, {predicted.shape}"
        )
    return measured, predicted
