"use strict";
// The portal works without this file; with it come search, themes, tabs, copying, and requests to this server.

const one = (selector, from = document) => from.querySelector(selector);
const all = (selector, from = document) => [...from.querySelectorAll(selector)];
const made = (tag, properties = {}) => Object.assign(document.createElement(tag), properties);

// Light or dark: the system's wish, until someone chooses.
const root = document.documentElement;
const remembered = (() => { try { return localStorage.getItem("theme"); } catch { return null; } })();
root.dataset.theme = remembered || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
one("[data-theme-switch]").addEventListener("click", () => {
  root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
  try { localStorage.setItem("theme", root.dataset.theme); } catch { /* private windows keep nothing */ }
});

// Colours for JSON, made of text nodes only.
const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
function coloured(code) {
  const text = code.textContent, parts = [];
  let at = 0;
  for (const found of text.matchAll(TOKEN)) {
    const kind = found[2] !== undefined ? "j-name" : found[1] !== undefined ? "j-text" : "j-word";
    const shown = found[1] ?? found[0];
    parts.push(text.slice(at, found.index), made("span", { className: kind, textContent: shown }));
    at = found.index + shown.length;
  }
  parts.push(text.slice(at));
  code.replaceChildren(...parts);
}
for (const code of all("pre[data-json] > code")) coloured(code);

// Something to copy with.
function holding(pre) {
  const held = made("div", { className: "held" });
  pre.replaceWith(held);
  const button = made("button", { className: "copy", type: "button", textContent: "Copy" });
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(pre.textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1200);
  });
  held.append(pre, button);
  if (pre.dataset.panel) held.dataset.panel = pre.dataset.panel;
}
all("main pre").forEach(holding);

// Tabs: one language for all samples of the page.
function choose(name) {
  for (const tabs of all(".tabs")) {
    for (const button of all("[data-tab]", tabs)) button.setAttribute("aria-selected", String(button.dataset.tab === name));
    for (const panel of all(".held[data-panel]", tabs)) panel.hidden = panel.dataset.panel !== name;
  }
}
for (const button of all("[data-tab]")) button.addEventListener("click", () => choose(button.dataset.tab));
choose("curl");

// A request to this server. The key stays in the field of this page.
for (const form of all("[data-trial]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const output = one("output", form.parentElement);
    const query = new URLSearchParams();
    let path = form.dataset.path;
    for (const input of all("input", form)) {
      if (input.dataset.in === "path") path = path.replace(`{${input.name}}`, encodeURIComponent(input.value));
      else if (input.value !== "") query.set(input.name, input.value);
    }
    const headers = {}, key = one("[data-key]").value.trim(), body = one("textarea", form);
    if (key) headers.Authorization = `Bearer ${key}`;
    if (form.dataset.method !== "GET") headers["Idempotency-Key"] = crypto.randomUUID();
    if (body) headers["Content-Type"] = "application/json";
    output.replaceChildren(made("p", { textContent: "…" }));
    const began = performance.now();
    try {
      const address = path + (query.size ? `?${query}` : "");
      const answer = await fetch(address, { method: form.dataset.method, headers, body: body?.value, cache: "no-store" });
      const text = await answer.text(), took = Math.round(performance.now() - began);
      const told = [`${answer.status}`, `${took} ms`, answer.headers.get("x-request-id")].filter(Boolean).join(" · ");
      output.replaceChildren(made("p", { textContent: told }));
      if (text) {
        const code = made("code", { textContent: pretty(text) }), pre = made("pre");
        pre.append(code);
        output.append(pre);
        coloured(code);
        holding(pre);
      }
    } catch {
      output.replaceChildren(made("p", { textContent: "The server did not answer." }));
    }
  });
}
function pretty(text) {
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
}

// Search: "/" or Ctrl-K, arrows, Enter.
const dialog = one("[data-search]"), field = one("input", dialog), list = one("ol", dialog);
let index = null, chosen = 0;
async function open() {
  if (dialog.open) return;
  dialog.showModal();
  field.select();
  index ??= await (await fetch("/docs/search.json")).json();
  find();
}
function score([title, , more], words) {
  const head = title.toLowerCase(), rest = more.toLowerCase();
  let sum = 0;
  for (const word of words) {
    if (head.startsWith(word)) sum += 4;
    else if (head.includes(word)) sum += 3;
    else if (rest.includes(word)) sum += 1;
    else return 0;
  }
  return sum;
}
function find() {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = !index || !words.length ? [] :
    index.map((entry) => [score(entry, words), entry]).filter(([points]) => points).sort(([a], [b]) => b - a).slice(0, 12);
  list.replaceChildren(...found.map(([, [title, href, more]]) => {
    const link = made("a", { href }), item = made("li");
    link.append(made("span", { textContent: title }), made("small", { textContent: more }));
    item.append(link);
    return item;
  }));
  mark(0);
}
function mark(place) {
  const items = all("li", list);
  if (!items.length) return;
  chosen = (place + items.length) % items.length;
  items.forEach((item, number) => item.setAttribute("aria-selected", String(number === chosen)));
  items[chosen].scrollIntoView({ block: "nearest" });
}
field.addEventListener("input", find);
field.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") { event.preventDefault(); mark(chosen + (event.key === "ArrowDown" ? 1 : -1)); }
  if (event.key === "Enter") { const link = one('li[aria-selected="true"] a', list); if (link) { dialog.close(); location.href = link.href; } }
});
list.addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
one("[data-find]").addEventListener("click", open);
document.addEventListener("keydown", (event) => {
  const typing = /^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName);
  if ((event.key === "/" && !typing) || (event.key === "k" && (event.ctrlKey || event.metaKey))) { event.preventDefault(); open(); }
});

// An event that an address names opens itself.
function unfold() {
  const named = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (named && named.tagName === "DETAILS") named.open = true;
}
addEventListener("hashchange", unfold);
unfold();
