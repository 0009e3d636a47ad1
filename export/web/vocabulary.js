/** Reads vocabulary.json beside the page, and maps tokens to text and back as keras_vae.data.Tokenizer does. */

import { loadJson } from "./loading.js";

// This is the white space of Python's `str.split`. JavaScript's \s lacks five controls and has the byte order mark.
const WHITE_SPACE = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/;
const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** The strings of all tokens, and the rules by which texts are made of them. */
export class Vocabulary {
  #numbers;

  constructor(content) {
    const { tokens, first, split, join, bytes, trim, end, unknown, max_length: maxLength } = content ?? {};
    const known = ["characters", "words", "pieces"].includes(split);
    if (!(Array.isArray(tokens) && tokens.length > 1 && known && maxLength > 0)) {
      throw new Error(
        "vocabulary.json must hold the strings of the tokens, as keras_vae writes it. " +
          `Received: ${tokens?.length ?? "no"} tokens, split ${split}, max_length ${maxLength}.`,
      );
    }
    Object.assign(this, { tokens, first, split, join, bytes, trim, end, unknown, maxLength });
    this.#numbers = new Map(tokens.map((name, token) => [name, token]).filter(([, token]) => token !== end && token !== unknown));
  }

  static async load(card) {
    return new Vocabulary(await loadJson(card.vocabulary));
  }

  /** Returns the text of one row of tokens, as `text_of` of export/vocabulary.py does. */
  decode(row) {
    const length = row.indexOf(this.end);
    const tokens = Array.from(length < 0 ? row : row.slice(0, length)).filter((token) => this.tokens[token]);
    const strings = tokens.map((token, place) => (place ? null : this.first[token]) ?? this.tokens[token]);
    const joined = strings.join(this.join);
    const text = this.bytes ? UTF8.decode(Uint8Array.from(joined, (byte) => byte.charCodeAt(0))) : joined;
    return this.trim ? text.replace(/^ +| +$/g, "") : text;
  }

  /** The name of one token, such as "word". */
  get one() {
    return this.split.slice(0, -1);
  }

  /** Whether the page can split a text, which for pieces takes a library. */
  get splits() {
    return this.split !== "pieces";
  }

  /**
   * Returns the tokens of one text.
   *
   * @returns {{tokens: Int32Array, unknown: string[], count: number}} a row of maxLength tokens, the parts of the text
   *   that are not in the vocabulary, each once, and how many parts the text has
   */
  encode(text) {
    const parts = this.split === "words" ? text.split(WHITE_SPACE).filter(Boolean) : Array.from(text);
    const tokens = new Int32Array(this.maxLength).fill(this.end);
    const read = parts.slice(0, this.maxLength);
    read.forEach((part, place) => (tokens[place] = this.#numbers.get(part) ?? this.unknown ?? this.end));
    const unknown = [...new Set(read.filter((part) => !this.#numbers.has(part)))];
    return { tokens, unknown, count: parts.length };
  }
}
