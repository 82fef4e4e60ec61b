// Draws a device's windows: the value, and the band that holds the truth.
"use strict";
(() => {
  const place = document.getElementById("chart");
  if (!place || !window.uPlot) return;
  const dark = matchMedia("(prefers-color-scheme: dark)");

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function draw(found) {
    const points = found.points;
    if (!points.length) return;
    const data = [
      points.map((each) => each.start),
      points.map((each) => each.low),
      points.map((each) => each.high),
      points.map((each) => each.value),
    ];
    const line = colour("--link"), band = colour("--band"), soft = colour("--soft");
    const grid = { stroke: colour("--line"), width: 1 };
    const shown = (u, value) => (value === null || value === undefined ? "-" : String(Math.round(value)));
    const axes = [{ stroke: soft, grid }, { stroke: soft, grid, size: 60 }];
    const end = { stroke: band, width: 1, points: { show: false }, value: shown };
    const chart = new uPlot({
      width: place.clientWidth, height: 260, axes,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1e3), "Etc/UTC"),
      bands: [{ series: [2, 1], fill: band }],
      series: [
        { label: "UTC" },
        { ...end, label: "from" },
        { ...end, label: "to" },
        { label: found.figure, stroke: line, width: 1.5, points: { size: 4 }, value: shown },
      ],
    }, data, place);
    const resize = () => chart.setSize({ width: place.clientWidth, height: 260 });
    window.addEventListener("resize", resize);
    dark.addEventListener("change", () => { window.removeEventListener("resize", resize); chart.destroy(); draw(found); }, { once: true });
  }

  fetch(place.dataset.from).then((answer) => (answer.ok ? answer.json() : null))
    .then((found) => { if (found) draw(found); }).catch(() => {});
})();
