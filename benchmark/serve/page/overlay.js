// A veil over a picture: dark where a mask does not look.

const darkest = 0.75;

// One pixel a cell: how dark the mask leaves it.
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

export function unveil(photo) {
  for (const old of photo.querySelectorAll("canvas")) old.remove();
}

// The cells lie, smoothed, over the part of the picture that the encoder sees; the rest is as dark as can be.
export function veil(photo, look, name) {
  unveil(photo);
  const mask = look.names.indexOf(name);
  const image = photo.querySelector("img");
  if (mask < 0 || !image || !image.naturalWidth) return;
  const [rows, columns] = look.grid;
  const [left, top, right, bottom] = look.seen;
  const canvas = document.createElement("canvas");
  canvas.width = Math.min(512, image.naturalWidth);
  canvas.height = Math.max(1, Math.round((canvas.width * image.naturalHeight) / image.naturalWidth));
  canvas.setAttribute("aria-hidden", "true");
  const painter = canvas.getContext("2d");
  painter.scale(canvas.width, canvas.height);
  painter.fillStyle = `rgba(0, 0, 0, ${darkest})`;
  painter.fillRect(0, 0, 1, 1);
  painter.clearRect(left, top, right - left, bottom - top);
  painter.drawImage(cells(look.maps[mask], columns, rows), left, top, right - left, bottom - top);
  photo.append(canvas);
}
