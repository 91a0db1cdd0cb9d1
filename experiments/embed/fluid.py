"""Do ten thousand points stay fluid? Frames per second of the page in headless Chromium while it is moved and zoomed.

python -m experiments.embed.fluid
python -m experiments.embed.fluid --points 20000
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from selenium import webdriver

from fishnet.commands.embed import write_embedding
from fishnet.data.datamodule import ImageFolderData
from fishnet.data.reef import ReefData
from fishnet.embed.embedding import Embedding, measure, measured_positions
from fishnet.embed.plane import planes
from fishnet.embed.vectors import pixel_vectors

FRAMES = """
const done = arguments[0], canvas = document.querySelector(".plane canvas"), begin = performance.now(), times = [];
let before = begin;
function frame(now) {
  times.push(now - before);
  before = now;
  const moved = {deltaY: Math.sin(now / 300) * 60, clientX: 500, clientY: 400, cancelable: true};
  canvas.dispatchEvent(new WheelEvent("wheel", moved));
  if (now - begin < 4000) requestAnimationFrame(frame); else done(times.slice(2));
}
requestAnimationFrame(frame);
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=10000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        page = drawn_page(Path(scratch), chosen.points)
        times = np.array(frame_times(page))
        shown = f"{chosen.points} points, page of {page.stat().st_size / 1e6:.1f} MB"
        rate, slow = 1000 / np.median(times), np.quantile(times, 0.95)
        print(f"{shown}: {rate:.0f} frames a second, the slowest twentieth {slow:.0f} ms")


def drawn_page(scratch: Path, points: int) -> Path:
    """The page of so many photos of a reef, by their pixels and PCA."""
    data: ImageFolderData = ReefData(root=str(scratch), species=8, photos=-(-points // 8), draw_size=64)
    vectors = pixel_vectors(data.folder, np.arange(points))
    laid = planes(vectors.values, ["pca"], perplexity=30, seed=0)
    positions = measured_positions(data.folder, vectors)
    embedding = Embedding(data.folder, vectors, laid, positions, measure(data.folder, vectors, positions, seed=0))
    write_embedding(embedding, scratch / "embed")
    return scratch / "embed" / "page.html"


def frame_times(page: Path) -> list[float]:
    """Milliseconds from frame to frame."""
    options = webdriver.ChromeOptions()
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,900"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options)
    try:
        driver.get(page.as_uri())
        driver.set_script_timeout(60)
        return driver.execute_async_script(FRAMES)
    finally:
        driver.quit()


if __name__ == "__main__":
    main()
