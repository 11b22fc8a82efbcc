"use strict";
(() => {
  const doc = JSON.parse(document.getElementById("document").textContent);
  const DASH = "–";

  // ---- charts: painted with the page's own colours -------------------------------
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const mix = (part) => {
    const hex = (text) => [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16));
    const [from, to] = [hex(css("--soft")), hex(css("--accent"))];
    return "rgb(" + from.map((v, i) => Math.round(v + (to[i] - v) * part)).join(",") + ")";
  };
  const colour = (text) => (text.startsWith("$ramp") ? mix(parseFloat(text.slice(5))) : css("--" + text.slice(1)) || text);
  const paint = (value) => {
    if (typeof value === "string") return /^\$[a-z]+[0-9.]*$/.test(value) ? colour(value) : value;
    if (Array.isArray(value)) return value.map(paint);
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, paint(v)]));
    return value;
  };
  const axis = (given) => ({
    gridcolor: css("--line"), zerolinecolor: css("--line"), linecolor: css("--faint"), automargin: true, fixedrange: true, ...given,
    title: { standoff: 10, font: { size: 12, color: css("--muted") }, ...(given || {}).title },
  });
  const PAPER = 620; // px inside a figure on A4 or Letter: a chart as wide as the screen would shrink the whole print
  const draw = (box, width) => {
    const figure = doc.figures[box.dataset.figure];
    const given = paint(figure.layout);
    const narrow = (width || box.clientWidth) < 560;
    const font = { family: css("--sans"), size: narrow ? 11 : 12.5, color: css("--ink") };
    const layout = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font, height: figure.height, dragmode: false, autosize: !width, width,
      margin: { l: 8, r: narrow ? 8 : 16, t: 8, b: 8 }, hoverlabel: { font: { family: css("--sans"), size: 13 } },
      ...given, xaxis: axis(given.xaxis), yaxis: axis(given.yaxis),
      ...(given.yaxis2 ? { yaxis2: axis(given.yaxis2) } : {}),
      legend: { orientation: "h", y: narrow ? -0.26 : -0.2, yanchor: "top", x: 0, ...(given.legend || {}) },
    };
    if (narrow) (layout.annotations || []).forEach((a) => { if (a.xref === "paper") { a.text = a.text.split("<br>")[0]; a.font.size = 11; } });
    box.dataset.drawn = "yes";
    return Plotly.react(box, paint(figure.data), layout, { displayModeBar: false, responsive: true, scrollZoom: false });
  };
  const boxes = [...document.querySelectorAll(".chart")];
  // One chart at a time, from the top: the page answers between them.
  const next = (left) => { if (left.length) { draw(left[0]); setTimeout(() => next(left.slice(1))); } else document.body.dataset.ready = "yes"; };
  next(boxes);
  const redraw = () => boxes.filter((box) => box.dataset.drawn).forEach((box) => draw(box));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("beforeprint", () => boxes.forEach((box) => draw(box, PAPER)));
  addEventListener("afterprint", redraw);

  // ---- the campaign table: sort, find, page, export ------------------------------------------------------------------
  const table = document.getElementById("campaign-table");
  if (!table) return;
  const byId = (id) => document.getElementById(id);
  const format = (options) => new Intl.NumberFormat("en-US", options);
  const style = { style: "currency", currency: doc.currency };
  let whole, small;
  try { whole = format({ ...style, maximumFractionDigits: 0 }); small = format(style); }
  catch { const named = (o) => ({ format: (v) => format(o).format(v) + " " + doc.currency }); whole = named({ maximumFractionDigits: 0 }); small = named({ minimumFractionDigits: 2, maximumFractionDigits: 2 }); }
  const plain = format({ maximumFractionDigits: 0 }), two = format({ minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const write = {
    text: (v) => v, count: (v) => plain.format(v), ratio: (v) => two.format(v) + "×", days: (v) => (v < 1 ? "the first day" : plain.format(v) + (v === 1 ? " day" : " days")),
    money: (v) => (Math.abs(v) < 100 ? small : whole).format(v),
    share: (v) => format({ style: "percent", maximumFractionDigits: v > 0 && v < 0.1 ? 1 : 0 }).format(v),
  };
  const at = Object.fromEntries(doc.columns.map((column, i) => [column.key, i]));
  const state = { by: at.spend, down: true, page: 0 };
  const size = 50;
  const compare = (a, b) => {
    const [x, y] = [a[state.by], b[state.by]];
    if (x === null || x === "") return y === null || y === "" ? 0 : 1; // what is not known stays last, either way round
    if (y === null || y === "") return -1;
    const order = typeof x === "number" ? x - y : String(x).localeCompare(String(y), "en", { numeric: true, sensitivity: "base" });
    return state.down ? -order : order;
  };
  const chosen = () => {
    const text = byId("find").value.trim().toLowerCase(), platform = byId("platform").value, verdict = byId("verdict").value;
    const words = ["campaign_name", "campaign_id", "creative", "objective"].map((key) => at[key]);
    return doc.campaigns.filter((row) => (!platform || row[at.platform] === platform) && (!verdict || row[at.quadrant] === verdict) &&
      (!text || words.some((i) => String(row[i]).toLowerCase().includes(text)))).sort(compare);
  };
  const line = (row) => {
    const tr = document.createElement("tr");
    row.forEach((value, i) => {
      const cell = document.createElement(i ? "td" : "th"), { key, kind } = doc.columns[i];
      if (!i) cell.scope = "row";
      cell.className = (kind === "text" ? "" : "n ") + "c-" + key;
      cell.textContent = value === null || value === "" ? DASH : write[kind](value); // text, never markup
      if (key === "quadrant") cell.classList.add("v-" + String(value).replaceAll(" ", "-"));
      tr.append(cell);
    });
    return tr;
  };
  const show = () => {
    const rows = chosen(), pages = Math.max(Math.ceil(rows.length / size), 1);
    state.page = Math.min(state.page, pages - 1);
    table.tBodies[0].replaceChildren(...rows.slice(state.page * size, (state.page + 1) * size).map(line));
    byId("found").textContent = rows.length + (rows.length === 1 ? " campaign" : " campaigns");
    byId("pager").hidden = pages < 2;
    byId("where").textContent = "Page " + (state.page + 1) + " of " + pages;
    byId("earlier").disabled = state.page === 0;
    byId("later").disabled = state.page >= pages - 1;
    [...table.tHead.rows[0].cells].forEach((th, i) => th.setAttribute("aria-sort", i === state.by ? (state.down ? "descending" : "ascending") : "none"));
  };
  [...table.tHead.rows[0].cells].forEach((th, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = th.textContent;
    button.addEventListener("click", () => {
      state.down = state.by === i ? !state.down : doc.columns[i].kind !== "text";
      state.by = i;
      state.page = 0;
      show();
    });
    th.replaceChildren(button);
  });
  ["find", "platform", "verdict"].forEach((id) => byId(id).addEventListener("input", () => { state.page = 0; show(); }));
  byId("earlier").addEventListener("click", () => { state.page -= 1; show(); });
  byId("later").addEventListener("click", () => { state.page += 1; show(); });
  const quote = (value) => {
    if (value === null) return "";
    const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) && isNaN(value) ? "'" + value : String(value); // no formulas
    return /[",\n\r]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
  };
  byId("download").addEventListener("click", () => {
    const lines = [doc.columns.map((column) => column.key), ...chosen()].map((row) => row.map(quote).join(","));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(["\ufeff" + lines.join("\r\n") + "\r\n"], { type: "text/csv" }));
    link.download = "campaigns.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
  byId("tools").hidden = false;
  show();
})();
