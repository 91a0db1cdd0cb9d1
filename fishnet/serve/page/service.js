// Requests to the service: with the token, and again where it is full for now.

const TRIES = 6; // of a request that finds the service full
const FULL = [429, 503];

let token = ""; // in memory alone

export const useToken = (given) => { token = given; };

/** Why there is no answer: `status` 0 where the service was not reached. */
export class Refusal extends Error {
  constructor(status, reason, after) {
    super(reason);
    Object.assign(this, { status, after });
  }

  get full() {
    return FULL.includes(this.status);
  }
}

/** The response to a request; a Refusal is thrown for any that is none. */
export async function ask(path, options = {}) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, "");
  }
  if (response.ok) return response;
  const reason = await response.json().then((body) => body.detail, () => response.statusText);
  throw new Refusal(response.status, reason, Number(response.headers.get("Retry-After")) || 1);
}

export const askJson = async (path, options) => (await ask(path, options)).json();

/** The classes of photos, patiently.
 *
 * @param files of one request.
 * @param query `top`, `together`, and lists of names: `heatmap`, `classes`.
 * @param signal that ends it.
 * @param full called with the seconds until the next attempt, where the service is full.
 */
export async function predict(files, query, signal, full) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await askJson(address(query), { method: "POST", body: formOf(files), signal });
    } catch (refusal) {
      if (!refusal.full || attempt === TRIES) throw refusal;
      const seconds = refusal.after * attempt;
      full(seconds);
      await pause(seconds, signal);
    }
  }
}

function address(query) {
  const pairs = Object.entries(query).flatMap(([key, value]) => [value].flat().map((each) => [key, each]));
  return `predict?${new URLSearchParams(pairs)}`;
}

function formOf(files) {
  const form = new FormData();
  for (const file of files) form.append("photos", file, file.name);
  return form;
}

function pause(seconds, signal) {
  return new Promise((go, stop) => {
    const timer = setTimeout(go, 1000 * seconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      stop(signal.reason);
    });
  });
}
