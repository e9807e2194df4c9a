"use strict";
(() => {
  const found = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const PAGE = 25;
  let from = 0;

  // ---- search -------------------------------------------------------------------------------
  const text = (column, i) => (column.codes[i] < 0 ? "" : column.names[column.codes[i]]);
  const KINDS = {
    masks: {
      filters: ["concept", "state"],
      head: ["concept", "state", "score", "segmenter", "sample"],
      row: (t, i) => [
        text(t.concept, i), text(t.state, i), t.score[i] < 0 ? "–" : (t.score[i] / 1000).toFixed(3),
        text(t.segmenter, i), t.sample[i] < 0 ? "" : found.samples.id[t.sample[i]],
      ],
      count: (t) => t.score.length,
      words: (t, i) => (t.sample[i] < 0 ? "" : `${found.samples.id[t.sample[i]]} ${found.samples.image[t.sample[i]]}`),
    },
    samples: {
      filters: ["status", "reason"],
      head: ["sample", "picture", "corpus", "status", "reason"],
      row: (t, i) => [t.id[i], t.image[i], text(t.corpus, i), text(t.status, i), text(t.reason, i)],
      count: (t) => t.id.length,
      words: (t, i) => `${t.id[i]} ${t.image[i]}`,
    },
  };

  function options() {
    const kind = $("what").value;
    const names = KINDS[kind].filters;
    ["first", "second"].forEach((id, k) => {
      const select = $(id);
      select.replaceChildren(new Option(`any ${names[k]}`, ""));
      for (const name of found[kind][names[k]].names) select.add(new Option(name, name));
      select.setAttribute("aria-label", names[k]);
    });
    for (const id of ["least", "most"]) $(id).closest("label").hidden = kind !== "masks";
  }

  function matches() {
    const kind = $("what").value, table = found[kind], how = KINDS[kind];
    const code = (id, k) => ($(id).value ? table[how.filters[k]].names.indexOf($(id).value) : null);
    const first = code("first", 0), second = code("second", 1);
    const a = table[how.filters[0]].codes, b = table[how.filters[1]].codes;
    const least = 1000 * ($("least").value || -1), most = 1000 * ($("most").value || 2);
    const words = $("words").value.trim().toLowerCase();
    const rows = [];
    for (let i = 0; i < how.count(table); i++) {
      if (first !== null && a[i] !== first) continue;
      if (second !== null && b[i] !== second) continue;
      if (kind === "masks" && (table.score[i] < least || table.score[i] > most)) continue;
      if (words && !how.words(table, i).toLowerCase().includes(words)) continue;
      rows.push(i);
    }
    if (kind === "masks") rows.sort((i, j) => table.score[j] - table.score[i]);
    return rows;
  }

  function show() {
    const kind = $("what").value, table = found[kind], how = KINDS[kind], rows = matches();
    from = Math.max(0, Math.min(from, rows.length - 1));
    from -= from % PAGE;
    const shown = rows.slice(from, from + PAGE);
    const part = how.count(table) < table.total ? ` of a sample of ${how.count(table).toLocaleString("en")}` : "";
    $("hits").textContent = `${rows.length.toLocaleString("en")} found${part} of ${table.total.toLocaleString("en")}`
      + (rows.length > PAGE ? `; ${from + 1} to ${from + shown.length} shown` : "");
    const line = (cells, tag) => {
      const tr = document.createElement("tr");
      cells.forEach((cell, k) => {
        const one = Object.assign(document.createElement(tag), { textContent: cell });
        one.dataset.of = how.head[k];  // on a phone the row is a list
        tr.append(one);
      });
      return tr;
    };
    $("list").replaceChildren(line(how.head, "th"), ...shown.map((i) => line(how.row(table, i), "td")));
    $("earlier").disabled = from === 0;
    $("later").disabled = from + PAGE >= rows.length;
  }

  // A number of the page links to its rows: #find?what=masks&concept=nucleus&state=written
  function follow() {
    if (!location.hash.startsWith("#find?")) return;
    const asked = new URLSearchParams(location.hash.slice(6));
    $("what").value = asked.get("what") === "samples" ? "samples" : "masks";
    options();
    const names = KINDS[$("what").value].filters;
    $("first").value = asked.get(names[0]) ?? "";
    $("second").value = asked.get(names[1]) ?? "";
    $("least").value = asked.get("least") ?? "";
    $("most").value = asked.get("most") ?? "";
    $("words").value = asked.get("words") ?? "";
    from = 0;
    show();
    $("find").scrollIntoView();
  }

  const again = () => { from = 0; show(); };
  $("what").addEventListener("change", () => { options(); again(); });
  for (const id of ["first", "second"]) $(id).addEventListener("change", again);
  for (const id of ["least", "most", "words"]) $(id).addEventListener("input", again);
  $("earlier").addEventListener("click", () => { from -= PAGE; show(); });
  $("later").addEventListener("click", () => { from += PAGE; show(); });
  addEventListener("hashchange", follow);
  $("find").hidden = false;
  options();
  show();
  follow();

  // ---- pictures -----------------------------------------------------------------------------
  const large = $("large");
  for (const button of document.querySelectorAll("button.pic")) {
    button.addEventListener("click", () => {
      $("larger").replaceChildren(...[...button.children].map((one) => one.cloneNode(true)));
      $("told").textContent = button.getAttribute("aria-label");
      large.showModal();
    });
  }
  large.addEventListener("click", (event) => { if (event.target === large) large.close(); });
  $("close").addEventListener("click", () => large.close());
  for (const one of document.querySelectorAll("input[name=masks]")) {
    one.addEventListener("change", () => { document.body.dataset.masks = one.value; });
  }
})();
