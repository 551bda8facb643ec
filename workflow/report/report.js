"use strict";
// Tables that sort and filter, the explorer of budgets, and the lookup's heat map. Text enters the page as text only.

const PAGE = 25;

function element(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function show(value, kind) {
  if (value === null) return "–";
  if (kind === "percent") return (100 * value).toFixed(1) + " %";
  if (kind === "int") return value.toLocaleString("en");
  if (kind === "number") {
    const size = Math.abs(value);
    return size && (size >= 1e6 || size < 1e-3) ? value.toExponential(2) : String(+value.toPrecision(4));
  }
  return String(value);
}

function compare(a, b) {
  if (a === null || b === null) return (a === null) - (b === null);
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

function chooser(name, values, chosen, all) {
  const label = element("label", name.replaceAll("_", " "));
  const select = element("select", undefined, { "aria-label": name });
  if (all) select.append(element("option", "all", { value: "" }));
  for (const value of values) select.append(element("option", String(value), { value: String(value) }));
  if (chosen !== undefined) select.value = String(chosen);
  label.append(select);
  return { label, select };
}

function setUpTable(box) {
  const data = JSON.parse(box.querySelector("script").textContent);
  const table = box.querySelector("table");
  const controls = box.querySelector(".controls");
  const more = box.querySelector(".more");
  const count = box.querySelector(".shown");
  const filters = new Map();
  let sorted = { column: -1, step: 1 };
  let shown = PAGE;

  data.columns.forEach((column, i) => {
    if (!column.choose) return;
    const values = [...new Set(data.rows.map((row) => row[i]))].filter((v) => v !== null).sort(compare);
    // "all" is also a value of difficulty; "" means that nothing is filtered.
    const { label, select } = chooser(column.name, values, data.start[column.name] ?? "", false);
    select.prepend(element("option", "any value", { value: "" }));
    select.value = data.start[column.name] ?? "";
    filters.set(i, select);
    select.addEventListener("change", restart);
    controls.append(label);
  });
  const search = element("input", undefined, { type: "search", "aria-label": "Search rows" });
  const label = element("label", "search");
  label.append(search);
  controls.append(label);
  search.addEventListener("input", restart);
  more.addEventListener("click", () => { shown += 4 * PAGE; draw(); });

  const head = element("tr");
  data.columns.forEach((column, i) => {
    const cell = element("th", undefined, { scope: "col" });
    if (column.kind !== "text") cell.className = "number";
    const button = element("button", column.name.replaceAll("_", " "), { type: "button" });
    button.addEventListener("click", () => {
      sorted = { column: i, step: sorted.column === i ? -sorted.step : 1 };
      head.querySelectorAll("th").forEach((th, j) => {
        if (j === i) th.setAttribute("aria-sort", sorted.step > 0 ? "ascending" : "descending");
        else th.removeAttribute("aria-sort");
      });
      draw();
    });
    cell.append(button);
    head.append(cell);
  });
  const body = element("tbody");
  const top = element("thead");
  top.append(head);
  table.append(top, body);

  function restart() { shown = PAGE; draw(); }

  function draw() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = data.rows.filter((row) => {
      for (const [i, select] of filters) {
        if (select.value !== "" && String(row[i]) !== select.value) return false;
      }
      const text = words.length ? row.join(" ").toLowerCase() : "";
      return words.every((word) => text.includes(word));
    });
    if (sorted.column >= 0) {
      rows.sort((a, b) => {
        const [x, y] = [a[sorted.column], b[sorted.column]];
        return x === null || y === null ? compare(x, y) : sorted.step * compare(x, y);
      });
    }
    body.replaceChildren(...rows.slice(0, shown).map((row) => {
      const line = element("tr");
      row.forEach((value, i) => {
        const kind = data.columns[i].kind;
        const cell = element("td", show(value, kind));
        if (kind !== "text") cell.className = "number";
        line.append(cell);
      });
      return line;
    }));
    more.hidden = rows.length <= shown;
    count.textContent = `${Math.min(shown, rows.length)} of ${rows.length} rows`;
  }
  draw();
}

function setUpLookup() {
  const { contexts, methods } = JSON.parse(document.getElementById("lookup-data").textContent);
  const controls = document.getElementById("lookup-controls");
  const table = document.getElementById("lookup-map");
  const unique = (values) => [...new Set(values)];
  const bins = {
    "easy, medium, hard": (d) => ["easy", "medium", "hard"].includes(d),
    "equally large bins": (d) => /^q\d+$/.test(d),
    "all problems together": (d) => d === "all",
  };
  const datasets = chooser("dataset", unique(contexts.map((c) => c.dataset)));
  const prms = unique(contexts.map((c) => c.prm)).sort((a, b) => (b === "any") - (a === "any"));
  const prm = chooser("PRM at hand", prms, prms[0]);
  const bin = chooser("difficulty", Object.keys(bins).filter((name) => contexts.some((c) => bins[name](c.difficulty))));
  for (const { label, select } of [datasets, prm, bin]) {
    controls.append(label);
    select.addEventListener("change", draw);
  }
  const legend = document.getElementById("lookup-legend");
  for (const { label, color } of Object.values(methods)) {
    const item = element("span", label);
    const mark = element("i");
    mark.style.background = tint(color);
    item.prepend(mark);
    legend.append(item);
  }

  function tint(color) { return `color-mix(in srgb, ${color} 45%, white)`; }

  function draw() {
    const rows = contexts.filter((c) => c.dataset === datasets.select.value
      && c.prm === prm.select.value && bins[bin.select.value](c.difficulty));
    const budgets = unique(rows.map((c) => c.budget)).sort((a, b) => a - b);
    const head = element("tr");
    head.append(element("th", "Policy"), element("th", "Difficulty"));
    for (const budget of budgets) head.append(element("th", `N = ${budget}`, { scope: "col" }));
    const lines = [head];
    for (const policy of unique(rows.map((c) => c.policy))) {
      const own = rows.filter((c) => c.policy === policy);
      const levels = unique(own.map((c) => c.difficulty));
      levels.forEach((level, i) => {
        const line = element("tr");
        if (i === 0) line.append(element("th", policy, { rowspan: levels.length, scope: "rowgroup" }));
        line.append(element("th", level, { scope: "row" }));
        for (const budget of budgets) {
          line.append(cell(own.find((c) => c.difficulty === level && c.budget === budget)));
        }
        lines.push(line);
      });
    }
    table.replaceChildren(...lines);
  }

  function cell(context) {
    if (!context || !context.support.n_problems) return element("td", "–", { class: "empty" });
    const { strategy, support } = context;
    const made = element("td", methods[strategy.method].label);
    made.style.background = tint(methods[strategy.method].color);
    if (2 * support.folds_agreeing < support.folds) made.className = "unsure";
    const how = [strategy.scoring, strategy.vote]
      .filter((part) => part !== "none" && part !== strategy.method).join(" + ");
    const model = strategy.prm === "none" ? "" : strategy.prm;
    const thought = strategy.thinking ? `T = ${strategy.thinking}` : "";
    for (const text of [how, model, thought, `${show(context.accuracy, "percent")}, n = ${support.n_problems}`]) {
      if (text) made.append(element("small", text));
    }
    const ends = `${show(context.ci_low, "percent")} to ${show(context.ci_high, "percent")}`;
    made.title = `${ends}; ${support.folds_agreeing} of ${support.folds} fold-wise choices agree`
      + (support.pooled ? "; too few problems: chosen over all difficulties" : "");
    return made;
  }
  if (contexts.length) draw();
}

function setUpExplorer() {
  const { currencies, curves } = JSON.parse(document.getElementById("explorer-data").textContent);
  if (!curves.length) return;
  const controls = document.getElementById("explorer-controls");
  const table = document.getElementById("explorer-choices");
  const unique = (values) => [...new Set(values)];
  const names = Object.keys(currencies);
  const dataset = chooser("dataset", unique(curves.map((c) => c.dataset)));
  const difficulty = chooser("difficulty", unique(curves.map((c) => c.difficulty)));
  const currency = chooser("currency", names, names.includes("flops") ? "flops" : names[0]);
  for (const option of currency.select.options) option.textContent = currencies[option.value];
  const slider = element("input", undefined, { type: "range", min: 0, step: 1, "aria-label": "budget" });
  const amount = element("output", "", { "aria-live": "polite" });
  const label = element("label", "at most ", { class: "slider" });
  label.append(amount, slider);
  for (const { label: box, select } of [dataset, difficulty, currency]) {
    controls.append(box);
    select.addEventListener("change", restart);
  }
  controls.append(label);
  slider.addEventListener("input", draw);
  document.getElementById("explorer-few").open = false;

  let mine = [];
  let stops = [];

  function restart() {
    mine = curves.filter((c) => c.dataset === dataset.select.value
      && c.difficulty === difficulty.select.value && c.currency === currency.select.value);
    stops = unique(mine.flatMap((c) => c.steps.map((step) => step.amount))).sort((a, b) => a - b);
    slider.max = Math.max(stops.length - 1, 0);
    slider.value = Math.floor(stops.length / 2);
    draw();
  }

  function draw() {
    const limit = stops[slider.value];
    amount.textContent = stops.length ? figure(limit) : "–";
    // As `testtime advise`: the choice that was fitted for the most within the budget.
    const choices = mine.map((c) => ({ policy: c.policy, step: c.steps.findLast((s) => s.amount <= limit) }))
      .filter((c) => c.step)
      .sort((a, b) => b.step.accuracy - a.step.accuracy || a.step.amount - b.step.amount);
    const head = element("tr");
    for (const name of ["Policy", "Strategy", "Accuracy"]) head.append(element("th", name, { scope: "col" }));
    for (const name of ["Tokens", "PRM tokens", "FLOPs", "Seconds", "Latency (s)"]) {
      head.append(element("th", name, { scope: "col", class: "number" }));
    }
    table.replaceChildren(head, ...choices.map(({ policy, step }) => {
      const line = element("tr");
      line.append(element("th", policy, { scope: "row" }), element("td", step.use, { class: "long" }), accuracy(step));
      for (const key of ["policy_tokens", "prm_tokens", "flops", "seconds", "latency_s"]) {
        line.append(element("td", figure(step.cost[key]), { class: "number" }));
      }
      return line;
    }));
  }

  function accuracy(step) {
    const cell = element("td");
    const track = element("span", undefined, { class: "track" });
    const [band, mark] = [element("i"), element("b")];
    band.style.left = `${100 * step.ci_low}%`;
    band.style.width = `${100 * (step.ci_high - step.ci_low)}%`;
    mark.style.left = `${100 * step.accuracy}%`;
    track.append(band, mark);
    const ends = `${show(step.ci_low, "percent")} to ${show(step.ci_high, "percent")}`;
    cell.append(element("span", show(step.accuracy, "percent")), track, element("small", ends));
    return cell;
  }

  function figure(value) {
    if (value === null) return "–";
    if (value >= 1e7) return value.toExponential(2);
    return value >= 1000 ? Math.round(value).toLocaleString("en") : String(+value.toPrecision(3));
  }

  restart();
}

document.querySelectorAll("details.table").forEach(setUpTable);
setUpExplorer();
setUpLookup();
