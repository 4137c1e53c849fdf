// The page: what is asked, and what is shown of the answer. Nothing is kept after the page is left.

import { column, el, plain } from "/cards.js";
import { unveil, veil } from "/overlay.js";
import { offerDescriptors, picture, settled, showCase, wireQuery } from "/query.js";
import { get, looks, pictures, post, setToken } from "/service.js";

const $ = (id) => document.getElementById(id);

let indexes = [];
let answers = [];
let weight = null; // none = the method's own
let shownMask = null;
let searching = null;
let started = null; // resolves when the indexes are known, or when it was said why not

const chosen = () => indexes[Number($("method").value)];
const rival = () => ($("rival").value === "" ? null : indexes[Number($("rival").value)]);

function complain(problem) {
  if (problem?.name === "AbortError") return;
  $("error").hidden = !problem;
  $("error").textContent = problem ? problem.message : "";
  if (problem?.status === 401) $("entry").hidden = false;
}

// ---------------------------------------------------------------------------------------------- weight and filters

const weighed = () => [chosen(), rival()].filter((info) => info && info.local_weight !== null);

function showWeight() {
  const [first] = weighed();
  const value = weight ?? first?.local_weight ?? 0;
  $("weight").disabled = $("default-weight").disabled = !first;
  $("weight").value = String(value);
  $("weight-value").textContent = first
    ? `${value.toFixed(2)}: criteria ${Math.round(100 * value)} %, whole picture ${Math.round(100 - 100 * value)} %`
    : "has no effect";
  $("weight").setAttribute("aria-valuetext", $("weight-value").textContent);
  $("weight-words").textContent = first
    ? "How much the single criteria count against the picture as a whole. All cases are ranked anew, exactly."
    : `The score of ${chosen().method} is one whole; it has no local part to weigh.`;
}

function offerFilters(info) {
  const before = filters();
  const fields = Object.entries(info.facts).map(([name, values]) => {
    const select = el("select", { id: `filter-${name}` }, el("option", { value: "" }, "any"),
      ...values.map((value) => el("option", { value }, value)));
    select.dataset.fact = name;
    select.value = values.includes(before[name]) ? before[name] : "";
    select.addEventListener("change", rerank);
    return el("p", {}, el("label", { htmlFor: select.id }, plain(name)), select);
  });
  $("filters").replaceChildren(...fields);
}

function filters() {
  const set = [...$("filters").querySelectorAll("select")].filter((select) => select.value);
  $("filter-count").textContent = set.length ? ` (${set.length})` : "";
  return Object.fromEntries(set.map((select) => [select.dataset.fact, select.value]));
}

// ---------------------------------------------------------------------------------------------- asking

async function searchWith(index, name) {
  showCase(index, name, await pictures.get(index, name));
  await search();
}

async function search() {
  searching?.abort();
  const mine = new AbortController();
  searching = mine;
  $("search").setAttribute("aria-busy", "true");
  try {
    await Promise.all([started, settled()]); // asked sooner than the page or the picture is ready: not lost, and not without it
    if (!indexes.length) throw new Error("No index is known yet: enter the token above, or load the page again.");
    complain(null);
    const asked = ranking();
    const said = await post("/api/search", question(), mine.signal);
    answers = said.answers;
    show(said.milliseconds);
    if (asked !== ranking()) rerank(); // the slider, a filter or the number of cases was moved meanwhile
    if ($("results").getBoundingClientRect().top > window.innerHeight / 2) $("results").scrollIntoView();
  } catch (problem) {
    complain(problem);
  } finally {
    if (searching === mine) $("search").removeAttribute("aria-busy");
  }
}

function question() {
  const asked = [chosen(), rival()].filter(Boolean).map((info) => info.index);
  const body = { indexes: asked, text: $("text").value || null, k: Number($("k").value), local_weight: weight, filters: filters() };
  if (picture.base64) body.image = picture.base64;
  if (picture.case) Object.assign(body, { case: picture.case, case_index: picture.index });
  return body;
}

const ranking = () => JSON.stringify([weight, filters(), $("k").value]);

let waiting = false;
// The slider asks again at most once a frame and once an answer: the newest value wins.
async function rerank() {
  if (!answers.length || waiting) return;
  waiting = true;
  try {
    let asked, old;
    do {
      [asked, old] = [ranking(), answers];
      const said = await Promise.all(old.map(askAgain));
      if (old !== answers) continue; // another query was answered meanwhile: its cases are ranked, not those of this one
      answers.forEach((answer, i) => Object.assign(answer, { results: said[i].results, local_weight: said[i].local_weight }));
      complain(null);
      show(Math.max(...said.map((one) => one.milliseconds)));
    } while (old !== answers || asked !== ranking());
  } catch (problem) {
    complain(problem);
  } finally {
    waiting = false;
  }
}

function askAgain(answer) {
  const hasLocal = indexes[answer.index].local_weight !== null;
  const body = { index: answer.index, query: answer.query, own_picture: answer.own_picture, k: Number($("k").value),
    local_weight: hasLocal ? weight : null, filters: filters() };
  return post("/api/rank", body);
}

// ---------------------------------------------------------------------------------------------- showing

function show(milliseconds) {
  const columns = answers.map((answer, i) => column(answer, indexes[answer.index], answers[1 - i], searchWith));
  $("answers").replaceChildren(...columns);
  $("answers").classList.toggle("two", columns.length > 1);
  const counts = answers.map((answer) => `${answer.results.length} of ${indexes[answer.index].cases}`);
  $("status").textContent = `${counts.join(" and ")} cases, ${milliseconds.toFixed(0)} ms.`;
  showUnderstood();
  offerLooks();
  paint();
}

function showUnderstood() {
  const read = answers[0]?.understood ?? [];
  $("understood").hidden = !read.length;
  $("understood").replaceChildren(...read.map((one) => {
    const said = one.criterion ? `read as ${plain(one.criterion)}: ${one.value}` : "near no descriptor";
    const close = `${one.similarity.toFixed(2)}`;
    return el("li", { className: one.criterion ? "tag strong" : "tag", title: one.wording ?? "" }, `“${one.clause}” ${said} (${close})`);
  }));
}

function offerLooks() {
  const names = [...new Set(answers.flatMap((answer) => indexes[answer.index].masks))];
  if (!names.includes(shownMask)) shownMask = null;
  $("looks").hidden = !names.length;
  const buttons = names.map((name) => {
    const button = el("button", { type: "button", ariaPressed: String(name === shownMask) }, plain(name));
    button.addEventListener("click", () => {
      shownMask = name === shownMask ? null : name;
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button && shownMask !== null));
      paint();
    });
    return button;
  });
  $("looks").replaceChildren($("looks").querySelector("legend"), ...buttons);
}

async function paintCard(photo) {
  const [index, name] = [Number(photo.dataset.index), photo.dataset.case];
  if (shownMask === null || !indexes[index].masks.includes(shownMask)) return unveil(photo);
  const look = await looks.get(index, name).catch(() => null);
  if (look && shownMask !== null) veil(photo, look, shownMask);
}

function paint() {
  for (const photo of $("answers").querySelectorAll(".photo")) paintCard(photo);
  const own = answers.find((answer) => answer.look)?.look;
  unveil($("asked"));
  if (own && shownMask !== null && (picture.base64 || picture.case)) veil($("asked"), own, shownMask);
}

// ---------------------------------------------------------------------------------------------- start

function choose() {
  offerDescriptors(chosen());
  offerFilters(chosen());
  showWeight();
  for (const option of $("rival").options) option.disabled = option.value === $("method").value;
  if ($("rival").value === $("method").value) $("rival").value = "";
  const about = indexes.map((info) => `${info.method} (seed ${info.seed}): ${info.cases} cases of ${info.dataset}. ${info.citation}`);
  $("about").textContent = about.join(" · ");
}

async function start() {
  try {
    indexes = await get("/api/indexes");
  } catch (problem) {
    complain(problem);
    return;
  }
  complain(null);
  $("entry").hidden = true;
  const alone = new Set(indexes.map((info) => info.dataset)).size === 1;
  const label = (info) => (alone ? info.method : `${info.method}, ${info.dataset}`);
  const options = () => indexes.map((info) => el("option", { value: String(info.index) }, label(info)));
  $("method").replaceChildren(...options());
  $("rival").replaceChildren(el("option", { value: "" }, "nothing"), ...options());
  $("rival").disabled = indexes.length < 2;
  choose();
}

$("entry").addEventListener("submit", (event) => {
  event.preventDefault();
  setToken($("token").value);
  started = start();
});
$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  search();
});
$("weight").addEventListener("input", () => {
  weight = Number($("weight").value);
  showWeight();
  rerank();
});
$("default-weight").addEventListener("click", () => {
  weight = null;
  showWeight();
  rerank();
});
$("method").addEventListener("change", choose);
$("rival").addEventListener("change", showWeight);
$("k").addEventListener("change", rerank);
wireQuery(complain, search);
$("answers").addEventListener("shown", (event) => paintCard(event.target));
started = start();
$("search").disabled = false; // a search sent sooner would load the page again and lose what was typed
