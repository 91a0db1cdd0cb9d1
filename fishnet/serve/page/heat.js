// A class's evidence, drawn over the photo as `fishnet explain` does: red where the network's map is hot.

const SIDE = 256; // pixels of a map's picture
const STRENGTH = 0.75; // how far the hottest place hides the photo
const LONGEST = 1000; // pixels of the canvas

/** A map (rows of numbers) → a picture of it, clear where nothing speaks for the class; null where nothing does. */
export function heatPicture(rows) {
  const values = enlarged(rows.map((row) => row.map((value) => Math.max(value, 0))));
  const most = values.reduce((a, b) => Math.max(a, b), 0);
  if (!(most > 0)) return null;
  const image = new ImageData(SIDE, SIDE);
  values.forEach((value, place) => {
    const heat = value / most;
    image.data[4 * place] = 255 * heat;
    image.data[4 * place + 3] = 255 * STRENGTH * heat;
  });
  drawHalf(image.data, values.map((value) => value >= most / 2));
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIDE;
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/** A thin line around what is hot, light inside and dark outside: red on a red fish is not seen. */
function drawHalf(pixels, hot) {
  hot.forEach((here, place) => {
    const x = place % SIDE, y = Math.floor(place / SIDE);
    const beside = [x && place - 1, x < SIDE - 1 && place + 1, y && place - SIDE, y < SIDE - 1 && place + SIDE];
    if (beside.some((other) => other && hot[other] !== here)) {
      pixels.fill(here ? 255 : 24, 4 * place, 4 * place + 3);
      pixels[4 * place + 3] = 230;
    }
  });
}

/** SIDE × SIDE values between those of the rows, by bilinear interpolation from the middle of each place. */
function enlarged(rows) {
  const across = steps(rows[0].length), down = steps(rows.length);
  const values = new Float32Array(SIDE * SIDE);
  down.forEach(([upper, lower, below], y) => {
    across.forEach(([left, right, beyond], x) => {
      const top = rows[upper][left] * (1 - beyond) + rows[upper][right] * beyond;
      const bottom = rows[lower][left] * (1 - beyond) + rows[lower][right] * beyond;
      values[y * SIDE + x] = top * (1 - below) + bottom * below;
    });
  });
  return values;
}

/** For each pixel the two places that it lies between, and how far beyond the first one. */
function steps(count) {
  return Array.from({ length: SIDE }, (_, pixel) => {
    const place = Math.min(Math.max(((pixel + 0.5) * count) / SIDE - 0.5, 0), count - 1);
    const first = Math.floor(place);
    return [first, Math.min(first + 1, count - 1), place - first];
  });
}

/** Draw a map's picture, and the frame of what the network saw.
 *
 * @param canvas that lies over the whole photo.
 * @param photo its `width`, `height` and `view`, the square that the map covers in shares of these.
 * @param picture of the map, or null.
 * @param strength from 0, nothing, to 1.
 */
export function drawHeat(canvas, photo, picture, strength) {
  const scale = LONGEST / Math.max(photo.width, photo.height);
  canvas.width = Math.max(1, Math.round(photo.width * scale));
  canvas.height = Math.max(1, Math.round(photo.height * scale));
  if (strength === 0) return;
  const { left, top, width, height } = photo.view;
  const box = [left * canvas.width, top * canvas.height, width * canvas.width, height * canvas.height];
  const pen = canvas.getContext("2d");
  pen.globalAlpha = strength;
  if (picture) pen.drawImage(picture, ...box);
  drawFrame(pen, box);
}

/** A light line beside a dark one: seen on any photo. */
function drawFrame(pen, [x, y, width, height]) {
  pen.globalAlpha = 0.55;
  pen.lineWidth = 2;
  for (const [colour, inset] of [["#000", 1], ["#fff", 3]]) {
    pen.strokeStyle = colour;
    pen.strokeRect(x + inset, y + inset, Math.max(width - 2 * inset, 0), Math.max(height - 2 * inset, 0));
  }
}
