/** Shows a model of pictures, vectors or series on canvases, which can be saved as PNG files. */

import { $ } from "./events.js";
import { viewNote } from "./notes.js";
import { paint, paintGrid, rangeOf, savePng } from "./picture.js";

const GRID_COLUMNS = 4;

export class Pictures {
  kind = "pictures";
  one = "picture";
  inTurn = "pixel by pixel";
  range = [0, 1]; // these values are shown darkest and brightest

  constructor(card, decoder) {
    this.card = card;
    this.decoder = decoder;
  }

  /** Fills a button of the samples. */
  fill(button, index) {
    button.setAttribute("aria-label", `Picture ${index + 1}`);
    button.append(document.createElement("canvas"));
  }

  async draw(seed, temperature, classIndex) {
    const { mean, z } = await this.decoder.sample(seed, temperature, classIndex);
    return { x: mean, z };
  }

  /** Returns what is shown of a sample when it is chosen. */
  chosen = ({ x }) => x;

  showSamples(samples) {
    const means = samples.map(({ x }) => x);
    this.range = this.card.value_range ?? rangeOf(means, this.card.event_shape);
    means.forEach((mean, index) => this.#paint($("grid").children[index].firstChild, mean));
    $("note").textContent = viewNote(this.card, this.range);
  }

  showCurrent(x, text) {
    this.#paint($("picture"), x);
    $("picture").setAttribute("aria-label", text);
  }

  showStrip(xs, text) {
    paintGrid($("strip"), xs, this.card.event_shape, this.range, xs.length);
    $("strip").setAttribute("aria-label", `${text}, in ${xs.length} steps`);
  }

  showPoint(x, position) {
    this.#paint($("point"), x);
    $("point").setAttribute("aria-label", `The picture at position ${position}`);
  }

  /** Nothing has to be done here, because no field shows the ends of a path between pictures. */
  showEnds() {}

  #paint(canvas, x) {
    paint(canvas, x, this.card.event_shape, this.range);
  }

  saveSamples = (samples, seed) => this.#save(`samples-seed-${seed}`, samples.map(({ x }) => x), GRID_COLUMNS);
  saveCurrent = ({ x, label }) => this.#save(label.replaceAll(/\W+/g, "-"), [x], 1);
  saveStrip = (xs) => this.#save("between", xs, xs.length);

  #save(name, xs, columns) {
    return savePng(`${name}.png`, xs, this.card.event_shape, this.range, columns);
  }
}
