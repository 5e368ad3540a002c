"use strict";

// Everything from the server is set as text, never as markup.
const byID = (id) => document.getElementById(id);
const catalog = document.body.dataset.catalog;

const text = (tag, className, value) => {
  const e = document.createElement(tag);
  e.className = className;
  e.textContent = value;
  return e;
};

// set changes an element's text and lets it flash, unless it is new.
const set = (e, value) => {
  if (e.textContent === value) return;
  const known = e.dataset.set === "1";
  e.textContent = value;
  e.dataset.set = "1";
  if (known) flash(e);
};

const flash = (e) => {
  e.classList.remove("flash");
  void e.offsetWidth; // begin again
  e.classList.add("flash");
};

// keyed makes the children of parent those of items, in their order; a child stays the same element as long as its item is there.
const keyed = (parent, items, make, fill) => {
  const old = new Map([...parent.children].map((c) => [c.dataset.key, c]));
  const first = parent.dataset.filled !== "1";
  for (const item of items) {
    let e = old.get(String(item.id));
    if (e) {
      old.delete(String(item.id));
    } else {
      e = make();
      e.dataset.key = item.id;
      if (!first) flash(e);
    }
    fill(e, item);
    parent.append(e);
  }
  for (const gone of old.values()) gone.remove();
  parent.dataset.filled = "1";
};

const stamp = (id) => () => byID(id).content.firstElementChild.cloneNode(true);

const showTree = ({ document: home, error }) => {
  const state = byID("state");
  const categories = home ? home.categories : [];
  const products = categories.reduce((n, c) => n + c.products.length, 0);
  if (home) set(byID("title"), home.title);
  state.textContent = error || (home
    ? `catalog ${catalog} · ${categories.length} categories, ${products} products in stock · document changed ${new Date().toLocaleTimeString("en-GB")}`
    : `catalog ${catalog} is hidden: it does not exist, or nothing of it is in stock`);
  if (error) return;
  keyed(byID("categories"), categories, stamp("category-template"), (card, category) => {
    set(card.querySelector("h3"), category.title);
    keyed(card.querySelector("tbody"), category.products, stamp("product-template"), (row, p) => {
      set(row.querySelector(".name"), p.name);
      set(row.querySelector(".note"), p.note || "");
      set(row.querySelector(".price"), p.price);
      set(row.querySelector(".qty"), p.qty + " left");
    });
  });
};

const showStages = (stages) => {
  const list = byID("stages");
  while (list.children.length < stages.length) {
    const li = document.createElement("li");
    li.append(text("div", "name", ""), text("div", "figure", ""), text("div", "note", ""));
    list.append(li);
  }
  stages.forEach((s, i) => {
    const [name, figure, note] = list.children[i].children;
    name.textContent = s.name + " · " + s.kind;
    figure.textContent = s.figure;
    note.textContent = s.note;
  });
};

const milliseconds = (ms) => (ms >= 10000 ? (ms / 1000).toFixed(1) + " s" : ms.toFixed(ms < 10 ? 1 : 0) + " ms");

const history = {}; // by read model: [p50, p99] of the last minute
const showFreshness = (kinds) => {
  keyed(byID("freshness"), kinds.map((k) => ({ id: k.kind, ...k })), stamp("freshness-template"), (e, k) => {
    e.querySelector("h3").textContent = k.kind;
    e.querySelector(".p50").textContent = k.samples ? milliseconds(k.p50) : "–";
    e.querySelector(".p99").textContent = k.samples ? milliseconds(k.p99) : "–";
    e.querySelector(".behind").textContent = k.behind;
    const h = (history[k.kind] ||= []);
    if (k.samples) h.push([k.p50, k.p99]);
    if (h.length > 120) h.shift();
    const top = Math.max(1, ...h.map((p) => p[1]));
    const points = (n) => h.map((p, i) => `${(i * 240) / 119},${46 - (44 * p[n]) / top}`).join(" ");
    e.querySelector(".line50").setAttribute("points", points(0));
    e.querySelector(".line99").setAttribute("points", points(1));
  });
};

const verbs = { c: "+", u: "~", d: "−" };
const showChanges = (changes) => {
  const list = byID("changes");
  const seen = list.firstElementChild ? list.firstElementChild.dataset.place.split("/").map(Number) : [0, -1];
  for (const c of changes.toReversed()) {
    if (c.csn < seen[0] || (c.csn === seen[0] && c.index <= seen[1])) continue;
    const li = document.createElement("li");
    li.dataset.place = c.csn + "/" + c.index;
    li.append(text("span", "csn", c.csn), text("span", "op " + c.op, verbs[c.op] || c.op), text("span", "", c.table + " " + c.key), text("span", "", c.what));
    list.prepend(li);
  }
  while (list.children.length > 30) list.lastElementChild.remove();
};

const connection = (on) => {
  byID("connection").className = on ? "on" : "off";
  byID("connection").textContent = on ? "live" : "no connection";
};

const events = new EventSource("/events?catalog=" + encodeURIComponent(catalog));
events.onopen = () => connection(true);
events.onerror = () => connection(false);
events.addEventListener("tree", (e) => showTree(JSON.parse(e.data)));
events.addEventListener("status", (e) => {
  const s = JSON.parse(e.data);
  showStages(s.stages);
  showFreshness(s.freshness);
  showChanges(s.changes);
});
