// What is asked: a picture, and findings in words or by clicking.

import { el, plain } from "/cards.js";

const $ = (id) => document.getElementById(id);
const MOST_BYTES = 12_000_000;

// Of a file: {base64}; of a case: {index, case}; empty where there is none.
export const picture = {};
let complain = () => undefined;
let reading = Promise.resolve();

// Resolves when the picture that was chosen last is read, so that no search leaves without it.
export const settled = () => reading;

function setPicture(values) {
  for (const name of Object.keys(picture)) delete picture[name];
  Object.assign(picture, values);
}

function readAsBase64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(reader.result.slice(reader.result.indexOf(",") + 1)));
    reader.addEventListener("error", () => reject(new Error("The file can't be read.")));
    reader.readAsDataURL(file);
  });
}

function show(url) {
  const image = el("img", { src: url, alt: "The picture that you ask with" });
  image.addEventListener("error", () => image.replaceWith("No preview of this file; it may be searched all the same."));
  $("asked").replaceChildren(image);
  $("asked").hidden = $("remove").hidden = false;
  $("drop-words").hidden = true;
}

function takeFile(file) {
  if (!file) return;
  if (file.size > MOST_BYTES) {
    complain(new Error(`${file.name} has ${(file.size / 1e6).toFixed(0)} MB; the most is 12.`));
    return;
  }
  complain(null);
  const mine = readAsBase64(file).then((base64) => {
    if (reading !== mine) return; // another picture was chosen, or this one removed, in the meantime
    setPicture({ base64 });
    show(URL.createObjectURL(file));
    $("status").textContent = `${file.name || "A pasted picture"} is ready.`;
  });
  reading = mine;
  mine.catch((problem) => {
    if (reading === mine) reading = Promise.resolve(); // else every later search would fail with this one
    complain(problem);
  });
}

export function showCase(index, name, url) {
  reading = Promise.resolve();
  setPicture({ index, case: name });
  $("file").value = "";
  show(url);
}

function removePicture() {
  reading = Promise.resolve();
  setPicture({});
  $("file").value = "";
  $("asked").replaceChildren();
  $("asked").hidden = $("remove").hidden = true;
  $("drop-words").hidden = false;
  $("file").focus();
}

const clauses = () => $("text").value.split(",").map((part) => part.trim()).filter(Boolean);

function markDescriptors() {
  const said = new Set(clauses().map((clause) => clause.toLowerCase()));
  for (const button of $("descriptors").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(said.has(button.dataset.phrase.toLowerCase())));
  }
}

// One value a criterion: another one takes its place, the same one is taken back.
function toggle(button, group) {
  const phrases = new Set([...group.querySelectorAll("button")].map((other) => other.dataset.phrase.toLowerCase()));
  const on = button.getAttribute("aria-pressed") !== "true";
  const kept = clauses().filter((clause) => !phrases.has(clause.toLowerCase()));
  $("text").value = [...kept, ...(on ? [button.dataset.phrase] : [])].join(", ");
  markDescriptors();
}

export function offerDescriptors(info) {
  const groups = info.criteria.map((criterion) => {
    const group = el("fieldset", { className: "choices" }, el("legend", {}, plain(criterion.name)));
    for (const { value, phrase } of criterion.values) {
      const button = el("button", { type: "button", ariaPressed: "false", title: phrase }, value);
      button.dataset.phrase = phrase;
      button.addEventListener("click", () => toggle(button, group));
      group.append(button);
    }
    return group;
  });
  $("descriptors").replaceChildren(...groups);
  $("descriptors").closest("details").hidden = !groups.length;
  markDescriptors();
}

export function wireQuery(complainWith, search) {
  complain = complainWith;
  $("text").addEventListener("input", markDescriptors);
  $("text").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) search();
  });
  $("file").addEventListener("change", () => takeFile($("file").files[0]));
  $("remove").addEventListener("click", removePicture);
  for (const name of ["dragenter", "dragover"]) {
    $("drop").addEventListener(name, (event) => {
      event.preventDefault();
      $("drop").classList.add("over");
    });
  }
  for (const name of ["dragleave", "drop"]) $("drop").addEventListener(name, () => $("drop").classList.remove("over"));
  $("drop").addEventListener("drop", (event) => {
    event.preventDefault();
    takeFile(event.dataTransfer.files[0]);
  });
  document.addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
    if (file) takeFile(file);
  });
  takeFile($("file").files[0]); // one that was chosen before this script ran
}
