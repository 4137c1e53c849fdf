
const queries = [...document.querySelectorAll("article.query")];
const choose = document.getElementById("choose");

function show(number) {
  const wanted = (number + queries.length) % queries.length;
  queries.forEach((query, i) => query.classList.toggle("away", i !== wanted));
  choose.value = String(wanted);
}

choose.addEventListener("change", () => show(Number(choose.value)));
document.getElementById("previous").addEventListener("click", () => show(Number(choose.value) - 1));
document.getElementById("next").addEventListener("click", () => show(Number(choose.value) + 1));
show(0);

const overlays = JSON.parse(document.getElementById("overlays").textContent);

// A veil as fine as the attention itself, darkest where nothing is attended to; the browser smooths it over the picture.
function veil(method, name, mask) {
  const [height, width] = overlays[method].grid;
  const bytes = overlays[method].maps[name][mask];
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  canvas.setAttribute("aria-hidden", "true");
  const painter = canvas.getContext("2d");
  const pixels = painter.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    pixels.data[4 * i + 3] = Math.round(0.85 * (255 - parseInt(bytes.slice(2 * i, 2 * i + 2), 16)));
  }
  painter.putImageData(pixels, 0, 0);
  return canvas;
}

function overlay(method, mask) {
  for (const old of document.querySelectorAll(".photo canvas")) old.remove();
  if (mask === null) return;
  for (const photo of document.querySelectorAll(".photo")) {
    const own = photo.dataset.method === undefined || photo.dataset.method === method;
    if (own && overlays[method].maps[photo.dataset.case]) photo.append(veil(method, photo.dataset.case, mask));
  }
}

for (const button of document.querySelectorAll(".overlays button")) {
  button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    for (const other of document.querySelectorAll(".overlays button")) other.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-pressed", String(on));
    overlay(button.closest("fieldset").dataset.method, on ? Number(button.dataset.mask) : null);
  });
}
