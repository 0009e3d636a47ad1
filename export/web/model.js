/**
 * The exported files in the browser, run by LiteRT.js (wasm, CPU).
 *
 * A compiled model has a runner for each signature, under its name; inputs and outputs are records of tensors by name.
 * Tensors are in the memory of the wasm module, where only `delete` frees them.
 */

import { compile } from "./loading.js";

export const [MIN_SEED, MAX_SEED] = [-(2 ** 31), 2 ** 31 - 1];

/** Returns the shape of one z; a card of version 0.1 only has the number of its values. */
export const latentShape = (card) => card.latent_shape ?? [card.latent_dim];

/** Whether the model is one of texts, whose examples are rows of tokens. */
export const hasTexts = (card) => Boolean(card.vocabulary);

/** The signatures of one file. */
class Signatures {
  #litert;
  #model;
  #name;
  #last = Promise.resolve();

  constructor(litert, model, name) {
    this.#litert = litert;
    this.#model = model;
    this.#name = name;
  }

  static async compile(litert, content, name) {
    return new Signatures(litert, await compile(litert, content, name), name);
  }

  /** Returns how many rows the `outputs` of a signature have; each must have the shape that the card has for one. */
  count(signature, outputs, expected) {
    const runner = this.#model.signatures[signature];
    if (!runner) {
      const names = Object.keys(this.#model.signatures).join(", ");
      throw new Error(
        `${this.#name} must have the ${expected}, as keras_vae writes them. Received: ${names || "none"}.`,
      );
    }
    const found = Object.fromEntries(runner.getOutputDetails().map(({ name, shape }) => [name, [...shape]]));
    for (const [name, shape] of Object.entries(outputs)) {
      if (found[name]?.slice(1).join() !== shape.join()) {
        throw new Error(
          `${this.#name} does not belong to model_card.json: each ${name} of ${signature} must be ${shape.join(" x ")}. ` +
            `Received: ${found[name]?.slice(1).join(" x ") ?? "no such output"}.`,
        );
      }
    }
    const [rows] = found[Object.keys(outputs)[0]];
    if (rows < 1) {
      throw new Error(
        `${this.#name} accepts any number of pictures in ${signature}, which LiteRT.js cannot run. Export it with a ` +
          "fixed batch size.",
      );
    }
    return rows;
  }

  /** Runs a signature on `{name: [values, shape]}`; calls wait for each other, as a model has one set of buffers. */
  run(signature, inputs) {
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

/** Repeats an example for a file that takes several rows. */
const repeated = (values, count, type) => type.from({ length: count * values.length }, (_, i) => values[i % values.length]);

/** The signatures of a decoder.tflite: `decode`, and `sample` or, for a model of texts, `generate`. */
export class Decoder {
  #signatures;

  constructor(signatures, card) {
    this.#signatures = signatures;
    this.card = card;
  }

  /** Compiles the file and checks that it has the shapes of the card. */
  static async compile(litert, content, card) {
    const decoder = new Decoder(await Signatures.compile(litert, content, "decoder.tflite"), card);
    const [draw, shown] = hasTexts(card) ? ["generate", "tokens"] : ["sample", "mean"];
    const count = (name, outputs) => decoder.#signatures.count(name, outputs, `signatures decode and ${draw}`);
    decoder.batchSize = count("decode", { [shown]: card.event_shape });
    decoder.numSamples = count(draw, { [shown]: card.event_shape, z: latentShape(card) });
    return decoder;
  }

  /**
   * Draws pictures from the prior.
   *
   * @param {number} seed integer in [-2^31, 2^31)
   * @param {number} temperature at least 0; 1 is the prior
   * @param {number} classIndex class of a conditional model
   * @returns {Promise<{mean: Float32Array, z: Float32Array}>} (n, ...event_shape) and (n, ...latent_shape), row by row
   */
  async sample(seed, temperature = 1, classIndex = 0) {
    const inputs = { ...seedInput(seed), ...temperatureInput("temperature", temperature) };
    return this.#signatures.run("sample", { ...inputs, ...this.#condition(this.numSamples, classIndex) });
  }

  /**
   * Draws texts: z from the prior, and tokens from p(x|z).
   *
   * @param {number} seed integer in [-2^31, 2^31)
   * @param {number} temperature temperature of z, at least 0; 1 is the prior
   * @param {number} tokenTemperature temperature of the tokens, at least 0; 0 takes the most probable token each time
   * @returns {Promise<{tokens: Int32Array, z: Float32Array}>} (n, max_length) and (n, ...latent_shape), row by row
   */
  async generate(seed, temperature = 1, tokenTemperature = 1) {
    return this.#signatures.run("generate", {
      ...seedInput(seed),
      ...temperatureInput("temperature", temperature),
      ...temperatureInput("token_temperature", tokenTemperature),
    });
  }

  /**
   * Decodes one code.
   *
   * @param {ArrayLike<number>} z latent_dim values, row by row
   * @param {number} classIndex class of a conditional model
   * @returns {Promise<Float32Array | Int32Array>} the picture, of the shape event_shape, row by row, or the tokens
   */
  async decode(z, classIndex = 0) {
    const [count, size] = [this.batchSize, this.card.latent_dim];
    if (z?.length !== size) throw new Error(`a code must have ${size} values. Received: ${z?.length}.`);
    const { mean, tokens } = await this.#signatures.run("decode", {
      z: [repeated(z, count, Float32Array), [count, ...latentShape(this.card)]],
      ...this.#condition(count, classIndex),
    });
    const rows = mean ?? tokens;
    return rows.slice(0, rows.length / count);
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
}

/** The signature `encode` of the encoder.tflite of a model of texts. */
export class Encoder {
  #signatures;

  constructor(signatures, card) {
    this.#signatures = signatures;
    this.card = card;
  }

  /** Compiles the file and checks that it has the shapes of the card. */
  static async compile(litert, content, card) {
    const encoder = new Encoder(await Signatures.compile(litert, content, "encoder.tflite"), card);
    encoder.batchSize = encoder.#signatures.count("encode", { loc: latentShape(card) }, "signature encode");
    return encoder;
  }

  /** Returns the center of q(z|x), latent_dim values, for the tokens of one text. */
  async encode(tokens) {
    const [count, size] = [this.batchSize, this.card.latent_dim];
    const input = { tokens: [repeated(tokens, count, Int32Array), [count, tokens.length]] };
    return (await this.#signatures.run("encode", input)).loc.slice(0, size);
  }
}

function seedInput(seed) {
  if (!Number.isInteger(seed) || seed < MIN_SEED || seed > MAX_SEED) {
    throw new Error(`the seed must be an integer from ${MIN_SEED} to ${MAX_SEED}. Received: ${seed}.`);
  }
  return { seed: [Int32Array.of(seed), []] };
}

function temperatureInput(name, temperature) {
  if (!(Number.isFinite(temperature) && temperature >= 0)) {
    throw new Error(`the ${name} must be a number of at least 0. Received: ${temperature}.`);
  }
  return { [name]: [Float32Array.of(temperature), []] };
}
