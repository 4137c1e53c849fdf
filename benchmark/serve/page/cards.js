// What was found, as cards: picture, diagnosis, and what each part of the score says.

import { pictures } from "/service.js";

export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made && name !== "list") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export const plain = (name) => name.replaceAll("_", " ");
const points = (value) => (100 * value).toFixed(1).replace("-", "−");

const SVG = "http://www.w3.org/2000/svg";

function rectangle(kind, share) {
  const made = document.createElementNS(SVG, "rect");
  made.setAttribute("class", kind);
  made.setAttribute("height", "10");
  made.setAttribute("rx", "2");
  made.setAttribute("width", String(100 * Math.max(0, Math.min(1, share))));
  return made;
}

// The track is as long as the part could be, the bar as long as it is.
function bar(value, most, longest) {
  const drawn = document.createElementNS(SVG, "svg");
  drawn.setAttribute("viewBox", "0 0 100 10");
  drawn.setAttribute("preserveAspectRatio", "none");
  drawn.setAttribute("aria-hidden", "true");
  drawn.append(rectangle("track", longest ? most / longest : 0), rectangle("fill", longest ? value / longest : 0));
  return drawn;
}

export function mostOf(part, weight) {
  return part.share * (part.local ? weight : 1 - weight);
}

function evidence(result, info, weight) {
  const bounds = info.parts.map((part) => mostOf(part, weight ?? 0));
  const longest = Math.max(...bounds);
  const rows = info.parts.map((part, i) =>
    el("tr", {},
      el("th", { scope: "row" }, plain(part.name)),
      el("td", {}, bar(result.parts[part.name], bounds[i], longest)),
      el("td", { className: "number", title: `at most ${points(bounds[i])}` }, points(result.parts[part.name]))),
  );
  const caption = info.parts.length > 1 ? "Parts of the score, in points" : "The score has one part";
  return el("table", { className: "evidence" }, el("caption", {}, caption), el("tbody", {}, ...rows));
}

// A picture that is still found after the slider has moved is moved along, so that nothing flickers.
const frames = new Map();
const MOST_FRAMES = 200;

function photo(result, info) {
  const key = `${info.index} ${result.id}`;
  const frame = frames.get(key) ?? newPhoto(result, info);
  frames.delete(key);
  frames.set(key, frame);
  if (frames.size > MOST_FRAMES) frames.delete(frames.keys().next().value);
  return frame;
}

function newPhoto(result, info) {
  const frame = el("div", { className: "photo" });
  frame.dataset.index = info.index;
  frame.dataset.case = result.id;
  pictures.get(info.index, result.id).then(
    async (url) => {
      const image = el("img", { alt: `Case ${result.id}`, src: url });
      await image.decode().catch(() => undefined);
      frame.prepend(image);
      frame.dispatchEvent(new Event("shown", { bubbles: true }));
    },
    (problem) => {
      frame.classList.add("gone");
      frame.textContent = problem.message;
    },
  );
  return frame;
}

function tags(result, elsewhere) {
  const words = [];
  if (result.same_picture) words.push(["your picture", true]);
  if (["train", "valid"].includes(result.facts.split)) words.push(["used in training", false]);
  if (elsewhere !== undefined) words.push([`no. ${elsewhere} in the other list`, true]);
  if (!words.length) return null;
  return el("ul", { className: "tags" }, ...words.map(([word, strong]) =>
    el("li", { className: strong ? "tag strong" : "tag" }, word)));
}

function facts(result) {
  const rows = Object.entries(result.facts)
    .filter(([name]) => !["diagnosis", "group"].includes(name))
    .map(([name, value]) => el("div", {}, el("dt", {}, plain(name)), el("dd", {}, value)));
  return el("details", {}, el("summary", {}, "About this case"), el("dl", {}, ...rows));
}

function card(result, info, weight, elsewhere, searchWith) {
  const again = el("button", { type: "button" }, "Search with this case");
  again.addEventListener("click", () => searchWith(info.index, result.id));
  return el("li", { className: "card" },
    photo(result, info),
    el("div", { className: "inside" },
      el("div", { className: "title" },
        el("h3", { className: "diagnosis" }, `${result.rank}. ${result.diagnosis || "diagnosis not given"}`),
        el("p", { className: "score", title: "score in points" }, points(result.score))),
      el("p", { className: "small" }, [`case ${result.id}`, result.group].filter(Boolean).join(", ")),
      tags(result, elsewhere),
      evidence(result, info, weight),
      facts(result),
      again));
}

// One column: the answer of one method. `other` is the answer of the method beside it.
export function column(answer, info, other, searchWith) {
  const places = new Map((other?.results ?? []).map((result) => [result.id, result.rank]));
  const cards = answer.results.map((result) =>
    card(result, info, answer.local_weight, other ? places.get(result.id) : undefined, searchWith));
  const note = `${info.cases} cases of ${info.dataset}${info.synthetic ? ", drawn by a program" : ""}`;
  return el("section", { className: "answer", ariaLabel: `Found by ${info.method}` },
    el("h2", {}, info.method),
    el("p", { className: "small" }, note),
    cards.length ? el("ol", { className: "cards" }, ...cards) : el("p", {}, "No case passes the filters."));
}
