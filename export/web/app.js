/** The page loads the model beside it, and turns what a person does into calls of its signatures. */

import { $, newestOnly, say, sayNow, showError, shown } from "./events.js";
import { loadCard, loadFile, loadRuntime, megabytes } from "./loading.js";
import { Decoder, MAX_SEED, MIN_SEED, hasTexts, latentShape } from "./model.js";
import * as noise from "./noise.js";
import { isDrawnInTurn, nameOf, shapeNote } from "./notes.js";
import { Pictures } from "./pictures.js";
import { Texts } from "./texts.js";

const STRIP = 9; // a path has so many pictures, its ends included
const SLIDER_LIMIT = 4; // 1 value in 16,000 of N(0, 1) is beyond 4 standard deviations
const STEP = 0.3; // a random step has this standard deviation in each dimension
const STEP_STREAM = 1; // stream 0 is the noise of the samples
const NOISE_TOLERANCE = 1e-4; // runtime and browser round log, sqrt and cos in their own ways

const state = {
  seed: null,
  drawn: "", // the status line says this about the samples
  samples: [], // the grid shows these, each {x, z, label}
  index: 0, // the current picture was made from this sample
  picture: null, // the current picture, which the sliders change
  ends: [null, null],
  endsSet: [false, false], // an end that the person has not set follows the samples
  strip: [],
  steps: 0,
};
let card, decoder, view; // the view shows examples: `Pictures` or `Texts`

/** Returns how many dimensions the decoder sees; in a hierarchical z they are the first ones, its lowest layer. */
const seen = () => card.decoder_latent_dim ?? card.latent_dim;

// Loading.

async function load() {
  say("Loading the model card...");
  card = await loadCard();
  describe();
  const vectors = card.noise?.test_vectors ?? [];
  const wrong = noise.failures(vectors);
  if (wrong.length) throw new Error(`The noise of this browser is not that of keras_vae. ${wrong[0]}`);
  if (vectors.length) $("checks").textContent = `Noise: ${vectors.length} test vectors of the model card agree.`;
  const bytes = card.files["decoder.tflite"]?.bytes;
  say(`Loading the model${bytes ? ` (${megabytes(bytes)})` : ""}...`);
  const content = await loadFile(card);
  say("Loading the runtime...");
  const litert = await loadRuntime();
  say("Preparing the model...");
  decoder = await Decoder.compile(litert, content, card);
  view = hasTexts(card) ? await Texts.load(card, decoder, litert) : new Pictures(card, decoder);
  build();
  $("controls").disabled = false;
  await draw();
}

function describe() {
  const elbo = card.test_elbo == null ? "" : `, test ELBO ${card.test_elbo.toFixed(1)} nats`;
  $("title").textContent = document.title = `keras_vae decoder${card.data?.name ? `: ${card.data.name}` : ""}`;
  $("about").textContent =
    `${shapeNote(card)}, ${card.latent_dim} latent dimensions, prior ${card.prior}, ` +
    `likelihood ${card.likelihood}${elbo}. It runs on this device.`;
}

/** Makes the elements whose number depends on the card. */
function build() {
  for (const element of document.querySelectorAll("[data-for]")) element.hidden = element.dataset.for !== view.kind;
  for (let index = 0; index < decoder.numSamples; index++) {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", "false");
    view.fill(button, index);
    button.addEventListener("click", shown(() => choose(index)));
    $("grid").append(button);
  }
  for (let index = 0; index < seen(); index++) $("sliders").append(slider(index));
  const others = seen() === card.latent_dim ? "" : ` of ${card.latent_dim}, those that the decoder sees`;
  $("count").textContent = `${seen()} ${seen() === 1 ? "dimension" : "dimensions"}${others}`;
  const classes = card.condition_dim ?? 0;
  for (let index = 0; index < classes; index++) $("class").append(new Option(index, index));
  $("class-field").hidden = classes === 0;
  $("grid").className = $("walk").className = view.kind;
  $("typed").hidden = !view.encoder;
}

function slider(index) {
  const row = document.createElement("p");
  row.className = "slider";
  const input = Object.assign(document.createElement("input"), { type: "range", step: 0.01, id: `z${index}` });
  const label = Object.assign(document.createElement("label"), { htmlFor: input.id, textContent: nameOf(index, latentShape(card)) });
  const output = Object.assign(document.createElement("output"), { htmlFor: input.id });
  row.append(label, input, output);
  input.addEventListener("input", () => {
    const z = Float32Array.from(state.picture.z);
    z[index] = input.valueAsNumber;
    output.textContent = z[index].toFixed(2);
    state.picture.z = z;
    changed();
  });
  return row;
}

// Samples.

/** Returns the integer in the seed field; if it holds none, says so beside the field and returns null. */
function readSeed() {
  const { value, validity } = $("seed");
  const seed = value === "" ? NaN : Number(value);
  const fine = Number.isInteger(seed) && seed >= MIN_SEED && seed <= MAX_SEED;
  const received = value || (validity.badInput ? "something that is no number" : "nothing");
  $("seed").setAttribute("aria-invalid", String(!fine));
  $("seed-error").hidden = fine;
  $("seed-error").textContent = fine
    ? ""
    : `The seed must be an integer from ${MIN_SEED} to ${MAX_SEED}. Received: ${received}.`;
  return fine ? seed : null;
}

const classIndex = () => Number($("class").value || 0);
const classNote = () => (card.condition_dim ? `, class ${classIndex()}` : "");
const capital = (text) => text[0].toUpperCase() + text.slice(1);

/** Draws new samples, which also replace the chosen picture and the ends that nobody has set. */
const draw = newestOnly(async () => {
  const seed = readSeed();
  if (seed === null) return;
  const temperature = $("temperature").valueAsNumber;
  if (isDrawnInTurn(card)) await sayNow(`Drawing ${decoder.numSamples} ${view.one}s of seed ${seed}, ${view.inTurn}...`);
  const start = performance.now();
  const { x, z } = await view.draw(seed, temperature, classIndex());
  const time = performance.now() - start;
  const [size, latent] = [x.length / decoder.numSamples, card.latent_dim];
  state.samples = Array.from({ length: decoder.numSamples }, (_, i) => ({
    x: x.slice(i * size, (i + 1) * size),
    z: z.slice(i * latent, (i + 1) * latent),
    label: `${view.one} ${i + 1} of seed ${seed}`,
  }));
  state.seed = seed;
  state.drawn = `${decoder.numSamples} ${view.one}s of seed ${seed}, drawn in ${Math.max(1, Math.round(time))} ms.`;
  say(state.drawn);
  view.showSamples(state.samples);
  await choose(state.index);
  compareNoise(seed, temperature, z);
});

/** Checks the codes of a standard normal prior, which are the noise of the seed times the temperature. */
function compareNoise(seed, temperature, z) {
  if (card.prior !== "StandardNormal") return;
  const largest = noise.largestDifference(z, seed, temperature, decoder.numSamples, card.latent_dim);
  if (!(largest <= NOISE_TOLERANCE)) {
    throw new Error(`The codes of seed ${seed} are not the noise of keras_vae: they differ by ${largest.toPrecision(2)}.`);
  }
}

// The current picture.

async function choose(index) {
  [...$("grid").children].forEach((button, i) => button.setAttribute("aria-pressed", String(i === index)));
  const sample = state.samples[index];
  Object.assign(state, { index, picture: { ...sample, x: await view.chosen(sample), original: sample } });
  state.ends = state.ends.map((end, i) => (state.endsSet[i] ? end : state.samples[i % state.samples.length]));
  view.showEnds(state.ends);
  showSliders();
  showPicture();
  await showStrip();
}

function showSliders() {
  state.picture.z.slice(0, seen()).forEach((value, index) => {
    const input = $(`z${index}`);
    // Codes of learned priors or high temperatures may lie beyond the limit.
    input.max = Math.max(SLIDER_LIMIT, Math.ceil(Math.abs(value)));
    input.min = -input.max;
    input.value = value;
    input.nextElementSibling.textContent = value.toFixed(2);
  });
}

function showPicture() {
  const { x, label } = state.picture;
  const text = capital(label + classNote());
  view.showCurrent(x, text);
  $("label").textContent = text;
}

/** Decodes the code of the sliders and shows the result. */
const changed = newestOnly(
  shown(async () => {
    const { picture } = state;
    const { z, original } = picture;
    const x = await decoder.decode(z, classIndex());
    if (picture !== state.picture) return; // another one was chosen meanwhile
    const same = z.every((value, index) => value === original.z[index]);
    Object.assign(picture, { x, label: same ? original.label : `${original.label}, changed` });
    showPicture();
  }),
);

function setCode(z) {
  state.picture.z = z;
  showSliders();
  return changed();
}

function nudge() {
  const direction = noise.normal(state.steps++, 1, card.latent_dim, STEP_STREAM);
  return setCode(state.picture.z.map((value, index) => value + STEP * direction[index]));
}

// Between two pictures.

const between = ([start, end], t) => start.z.map((value, index) => (1 - t) * value + t * end.z[index]);

const showStrip = newestOnly(async () => {
  // A person may set other ends, or another class, while the strip is drawn.
  const [ends, index, note] = [state.ends, classIndex(), classNote()];
  const strip = [];
  try {
    for (let i = 0; i < STRIP; i++) {
      if (isDrawnInTurn(card)) await sayNow(`Drawing the ${view.one}s between, ${i + 1} of ${STRIP}...`);
      strip.push(await decoder.decode(between(ends, i / (STRIP - 1)), index));
    }
  } finally {
    if (isDrawnInTurn(card)) say(state.drawn);
  }
  state.strip = strip;
  const text = `From ${ends[0].label} to ${ends[1].label}${note}`;
  $("ends").textContent = `${text}.`;
  view.showStrip(strip, text);
  await showPoint();
});

const showPoint = newestOnly(async () => {
  const t = $("position").valueAsNumber;
  $("position-value").textContent = t.toFixed(2);
  view.showPoint(await decoder.decode(between(state.ends, t), classIndex()), t.toFixed(2));
});

function setEnd(which) {
  const { z, x, label } = state.picture;
  state.ends = state.ends.map((end, i) => (i === which ? { z, x, label } : end));
  state.endsSet[which] = true;
  view.showEnds(state.ends, which);
  return showStrip();
}

/** Takes the sentences in the two fields as ends. */
const showTyped = newestOnly(async () => {
  const ends = await view.typedEnds();
  if (!ends) return;
  Object.assign(state, { ends, endsSet: [true, true] });
  await showStrip();
});

// Events.

function listen() {
  const on = (id, event, action) => $(id).addEventListener(event, shown(action));
  on("draw", "submit", (event) => (event.preventDefault(), draw()));
  on("next", "click", () => {
    const seed = readSeed();
    if (seed === null) return undefined;
    $("seed").value = seed === MAX_SEED ? MIN_SEED : seed + 1;
    return draw();
  });
  for (const id of ["temperature", "token-temperature"]) {
    on(id, "input", () => {
      $(`${id}-value`).textContent = $(id).valueAsNumber.toFixed(2);
      return draw();
    });
  }
  on("class", "change", () => draw());
  on("nudge", "click", nudge);
  on("zero", "click", () => setCode(new Float32Array(card.latent_dim)));
  on("reset", "click", () => setCode(state.picture.original.z));
  on("set-start", "click", () => setEnd(0));
  on("set-end", "click", () => setEnd(1));
  on("typed", "submit", (event) => (event.preventDefault(), showTyped()));
  on("position", "input", () => showPoint());
  on("save-grid", "click", () => view.saveSamples(state.samples, state.seed));
  on("save-picture", "click", () => view.saveCurrent(state.picture));
  on("save-strip", "click", () => view.saveStrip(state.strip));
}

listen();
const ready = load();
ready.catch((error) => {
  say("");
  showError(error);
});

/** Tests and the console use these functions, which wait for `ready`; model.js and vocabulary.js explain them. */
window.kerasVae = {
  ready,
  noise,
  sample: (...args) => ready.then(() => decoder.sample(...args)),
  decode: (...args) => ready.then(() => decoder.decode(...args)),
  generate: (...args) => ready.then(() => decoder.generate(...args)),
  encode: (...args) => ready.then(() => view.encoder.encode(...args)),
  vocabulary: () => ready.then(() => view.vocabulary),
};
