/** Shows a model of texts: sentences in words, and a path between two that a person types. */

import { $ } from "./events.js";
import { loadFile } from "./loading.js";
import { Encoder } from "./model.js";
import { textNote } from "./notes.js";
import { saveFile } from "./picture.js";
import { Vocabulary } from "./vocabulary.js";

const EMPTY = "(no words)";
const FIELDS = ["from", "to"];

export class Texts {
  kind = "texts";
  one = "sentence";
  edited = [false, false]; // whether a person has typed in the fields

  /** Loads the vocabulary, and the encoder if the export has one, so that a person may type the ends of a path. */
  static async load(card, decoder, litert) {
    const texts = new Texts();
    Object.assign(texts, { card, decoder, vocabulary: await Vocabulary.load(card) });
    if (card.files["encoder.tflite"] && texts.vocabulary.splits) {
      FIELDS.forEach((id, which) => $(id).addEventListener("input", () => (texts.edited[which] = true)));
      texts.encoder = await Encoder.compile(litert, await loadFile(card, "encoder.tflite"), card);
    }
    return texts;
  }

  get inTurn() {
    const { one } = this.vocabulary;
    return `${one} by ${one}`;
  }

  fill(button) {
    button.classList.add("sentence");
  }

  async draw(seed, temperature) {
    const { tokens, z } = await this.decoder.generate(seed, temperature, $("token-temperature").valueAsNumber);
    return { x: tokens, z };
  }

  /** Decodes the most probable sentence of the code instead of the drawn one, so that only a slider changes it. */
  chosen = ({ z }) => this.decoder.decode(z);

  showSamples(samples) {
    samples.forEach(({ x }, index) => this.#show($("grid").children[index], x));
    $("note").textContent = textNote(this.vocabulary, this.encoder);
  }

  showCurrent(x) {
    this.#show($("sentence"), x);
  }

  showStrip(xs) {
    const lines = xs.map((x) => this.#show(document.createElement("li"), x));
    $("path").replaceChildren(...lines);
  }

  showPoint(x) {
    this.#show($("point-sentence"), x);
  }

  /** The fields hold the ends until a person types in them; `set` is the end that was just set, if one was. */
  showEnds(ends, set) {
    ends.forEach(({ x }, which) => {
      if (which === set) this.edited[which] = false;
      if (this.edited[which]) return;
      $(FIELDS[which]).value = this.vocabulary.decode(x);
      this.#say(which, "");
    });
  }

  /** Returns the ends that a person typed, each with its code, or null if one of the fields holds no sentence. */
  async typedEnds() {
    const read = FIELDS.map((id, which) => this.#read($(id).value, which));
    if (read.includes(null)) return null;
    return Promise.all(
      read.map(async ({ tokens, text }) => ({
        z: await this.encoder.encode(tokens),
        x: tokens,
        label: `\u201c${text}\u201d`,
      })),
    );
  }

  #read(text, which) {
    const { tokens, unknown, count } = this.vocabulary.encode(text);
    const { split, maxLength } = this.vocabulary;
    const said = unknown.map((part) => `\u201c${part}\u201d`).join(", ");
    const refused = this.vocabulary.unknown === null && unknown.length > 0;
    const messages = [
      count ? "" : "Type a sentence.",
      unknown.length ? `The vocabulary lacks ${said}${refused ? "" : ", read as unknown"}.` : "",
      count > maxLength ? `The sentence has ${count} ${split}; the model reads the first ${maxLength}.` : "",
    ];
    this.#say(which, messages.filter(Boolean).join(" "), !count || refused);
    return !count || refused ? null : { tokens, text };
  }

  #say(which, message, isWrong = false) {
    const id = FIELDS[which];
    $(id).setAttribute("aria-invalid", String(isWrong));
    $(`${id}-note`).textContent = message;
    $(`${id}-note`).hidden = !message;
  }

  /** Shows a row of tokens as text, which the browser never reads as HTML. */
  #show(element, x) {
    const text = this.vocabulary.decode(x);
    element.textContent = text.trim() ? text : EMPTY;
    element.classList.toggle("faint", !text.trim());
    return element;
  }

  saveSamples = (samples, seed) => this.#save(`samples-seed-${seed}.txt`, samples.map(({ x }) => x));
  saveStrip = (xs) => this.#save("between.txt", xs);

  #save(name, xs) {
    const lines = xs.map((x) => `${this.vocabulary.decode(x)}\n`);
    saveFile(name, new Blob(lines, { type: "text/plain" }));
  }
}
