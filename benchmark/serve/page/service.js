// Requests to the service: JSON both ways, a token where one is asked for, patience where it is busy.

const WAITS = 20;
let token = sessionStorage.getItem("token") ?? "";

export class Problem extends Error {
  constructor(sentence, status) {
    super(sentence);
    this.status = status;
  }
}

export function setToken(value) {
  token = value;
  sessionStorage.setItem("token", value);
}

async function request(path, options = {}) {
  const headers = { ...options.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("The service does not answer. Is it still running?", 0);
  }
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({ error: `The service answered ${answer.status}.` }));
  throw new Problem(said.error, answer.status);
}

export async function get(path) {
  return (await request(path)).json();
}

export async function post(path, body, signal) {
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal };
  return (await request(path, options)).json();
}

// A few at once: the pictures of a page must not push a search out of the queue.
const lanes = Array.from({ length: 3 }, () => Promise.resolve());
let turn = 0;

function queued(work) {
  const lane = turn++ % lanes.length;
  const mine = lanes[lane].then(work, work);
  lanes[lane] = mine.catch(() => undefined);
  return mine;
}

async function patiently(work) {
  for (let wait = 0; ; wait++) {
    try {
      return await work();
    } catch (problem) {
      if (problem.status !== 429 || wait === WAITS) throw problem;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  }
}

// What was fetched once is kept, up to a bound, oldest out first.
class Kept {
  constructor(most, fetchOne, drop = () => undefined) {
    Object.assign(this, { most, fetchOne, drop, known: new Map() });
  }

  get(index, name) {
    const key = `${index} ${name}`;
    if (!this.known.has(key)) {
      const query = new URLSearchParams({ index, case: name });
      this.known.set(key, queued(() => patiently(() => this.fetchOne(query))));
      this.known.get(key).catch(() => this.known.delete(key));
      if (this.known.size > this.most) {
        const [oldest, value] = this.known.entries().next().value;
        this.known.delete(oldest);
        value.then(this.drop, () => undefined);
      }
    }
    return this.known.get(key);
  }
}

export const pictures = new Kept(
  300,
  async (query) => URL.createObjectURL(await (await request(`/api/picture?${query}`)).blob()),
  (url) => URL.revokeObjectURL(url),
);
export const looks = new Kept(300, (query) => get(`/api/look?${query}`));
