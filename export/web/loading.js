/** The files beside the page: the model card, the TensorFlow Lite files, and the runtime that runs them. */

const RUNTIME = new URL("litert/core/", import.meta.url);
const CARD_KEYS = ["event_shape", "latent_dim", "files"];
// Every TensorFlow Lite file has these characters in its bytes 4 to 7.
const IDENTIFIER = "TFL3";

/** Writes a number of bytes for a reader: 1900000 becomes "1.9 MB". */
export const megabytes = (bytes) => (bytes < 1e5 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

/** Returns the text of an error. A script tag throws an event, and a wasm module may throw a number. */
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

/** Loads a JSON file beside the page. */
export async function loadJson(name) {
  const response = await fetchBeside(name);
  try {
    return await response.json();
  } catch (error) {
    throw new Error(`${name} is damaged: ${explain(error)}.`);
  }
}

/** Loads and checks model_card.json. */
export async function loadCard() {
  const card = await loadJson("model_card.json");
  const missing = CARD_KEYS.filter((key) => !card?.[key]);
  if (missing.length || !(card.event_shape.length > 0)) {
    throw new Error(
      "model_card.json must describe a decoder of examples of some shape, as keras_vae writes it. " +
        `Received: ${missing.length ? `no ${missing.join(", ")}` : `event_shape [${card.event_shape}]`}.`,
    );
  }
  return card;
}

/** Loads a TensorFlow Lite file beside the page and checks that it is the file that the card describes. */
export async function loadFile(card, name = "decoder.tflite") {
  const response = await fetchBeside(name);
  let content;
  try {
    content = new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    throw new Error(`${name} could not be read to its end: ${explain(error)}. Load the page again.`);
  }
  if (String.fromCharCode(...content.subarray(4, 8)) !== IDENTIFIER) {
    throw new Error(`${name} is no TensorFlow Lite file. Received: ${content.length} bytes of something else.`);
  }
  const expected = card.files[name]?.bytes;
  if (expected !== undefined && content.length !== expected) {
    throw new Error(
      `${name} is damaged, or comes from another export than model_card.json. ` +
        `Expected: ${expected} bytes. Received: ${content.length} bytes.`,
    );
  }
  return content;
}

// The runtime writes its whole log to standard error, which the console would show as errors.
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

/** Compiles a file that `loadFile` has loaded. */
export async function compile(litert, content, name) {
  try {
    return await litert.loadAndCompile(content, { accelerator: "wasm" });
  } catch (error) {
    const reason = lastError || explain(error);
    throw new Error(`${name} cannot be run by LiteRT.js: it is damaged, or too new for it. Received: ${reason}`);
  }
}
