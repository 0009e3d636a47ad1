/** Sentences of the page about a model. */

import { isPicture } from "./picture.js";

const counted = (count, one) => `${count} ${count === 1 ? one : `${one}s`}`;

/** Describes one example by its shape. */
export function shapeNote({ event_shape: shape, vocabulary }) {
  if (vocabulary) return `texts of up to ${counted(shape[0], "token")}`;
  if (isPicture(shape)) return `${shape[0]} x ${shape[1]} pixels, ${counted(shape[2], "channel")}`;
  if (shape.length === 2) return `series of ${counted(shape[0], "step")}, ${counted(shape[1], "channel")}`;
  return shape.length === 1 ? `vectors of ${counted(shape[0], "value")}` : `examples of ${shape.join(" x ")} values`;
}

/** Returns the name of a value of z: z[3], or z[0, 2, 1] if z has several axes. */
export function nameOf(index, latentShape) {
  const place = [];
  for (const size of [...latentShape].reverse()) {
    place.unshift(index % size);
    index = Math.floor(index / size);
  }
  return `z[${place.join(", ")}]`;
}

/** Whether pixels or tokens are drawn one after the other, which takes much longer; older cards do not say so. */
export const isDrawnInTurn = (card) => card.is_factorized === false;

/** Explains how texts are shown. */
export function textNote(vocabulary, hasEncoder) {
  const without = vocabulary.splits ? "Without encoder.tflite, the" : "The page cannot split a text into pieces. The";
  return (
    `Each ${vocabulary.one} is drawn given those before it; at a temperature of 0 it is the most probable one. The other sentences of this page are the most probable ones of their code.` +
    (hasEncoder ? "" : ` ${without} path has sentences of seeds as its ends.`)
  );
}

/** Explains how examples are shown, with `range` from darkest to brightest; often there is nothing to explain. */
export function viewNote(card, range) {
  const { event_shape: shape, value_range: bounds } = card;
  const [low, high] = range.map((value) => value.toPrecision(3));
  if (!isPicture(shape)) return `Each plot shows values from ${low} to ${high}, over the index of the value.`;
  const channels = [1, 3].includes(shape[2]) ? "" : `Only the first of ${shape[2]} channels is shown, as gray.`;
  const unbounded =
    `The values have no bounds. The lowest value of these pictures, ${low}, is shown darkest and the highest, ${high}, ` +
    "brightest; values beyond them, in the other views, look the same as these.";
  const drawn =
    "Each pixel is drawn given those before it. The sliders and the pictures between use one noise for all codes, which " +
    "is not that of the seed, so a picture changes there when its code is first moved.";
  return [isDrawnInTurn(card) ? drawn : "", channels, bounds ? "" : unbounded].filter(Boolean).join(" ");
}
