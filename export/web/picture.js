/** Shows means of p(x|z) on canvases, as pictures or else as plots, and saves them as PNG files. */

// Saved pictures are enlarged by a whole number, so that the longer side has at least so many pixels.
const SAVED_SIDE = 256;
// A plot has this height and width, in pixels.
const PLOT = [168, 240];
// As in keras_vae.plotting, a vector of more values is a line, and at most so many channels of a series are drawn.
const [MOST_BARS, MOST_CHANNELS] = [64, 10];
const COLORS = ["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"];

/** Whether examples of a shape are pictures (height, width, channels); all others are plotted. */
export const isPicture = (shape) => shape.length === 3;

/** Returns height and width of one example on a canvas, in pixels. */
const sizeOf = (shape) => (isPicture(shape) ? shape : PLOT);

/** Returns the smallest and the largest value of some arrays. */
function extremes(arrays) {
  let [low, high] = [Infinity, -Infinity];
  for (const values of arrays) {
    for (const value of values) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return [low, high];
}

/** Returns the range that is shown of unbounded examples; for bars it holds 0, unless all values are far from 0. */
export function rangeOf(arrays, shape) {
  const [low, high] = extremes(arrays);
  const isFar = Math.max(low, -high) > high - low;
  return isPicture(shape) || shape.length === 2 || isFar ? [low, high] : [Math.min(low, 0), Math.max(high, 0)];
}

/** Returns a picture (height, width, channels) as ImageData: three channels in color, else the first in gray. */
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

/** Plots an example on white: a line for each channel of a series (time, channels), else a bar for each value. */
function plot(context, mean, shape, [low, high]) {
  const [height, width] = PLOT;
  const channels = shape.length === 2 ? shape[1] : 1;
  const length = mean.length / channels;
  const spread = high > low ? high - low : 1;
  const x = (index) => ((index + 0.5) / length) * width;
  const y = (value) => height * (0.05 + (0.9 * (high - value)) / spread);
  const base = y(Math.min(Math.max(0, low), high));
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, width, height);
  context.fillStyle = "#cccccc";
  context.fillRect(0, base - 0.5, width, 1);
  if (shape.length !== 2 && length <= MOST_BARS) {
    context.fillStyle = COLORS[0];
    const bar = (0.7 * width) / length;
    mean.forEach((value, index) => context.fillRect(x(index) - bar / 2, base, bar, y(value) - base));
    return;
  }
  for (let channel = 0; channel < Math.min(channels, MOST_CHANNELS); channel++) {
    context.beginPath();
    for (let index = 0; index < length; index++) context.lineTo(x(index), y(mean[index * channels + channel]));
    context.strokeStyle = COLORS[channel];
    context.lineWidth = 2;
    context.stroke();
  }
}

/** Paints one example on a canvas. A picture has its own number of pixels there, and CSS makes it larger. */
export function paint(canvas, mean, shape, range) {
  [canvas.height, canvas.width] = sizeOf(shape);
  canvas.classList.toggle("plot", !isPicture(shape));
  const context = canvas.getContext("2d");
  if (isPicture(shape)) context.putImageData(toImageData(mean, shape, range), 0, 0);
  else plot(context, mean, shape, range);
}

/** Paints examples on one canvas, `columns` in a row, each pixel `scale` pixels wide, with a gap between them. */
export function paintGrid(canvas, means, shape, range, columns, scale = 1, gap = 1) {
  const [tall, wide] = sizeOf(shape);
  const [height, width] = [tall * scale + gap, wide * scale + gap];
  canvas.classList.toggle("plot", !isPicture(shape));
  canvas.width = Math.min(columns, means.length) * width - gap;
  canvas.height = Math.ceil(means.length / columns) * height - gap;
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  const one = document.createElement("canvas");
  means.forEach((mean, index) => {
    paint(one, mean, shape, range);
    const [x, y] = [(index % columns) * width, Math.floor(index / columns) * height];
    context.drawImage(one, x, y, wide * scale, tall * scale);
  });
}

/** Offers a file for download. */
export function saveFile(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // Some browsers stop a download if its address is revoked before it has begun.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Offers examples as one PNG file, with `columns` in a row on a transparent background. */
export function savePng(name, means, shape, range, columns = 1) {
  const scale = Math.max(1, Math.ceil(SAVED_SIDE / (Math.max(...sizeOf(shape).slice(0, 2)) * columns)));
  const canvas = document.createElement("canvas");
  paintGrid(canvas, means, shape, range, columns, scale, means.length > 1 ? 2 * scale : 0);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => {
      if (!blob) return reject(new Error("the browser could not make a PNG of this picture."));
      saveFile(name, blob);
      resolve();
    }, "image/png");
  });
}
