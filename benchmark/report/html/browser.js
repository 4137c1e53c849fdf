
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

// The strongest veil, where nothing is attended to or the encoder sees nothing.
const darkest = 0.85;

// One pixel a cell: how dark a mask leaves it.
function cells(bytes, width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const painter = canvas.getContext("2d");
  const pixels = painter.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    pixels.data[4 * i + 3] = Math.round(darkest * (255 - parseInt(bytes.slice(2 * i, 2 * i + 2), 16)));
  }
  painter.putImageData(pixels, 0, 0);
  return canvas;
}

// A veil over a picture; the cells lie, smoothed, over the part of it that the encoder sees.
function veil(photo, method, name, mask) {
  const { grid: [rows, columns], maps, seen } = overlays[method];
  const [left, top, right, bottom] = seen[name];
  const { width, height } = photo.querySelector("svg").viewBox.baseVal;
  const canvas = document.createElement("canvas");
  canvas.width = 2 * width;
  canvas.height = 2 * height;
  canvas.setAttribute("aria-hidden", "true");
  const painter = canvas.getContext("2d");
  painter.scale(canvas.width, canvas.height);
  painter.fillStyle = `rgba(0, 0, 0, ${darkest})`;
  painter.fillRect(0, 0, 1, 1);
  painter.clearRect(left, top, right - left, bottom - top);
  painter.drawImage(cells(maps[name][mask], columns, rows), left, top, right - left, bottom - top);
  return canvas;
}

function overlay(method, mask) {
  for (const old of document.querySelectorAll(".photo canvas")) old.remove();
  if (mask === null) return;
  for (const photo of document.querySelectorAll(".photo")) {
    const own = photo.dataset.method === undefined || photo.dataset.method === method;
    if (own && overlays[method].maps[photo.dataset.case]) photo.append(veil(photo, method, photo.dataset.case, mask));
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
