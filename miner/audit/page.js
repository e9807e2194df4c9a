"use strict";
(() => {
  const { audit, items } = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const VERDICTS = ["right", "roughly_right", "wrong_object", "wrong_extent"];
  const key = () => `histomine-audit-${audit}-${$("auditor").value.trim()}`;
  const memory = (() => {
    try { return window.localStorage; } catch { return null; }
  })();
  const stored = (name, otherwise) => {
    try { return JSON.parse(memory.getItem(name)) ?? otherwise; } catch { return otherwise; }
  };
  const keep = (name, value) => {
    try { memory.setItem(name, JSON.stringify(value)); } catch {
      say("This browser keeps nothing: download before you close the page.");
    }
  };
  const known = new Map(items.map((item, i) => [item.item, i]));
  let judged = new Map(), at = 0, since = performance.now(), drawing = null;
  const view = { x: 0, y: 0, zoom: 1 };
  const began = { time: performance.now(), judged: 0 };

  function say(text) { $("note").textContent = text; }

  function show(i) {
    at = (i + items.length) % items.length;
    const item = items[at];
    drawing = null;
    $("picture").src = item.picture;
    $("mask").src = item.mask;
    $("view").style.width = `${item.size[0]}px`;
    $("view").style.height = `${item.size[1]}px`;
    $("drawn").setAttribute("viewBox", `0 0 ${item.size[0]} ${item.size[1]}`);
    $("concept").textContent = item.concept;
    const [start, end] = item.span;
    // Offsets count characters, JavaScript counts UTF-16 units.
    const letters = Array.from(item.caption);
    const mark = document.createElement("mark");
    mark.textContent = letters.slice(start, end).join("");
    $("caption").replaceChildren(
      letters.slice(0, start).join(""), mark, letters.slice(end).join(""));
    fit(item.box);
    since = performance.now();
    draw();
    for (const ahead of [1, 2]) {
      const next = items[(at + ahead) % items.length];
      new Image().src = next.picture;
      new Image().src = next.mask;
    }
  }

  function draw() {
    const item = items[at], said = judged.get(item.item);
    for (const button of document.querySelectorAll("[data-verdict]")) {
      button.setAttribute("aria-pressed", String(said?.verdict === button.dataset.verdict));
    }
    $("told").hidden = !said;
    if (said) {
      const rows = Object.entries(item.told).flatMap(([name, value]) => {
        const dt = document.createElement("dt"), dd = document.createElement("dd");
        dt.textContent = name;
        dd.textContent = value ?? "–";
        return [dt, dd];
      });
      $("facts").replaceChildren(...rows);
    }
    const minutes = (performance.now() - began.time) / 60000;
    const rate = (judged.size - began.judged) / Math.max(minutes, 0.05);
    $("bar").value = judged.size / items.length;
    $("count").textContent = `${at + 1} of ${items.length}; ${judged.size} judged` +
      (judged.size > began.judged ? `, ${rate.toFixed(1)} a minute` : "");
    const corners = drawing ?? said?.outline ?? [];
    const shape = document.createElementNS("http://www.w3.org/2000/svg",
      drawing ? "polyline" : "polygon");
    shape.setAttribute("points", corners.map((p) => p.join(",")).join(" "));
    shape.setAttribute("fill", "none");
    shape.setAttribute("stroke", "#ffd000");
    shape.setAttribute("stroke-width", String(2 / view.zoom));
    $("drawn").replaceChildren(...(corners.length ? [shape] : []));
    $("correct").setAttribute("aria-pressed", String(drawing !== null));
  }

  function place() {
    $("view").style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.zoom})`;
    const mpp = items[at].mpp;
    $("scale").hidden = !mpp;
    if (mpp) {
      const most = 140 * mpp / view.zoom;
      const power = 10 ** Math.floor(Math.log10(most));
      const length = [5, 2, 1].map((m) => m * power).find((um) => um <= most);
      const line = document.createElement("i");
      line.style.width = `${length / mpp * view.zoom}px`;
      $("scale").replaceChildren(`${length >= 1 ? length : length.toFixed(2)} µm`, line);
    }
  }

  function fit(box) {
    const stage = $("stage").getBoundingClientRect(), [width, height] = items[at].size;
    const [x1, y1, x2, y2] = box ?? [0, 0, width, height];
    const pad = 0.4 * Math.max(x2 - x1, y2 - y1) + 12;
    const across = Math.min(width, x2 - x1 + 2 * pad), down = Math.min(height, y2 - y1 + 2 * pad);
    view.zoom = Math.min(stage.width / across, stage.height / down);
    view.x = stage.width / 2 - view.zoom * (x1 + x2) / 2;
    view.y = stage.height / 2 - view.zoom * (y1 + y2) / 2;
    place();
  }

  function zoom(factor, x, y) {
    const to = Math.min(Math.max(view.zoom * factor, 0.05), 60);
    view.x = x - (x - view.x) * to / view.zoom;
    view.y = y - (y - view.y) * to / view.zoom;
    view.zoom = to;
    place();
    draw();
  }

  function auditor() {
    const name = $("auditor").value.trim();
    if (!name) {
      say("Say who judges first.");
      $("auditor").focus();
    }
    return name;
  }

  function record(item, change) {
    judged.delete(item);
    if (change) judged.set(item, change);
    keep(key(), [...judged.values()]);
  }

  // Each auditor has judgements of their own, in one browser too.
  function start() {
    judged = new Map(stored(key(), []).filter((j) => known.has(j.item)).map((j) => [j.item, j]));
    Object.assign(began, { time: performance.now(), judged: judged.size });
    const first = items.findIndex((item) => !judged.has(item.item));
    show(first < 0 ? 0 : first);
  }

  function judge(verdict) {
    const name = auditor();
    if (!name) return;
    const item = items[at];
    const outline = judged.get(item.item)?.outline;
    record(item.item, {
      audit, item: item.item, auditor: name, verdict,
      seconds: Math.round((performance.now() - since) / 100) / 10,
      at: new Date().toISOString(), ...(outline ? { outline } : {}),
    });
    say(`${item.concept}: ${verdict.replace("_", " ")}`);
    const order = items.map((_, i) => (at + 1 + i) % items.length);
    const open = order.find((i) => !judged.has(items[i].item));
    if (open === undefined) {
      draw();
      say("All items are judged: download the judgements.");
    } else {
      show(open);
    }
  }

  function undo() {
    const last = [...judged.keys()].pop();
    if (last === undefined) return say("Nothing to undo.");
    record(last, null);
    show(known.get(last));
    say("Undone.");
  }

  function toggle(button, element, name) {
    const on = element.classList.toggle(name);
    button.setAttribute("aria-pressed", String(on));
  }

  function visible() {
    const hidden = $("mask").style.visibility === "hidden";
    $("mask").style.visibility = hidden ? "" : "hidden";
    $("toggle").setAttribute("aria-pressed", String(hidden));
  }

  function filled() {
    toggle($("filled"), $("mask"), "fill");
    $("mask").classList.toggle("outline", !$("mask").classList.contains("fill"));
  }

  function opacity(by) {
    const input = $("opacity");
    input.value = Number(input.value) + by;
    $("mask").style.opacity = input.value / 100;
  }

  function correct() {
    drawing = drawing ? null : [];
    say(drawing ? "Click the corners of the right outline; Enter closes it." : "");
    draw();
  }

  function close(whole) {
    const corners = drawing, item = items[at];
    drawing = null;
    if (whole && corners.length > 2) {
      const name = auditor();
      if (name) {
        const said = judged.get(item.item) ?? {
          audit, item: item.item, auditor: name, verdict: "wrong_extent", seconds: 0,
        };
        record(item.item, { ...said, at: new Date().toISOString(), outline: corners });
        say("The outline is kept with the verdict.");
      }
    }
    draw();
  }

  function download() {
    const lines = [...judged.values()].map((j) => JSON.stringify(j) + "\n");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(lines, { type: "application/x-ndjson" }));
    link.download = `judgements-${audit}-${$("auditor").value.trim().replace(/\W+/g, "_")}.jsonl`;
    link.click();
    URL.revokeObjectURL(link.href);
    say(`${judged.size} judgements downloaded.`);
  }

  async function load(file) {
    let other = 0;
    const found = new Map();
    for (const line of (await file.text()).split("\n").filter((l) => l.trim())) {
      let j = null;
      try { j = JSON.parse(line); } catch { /* counted below */ }
      if (j?.audit === audit && known.has(j.item) && VERDICTS.includes(j.verdict)) {
        const name = String(j.auditor ?? "").trim();
        found.set(name, [...(found.get(name) ?? []), j]);
      } else {
        other += 1;
      }
    }
    let taken = 0;
    for (const [name, lines] of found) {
      $("auditor").value = name;
      const own = new Map(stored(key(), []).map((j) => [j.item, j]));
      for (const j of lines) own.set(j.item, j);
      keep(key(), [...own.values()]);
      taken += lines.length;
    }
    start();
    say(`${taken} judgements imported` + (other ? `, ${other} lines are not of this audit.` : "."));
  }

  function find() {
    const words = $("query").value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (item) => words.every(
      (w) => `${item.concept} ${item.caption} ${item.item}`.toLowerCase().includes(w));
    const found = words.length ? items.filter(fits).slice(0, 40) : [];
    $("found").replaceChildren(...found.map((item) => {
      const li = document.createElement("li"), button = document.createElement("button");
      button.textContent = `${known.get(item.item) + 1}. ${item.concept}: ${item.caption.slice(0, 70)}`;
      button.addEventListener("click", () => { $("finder").close(); show(known.get(item.item)); });
      li.append(button);
      return li;
    }));
  }

  const ACTIONS = {
    "1": () => judge(VERDICTS[0]), "2": () => judge(VERDICTS[1]),
    "3": () => judge(VERDICTS[2]), "4": () => judge(VERDICTS[3]),
    "z": undo, " ": visible, "f": filled, "c": correct, "0": () => fit(),
    "+": () => opacity(10), "=": () => opacity(10), "-": () => opacity(-10),
    "ArrowLeft": () => show(at - 1), "ArrowRight": () => show(at + 1),
    "/": () => { $("finder").showModal(); $("query").focus(); },
    "?": () => $("keys").showModal(),
    "Enter": () => drawing && close(true), "Escape": () => drawing && close(false),
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.target.matches("input") && event.target.type !== "range") {
      if (event.key === "Enter") event.target.blur();
      return;
    }
    if (event.target.matches("button") && (event.key === " " || event.key === "Enter")) return;
    const act = ACTIONS[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  for (const button of document.querySelectorAll("[data-verdict]")) {
    button.addEventListener("click", () => judge(button.dataset.verdict));
  }
  const CLICKS = {
    back: () => show(at - 1), next: () => show(at + 1), undo, toggle: visible, filled, correct,
    fit: () => fit(), search: ACTIONS["/"], help: ACTIONS["?"], save: download,
    load: () => $("file").click(), close: () => $("keys").close(),
    leave: () => $("finder").close(),
    theme: () => {
      const root = document.documentElement;
      const dark = root.dataset.theme
        ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
      keep("histomine-theme", root.dataset.theme);
    },
  };
  for (const [id, act] of Object.entries(CLICKS)) $(id).addEventListener("click", act);
  $("opacity").addEventListener("input", () => opacity(0));
  $("query").addEventListener("input", find);
  $("file").addEventListener("change", () => $("file").files[0] && load($("file").files[0]));
  $("auditor").value = stored("histomine-auditor", "");
  $("auditor").addEventListener("change", () => {
    keep("histomine-auditor", $("auditor").value.trim());
    start();
  });

  const stage = $("stage"), fingers = new Map();
  const inside = (event) => {
    const box = stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY * 0.0016), ...inside(event));
  }, { passive: false });
  stage.addEventListener("pointerdown", (event) => {
    const [x, y] = inside(event);
    if (drawing) {
      drawing.push([(x - view.x) / view.zoom, (y - view.y) / view.zoom]
        .map((v, i) => Math.round(Math.min(Math.max(v, 0), items[at].size[i]) * 10) / 10));
      return draw();
    }
    stage.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, [x, y]);
  });
  stage.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = inside(event);
    if (fingers.size === 2) {
      const [other] = [...fingers].filter(([id]) => id !== event.pointerId).map(([, p]) => p);
      const reach = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]);
      zoom(reach(now) / Math.max(reach(before), 1), ...other);
    } else {
      view.x += now[0] - before[0];
      view.y += now[1] - before[1];
      place();
    }
    fingers.set(event.pointerId, now);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    stage.addEventListener(name, (event) => fingers.delete(event.pointerId));
  }
  addEventListener("resize", () => fit(items[at].box));

  const theme = stored("histomine-theme", null);
  if (theme) document.documentElement.dataset.theme = theme;
  start();
})();
