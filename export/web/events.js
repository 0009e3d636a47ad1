/** What every part of the page shares: elements, the status line, errors, and calls that take time. */

import { explain } from "./loading.js";

export const $ = (id) => document.getElementById(id);

/** Says in the status line what the page does; an empty text hides the line. */
export function say(text) {
  $("status").hidden = !text;
  $("status").textContent = text;
}

/** Says it, and returns when the browser has shown it: a long call of the model leaves it no time to. */
export async function sayNow(text) {
  say(text);
  // A page in the background is never drawn, so it waits for no frame.
  if (!document.hidden) await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
}

/** Shows what went wrong, above everything else. */
export function showError(error) {
  $("error").textContent = explain(error);
  $("error").hidden = false;
}

/** Wraps what an event starts: its errors are shown, and a later success takes them away. */
export function shown(action) {
  return async (...args) => {
    try {
      await action(...args);
      $("error").hidden = true;
    } catch (error) {
      showError(error);
    }
  };
}

/** Runs `action` one call at a time; of calls that come meanwhile only the newest is kept. */
export function newestOnly(action) {
  let [running, waiting] = [false, null];
  return async (...args) => {
    waiting = args;
    if (running) return;
    running = true;
    try {
      while (waiting) {
        const next = waiting;
        waiting = null;
        try {
          await action(...next);
        } catch (error) {
          if (!waiting) throw error; // a newer call says how things stand now
        }
      }
    } finally {
      running = false;
    }
  };
}
