// Drives the page in headless Chromium: `node browser.mjs < job.json > result.json`, with KERAS_VAE_CLIENTS set.
// A job is {task, url, ...arguments of the task}; every result has errors of the console and requests to other hosts.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const folder = process.env.KERAS_VAE_CLIENTS;
const { chromium } = createRequire(join(folder, "package.json"))("playwright-core");
const { task, url, ...job } = JSON.parse(readFileSync(0, "utf8"));
// Chromium can start no sandbox as root, and must not look for anything in the network.
const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const PHONE = { width: 360, height: 740 };
const DESK = { width: 1280, height: 900 };

/** Returns numbers of the model as the page's scripts see them. */
async function numbers(page) {
  await page.goto(url);
  return page.evaluate(async ({ samples = [], texts = [], codes = [], sentences = [], counters = [], normals = [] }) => {
    const { ready, noise, sample, decode, generate, encode, vocabulary } = window.kerasVae;
    await ready;
    const result = { samples: [], decoded: [], texts: [], encoded: [] };
    for (const { seed, temperature, tokenTemperature } of texts) {
      const { tokens, z } = await generate(seed, temperature, tokenTemperature);
      result.texts.push({ tokens: Array.from(tokens), z: Array.from(z) });
    }
    for (const sentence of sentences) {
      const { tokens, unknown, count } = (await vocabulary()).encode(sentence);
      const text = (await vocabulary()).decode(tokens);
      result.encoded.push({ tokens: Array.from(tokens), unknown, count, text, z: Array.from(await encode(tokens)) });
    }
    for (const { seed, temperature, classIndex } of samples) {
      const { mean, z } = await sample(seed, temperature, classIndex);
      result.samples.push({ mean: Array.from(mean), z: Array.from(z) });
    }
    for (const { z, classIndex } of codes) result.decoded.push(Array.from(await decode(z, classIndex)));
    result.words = counters.map((counter) => noise.words(...counter));
    result.uniforms = counters.map((counter) => noise.uniform(...counter));
    result.normals = normals.map((shape) => Array.from(noise.normal(...shape)));
    return result;
  }, job);
}

const pixels = (page, id) =>
  page.evaluate((id) => {
    const canvas = document.getElementById(id);
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return Array.from(data).filter((_, index) => index % 4 === 0);
  }, id);

const sliders = (page) =>
  page.evaluate(() => Array.from(document.querySelectorAll("#sliders input"), (input) => input.valueAsNumber));

async function download(page, button) {
  const [file] = await Promise.all([page.waitForEvent("download"), page.click(button)]);
  return { name: file.suggestedFilename(), png: readFileSync(await file.path()).toString("base64") };
}

/** Returns elements whose right edge is beyond the window's, and by how much the page is wider than the window. */
const overflow = (page) =>
  page.evaluate(() => ({
    excess: document.documentElement.scrollWidth - window.innerWidth,
    elements: Array.from(document.body.querySelectorAll("*"))
      .filter((element) => element.getBoundingClientRect().right > window.innerWidth + 0.5)
      .map((element) => element.id || element.tagName),
  }));

/** Returns controls that have no name for a screen reader, and buttons too small for a finger. */
const unusable = (page) =>
  page.evaluate(() => {
    const shown = (selector) => Array.from(document.querySelectorAll(selector)).filter((e) => e.offsetParent !== null);
    const called = (e) => e.getAttribute("aria-label") || e.labels?.length || (e.tagName === "BUTTON" && e.innerText);
    const controls = shown("input, select, button, canvas[role=img]");
    return {
      nameless: controls.filter((e) => !called(e)).map((e) => e.id || e.outerHTML),
      small: shown("button, select").filter((e) => e.getBoundingClientRect().height < 40).map((e) => e.id || e.outerHTML),
    };
  });

async function trySeeds(page, seeds) {
  const messages = {};
  for (const seed of seeds) {
    await page.fill("#seed", seed);
    await page.click("#draw button[type=submit]");
    await page.waitForSelector("#seed-error:not([hidden])");
    messages[seed] = await page.textContent("#seed-error");
  }
  return messages;
}

const status = (page, text) => page.waitForFunction((t) => document.getElementById("status").textContent.includes(t), text);
const label = (page, text) => page.waitForFunction((t) => document.getElementById("label").textContent.includes(t), text);

/** Does what a person does on the page, at the width of a phone. */
async function visit(page) {
  // Scripts of the page run after this, so it sees every text of the status line.
  await page.addInitScript(() => {
    window.statusTexts = [];
    new MutationObserver(() => {
      const text = document.getElementById("status")?.textContent;
      if (text && window.statusTexts.at(-1) !== text) window.statusTexts.push(text);
    }).observe(document, { subtree: true, childList: true, characterData: true });
  });
  await page.setViewportSize(PHONE);
  await page.goto(url);
  await page.evaluate(() => window.kerasVae.ready);
  const result = { statusTexts: await page.evaluate(() => window.statusTexts), title: await page.title() };
  result.overflow = { phone: await overflow(page) };
  result.unusable = await unusable(page);
  result.colors = {};
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    result.colors[colorScheme] = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  }

  result.seedMessages = await trySeeds(page, ["", "1.5", "3000000000", "-2147483649"]);
  await page.fill("#seed", "11");
  await page.press("#seed", "Enter");
  await status(page, "seed 11,");
  await page.click("#next");
  await status(page, "seed 12,");
  result.seedAfterNext = await page.inputValue("#seed");

  // The keyboard alone chooses the third picture, and moves its first slider one step up.
  await page.focus("#grid button:nth-child(2)");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await label(page, "Picture 3 of seed 12");
  result.chosen = { z: await sliders(page), pixels: await pixels(page, "picture") };
  await page.focus("#z0");
  await page.keyboard.press("PageUp");
  await label(page, "changed");
  result.changed = { z: await sliders(page), pixels: await pixels(page, "picture") };
  await page.click("#reset");
  await page.waitForFunction(() => !document.getElementById("label").textContent.includes("changed"));
  result.resetPixels = await pixels(page, "picture");
  await page.click("#set-start");
  await page.waitForFunction(() => document.getElementById("ends").textContent.includes("From picture 3 of seed 12"));
  await page.fill("#position", "0");
  await page.waitForFunction(() => document.getElementById("point").getAttribute("aria-label").includes("0.00"));
  result.pointPixels = await pixels(page, "point");
  await page.click("#nudge");
  await label(page, "changed");
  result.nudged = await sliders(page);

  if (await page.isVisible("#class")) {
    await page.selectOption("#class", "1");
    await label(page, "class 1");
    result.classOnePixels = await pixels(page, "picture");
  }
  result.downloads = {};
  for (const id of ["save-grid", "save-picture", "save-strip"]) result.downloads[id] = await download(page, `#${id}`);
  await page.setViewportSize(DESK);
  result.overflow.desk = await overflow(page);
  result.note = await page.textContent("#note");
  result.count = await page.textContent("#count");
  result.checks = await page.textContent("#checks");
  return result;
}

const texts = (page, selector) => page.evaluate((s) => Array.from(document.querySelectorAll(s), (e) => e.textContent), selector);

/** Types two sentences while the page draws another path, and returns what the page makes of them. */
async function path(page, from, to) {
  await page.fill("#from", from);
  await page.fill("#to", to);
  const before = await page.textContent("#ends");
  await page.evaluate(() => {
    const [path, ends] = ["path", "ends"].map((id) => document.getElementById(id));
    window.paths = [];
    const seen = () => ({ ends: ends.textContent, path: Array.from(path.children, (e) => e.textContent) });
    new MutationObserver(() => window.paths.push(seen())).observe(path, { childList: true });
    for (const selector of ["#grid button", "#typed button"]) document.querySelector(selector).click();
  });
  const notes = () => page.evaluate(() => ["from-note", "to-note"].map((id) => document.getElementById(id).textContent));
  const wrong = await page.evaluate(() => Boolean(document.querySelector("#typed [aria-invalid=true]")));
  if (wrong) return { notes: await notes(), same: before === (await page.textContent("#ends")) };
  await page.waitForFunction((to) => document.getElementById("ends").textContent.includes(`\u201c${to}\u201d`), to);
  return { notes: await notes(), paths: await page.evaluate(() => window.paths) };
}

/** Does what a person does on the page of a model of texts, on a phone; `job.paths` are pairs of sentences to type. */
async function visitTexts(page) {
  await page.setViewportSize(PHONE);
  await page.goto(url);
  await page.evaluate(() => window.kerasVae.ready);
  const result = { title: await page.title(), about: await page.textContent("#about"), note: await page.textContent("#note") };
  result.overflow = { phone: await overflow(page) };
  result.unusable = await unusable(page);
  result.shown = await page.evaluate(() =>
    Array.from(document.querySelectorAll("canvas, [data-for]")).filter((e) => e.offsetParent !== null).map((e) => e.dataset.for),
  );
  await page.fill("#seed", "11");
  await page.press("#seed", "Enter");
  await status(page, "seed 11,");
  result.drawn = await texts(page, "#grid button");
  await page.fill("#token-temperature", "0");
  await page.waitForFunction((first) => document.querySelector("#grid").textContent !== first, result.drawn.join(""));
  result.greedy = await texts(page, "#grid button");
  await page.click("#grid button:nth-child(3)");
  await label(page, "Sentence 3 of seed 11");
  result.chosen = await page.textContent("#sentence");
  result.fields = await page.evaluate(() => ["from", "to"].map((id) => document.getElementById(id).value));
  await page.focus("#z0");
  await page.keyboard.press("PageUp");
  await label(page, "changed");
  result.changed = { z: await sliders(page), text: await page.textContent("#sentence") };
  result.paths = [];
  for (const [from, to] of job.paths) result.paths.push(await path(page, from, to));
  await page.fill("#position", "1");
  await page.waitForFunction(() => document.getElementById("position-value").textContent === "1.00");
  await page.waitForFunction(() => document.getElementById("point-sentence").textContent === document.querySelector("#path li:last-child").textContent);
  const [file] = await Promise.all([page.waitForEvent("download"), page.click("#save-grid")]);
  result.saved = { name: file.suggestedFilename(), text: readFileSync(await file.path(), "utf8") };
  await page.setViewportSize(DESK);
  result.overflow.desk = await overflow(page);
  return result;
}

/** Returns what the page shows if it cannot work. */
async function failure(page) {
  await page.goto(url);
  await page.waitForSelector("#error:not([hidden])");
  const rejected = page.evaluate(() => window.kerasVae?.ready.then(() => "", (error) => error.message));
  return {
    error: await page.textContent("#error"),
    ready: await rejected,
    disabled: await page.evaluate(() => document.getElementById("controls").disabled),
  };
}

const browser = await chromium.launch({ executablePath: join(folder, "chromium"), args: ARGUMENTS });
try {
  const page = await browser.newPage();
  const seen = { console: [], elsewhere: [] };
  page.on("console", (message) => message.type() === "error" && seen.console.push(message.text()));
  page.on("pageerror", (error) => seen.console.push(String(error)));
  page.on("request", (request) => {
    const target = new URL(request.url());
    if (target.protocol.startsWith("http") && target.origin !== new URL(url).origin) seen.elsewhere.push(request.url());
  });
  const result = await { numbers, visit, visitTexts, failure }[task](page);
  process.stdout.write(JSON.stringify({ ...result, ...seen }));
} finally {
  await browser.close();
}
