/** Means of p(x|z) as pictures: scaling to brightness, canvases, PNG files. */

// Sides of saved pictures: small ones are enlarged by whole pixels until the longer side has this many.
const SAVED_SIDE = 256;

/** Smallest and largest of some arrays. */
export function extremes(arrays) {
  let [low, high] = [Infinity, -Infinity];
  for (const values of arrays) {
    for (const value of values) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return [low, high];
}

/** A picture's values (h, w, c) as ImageData: three channels as color, else the first as gray. */
function toImageData(mean, [height, width, channels], [low, high]) {
  const image = new ImageData(width, height);
  const factor = high > low ? 255 / (high - low) : 0;
  for (let pixel = 0; pixel < height * width; pixel++) {
    for (let color = 0; color < 3; color++) {
      const value = mean[pixel * channels + (channels === 3 ? color : 0)];
      image.data[pixel * 4 + color] = Math.round((value - low) * factor);
    }
    image.data[pixel * 4 + 3] = 255;
  }
  return image;
}

/** Paints one picture on a canvas, one pixel a pixel; CSS makes it larger. */
export function paint(canvas, mean, shape, range) {
  [canvas.height, canvas.width] = shape;
  canvas.getContext("2d").putImageData(toImageData(mean, shape, range), 0, 0);
}

/** Pictures on one canvas, `columns` in a row, each pixel `scale` wide, with a gap between them. */
export function paintGrid(canvas, means, shape, range, columns, scale = 1, gap = 1) {
  const [height, width] = [shape[0] * scale + gap, shape[1] * scale + gap];
  canvas.width = Math.min(columns, means.length) * width - gap;
  canvas.height = Math.ceil(means.length / columns) * height - gap;
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  const one = document.createElement("canvas");
  means.forEach((mean, index) => {
    paint(one, mean, shape, range);
    const [x, y] = [(index % columns) * width, Math.floor(index / columns) * height];
    context.drawImage(one, x, y, shape[1] * scale, shape[0] * scale);
  });
}

/** Offers pictures as one PNG file: `columns` in a row, on a transparent ground. */
export function savePng(name, means, shape, range, columns = 1) {
  const scale = Math.max(1, Math.ceil(SAVED_SIDE / (Math.max(shape[0], shape[1]) * columns)));
  const canvas = document.createElement("canvas");
  paintGrid(canvas, means, shape, range, columns, scale, means.length > 1 ? 2 * scale : 0);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => {
      if (!blob) return reject(new Error("the browser could not make a PNG of this picture."));
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = name;
      link.click();
      // The download has begun by then; a revoked address would stop it in some browsers.
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
      resolve();
    }, "image/png");
  });
}
