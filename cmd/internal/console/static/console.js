"use strict";
// What a page does beyond its HTML: the editors, the form of Try a script, live
// parts, and buttons that copy. Texts of scripts and of the fleet become text
// nodes; only parts that the console has rendered are parsed as HTML.

const find = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const make = (name, cls) => { const el = document.createElement(name); if (cls) el.className = cls; return el; };
document.documentElement.classList.add("scripted");

// ---- Colours ----

const grammars = {
  python: [
    ["c", /#[^\n]*/y],
    ["s", /[rRbBuUfF]{0,2}(?:"""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?)/y],
    ["d", /@[\w.]+|(?<=\b(?:def|class)\s+)\w+/y],
    ["k", /(?:False|None|True|and|as|assert|async|await|break|class|continue|def|del|elif|else|except|finally|for|from|global|if|import|in|is|lambda|match|nonlocal|not|or|pass|raise|return|try|while|with|yield)(?!\w)/y],
    ["b", /(?:abs|all|any|bool|bytes|dict|enumerate|filter|float|int|isinstance|len|list|map|max|min|open|print|range|repr|reversed|round|set|sorted|str|sum|tuple|type|zip)(?=\()/y],
    ["n", /0[xXoObB][\da-fA-F_]+|\d[\d_]*\.?\d*(?:[eE][+-]?\d+)?/y],
    ["", /\w+/y],
  ],
  json: [["d", /"(?:\\.|[^"\\\n])*"(?=\s*:)/y], ["s", /"(?:\\.|[^"\\\n])*"?/y], ["k", /(?:true|false|null)(?!\w)/y], ["n", /-?\d[\d.]*(?:[eE][+-]?\d+)?/y], ["", /\w+/y]],
  requirements: [["c", /#[^\n]*/y], ["k", /[=<>!~]=+|[<>]/y], ["n", /\d[\w.]*/y], ["", /[A-Za-z][\w.-]*/y]],
};
const mostPainted = 200_000; // characters; a longer text has no colours

function paint(el, text, grammar) {
  const out = document.createDocumentFragment();
  let plain = "";
  const flush = () => { if (plain) { out.append(plain); plain = ""; } };
  for (let at = 0; at < text.length;) {
    let found = null;
    for (const [kind, pattern] of grammar) {
      pattern.lastIndex = at;
      const match = pattern.exec(text);
      if (match && match[0]) { found = [kind, match[0]]; break; }
    }
    if (found && found[0]) {
      flush();
      const span = make("span", "t-" + found[0]);
      span.textContent = found[1];
      out.append(span);
    } else plain += found ? found[1] : text[at];
    at += found ? found[1].length : 1;
  }
  flush();
  out.append("\n");
  el.replaceChildren(out);
}

// ---- Editors ----

class Editor {
  constructor(box) {
    this.box = box;
    this.area = find("textarea", box);
    this.grammar = grammars[box.dataset.editor];
    this.gutter = make("pre", "gutter"); this.paint = make("pre", "paint"); this.line = make("div", "mark"); this.number = make("div", "mark");
    for (const el of [this.gutter, this.paint, this.line, this.number]) el.setAttribute("aria-hidden", "true");
    const field = make("div", "field"), side = make("div", "side");
    side.append(this.number, this.gutter);
    this.area.replaceWith(field);
    field.append(this.line, this.paint, this.area);
    box.prepend(this.gutter);
    box.append(field);
    this.leaving = false;
    this.faulty = 0;
    this.area.addEventListener("input", () => { this.mark(0); this.draw(); });
    this.area.addEventListener("scroll", () => this.scroll());
    this.area.addEventListener("keydown", (e) => this.key(e));
    this.area.addEventListener("blur", () => { this.leaving = false; });
    this.draw();
    if (this.area.dataset.line) this.mark(+this.area.dataset.line);
  }
  get text() { return this.area.value; }
  draw() {
    const text = this.text, lines = text.split("\n").length;
    const coloured = text.length <= mostPainted;
    this.box.classList.toggle("painted", coloured);
    if (coloured) paint(this.paint, text, this.grammar); else this.paint.textContent = "";
    if (lines !== this.lines) {
      this.lines = lines;
      this.gutter.textContent = Array.from({ length: lines }, (_, i) => i + 1).join("\n") + "\n";
      this.area.rows = Math.max(this.area.id === "script" ? 14 : 5, Math.min(lines + 1, 26));
    }
    this.scroll();
  }
  scroll() {
    const { scrollTop: top, scrollLeft: left } = this.area;
    this.gutter.style.transform = `translateY(${-top}px)`;
    this.paint.style.transform = `translate(${-left}px, ${-top}px)`;
    this.line.style.display = this.faulty ? "block" : "none";
    this.line.style.top = `${8 + (this.faulty - 1) * 20 - top}px`;
  }
  mark(line) { // 0: none
    this.faulty = line;
    if (line) this.area.setAttribute("aria-invalid", "true"); else this.area.removeAttribute("aria-invalid");
    this.scroll();
  }
  show(line) { // brings a line into sight
    const at = (line - 1) * 20;
    if (at < this.area.scrollTop || at > this.area.scrollTop + this.area.clientHeight - 40) this.area.scrollTop = Math.max(0, at - this.area.clientHeight / 2);
  }
  // insert replaces the selection, so that the browser can undo it.
  insert(text) {
    if (!document.execCommand("insertText", false, text)) this.area.setRangeText(text, this.area.selectionStart, this.area.selectionEnd, "end");
    this.area.dispatchEvent(new Event("input", { bubbles: true }));
  }
  key(e) {
    if (e.key === "Escape") { this.leaving = true; return; }
    if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) { e.preventDefault(); this.area.form.requestSubmit(find("#run")); return; }
    if (e.key === "Tab" && !this.leaving && !e.ctrlKey && !e.altKey && this.box.dataset.editor !== "requirements") { e.preventDefault(); this.indent(e.shiftKey); return; }
    if (e.key === "Enter" && !e.shiftKey && !e.isComposing) {
      const before = this.text.slice(0, this.area.selectionStart), line = before.slice(before.lastIndexOf("\n") + 1);
      const deeper = /[:{[(]\s*$/.test(line) ? this.unit() : "";
      e.preventDefault();
      this.insert("\n" + /^[ \t]*/.exec(line)[0] + deeper);
    }
    if (!["Shift", "Control", "Alt", "Meta"].includes(e.key)) this.leaving = false;
  }
  unit() { return this.box.dataset.editor === "json" ? "  " : "    "; }
  indent(back) {
    const { selectionStart: from, selectionEnd: to } = this.area, unit = this.unit();
    if (from === to && !back) { this.insert(unit); return; }
    const start = this.text.lastIndexOf("\n", from - 1) + 1, lines = this.text.slice(start, to).split("\n");
    const moved = lines.map((l) => back ? l.replace(new RegExp(`^ {1,${unit.length}}|^\t`), "") : l ? unit + l : l);
    this.area.setSelectionRange(start, to);
    this.insert(moved.join("\n"));
    const first = moved[0].length - lines[0].length;
    this.area.setSelectionRange(Math.max(start, from + first), start + moved.join("\n").length);
  }
}

const editors = {};
for (const box of all(".editor")) { const e = new Editor(box); editors[e.area.id] = e; }

// ---- Live parts ----

const say = (text) => { const said = find("#said"); if (said && said.textContent !== text) said.textContent = text; };

// put replaces a live part, and keeps what the reader has opened, focused and
// scrolled.
function put(into, html) {
  const opened = new Map(all("details[id]", into).map((d) => [d.id, d.open]));
  const scrolled = new Map(all("pre", into).map((p, i) => [i, p.scrollTop]));
  const focused = into.contains(document.activeElement) ? [all("a, button, summary, pre, .scroll", into).indexOf(document.activeElement)] : null;
  const fresh = new DOMParser().parseFromString(html, "text/html");
  into.replaceChildren(...fresh.body.childNodes);
  for (const d of all("details[id]", into)) if (opened.has(d.id) && !(d.id === "buildlog" && !opened.get(d.id))) d.open = opened.get(d.id);
  all("pre", into).forEach((p, i) => { p.scrollTop = p.hasAttribute("data-follow") ? p.scrollHeight : scrolled.get(i) || 0; });
  if (focused) { const el = all("a, button, summary, pre, .scroll", into)[focused[0]]; if (el) el.focus({ preventScroll: true }); }
  const part = find(".part", into);
  if (part) say(part.dataset.said || "");
  return part;
}

// live shows a live part until its end, and returns what stops it.
function live(into, url, arrived = () => {}) {
  const events = new EventSource(url);
  events.addEventListener("part", (e) => arrived(put(into, JSON.parse(e.data))));
  events.addEventListener("away", (e) => say(JSON.parse(e.data)));
  events.addEventListener("end", () => events.close());
  return () => events.close();
}
for (const el of all("[data-live]")) live(el, el.dataset.live);

// ---- Try a script ----

const form = find("#try");
if (form) {
  const result = find("#result"), error = find("#try-error"), button = find("#run");
  let stop = () => {};
  const post = async (path) => {
    const answer = await fetch(path, { method: "POST", headers: { Accept: "application/json" }, body: new URLSearchParams(new FormData(form)) });
    return answer.json();
  };
  const clear = () => { error.textContent = ""; for (const id of ["script-fault", "input-fault"]) find("#" + id).textContent = ""; for (const e of Object.values(editors)) e.mark(0); };
  const refused = (told) => {
    if (!told.input) { error.textContent = told.error; return; }
    editors.input.mark(told.input.line);
    editors.input.show(told.input.line);
    find("#input-fault").textContent = `Line ${told.input.line}, column ${told.input.column}: ${told.input.message}`;
  };
  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    if (button.disabled) return;
    clear();
    button.disabled = true;
    try {
      const told = await post("/try");
      if (!told.live) { refused(told); if (told.input) editors.input.area.focus(); return; }
      stop();
      const script = editors.script.text;
      stop = live(result, told.live, (part) => {
        const line = part && +part.dataset.line;
        if (!line || editors.script.text !== script || editors.script.faulty === line) return;
        editors.script.mark(line);
        editors.script.show(line);
        const message = find(".fault .message", part);
        find("#script-fault").textContent = `Line ${line}: ${message ? message.textContent : ""}`;
      });
    } catch (failed) {
      error.textContent = "The console does not answer: " + failed.message;
    } finally {
      button.disabled = false;
    }
  });
  // The input is checked where it is typed, once the typing stops.
  let typing = 0;
  editors.input.area.addEventListener("input", () => {
    clearTimeout(typing);
    find("#input-fault").textContent = "";
    typing = setTimeout(async () => {
      try { JSON.parse(editors.input.text || "{}"); } catch {
        const told = await post("/try/request");
        if (told.input) refused(told);
      }
    }, 500);
  });
  editors.script.area.addEventListener("input", () => { find("#script-fault").textContent = ""; });
  const preview = find("#preview");
  preview.addEventListener("click", async () => {
    const part = find("#preview-part");
    if (!part.hidden) { part.hidden = true; preview.setAttribute("aria-expanded", "false"); return; }
    clear();
    const told = await post("/try/request");
    if (told.error) { refused(told); return; }
    find("#as-command").textContent = told.command;
    find("#as-request").textContent = told.request;
    part.hidden = false;
    preview.setAttribute("aria-expanded", "true");
  });
}

// ---- Buttons ----

document.addEventListener("click", async (e) => {
  const copy = e.target.closest("[data-copy]"), choose = e.target.closest("[data-choose]");
  if (copy) {
    const from = find(copy.dataset.copy);
    try { await navigator.clipboard.writeText(from.textContent); copy.textContent = "Copied"; } catch {
      getSelection().selectAllChildren(from);
      copy.textContent = "Selected";
    }
    say(copy.textContent);
    setTimeout(() => { copy.textContent = "Copy"; }, 2000);
  }
  if (choose) for (const box of all("input[name=letter]")) box.checked = true;
});

// A form within a live part is sent without leaving the page.
document.addEventListener("submit", async (e) => {
  const act = e.target.closest("form[data-act]");
  if (!act) return;
  e.preventDefault();
  const answer = await fetch(act.action, { method: "POST", headers: { Accept: "application/json" }, body: new URLSearchParams(new FormData(act)) });
  say(answer.ok ? "Asked to cancel the run." : (await answer.json()).error);
});
