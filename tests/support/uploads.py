"""Photos in the kinds that people and machines send."""

import io

import numpy as np
from PIL import Image, ImageDraw


def picture(seed: int = 0, width: int = 90, height: int = 70) -> Image.Image:
    """Something with shapes and colours."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (width, height), tuple(rng.integers(0, 256, 3).tolist()))
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        x, y = rng.integers(0, width), rng.integers(0, height)
        draw.ellipse([x, y, x + width // 3, y + height // 4], fill=tuple(rng.integers(0, 256, 3).tolist()))
    return image


def encoded(image: Image.Image, kind: str = "JPEG", **how) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **how)
    return stream.getvalue()


def jpeg(seed: int = 0) -> bytes:
    return encoded(picture(seed), quality=90)


def kinds() -> dict[str, bytes]:
    """One photo in every kind that has to be answered as in training."""
    image = picture(5)
    sixteen = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    found = {
        "jpeg": encoded(image), "progressive": encoded(image, progressive=True), "cmyk": encoded(image.convert("CMYK")),
        "grey": encoded(image.convert("L")), "png": encoded(image, "PNG"),
        "palette": encoded(image.convert("P"), "PNG"),
        "16 bit": encoded(sixteen, "PNG"), "transparent": encoded(image.convert("RGBA"), "PNG"),
        "webp": encoded(image, "WEBP"), "gif": encoded(image, "GIF"),
    }  # fmt: skip
    for turn in range(2, 9):
        exif = Image.Exif()
        exif[0x0112] = turn
        found[f"turned {turn}"] = encoded(image, exif=exif.tobytes())
    return found
