// What the server is asked, in the order in which the person did things.

let annotator = "";
let chain = Promise.resolve();

export function setAnnotator(name) { annotator = name; }

export class Refusal extends Error {}

async function ask(method, path, body, headers = {}) {
  if (annotator) headers["x-annotator"] = encodeURIComponent(annotator);
  let answer;
  try {
    answer = await fetch(path, { method, body, headers });
  } catch {
    throw new Refusal("the server does not answer: nothing new is kept until it runs again");
  }
  if (answer.ok) return answer;
  let why = `the server said ${answer.status}`;
  try { why = (await answer.json()).error; } catch { /* it had nothing to say */ }
  throw new Refusal(why);
}

// One change after the other: a later stroke must never be kept before an earlier one.
function inOrder(work) {
  const done = chain.then(work, work);
  chain = done.catch(() => {});
  return done;
}

const json = { "content-type": "application/json" };
export const get = async path => (await ask("GET", path)).json();
export const post = (path, body = {}) => inOrder(async () => (await ask("POST", path, JSON.stringify(body), { ...json })).json());
export const after = path => inOrder(() => get(path)); // what holds once the changes made so far are kept
export const ask_now = async (path, body = {}) => (await ask("POST", path, JSON.stringify(body), { ...json })).json();

const slice = (stack, k) => `/api/stacks/${stack}/slices/${k}`;

export async function pixels(stack, k) {
  const answer = await ask("GET", `${slice(stack, k)}/pixels`);
  const [rows, columns] = answer.headers.get("x-shape").split(",").map(Number);
  return { rows, columns, hu: new Int16Array(await answer.arrayBuffer()) };
}

export async function bytes(path) {
  const answer = await ask("GET", path);
  return answer.status === 204 ? null : new Uint8Array(await answer.arrayBuffer());
}

export const mask = (stack, k) => inOrder(() => bytes(`${slice(stack, k)}/mask`));

export function keepMask(stack, k, mask, basis) {
  const body = mask.slice();
  const query = basis ? `?basis=${basis}` : "";
  return inOrder(async () => (await ask("PUT", `${slice(stack, k)}/mask${query}`, body)).json());
}

export async function interpolation(stack, k) {
  const answer = await ask("POST", `${slice(stack, k)}/interpolation`);
  return { mask: new Uint8Array(await answer.arrayBuffer()), between: answer.headers.get("x-between").split(",").map(Number) };
}
