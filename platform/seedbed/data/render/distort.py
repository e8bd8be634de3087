"""Colour and blur of a picture, given their factors: torchvision's semantics on PIL pictures."""

from __future__ import annotations

from PIL import Image, ImageEnhance, ImageFilter


def brightness(picture: Image.Image, factor: float) -> Image.Image:
    """Towards black (factor 0) or away from it."""
    return ImageEnhance.Brightness(picture).enhance(factor)


def contrast(picture: Image.Image, factor: float) -> Image.Image:
    """Towards the picture's mean grey (factor 0) or away from it."""
    return ImageEnhance.Contrast(picture).enhance(factor)


def saturation(picture: Image.Image, factor: float) -> Image.Image:
    """Towards grey (factor 0) or away from it."""
    return ImageEnhance.Color(picture).enhance(factor)


def hue(picture: Image.Image, turn: float) -> Image.Image:
    """Hues turned by `turn` of the circle, -0.5 to 0.5, in Pillow's 255 steps."""
    steps = int(turn * 255)
    if steps == 0:
        return picture
    h, s, v = picture.convert("HSV").split()
    h = h.point([(level + steps) % 256 for level in range(256)])
    return Image.merge("HSV", (h, s, v)).convert("RGB")


def grayscale(picture: Image.Image) -> Image.Image:
    """Three equal channels of luma (ITU-R 601)."""
    return picture.convert("L").convert("RGB")


def blur(picture: Image.Image, radius: float) -> Image.Image:
    """Pillow's Gaussian blur; `radius` is its standard deviation in pixels."""
    return picture.filter(ImageFilter.GaussianBlur(radius))


def flip(picture: Image.Image) -> Image.Image:
    """Left and right exchanged."""
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
