"""Pictures decoded by Pillow: JPEG, PNG, WebP and GIF."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from seedbed.errors import SampleFault

# Others are not asked for: Pillow's EPS decoder, for one, starts Ghostscript on the bytes.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
MAX_PIXELS = 64_000_000  # above it a picture is a decompression bomb, not a photograph
ORIENTATION = 0x0112  # the EXIF tag: 1 is upright, 2 to 8 are turned or mirrored


def decode(content: bytes, side: int = 0) -> Image.Image:
    """RGB picture from JPEG, PNG, WebP or GIF bytes; transparency is laid on white.

    Turned upright as its EXIF says, the first frame of an animation. With `side`, a JPEG may
    come at 1/2, 1/4 or 1/8 of its size, as long as neither side falls below: the library then
    leaves out the frequencies that a smaller picture would lose anyway.
    Raises SampleFault when it does not decode, is of another format (whatever its name says), or
    is larger than MAX_PIXELS.
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
    except UnidentifiedImageError:  # whose words hold an address in memory, another every time
        raise SampleFault(
            f"picture does not decode: cannot be read as {', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
        ) from None
    except Image.DecompressionBombError as error:
        raise SampleFault(f"picture is too large: {error}") from None
    except Exception as error:  # Pillow's decoders raise whatever their format's code raises
        raise SampleFault(f"picture does not decode: {error}") from None
