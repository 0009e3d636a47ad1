/**
 * The noise of keras_vae in JavaScript, which has the random words of keras_vae/distributions/noise.py.
 *
 * The words are those of Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror and Shaw, SC 2011) with key (seed, stream)
 * and counter (row, position). `VAE.sample` and the `sample` of an exported decoder use stream 0.
 */

const ROTATIONS = [
  [13, 15, 26, 6],
  [17, 29, 16, 24],
];
const PARITY = 0x1bd11bda;
// Words must agree to the bit. Normals need not, because each machine rounds log, sqrt and cos in its own way.
const NORMAL_TOLERANCE = 1e-5;

const rotateLeft = (word, bits) => (word << bits) | (word >>> (32 - bits));

/**
 * Returns the two random words of one counter.
 *
 * @param {number} seed integer in [-2^31, 2^32); negative ones wrap modulo 2^32
 * @param {number} row index of the picture
 * @param {number} position index within the picture's row; for a standard normal prior it is the latent dimension
 * @param {number} stream number of an independent sequence of this seed
 * @returns {[number, number]} integers in [0, 2^32)
 */
export function words(seed, row, position, stream = 0) {
  const keys = [seed | 0, stream | 0, seed ^ stream ^ PARITY];
  let a = (row + keys[0]) | 0;
  let b = (position + keys[1]) | 0;
  for (let group = 0; group < 5; group++) {
    for (const rotation of ROTATIONS[group % 2]) {
      a = (a + b) | 0;
      b = rotateLeft(b, rotation) ^ a;
    }
    a = (a + keys[(group + 1) % 3]) | 0;
    b = (b + keys[(group + 2) % 3] + group + 1) | 0;
  }
  return [a >>> 0, b >>> 0];
}

// The number is (23 bits + 1/2) / 2^23, which is exact in float32, and never 0 or 1.
const toUnit = (word) => ((word >>> 9) + 0.5) / 2 ** 23;

/** Returns a uniform number in the open interval (0, 1); the arguments are those of `words`. */
export function uniform(seed, row, position, stream = 0) {
  return toUnit(words(seed, row, position, stream)[0]);
}

/** Returns a normal number, mean 0 and deviation 1 (Box and Muller, 1958); the arguments are those of `words`. */
export function normalAt(seed, row, position, stream = 0) {
  const [a, b] = words(seed, row, position, stream);
  return Math.fround(Math.sqrt(-2 * Math.log(toUnit(a))) * Math.cos(2 * Math.PI * toUnit(b)));
}

/**
 * Returns the normals of `keras_vae.noise.Noise(seed).normal((rows, columns))`.
 *
 * @returns {Float32Array} rows * columns values, row by row
 */
export function normal(seed, rows, columns, stream = 0) {
  return Float32Array.from({ length: rows * columns }, (_, index) =>
    normalAt(seed, Math.floor(index / columns), index % columns, stream),
  );
}

/** Returns the largest difference of codes from the normals of a seed times a temperature. */
export function largestDifference(z, seed, temperature, rows, columns) {
  const expected = normal(seed, rows, columns);
  return z.reduce((most, value, i) => Math.max(most, Math.abs(value - temperature * expected[i])), 0);
}

/**
 * Compares this implementation with test vectors of a model card.
 *
 * @param {{seed: number, row: number, position: number, words: number[], normal: number}[]} vectors
 * @returns {string[]} one line for each vector that does not agree, empty if all do
 */
export function failures(vectors) {
  const lines = [];
  for (const { seed, row, position, words: expected, normal: value } of vectors) {
    const where = `seed ${seed}, row ${row}, position ${position}`;
    const found = words(seed, row, position);
    if (found[0] !== expected[0] || found[1] !== expected[1]) {
      lines.push(`${where}: expected the words ${expected.join(", ")}. Received: ${found.join(", ")}`);
    } else if (!(Math.abs(normalAt(seed, row, position) - value) <= NORMAL_TOLERANCE)) {
      lines.push(`${where}: expected the normal ${value}. Received: ${normalAt(seed, row, position)}`);
    }
  }
  return lines;
}
