"""Pictures decoded by Pillow: JPEG, PNG, WebP and GIF."""

from __future__ import annotations

import io
from typing import ClassVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from seedbed.data.decode.decoder import Decoder
from seedbed.errors import SampleFault

# No others are enabled: Pillow's EPS decoder, for one, starts Ghostscript on the bytes.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a")
MAX_PIXELS = 64_000_000  # above it a picture is a decompression bomb, not a photograph
ORIENTATION = 0x0112  # the EXIF tag: 1 is upright, 2 to 8 are turned or mirrored


class PillowDecoder(Decoder):
    """JPEG, PNG, WebP and GIF; the first frame of an animation."""

    formats = FORMATS
    extensions: ClassVar = ("jpeg", "jpg", "png", "webp")

    def takes(self, content: bytes) -> bool:
        return content.startswith(STARTS) or (
            content.startswith(b"RIFF") and content[8:12] == b"WEBP"
        )

    def size(self, content: bytes) -> tuple[int, int]:
        return Image.open(io.BytesIO(content), formats=FORMATS).size

    def decode(self, content: bytes, side: int = 0) -> Image.Image:
        return _decoded(content, side)


def _decoded(content: bytes, side: int) -> Image.Image:
    """The picture, turned upright as its EXIF says.

    With `side`, a JPEG may come at 1/2, 1/4 or 1/8 of its size, as long as neither side falls
    below: libjpeg then skips the frequencies that a smaller picture would lose anyway.
    """
    try:
        picture: Image.Image = Image.open(io.BytesIO(content), formats=FORMATS)
        if picture.width * picture.height > MAX_PIXELS:
            raise SampleFault(f"picture is too large: {picture.width} x {picture.height} pixels")
        if side and picture.format == "JPEG" and picture.mode in ("RGB", "L"):
            picture.draft(picture.mode, (side, side))
        upright = picture.getexif().get(ORIENTATION, 1) if "exif" in picture.info else 1
        if upright in range(2, 9):
            picture = ImageOps.exif_transpose(picture)
        if picture.mode.startswith("I"):
            # 16 bits a pixel: Pillow's own conversion clips at 255 instead of scaling.
            wide = np.clip(np.asarray(picture, dtype=np.int64), 0, 65_535)
            picture = Image.fromarray((wide >> 8).astype(np.uint8))
        if picture.mode == "P" or "transparency" in picture.info:
            picture = picture.convert("RGBA")
        if picture.mode in ("RGBA", "LA", "PA"):
            picture = picture.convert("RGBA")
            ground = Image.new("RGBA", picture.size, "white")
            return Image.alpha_composite(ground, picture).convert("RGB")
        return picture.convert("RGB")
    except SampleFault:
        raise
    except UnidentifiedImageError:  # its text has a memory address, so it differs every time
        raise SampleFault(
            f"picture does not decode: cannot be read as {', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
        ) from None
    except Image.DecompressionBombError as error:
        raise SampleFault(f"picture is too large: {error}") from None
    except Exception as error:  # Pillow's decoders raise whatever their format's code raises
        raise SampleFault(f"picture does not decode: {error}") from None
