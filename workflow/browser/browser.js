"use strict";
// The page: which voxels are listed, which are shown, and what the address says.

(function () {
  const make = mine.make, find = (id) => document.getElementById(id);
  const site = mine.data.get("site");
  const ALL = "";
  const ROW = 46;
  const state = { subject: null, entries: [], shown: [], active: -1, open: [], comparing: false, most: 1 };
  const fields = ["subject", "region", "category", "cluster", "reason", "sort", "search"].reduce((own, id) => ({ ...own, [id]: find(id) }), {});
  const list = find("list"), rows = find("rows");

  mine.say = (text) => { find("live").textContent = text; };
  mine.dark = () => {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  };

  const brain = new mine.Brain(find("brain"), (voxel) => {
    const member = brain.members.get(voxel);
    select(member.entry, true);
  });
  mine.brain = brain;

  // --- colours ---------------------------------------------------------------------------------

  const themes = { "": ["Auto", "Colours: as the system has them"], light: ["Light", "Colours: light"], dark: ["Dark", "Colours: dark"] };

  function setTheme(theme) {
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
    find("theme").textContent = themes[theme][0];
    find("theme").setAttribute("aria-label", themes[theme][1]);
    if (brain.planes) brain.draw();
  }

  function readTheme() {
    // Where storage is closed to pages from disk, the switch still works, until the page is left.
    try { return localStorage.getItem("mine-theme") || ""; } catch { return ""; }
  }

  find("theme").addEventListener("click", () => {
    const names = Object.keys(themes), next = names[(names.indexOf(document.documentElement.dataset.theme || "") + 1) % names.length];
    setTheme(next);
    try { localStorage.setItem("mine-theme", next); } catch { /* as above */ }
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (brain.planes) brain.draw(); });

  // --- which voxels ----------------------------------------------------------------------------

  /** Load the regions of a subject, and list all their voxels. */
  async function loadSubject(name) {
    if (state.subject === name) return;
    const subject = await mine.load(`${name}/subject`);
    const indices = await Promise.all(subject.rois.map((roi) => mine.load(`${name}/${roi.name}/index`)));
    state.subject = name;
    state.entries = indices.flatMap((index, order) => {
      const region = subject.rois[order].name;
      return index.columns.voxel.map((voxel, place) => ({ subject: name, region, order, voxel, place, index }));
    });
    state.most = state.entries.reduce((most, { index, place }) => Math.max(most, index.columns.r2[place] || 0), 0.05);
    fields.subject.value = name;
    fill(fields.region, [[ALL, `All ${subject.rois.length}`], ...subject.rois.map((roi) => [roi.name, `${roi.name} (${roi.voxels})`])]);
    fill(fields.category, [[ALL, "Any"], ...indices[0].categories.map((category, place) => [String(place), category]), ["-1", "none"]]);
    const reasons = new Map();
    for (const entry of state.entries) {
      const reason = entry.index.columns.reason[entry.place];
      if (!reasons.has(reason)) reasons.set(reason, new Set());
      reasons.get(reason).add(entry.voxel);
    }
    fill(fields.reason, [[ALL, "Any"], ...[...reasons].map(([reason, voxels]) => [reason, `${reason} (${voxels.size})`])]);
    fillClusters();
    const regions = subject.rois.map((roi) => roi.name);
    brain.regions = regions;
    brain.members = new Map();
    brain.show(name, subject.brain);
  }

  function fill(select, options) {
    const before = select.value;
    select.replaceChildren(...options.map(([value, text]) => make("option", { value }, text)));
    select.value = options.some(([value]) => value === before) ? before : options[0][0];
  }

  function fillClusters() {
    const region = fields.region.value, entry = state.entries.find((own) => own.region === region);
    const clusters = entry ? entry.index.clusters : [];
    fill(fields.cluster, [[ALL, entry ? (clusters.length ? "Any" : "None found") : "Choose a region"],
      ...clusters.map((cluster, place) => [String(place + 1), `${place + 1}: ${cluster.words.slice(0, 3).map((word) => entry.index.words[word]).join(", ") || "no word"} (${cluster.voxels})`])]);
    fields.cluster.disabled = !clusters.length;
  }

  /** Places of the words of an index that are the query or begin with it, or that have a synonym which does: each with that synonym, "" where it is the word itself. */
  function matchWords(index, query) {
    const found = new Map(), is = (name) => name.toLowerCase() === query;
    const begins = (name) => name.toLowerCase().split(/[\s_-]+/).some((part) => part.startsWith(query));
    index.words.forEach((word, place) => {
      const names = [word, ...index.synonyms[place]], name = names.find(is) ?? names.find(begins);
      if (name !== undefined) found.set(place, name === word ? "" : name);
    });
    return found;
  }

  /** How many voxels rows are of: a voxel of two regions has a row in each. */
  const countVoxels = (entries) => new Set(entries.map((entry) => entry.voxel)).size;

  /** Places of the words that drive or suppress a voxel: those listed, then the sure ones of named lists, which only drive. */
  function listWords({ index, place }, sign) {
    const { named, [sign]: listed } = index.columns;
    return sign === "positive" ? [...new Set([...listed[place], ...named[place]])] : listed[place];
  }

  function update() {
    const query = fields.search.value.trim().toLowerCase();
    const region = fields.region.value, category = fields.category.value, cluster = Number(fields.cluster.value), reason = fields.reason.value, sort = fields.sort.value;
    const matches = new Map();
    const shown = [];
    for (const entry of state.entries) {
      const { index, place } = entry, columns = index.columns;
      if (region && entry.region !== region) continue;
      if (category !== ALL && columns.preferred.profile[place] !== Number(category)) continue;
      if (cluster && columns.cluster[place] !== cluster) continue;
      if (reason && columns.reason[place] !== reason) continue;
      entry.sign = null;
      entry.found = new Map();
      if (query) {
        if (!matches.has(index)) matches.set(index, matchWords(index, query));
        const words = entry.found = matches.get(index);
        entry.sign = ["positive", "negative"].find((sign) => listWords(entry, sign).some((word) => words.has(word)));
        if (!entry.sign) continue;
      }
      shown.push(entry);
    }
    const value = ({ index, place }) => index.columns[sort][place] ?? -Infinity;
    const sign = (entry) => (entry.sign === "negative" ? 1 : 0);
    shown.sort((a, b) => sign(a) - sign(b) || (sort === "voxel" ? a.order - b.order || a.voxel - b.voxel : value(b) - value(a)));
    state.shown = shown;
    const suppressed = countVoxels(shown.filter((entry) => entry.sign === "negative"));
    const drives = countVoxels(shown.filter((entry) => entry.sign !== "negative"));
    const plural = (count) => `${count} voxel${count === 1 ? "" : "s"}`;
    let text = plural(countVoxels(shown));
    const other = shown.some((entry) => entry.sign && listWords(entry, entry.sign).some((word) => entry.found.get(word)));
    if (query) text = shown.length ? `“${query}”${other ? " or a synonym" : ""} drives ${plural(drives)}${suppressed ? `, suppresses ${suppressed}` : ""}` : `“${query}” is listed in no profile here, nor is a synonym of it`;
    find("count").textContent = text;
    find("clear").hidden = !(query || region || category !== ALL || cluster || reason);
    mine.say(text);
    state.active = shown.findIndex((entry) => same(entry, state.open[state.open.length - 1]));
    list.scrollTop = 0;
    const members = new Map();
    for (const entry of shown) if (!members.has(entry.voxel)) members.set(entry.voxel, { ...entry, entry });
    brain.setVoxels(members);
    drawRows();
    if (state.active >= 0) reveal();
  }

  const same = (a, b) => a && b && a.subject === b.subject && a.region === b.region && a.voxel === b.voxel;

  /** Draw the rows that are in sight: the list may be of tens of thousands. */
  function drawRows() {
    const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 4), last = Math.min(state.shown.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + 4);
    rows.style.height = `${state.shown.length * ROW}px`;
    rows.replaceChildren(...state.shown.slice(first, last).map((entry, offset) => drawRow(entry, first + offset)));
    const active = rows.querySelector(".active");
    if (active) list.setAttribute("aria-activedescendant", active.id);
    else list.removeAttribute("aria-activedescendant");
  }

  function drawRow(entry, number) {
    const { index, place, region, voxel } = entry, columns = index.columns, r2 = columns.r2[place];
    const listed = columns[entry.sign || "positive"][place].slice(0, 5);
    const beyond = listWords(entry, entry.sign || "positive").filter((word) => entry.found.has(word) && !listed.includes(word));
    const words = [...listed, ...beyond].map((word) => index.words[word] + (entry.found.get(word) ? ` (${entry.found.get(word)})` : "")).join(", ");
    const category = columns.reason[place] === "described" ? columns.preferred.profile[place] : -1;
    const text = words ? (entry.sign === "negative" ? `not ${words}` : words) : columns.reason[place];
    return make("div", { class: `row${number === state.active ? " active" : ""}${state.open.some((own) => same(own, entry)) ? " open" : ""}`, id: `row-${number}`, role: "option", "aria-selected": String(number === state.active), "aria-setsize": state.shown.length, "aria-posinset": number + 1, style: { top: `${number * ROW}px` }, onclick: () => { state.active = number; select(entry, true); } },
      make("i", { class: "dot", style: { background: category < 0 ? "transparent" : mine.colour(category) } }),
      make("span", { class: "who" }, make("b", {}, region), ` ${voxel}`),
      make("span", { class: words ? "what" : "what none" }, text),
      make("span", { class: "r2" }, make("i", { style: { width: `${Math.max(0, r2 || 0) / state.most * 100}%` } }), mine.number(r2)));
  }

  function reveal() {
    const top = state.active * ROW;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
    drawRows();
  }

  function moveTo(number) {
    if (!state.shown.length) return;
    state.active = Math.max(0, Math.min(state.shown.length - 1, number));
    reveal();
    select(state.shown[state.active], false);
  }

  // --- which cards -----------------------------------------------------------------------------

  const write = (entry) => [entry.subject, entry.region, entry.voxel].map(encodeURIComponent).join("/");

  /** Show a voxel, beside the first where two are compared. */
  function select(entry, focus) {
    const open = state.comparing && state.open.length ? [state.open[0], entry] : [entry];
    const hash = `#${open.map(write).join("+")}`;
    state.focus = focus;
    if (location.hash === hash) return show();
    // Moving through the list leaves one entry in the history, not hundreds.
    if (focus) location.hash = hash;
    else { history.replaceState(null, "", hash); show(); }
  }

  /** Part of an address as text; what this page has not written stays as it is. */
  function decode(part) {
    try { return decodeURIComponent(part); } catch { return part; }
  }

  /** Show what the address says. */
  async function show() {
    // While parts are loaded another voxel may be asked for: what was asked for last is shown.
    const asked = location.hash;
    const isOver = () => location.hash !== asked;
    try {
      const wanted = asked.slice(1).split("+").filter(Boolean).map((part) => part.split("/").map(decode));
      if (!wanted.length) return showNothing();
      const open = [];
      for (const [subject, region, voxel] of wanted.slice(0, 2)) {
        const entry = site.subjects.includes(subject) ? await findEntry(subject, region, Number(voxel)) : null;
        if (isOver()) return;
        if (!entry) return showNothing(`The address asks for ${subject} / ${region} / ${voxel}, which these results do not have.`);
        open.push(entry);
      }
      const last = open[open.length - 1];
      if (state.subject !== last.subject) { await loadSubject(last.subject); update(); }
      const parts = await Promise.all(open.map((entry) => mine.load(`${entry.subject}/${entry.region}/cards/${Math.floor(entry.place / entry.index.cards_per_file)}`)));
      if (isOver()) return;
      state.open = open;
      state.comparing = state.comparing || open.length === 2;
      if (open.length === 1 && state.comparing && !state.waiting) state.comparing = false;
      state.waiting = false;
      const cards = open.map((entry, order) => mine.makeCard(entry, parts[order], {
        compare: open.length === 1 ? startComparing : null,
        close: open.length === 2 ? () => { state.comparing = false; select(open[1 - order], true); } : null,
      }));
      find("cards").className = open.length === 2 ? "two" : "";
      find("cards").replaceChildren(...cards);
      if (last.subject === brain.subject) brain.point(last.voxel);
      const active = state.shown.findIndex((entry) => same(entry, last));
      state.active = active;
      if (active >= 0) reveal(); else drawRows();
      mine.say(`${open.map((entry) => `${entry.region}, voxel ${entry.voxel}`).join(" beside ")} is shown.`);
      document.title = `${open.map((entry) => `${entry.region} ${entry.voxel}`).join(" and ")} · ${site.name} · voxel browser`;
      if (state.focus) {
        cards[cards.length - 1].focus({ preventScroll: true });
        if (matchMedia("(max-width: 760px)").matches) cards[cards.length - 1].scrollIntoView({ block: "start" });
      }
      state.focus = false;
    } catch (error) {
      if (!isOver()) showNothing(String(error.message || error));
    }
  }

  async function findEntry(subject, region, voxel) {
    const content = await mine.load(`${subject}/subject`);
    const order = content.rois.findIndex((roi) => roi.name === region);
    if (order < 0) return null;
    const index = await mine.load(`${subject}/${region}/index`);
    const place = index.columns.voxel.indexOf(voxel);
    return place < 0 ? null : { subject, region, order, voxel, place, index };
  }

  function showNothing(text) {
    state.open = [];
    find("cards").className = "";
    find("cards").replaceChildren(make("p", { class: "note", id: "hint" }, text || "Choose a voxel: in the list, in a slice of the brain, or by searching for a word."));
    if (text) mine.say(text);
    drawRows();
  }

  function startComparing() {
    state.comparing = state.waiting = true;
    find("cards").classList.add("waiting");
    const text = "Choose the other voxel, in the list or in the brain. Escape leaves it.";
    const first = find("cards").querySelector(".head");
    if (!first.querySelector(".asked")) first.after(make("p", { class: "note asked" }, text));
    mine.say(text);
    list.focus();
  }

  function stopComparing() {
    state.comparing = state.waiting = false;
    find("cards").classList.remove("waiting");
    for (const note of document.querySelectorAll(".asked")) note.remove();
    if (state.open.length === 2) select(state.open[0], true);
  }

  // --- what people do --------------------------------------------------------------------------

  fields.subject.addEventListener("change", async () => {
    const name = fields.subject.value;
    state.subject = null;
    await loadSubject(name);
    update();
    mine.say(`${name}: ${find("count").textContent}`);
  });
  fields.region.addEventListener("change", () => { fields.cluster.value = ALL; fillClusters(); update(); });
  for (const name of ["category", "cluster", "reason", "sort"]) fields[name].addEventListener("change", update);
  fields.search.addEventListener("input", update);
  find("search-form").addEventListener("submit", (event) => { event.preventDefault(); list.focus(); if (state.active < 0) moveTo(0); });
  find("clear").addEventListener("click", () => {
    for (const name of ["region", "category", "cluster", "reason", "search"]) fields[name].value = ALL;
    fillClusters();
    update();
    fields.search.focus();
  });
  list.addEventListener("scroll", drawRows, { passive: true });
  new ResizeObserver(drawRows).observe(list);
  list.addEventListener("keydown", (event) => {
    const page = Math.max(1, Math.floor(list.clientHeight / ROW) - 1);
    const next = { ArrowDown: state.active + 1, ArrowUp: state.active - 1, PageDown: state.active + page, PageUp: state.active - page, Home: 0, End: state.shown.length - 1 }[event.key];
    if (next !== undefined) moveTo(next);
    else if (event.key === "Enter" && state.active >= 0) select(state.shown[state.active], true);
    else return;
    event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("textarea, input[type=search], input[type=text]");
    if (event.key === "/" && !typing) { fields.search.focus(); fields.search.select(); event.preventDefault(); }
    else if (event.key === "Escape") {
      if (state.comparing) stopComparing();
      else if (fields.search.value) { fields.search.value = ""; update(); }
      else list.focus();
    }
  });
  find("skip").addEventListener("click", (event) => { event.preventDefault(); find("main").focus(); });
  addEventListener("hashchange", show);

  // --- the beginning ---------------------------------------------------------------------------

  async function begin() {
    if (!site) return showNothing("data/site.js: expected a part of this page, found nothing");
    find("name").textContent = site.name;
    document.title = `${site.name} · voxel browser`;
    setTheme(readTheme());
    fill(fields.subject, site.subjects.map((subject) => [subject, subject]));
    find("foot").append(make("p", {}, site.images
      ? "This folder holds images of the dataset, which may not be free to pass on: those of the Natural Scenes Dataset are not. Keep it to yourself, or write it anew with browser.write_images: false."
      : "Pictures of the dataset are not in this folder (browser.write_images: false): frames show where the attributions fall."));
    const first = location.hash.slice(1).split("+").pop().split("/").map(decode)[0];
    try {
      await loadSubject(site.subjects.includes(first) ? first : site.subjects[0]);
      update();
      await show();
    } catch (error) {
      showNothing(String(error.message || error));
    }
    document.documentElement.dataset.ready = "true";
  }

  begin();
})();
