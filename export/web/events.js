/** Functions that all parts of the page share: for elements, the status line, errors, and calls that take time. */

import { explain } from "./loading.js";

export const $ = (id) => document.getElementById(id);

/** Says in the status line what the page does; an empty text hides the line. */
export function say(text) {
  $("status").hidden = !text;
  $("status").textContent = text;
}

/** Says a text and returns when the browser has shown it, for which a long call of the model would leave no time. */
export async function sayNow(text) {
  say(text);
  // A page in the background is never drawn, so it waits for no frame.
  if (!document.hidden) await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
}

/** Shows an error above everything else. */
export function showError(error) {
  $("error").textContent = explain(error);
  $("error").hidden = false;
}

/** Wraps the action of an event so that its errors are shown, and a later success hides them. */
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

/** Runs `action` one call at a time; only the newest of the calls that come meanwhile is kept. */
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
          if (!waiting) throw error; // a newer call replaces the one that failed
        }
      }
    } finally {
      running = false;
    }
  };
}
