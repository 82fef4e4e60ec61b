// Drawing: the schematic face, the timeline and one movement's channels. Nothing is fetched here.

const INK = "#1c2530", MARK = "#1f4e79", PALE = "#c6ced6", OWN = "#8a4b08", NOW = "#a3141d";
export const LABELS = 52;

// The row at or before a time; -1 before the first.
export function rowAt(times, time) {
  let low = 0, high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= time) low = middle + 1; else high = middle;
  }
  return low - 1;
}

// Points [68][2] of the mean face with units (values in [0, 1] by name) and a head's pose, degrees.
export function moved(model, units, pose) {
  const points = model.points.map((point) => point.slice());
  for (const [name, value] of Object.entries(units)) {
    const shift = model.units[name];
    if (!shift || !value) continue;
    for (const [n, [x, y]] of Object.entries(shift)) {
      points[n][0] += value * x;
      points[n][1] += value * y;
    }
  }
  const [yaw, pitch, roll] = pose.map((each) => (each || 0) * Math.PI / 180);
  return points.map(([x, y, z]) => {
    const x1 = x * Math.cos(yaw) - z * Math.sin(yaw), z1 = x * Math.sin(yaw) + z * Math.cos(yaw);
    const y1 = y * Math.cos(pitch) - z1 * Math.sin(pitch);
    return [x1 * Math.cos(roll) - y1 * Math.sin(roll), x1 * Math.sin(roll) + y1 * Math.cos(roll)];
  });
}

export function drawFace(canvas, model, units, pose) {
  const pen = canvas.getContext("2d"), size = canvas.width;
  pen.clearRect(0, 0, size, canvas.height);
  const points = moved(model, units, pose);
  const place = ([x, y]) => [size * (0.5 + x * 0.48), size * (0.34 + y * 0.48)];
  pen.lineWidth = 2;
  pen.strokeStyle = INK;
  for (const [part, closed] of model.outlines) {
    pen.beginPath();
    part.forEach((n, first) => pen[first ? "lineTo" : "moveTo"](...place(points[n])));
    if (closed) pen.closePath();
    pen.stroke();
  }
}

export function drawTimeline(canvas, session, face, items, own, state) {
  const width = canvas.width = Math.max(canvas.clientWidth, 400), rows = session.units.length;
  const each = 16, base = rows * each, height = canvas.height = base + 110;
  const pen = canvas.getContext("2d");
  const across = (time) => LABELS + (width - LABELS) * time / Math.max(session.seconds, 0.1);
  pen.clearRect(0, 0, width, height);
  pen.font = "11px sans-serif";
  pen.fillStyle = INK;
  session.units.forEach((name, n) => pen.fillText(name, 4, n * each + 12));
  pen.fillText("v, a", 4, base + 34);
  pen.fillText("found", 4, base + 76);
  pen.fillText("own", 4, base + 98);
  face.t.forEach((time, n) => {
    const begin = across(time);
    const next = n + 1 < face.t.length ? Math.min(face.t[n + 1], time + 1) : time + 0.15;
    face.units[n].forEach((value, unit) => {
      if (!value) return;
      pen.fillStyle = `rgba(31, 78, 121, ${Math.min(value, 1)})`;
      pen.fillRect(begin, unit * each + 1, Math.max(across(next) - begin, 1), each - 2);
    });
  });
  for (const [values, dash] of [[face.valence, []], [face.arousal, [4, 3]]]) {
    pen.setLineDash(dash);
    pen.strokeStyle = MARK;
    pen.beginPath();
    let open = false;
    values.forEach((value, n) => {
      if (value === null || (n && face.t[n] - face.t[n - 1] > 1)) open = false;
      if (value === null) return;
      pen[open ? "lineTo" : "moveTo"](across(face.t[n]), base + 30 - 24 * value);
      open = true;
    });
    pen.stroke();
  }
  pen.setLineDash([]);
  const bar = (item, top, colour) => {
    const begin = across(item.onset), end = Math.max(across(item.offset), begin + 3);
    pen.fillStyle = colour;
    pen.fillRect(begin, top, end - begin, 16);
    if (item.item === state.item) {
      pen.strokeStyle = NOW;
      pen.strokeRect(begin - 2, top - 2, end - begin + 4, 20);
    }
  };
  for (const item of items) bar(item, base + 64, item.answer ? PALE : MARK);
  for (const item of own) bar(item, base + 86, OWN);
  pen.strokeStyle = NOW;
  pen.beginPath();
  pen.moveTo(across(state.time), 0);
  pen.lineTo(across(state.time), height);
  pen.stroke();
}

export function drawStrip(canvas, session, item, time) {
  const pen = canvas.getContext("2d"), { width, height } = canvas;
  pen.clearRect(0, 0, width, height);
  pen.font = "9px sans-serif";
  pen.fillStyle = INK;
  if (!item || !item.strip) {
    pen.fillText(item ? "No channels were kept of this movement." : "", 8, 20);
    return;
  }
  const { begin, step, values } = item.strip, left = 108;
  const seconds = Math.max(step * (values[0].length - 1), step);
  const across = (at) => left + (width - left) * (at - begin) / seconds;
  const most = Math.max(150, ...values.flat().map(Math.abs)), each = height / values.length;
  pen.fillStyle = "#e4ebf2";
  pen.fillRect(across(item.onset), 0, across(item.offset) - across(item.onset), height);
  values.forEach((row, channel) => {
    const middle = (channel + 0.5) * each, up = session.channels[channel].endsWith("_x") ? 1 : -1;
    pen.fillStyle = INK;
    pen.fillText(session.channels[channel].replaceAll("_", " "), 2, middle + 3);
    pen.strokeStyle = MARK;
    pen.beginPath();
    row.forEach((value, n) => {
      const y = middle - up * value / most * each * 0.9;
      pen[n ? "lineTo" : "moveTo"](across(begin + n * step), y);
    });
    pen.stroke();
  });
  if (time >= begin && time <= begin + seconds) {
    pen.strokeStyle = NOW;
    pen.beginPath();
    pen.moveTo(across(time), 0);
    pen.lineTo(across(time), height);
    pen.stroke();
  }
}
