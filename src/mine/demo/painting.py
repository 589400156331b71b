"""How a scene looks: its pixels, and where each of its objects is visible.

Rendering is a function of the scene's description (scenes.py): there is one painter for each
category and each background, and what a background leaves to chance is drawn from the scene's
texture.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mine.demo.scenes import Scene, SceneObject

RGB = {
    "red": (208, 38, 38),
    "yellow": (240, 212, 48),
    "green": (52, 158, 60),
    "blue": (44, 92, 214),
    "purple": (142, 58, 176),
    "white": (242, 242, 242),
    "black": (34, 34, 36),
}
# Standard deviation of a background's texture, in grey levels: local contrast varies between
# backgrounds.
GRAIN = {
    "beach": 5.0,
    "forest": 16.0,
    "city": 8.0,
    "snow": 3.0,
    "field": 12.0,
    "room": 2.0,
    "desert": 4.0,
    "night": 3.0,
}
OVERSAMPLING = 3


def render_scene(scene: Scene, *, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Render a scene.

    Returns the image, uint8 of shape (row, column, 3), and the visible share of each object in each
    pixel, float32 of shape (object, row, column) with values 0 to 1; the background's share is one
    minus their sum.
    """
    pixels = side * OVERSAMPLING
    canvas = _paint_background(scene.background, pixels, scene.texture)
    layers = np.zeros((len(scene.objects), pixels, pixels), dtype=np.float32)
    for index, item in enumerate(scene.objects):
        sprite = _paint_object(item, max(round(item.width * pixels), 8))
        top = round(item.row * pixels - sprite.height / 2)
        left = round(item.column * pixels - sprite.width / 2)
        canvas.paste(sprite, (left, top), sprite)
        alpha = Image.new("L", (pixels, pixels))
        alpha.paste(sprite.getchannel("A"), (left, top))
        share = np.asarray(alpha, dtype=np.float32) / 255
        layers[:index] *= 1 - share
        layers[index] = share
    image = np.asarray(canvas.resize((side, side), Image.Resampling.BOX))
    masks = layers.reshape(len(layers), side, OVERSAMPLING, side, OVERSAMPLING).mean(axis=(2, 4))
    return image, masks


def _tone(colour: tuple[int, int, int], factor: float) -> tuple[int, int, int]:
    """Darken (factor below one) or lighten (above one, towards white)."""
    if factor <= 1:
        return tuple(int(value * factor) for value in colour)
    return tuple(int(value + (255 - value) * min(factor - 1, 1)) for value in colour)


@lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _paint_object(item: SceneObject, size: int) -> Image.Image:
    sprite = Image.new("RGBA", (size, size))
    main = _tone(RGB[item.colour], item.shade)
    _PAINTERS[item.category](ImageDraw.Draw(sprite), size, main, item)
    return (
        sprite.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if item.mirrored and not item.letters
        else sprite
    )


def _scaled(size: int, *values: float) -> list[float]:
    return [value * (size - 1) for value in values]


def _line_colour(main):
    """Details stay visible on any colour: dark on light, light on dark."""
    return (30, 30, 30) if sum(main) > 200 else (225, 225, 225)


def _paint_face(draw, size, main, item):
    line, width = _line_colour(main), max(size // 18, 1)
    draw.ellipse(
        _scaled(size, 0.06, 0.0, 0.94, 1.0), fill=main, outline=_tone(main, 0.6), width=width
    )
    for column in (0.33, 0.67):
        draw.ellipse(
            _scaled(size, column - 0.1, 0.26, column + 0.1, 0.46),
            fill=(250, 250, 250),
            outline=line,
        )
        draw.ellipse(_scaled(size, column - 0.045, 0.32, column + 0.045, 0.42), fill=(20, 20, 20))
    draw.line(_scaled(size, 0.5, 0.45, 0.47, 0.6), fill=line, width=width)
    if item.expression == "happy":
        draw.chord(
            _scaled(size, 0.25, 0.48, 0.75, 0.9),
            10,
            170,
            fill=(250, 250, 250),
            outline=line,
            width=width,
        )
    else:
        draw.arc(_scaled(size, 0.28, 0.7, 0.72, 1.0), 195, 345, fill=line, width=2 * width)


def _paint_person(draw, size, main, item):
    skin = (224, 178, 140)
    draw.ellipse(_scaled(size, 0.38, 0.0, 0.62, 0.24), fill=skin)
    draw.rounded_rectangle(_scaled(size, 0.3, 0.25, 0.7, 0.62), radius=size // 12, fill=main)
    draw.line(_scaled(size, 0.32, 0.3, 0.12, 0.56), fill=_tone(main, 0.85), width=max(size // 9, 2))
    draw.line(_scaled(size, 0.68, 0.3, 0.88, 0.56), fill=_tone(main, 0.85), width=max(size // 9, 2))
    for left in (0.31, 0.53):
        draw.rectangle(_scaled(size, left, 0.6, left + 0.16, 0.98), fill=_tone(main, 0.75))


def _paint_house(draw, size, main, item):
    draw.rectangle(_scaled(size, 0.12, 0.4, 0.88, 0.98), fill=main)
    draw.polygon(
        _scaled(size, 0.02, 0.42, 0.5, 0.02, 0.98, 0.42),
        fill=_tone(main, 0.65),
        outline=_line_colour(main),
    )
    draw.rectangle(_scaled(size, 0.42, 0.66, 0.58, 0.98), fill=(110, 70, 40))
    for left in (0.2, 0.64):
        draw.rectangle(
            _scaled(size, left, 0.5, left + 0.16, 0.64), fill=(255, 240, 170), outline=(60, 60, 60)
        )


def _paint_word(draw, size, main, item):
    line = _line_colour(main)
    draw.rounded_rectangle(
        _scaled(size, 0.0, 0.22, 1.0, 0.78), radius=size // 16, fill=main, outline=line
    )
    draw.text(
        (0.5 * size, 0.5 * size), item.letters, fill=line, font=_font(int(0.42 * size)), anchor="mm"
    )


def _paint_food(draw, size, main, item):
    width = int(0.3 * size)
    draw.ellipse(_scaled(size, 0.02, 0.1, 0.98, 0.94), outline=(176, 118, 60), width=width)
    draw.ellipse(_scaled(size, 0.07, 0.12, 0.93, 0.86), outline=main, width=int(0.25 * size))
    line = _line_colour(main)
    for angle in np.linspace(0, 2 * np.pi, 9, endpoint=False):
        row, column = 0.5 + 0.26 * np.sin(angle), 0.5 + 0.32 * np.cos(angle)
        draw.line(
            _scaled(size, column - 0.02, row - 0.03, column + 0.02, row + 0.03),
            fill=line,
            width=max(size // 22, 1),
        )


def _paint_dog(draw, size, main, item):
    dark = _tone(main, 0.7) if sum(main) > 200 else _tone(main, 1.25)
    draw.ellipse(_scaled(size, 0.08, 0.42, 0.72, 0.78), fill=main)
    for left in (0.14, 0.28, 0.5, 0.62):
        draw.rectangle(_scaled(size, left, 0.66, left + 0.09, 1.0), fill=dark)
    draw.line(_scaled(size, 0.12, 0.52, 0.0, 0.3), fill=main, width=max(size // 14, 2))
    draw.ellipse(_scaled(size, 0.56, 0.16, 0.92, 0.56), fill=main)
    draw.rectangle(_scaled(size, 0.8, 0.34, 1.0, 0.5), fill=main)
    draw.polygon(_scaled(size, 0.58, 0.2, 0.5, 0.5, 0.66, 0.46), fill=dark)
    draw.ellipse(_scaled(size, 0.95, 0.33, 1.0, 0.42), fill=(20, 20, 20))
    draw.ellipse(_scaled(size, 0.74, 0.26, 0.81, 0.34), fill=_line_colour(main))


def _paint_car(draw, size, main, item):
    draw.polygon(_scaled(size, 0.2, 0.5, 0.3, 0.24, 0.7, 0.24, 0.82, 0.5), fill=_tone(main, 0.9))
    draw.polygon(_scaled(size, 0.27, 0.48, 0.34, 0.3, 0.48, 0.3, 0.48, 0.48), fill=(190, 225, 240))
    draw.polygon(_scaled(size, 0.53, 0.48, 0.53, 0.3, 0.66, 0.3, 0.74, 0.48), fill=(190, 225, 240))
    draw.rounded_rectangle(_scaled(size, 0.0, 0.47, 1.0, 0.74), radius=size // 12, fill=main)
    for left in (0.12, 0.66):
        draw.ellipse(
            _scaled(size, left, 0.62, left + 0.24, 0.86), fill=(25, 25, 25), outline=(150, 150, 150)
        )
    draw.rectangle(_scaled(size, 0.93, 0.53, 1.0, 0.6), fill=(255, 250, 180))


def _paint_bird(draw, size, main, item):
    dark = _tone(main, 0.65) if sum(main) > 200 else _tone(main, 1.3)
    draw.polygon(_scaled(size, 0.3, 0.55, 0.0, 0.4, 0.04, 0.68), fill=dark)
    draw.ellipse(_scaled(size, 0.18, 0.34, 0.78, 0.82), fill=main)
    draw.ellipse(_scaled(size, 0.56, 0.1, 0.9, 0.46), fill=main)
    draw.polygon(_scaled(size, 0.87, 0.22, 1.0, 0.3, 0.87, 0.36), fill=(245, 150, 30))
    draw.ellipse(_scaled(size, 0.26, 0.42, 0.6, 0.68), fill=dark)
    draw.ellipse(_scaled(size, 0.72, 0.2, 0.79, 0.27), fill=_line_colour(main))
    for column in (0.42, 0.54):
        draw.line(
            _scaled(size, column, 0.8, column, 1.0), fill=(245, 150, 30), width=max(size // 24, 1)
        )


def _paint_flower(draw, size, main, item):
    draw.line(_scaled(size, 0.5, 0.5, 0.5, 1.0), fill=(40, 120, 40), width=max(size // 14, 2))
    draw.ellipse(_scaled(size, 0.52, 0.74, 0.76, 0.88), fill=(40, 120, 40))
    for angle in np.linspace(0, 2 * np.pi, 6, endpoint=False):
        row, column = 0.38 + 0.23 * np.sin(angle), 0.5 + 0.23 * np.cos(angle)
        draw.ellipse(
            _scaled(size, column - 0.17, row - 0.15, column + 0.17, row + 0.15),
            fill=main,
            outline=_tone(main, 0.75),
        )
    draw.ellipse(_scaled(size, 0.38, 0.26, 0.62, 0.5), fill=(240, 140, 30), outline=(120, 60, 10))


def _paint_chair(draw, size, main, item):
    dark = _tone(main, 0.75) if sum(main) > 200 else _tone(main, 1.2)
    draw.rectangle(_scaled(size, 0.12, 0.0, 0.26, 0.98), fill=main)
    draw.rectangle(_scaled(size, 0.12, 0.02, 0.2, 0.6), fill=dark)
    draw.rectangle(_scaled(size, 0.12, 0.5, 0.88, 0.66), fill=main)
    draw.polygon(_scaled(size, 0.26, 0.04, 0.44, 0.1, 0.44, 0.5, 0.26, 0.5), fill=dark)
    for left in (0.36, 0.76):
        draw.rectangle(_scaled(size, left, 0.62, left + 0.12, 0.98), fill=dark)


_PAINTERS = {
    "face": _paint_face,
    "person": _paint_person,
    "house": _paint_house,
    "word": _paint_word,
    "food": _paint_food,
    "dog": _paint_dog,
    "car": _paint_car,
    "bird": _paint_bird,
    "flower": _paint_flower,
    "chair": _paint_chair,
}


def _paint_background(name: str, pixels: int, texture: int) -> Image.Image:
    random = np.random.default_rng(texture)
    horizon = float(random.uniform(0.35, 0.6))
    canvas = Image.new("RGB", (pixels, pixels))
    draw = ImageDraw.Draw(canvas)
    _BACKDROPS[name](draw, pixels, horizon, random)
    grain = random.normal(0, 1, (pixels // 6, pixels // 6, 1)).repeat(6, axis=0).repeat(6, axis=1)
    light = float(random.uniform(0.85, 1.1))
    array = np.asarray(canvas, dtype=np.float32) * light + GRAIN[name] * grain
    return Image.fromarray(np.clip(array, 0, 255).astype(np.uint8))


def _band(draw, pixels, top, bottom, first, last):
    """Fill rows from top to bottom (fractions) with a vertical gradient between two colours."""
    start, stop = int(top * pixels), max(int(bottom * pixels), int(top * pixels) + 1)
    for row in range(start, stop):
        mix = (row - start) / (stop - start)
        colour = tuple(int(a + (b - a) * mix) for a, b in zip(first, last, strict=True))
        draw.line([0, row, pixels, row], fill=colour)


def _paint_beach(draw, pixels, horizon, random):
    _band(draw, pixels, 0, horizon, (120, 190, 240), (190, 225, 245))
    _band(draw, pixels, horizon, horizon + 0.18, (20, 120, 170), (60, 170, 190))
    _band(draw, pixels, horizon + 0.18, 1, (235, 215, 165), (220, 195, 140))
    for row in random.uniform(horizon, horizon + 0.18, 5):
        column = random.uniform(0, 0.8)
        draw.line(
            [column * pixels, row * pixels, (column + 0.2) * pixels, row * pixels],
            fill=(225, 240, 245),
            width=2,
        )


def _paint_forest(draw, pixels, horizon, random):
    _band(draw, pixels, 0, 1, (30, 75, 40), (45, 60, 25))
    for column in random.uniform(0, 1, 9):
        width = random.uniform(0.03, 0.07)
        draw.rectangle([column * pixels, 0, (column + width) * pixels, pixels], fill=(75, 50, 32))
    for row, column in random.uniform(0, 1, (18, 2)) * (0.5, 1):
        radius = 0.06 * pixels
        draw.ellipse(
            [
                column * pixels - radius,
                row * pixels - radius,
                column * pixels + radius,
                row * pixels + radius,
            ],
            fill=(25, int(random.uniform(80, 120)), 40),
        )


def _paint_city(draw, pixels, horizon, random):
    _band(draw, pixels, 0, horizon, (165, 175, 190), (195, 200, 205))
    left = 0.0
    while left < 1:
        width, top = random.uniform(0.12, 0.22), random.uniform(0.02, horizon)
        grey = int(random.uniform(95, 145))
        draw.rectangle(
            [left * pixels, top * pixels, (left + width) * pixels, 0.8 * pixels],
            fill=(grey, grey, grey + 8),
        )
        for row in np.arange(top + 0.04, 0.74, 0.09):
            for column in np.arange(left + 0.02, left + width - 0.03, 0.06):
                draw.rectangle(
                    [
                        column * pixels,
                        row * pixels,
                        (column + 0.03) * pixels,
                        (row + 0.045) * pixels,
                    ],
                    fill=(205, 210, 190) if random.random() < 0.6 else (60, 65, 75),
                )
        left += width + 0.01
    _band(draw, pixels, 0.78, 1, (85, 85, 88), (70, 70, 72))
    for column in np.arange(0.05, 1, 0.25):
        draw.rectangle(
            [column * pixels, 0.88 * pixels, (column + 0.12) * pixels, 0.9 * pixels],
            fill=(225, 225, 215),
        )


def _paint_snow(draw, pixels, horizon, random):
    _band(draw, pixels, 0, horizon, (170, 195, 220), (205, 220, 235))
    for column in random.uniform(0, 1, 3):
        peak = horizon - random.uniform(0.15, 0.3)
        draw.polygon(
            [
                (column - 0.3) * pixels,
                horizon * pixels,
                column * pixels,
                peak * pixels,
                (column + 0.3) * pixels,
                horizon * pixels,
            ],
            fill=(150, 165, 190),
        )
    _band(draw, pixels, horizon, 1, (235, 242, 250), (218, 230, 245))


def _paint_field(draw, pixels, horizon, random):
    _band(draw, pixels, 0, horizon, (130, 185, 235), (200, 225, 240))
    _band(draw, pixels, horizon, 1, (125, 175, 70), (90, 145, 50))
    for row, column in random.uniform(0, 1, (60, 2)):
        row = horizon + row * (1 - horizon)
        draw.line(
            [column * pixels, row * pixels, column * pixels, (row - 0.04) * pixels],
            fill=(70, 125, 40),
            width=2,
        )


def _paint_room(draw, pixels, horizon, random):
    floor = max(horizon, 0.55) + 0.1
    _band(draw, pixels, 0, floor, (225, 205, 180), (215, 192, 165))
    _band(draw, pixels, floor, 1, (150, 100, 60), (125, 82, 48))
    for column in np.arange(0, 1.01, 0.14):
        draw.line(
            [column * pixels, floor * pixels, (1.6 * column - 0.3) * pixels, pixels],
            fill=(105, 68, 40),
            width=2,
        )
    left = random.uniform(0.1, 0.6)
    draw.rectangle(
        [left * pixels, 0.1 * pixels, (left + 0.28) * pixels, 0.38 * pixels],
        fill=(185, 220, 240),
        outline=(120, 85, 55),
        width=max(pixels // 48, 2),
    )
    draw.line(
        [(left + 0.14) * pixels, 0.1 * pixels, (left + 0.14) * pixels, 0.38 * pixels],
        fill=(120, 85, 55),
        width=3,
    )


def _paint_desert(draw, pixels, horizon, random):
    _band(draw, pixels, 0, horizon, (245, 205, 150), (250, 225, 180))
    _band(draw, pixels, horizon, 1, (215, 150, 85), (190, 120, 65))
    for row in random.uniform(horizon, 1, 4):
        column = random.uniform(-0.2, 0.8)
        draw.arc(
            [column * pixels, row * pixels, (column + 0.7) * pixels, (row + 0.2) * pixels],
            180,
            360,
            fill=(165, 100, 55),
            width=3,
        )


def _paint_night(draw, pixels, horizon, random):
    _band(draw, pixels, 0, 1, (12, 14, 48), (28, 30, 66))
    for row, column in random.uniform(0, 1, (26, 2)):
        radius = random.uniform(0.005, 0.012) * pixels
        draw.ellipse(
            [
                column * pixels - radius,
                row * pixels - radius,
                column * pixels + radius,
                row * pixels + radius,
            ],
            fill=(245, 240, 200),
        )
    row, column = random.uniform(0.05, 0.3), random.uniform(0.1, 0.9)
    radius = 0.07 * pixels
    draw.ellipse(
        [
            column * pixels - radius,
            row * pixels - radius,
            column * pixels + radius,
            row * pixels + radius,
        ],
        fill=(250, 245, 210),
    )


_BACKDROPS = {
    "beach": _paint_beach,
    "forest": _paint_forest,
    "city": _paint_city,
    "snow": _paint_snow,
    "field": _paint_field,
    "room": _paint_room,
    "desert": _paint_desert,
    "night": _paint_night,
}
