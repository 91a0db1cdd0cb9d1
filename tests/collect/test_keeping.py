"""Photos that were fetched, under their final names."""

from io import BytesIO

import pytest
from PIL import Image
from pillow_heif import from_pillow

from fishnet.collect.collection_folder import keep, lay_down
from fishnet.data.listing import EXTENSIONS
from fishnet.images import RefusedImage


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIC"])
def test_whatever_the_loader_reads_is_kept_under_a_name_that_is_listed(format, tmp_path):
    buffer, image = BytesIO(), Image.effect_noise((64, 48), 90).convert("RGB")
    if format == "HEIC":
        from_pillow(image).save(buffer)
    else:
        image.save(buffer, format)
    name, _ = keep(lay_down(tmp_path, "7", buffer.getvalue()), buffer.getvalue())
    assert (tmp_path / name).read_bytes() == buffer.getvalue()
    assert name.startswith("7.") and (tmp_path / name).suffix in EXTENSIONS
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_what_is_no_photo_leaves_nothing(tmp_path):
    with pytest.raises(RefusedImage):
        keep(lay_down(tmp_path, "7", b"<html>"), b"<html>")
    assert not [*tmp_path.iterdir()]
