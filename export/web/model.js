/**
 * The exported decoder in the browser: model_card.json and decoder.tflite beside the page, run by LiteRT.js (wasm, CPU).
 *
 * A compiled model holds one runner a signature under its name; inputs and outputs are records of tensors by name.
 * Tensors live in the memory of the wasm module and are freed by hand.
 */

const RUNTIME = new URL("litert/core/", import.meta.url);
const CARD_KEYS = ["event_shape", "latent_dim", "files"];
// Bytes 4 to 7 of every TensorFlow Lite file.
const IDENTIFIER = "TFL3";
export const [MIN_SEED, MAX_SEED] = [-(2 ** 31), 2 ** 31 - 1];

/** 1900000 -> "1.9 MB". */
export const megabytes = (bytes) => (bytes < 1e5 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

/** What went wrong as text: also of the events and numbers that a script tag and a wasm module throw. */
export function explain(error) {
  if (error instanceof Error) return error.message;
  return error instanceof Event ? `${error.target?.src ?? "a file"} could not be loaded` : String(error);
}

async function fetchBeside(name) {
  const url = new URL(name, import.meta.url);
  let response;
  try {
    response = await fetch(url);
  } catch (error) {
    throw new Error(`${name} could not be loaded: the server does not answer (${explain(error)}).`);
  }
  if (!response.ok) {
    throw new Error(
      `${name} must lie in the same folder as this page. Received: HTTP status ${response.status} for ${url}. ` +
        "Write the folder again with `python -m export`.",
    );
  }
  return response;
}

/** Loads and checks model_card.json. */
export async function loadCard() {
  const response = await fetchBeside("model_card.json");
  let card;
  try {
    card = await response.json();
  } catch (error) {
    throw new Error(`model_card.json is damaged: ${explain(error)}.`);
  }
  const missing = CARD_KEYS.filter((key) => !card?.[key]);
  if (missing.length || !(card.event_shape.length > 0)) {
    throw new Error(
      "model_card.json must describe a decoder of examples of some shape, as keras_vae writes it. " +
        `Received: ${missing.length ? `no ${missing.join(", ")}` : `event_shape [${card.event_shape}]`}.`,
    );
  }
  return card;
}

/** Loads decoder.tflite and checks that it is the file that the card describes. */
export async function loadFile(card) {
  const response = await fetchBeside("decoder.tflite");
  let content;
  try {
    content = new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    throw new Error(`decoder.tflite could not be read to its end: ${explain(error)}. Load the page again.`);
  }
  if (String.fromCharCode(...content.subarray(4, 8)) !== IDENTIFIER) {
    throw new Error(`decoder.tflite is no TensorFlow Lite file. Received: ${content.length} bytes of something else.`);
  }
  const expected = card.files["decoder.tflite"]?.bytes;
  if (expected !== undefined && content.length !== expected) {
    throw new Error(
      "decoder.tflite is damaged, or comes from another export than model_card.json. " +
        `Expected: ${expected} bytes. Received: ${content.length} bytes.`,
    );
  }
  return content;
}

// The runtime writes its whole log to the standard error, which would all be errors of the console.
let lastError = "";
function log(line) {
  const level = /^(VERBOSE|INFO|WARNING)/.test(line) ? "debug" : "error";
  if (level === "error") lastError = line;
  console[level](line);
}

/** Loads the LiteRT.js runtime from the folder litert/ beside the page. */
export async function loadRuntime() {
  try {
    const litert = await import("@litertjs/core");
    window.Module = { printErr: log };
    await litert.loadLiteRt(new URL("wasm/", RUNTIME).href);
    return litert;
  } catch (error) {
    throw new Error(
      `the LiteRT.js runtime does not start: ${explain(error)}. It must lie in the folder litert beside this page, ` +
        "and the browser must have WebAssembly with SIMD and import maps (Chrome 91, Firefox 108, Safari 16.4 or newer).",
    );
  }
}

/** The shape of one z; a card of version 0.1 has only the number of its values. */
export const latentShape = (card) => card.latent_shape ?? [card.latent_dim];

/** The signatures `sample` and `decode` of a decoder.tflite. */
export class Decoder {
  #litert;
  #model;
  #last = Promise.resolve();

  constructor(litert, model, card) {
    this.#litert = litert;
    this.#model = model;
    this.card = card;
  }

  /** Compiles the file and checks that it has the shapes of the card. */
  static async compile(litert, content, card) {
    let model;
    try {
      model = await litert.loadAndCompile(content, { accelerator: "wasm" });
    } catch (error) {
      const reason = lastError || explain(error);
      throw new Error(`decoder.tflite cannot be run by LiteRT.js: it is damaged, or too new for it. Received: ${reason}`);
    }
    const decoder = new Decoder(litert, model, card);
    decoder.batchSize = decoder.#count("decode", { mean: card.event_shape });
    decoder.numSamples = decoder.#count("sample", { mean: card.event_shape, z: latentShape(card) });
    return decoder;
  }

  /** How many pictures a call of a signature gives; each output must have the shape of the card for one picture. */
  #count(signature, outputs) {
    const runner = this.#model.signatures[signature];
    if (!runner) {
      const names = Object.keys(this.#model.signatures).join(", ");
      throw new Error(
        `decoder.tflite must have the signatures decode and sample, as keras_vae writes them. Received: ${names || "none"}.`,
      );
    }
    const found = Object.fromEntries(runner.getOutputDetails().map(({ name, shape }) => [name, [...shape]]));
    for (const [name, shape] of Object.entries(outputs)) {
      if (found[name]?.slice(1).join() !== shape.join()) {
        throw new Error(
          `decoder.tflite does not belong to model_card.json: each ${name} of ${signature} must be ${shape.join(" x ")}. ` +
            `Received: ${found[name]?.slice(1).join(" x ") ?? "no such output"}.`,
        );
      }
    }
    if (found.mean[0] < 1) {
      throw new Error(
        `decoder.tflite accepts any number of pictures in ${signature}, which LiteRT.js cannot run. Export it with a ` +
          "fixed batch size.",
      );
    }
    return found.mean[0];
  }

  /**
   * Draws pictures from the prior.
   *
   * @param {number} seed integer in [-2^31, 2^31)
   * @param {number} temperature at least 0; 1 is the prior
   * @param {number} classIndex of a conditional model
   * @returns {Promise<{mean: Float32Array, z: Float32Array}>} (n, ...event_shape) and (n, ...latent_shape), row by row
   */
  async sample(seed, temperature = 1, classIndex = 0) {
    if (!Number.isInteger(seed) || seed < MIN_SEED || seed > MAX_SEED) {
      throw new Error(`the seed must be an integer from ${MIN_SEED} to ${MAX_SEED}. Received: ${seed}.`);
    }
    if (!(Number.isFinite(temperature) && temperature >= 0)) {
      throw new Error(`the temperature must be a number of at least 0. Received: ${temperature}.`);
    }
    return this.#run("sample", {
      seed: [Int32Array.of(seed), []],
      temperature: [Float32Array.of(temperature), []],
      ...this.#condition(this.numSamples, classIndex),
    });
  }

  /**
   * Decodes one code.
   *
   * @param {ArrayLike<number>} z latent_dim values, row by row
   * @param {number} classIndex of a conditional model
   * @returns {Promise<Float32Array>} the picture, of the shape event_shape, row by row
   */
  async decode(z, classIndex = 0) {
    const [count, size] = [this.batchSize, this.card.latent_dim];
    if (z?.length !== size) throw new Error(`a code must have ${size} values. Received: ${z?.length}.`);
    // A file for larger batches gets the code in every place.
    const { mean } = await this.#run("decode", {
      z: [Float32Array.from({ length: count * size }, (_, i) => z[i % size]), [count, ...latentShape(this.card)]],
      ...this.#condition(count, classIndex),
    });
    return mean.slice(0, mean.length / count);
  }

  #condition(count, classIndex) {
    const size = this.card.condition_dim ?? null;
    if (size === null) return {};
    if (!Number.isInteger(classIndex) || classIndex < 0 || classIndex >= size) {
      throw new Error(`the class must be an integer from 0 to ${size - 1}. Received: ${classIndex}.`);
    }
    const oneHot = Float32Array.from({ length: count * size }, (_, i) => Number(i % size === classIndex));
    return { condition: [oneHot, [count, size]] };
  }

  // One call after the other: a model has one set of buffers.
  #run(signature, inputs) {
    const result = this.#last.then(() => this.#runNow(signature, inputs));
    this.#last = result.catch(() => {});
    return result;
  }

  async #runNow(signature, inputs) {
    const tensors = [];
    const keep = (tensor) => (tensors.push(tensor), tensor);
    try {
      const fed = Object.fromEntries(
        Object.entries(inputs).map(([name, [data, shape]]) => [name, keep(new this.#litert.Tensor(data, shape))]),
      );
      const outputs = Object.entries(await this.#model.run(signature, fed));
      outputs.forEach(([, tensor]) => keep(tensor));
      return Object.fromEntries(outputs.map(([name, tensor]) => [name, tensor.toTypedArray()]));
    } finally {
      tensors.forEach((tensor) => tensor.delete());
    }
  }
}
