"use strict";
// The card of one voxel.

const CONDITIONS = {
  description: "words of the top tokens", random: "words of random tokens", lowest: "words of the least attributed tokens",
  caption: "a person’s whole caption", empty: "no words at all", profile: "words of the profile",
  other: "a word of another category", unspecific: "same mask, without the feature’s words", elsewhere: "same words, mask moved off",
};
const EVIDENCE = { profile: "words", measured: "measured responses", predicted: "predicted responses", localiser: "localiser" };
const MODELS = { mine: "MINE", ridge: "ridge, image embedding", caption: "ridge, captions", banded: "banded ridge" };
const DESCRIBED = "It predicts new images, contrast alone does not explain it, two halves of the data agree on it, and measured responses confirm its words.";

/** Make a card. entry: {subject, region, place, index}. part: of its cards/<number>.js. */
mine.makeCard = function (entry, part, actions) {
  const make = mine.make, { subject, region, place, index } = entry, columns = index.columns;
  const voxel = columns.voxel[place], card = part.cards[voxel], reason = columns.reason[place];
  const title = `${region}, voxel ${voxel}`;
  const described = reason === "described", meaning = described ? DESCRIBED : `No words are claimed: ${mine.data.get("site").withheld[reason]}.`;
  const section = make("article", { class: "card", "aria-label": `${subject}, ${title}`, tabindex: "-1", "data-voxel": voxel, "data-region": region });
  const compare = actions.compare ? make("button", { type: "button", class: "compare", onclick: actions.compare }, "Compare with another") : null;
  const close = actions.close ? make("button", { type: "button", class: "close", onclick: actions.close }, "Close") : null;
  section.append(...[
    make("div", { class: "head" }, make("h2", {}, title, make("small", {}, subject)), make("div", { class: "buttons" }, compare, close)),
    make("p", { class: "chips" },
      make("span", { class: "chip", title: meaning }, make("i", { style: { background: mine.reasons[reason] || "#999" } }), reason),
      makePreferences(index, columns.preferred, place),
      columns.cluster[place] ? make("span", { class: "chip" }, `cluster ${columns.cluster[place]}`, make("small", {}, index.clusters[columns.cluster[place] - 1].words.slice(0, 3).map((word) => index.words[word]).join(", "))) : null),
    described ? null : make("p", { class: "note" }, meaning),
    makeScores(columns, place, card),
    make("div", { class: "columns" },
      makeImages(entry, part, card),
      make("div", { class: "profiles" }, makeProfile("Words that drive it", card.positive, part.words, described, "positive"), makeProfile("Words that suppress it", card.negative, part.words, described, "negative"), card.lists && described ? makeLists(card.lists, part.words) : null, makeMap(card.map, index.grid))),
    card.tests ? makeTests(entry, card.tests) : make("p", { class: "quiet" }, "No pictures were generated or edited for this voxel; the causal tests are of a few voxels of each region."),
  ].filter((part) => part !== null));
  return section;
};

/** The categories that a voxel prefers, each with the evidence for it. */
function makePreferences(index, preferred, place) {
  const by = new Map();
  for (const [evidence, name] of Object.entries(EVIDENCE)) {
    const category = preferred[evidence][place];
    if (category >= 0) by.set(category, [...(by.get(category) || []), name]);
  }
  return [...by].map(([category, names]) => mine.make("span", { class: "chip" },
    mine.make("i", { style: { background: mine.colour(category) } }), index.categories[category],
    mine.make("small", {}, `by ${names.join(", ")}`)));
}

function makeScores(columns, place, card) {
  const make = mine.make, r2 = columns.r2[place], ceiling = columns.noise_ceiling[place];
  const most = Math.max(0.1, r2 || 0, ceiling || 0, columns.r2_high[place] || 0) * 1.08, across = (value) => `${Math.max(0, Math.min(1, value / most)) * 100}%`;
  const low = columns.r2_low[place], high = columns.r2_high[place];
  const bar = make("div", { class: "gauge", role: "img", "aria-label": `R² ${mine.number(r2)}, from ${mine.number(low)} to ${mine.number(high)}; noise ceiling ${mine.number(ceiling)}` },
    ceiling === null ? null : make("i", { class: "ceiling", style: { width: across(ceiling) } }),
    make("i", { class: "bar", style: { width: across(r2) } }),
    low === null ? null : make("i", { class: "interval", style: { left: across(low), width: `calc(${across(high)} - ${across(low)})` } }));
  const fact = (name, value, note) => make("div", { class: "fact" }, make("dt", {}, name), make("dd", {}, value, note ? make("small", {}, note) : null));
  return make("div", { class: "scores" }, bar,
    make("dl", {},
      fact("R² on test images", mine.number(r2), `${mine.number(low)} to ${mine.number(high)}`),
      fact("Noise ceiling", mine.number(ceiling)),
      fact("R² over ceiling", mine.number(columns.r2_normalised[place])),
      fact("Reliability", mine.number(columns.reliability[place]), `p ${mine.chance(columns.reliability_p[place])}`),
      fact("Specificity", mine.number(columns.specificity[place])),
      fact("Others’ R²", Object.entries(card.models).filter(([model]) => model !== "mine").map(([model, value]) => make("span", { class: "other" }, `${MODELS[model] || model} ${mine.number(value)}`)))));
}

function makeProfile(title, rows, words, described, sign) {
  const make = mine.make, listed = rows.filter((row) => row[3] && described), others = rows.filter((row) => !row[3] || !described);
  // What is listed was confirmed by measured responses; of the others only the attributions speak.
  // full: the least value that fills a bar.
  const measured = { names: ["partial r", "p"], of: (row) => [row[4], row[5]], digits: 2, full: 0.01 };
  const attributed = { names: ["z", "q"], of: (row) => [row[1], row[2]], digits: 1, full: 1 };
  const table = (shown, caption, { names, of, digits, full }) => {
    const most = shown.reduce((a, row) => Math.max(a, Math.abs(of(row)[0] || 0)), full);
    return make("table", { class: `words ${sign}` }, make("caption", { class: "hidden" }, caption),
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "word"), make("th", { scope: "col", class: "wide" }, make("span", { class: "hidden" }, `${names[0]} as a bar`)), names.map((name) => make("th", { scope: "col" }, name)))),
      make("tbody", {}, shown.map((row) => {
        const [value, chance] = of(row);
        return make("tr", {},
          make("th", { scope: "row" }, words[row[0]]),
          make("td", { class: "wide", "aria-hidden": "true" }, make("i", { class: value < 0 ? "below" : "", style: { width: `${Math.abs(value || 0) / most * 100}%` } })),
          make("td", {}, mine.number(value, digits)), make("td", {}, mine.chance(chance)));
      })));
  };
  const none = described ? "None that measured responses confirm." : "None is listed: this voxel is not described.";
  return make("section", { class: "profile" }, make("h3", {}, title), listed.length ? table(listed, `${title}, listed`, measured) : make("p", { class: "quiet" }, none),
    others.length ? make("details", {}, make("summary", {}, `${others.length} other words, not listed`), table(others, `${title}, not listed`, attributed)) : null);
}

/** The word of each named list that adds most to the words above, where one is sure. */
function makeLists(rows, words) {
  const make = mine.make;
  return make("section", { class: "profile" }, make("h3", {}, "Words of named lists"), rows.length ? make("table", { class: "lists" },
    make("thead", {}, make("tr", {}, ["list", "word", "partial r", "p"].map((name) => make("th", { scope: "col" }, name)))),
    make("tbody", {}, rows.map(([list, word, added, chance]) => make("tr", {}, make("th", { scope: "row" }, list), make("td", {}, words[word]), make("td", {}, mine.number(added, 2)), make("td", {}, mine.chance(chance)))))) : make("p", { class: "quiet" }, "None that measured responses confirm."));
}

function makeMap(packed, [rows, columns]) {
  const make = mine.make, canvas = make("canvas", { class: "map", width: columns, height: rows, role: "img", "aria-label": "Where in the image its attributions fall" });
  const context = canvas.getContext("2d"), bytes = mine.bytes(packed);
  for (let place = 0; place < bytes.length; place++) {
    context.fillStyle = `rgb(${mine.ramp(bytes[place] / 255)})`;
    context.fillRect(place % columns, Math.floor(place / columns), 1, 1);
  }
  return make("section", { class: "profile" }, make("h3", {}, "Where in the image"), make("div", { class: "place" }, canvas, make("p", { class: "quiet" }, "Share of the positive attribution at each place, over all its images. Bright: most.")));
}

/** Draw the shares of the tokens over a picture, on a canvas of the grid's size. */
function drawShares(canvas, packed, [rows, columns]) {
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d"), bytes = mine.bytes(packed), count = bytes.length / 3;
  context.clearRect(0, 0, columns, rows);
  for (let place = 0; place < count; place++) {
    const token = bytes[2 * place] + 256 * bytes[2 * place + 1], share = bytes[2 * count + place] / 255;
    context.fillStyle = `rgba(213,94,0,${0.9 * share})`;
    context.fillRect(token % columns, Math.floor(token / columns), 1, 1);
  }
}

/** A picture of the dataset, or where it is not written an empty frame. */
function makePicture(subject, image, alt) {
  if (!mine.data.get("site").images) return mine.make("span", { class: "missing", role: "img", "aria-label": alt });
  return mine.make("img", { src: `data/${encodeURIComponent(subject)}/images/${image}.jpg`, alt, loading: "lazy", decoding: "async" });
}

function makeImages({ subject, index }, part, card) {
  const make = mine.make, total = card.images.length;
  let rank = 0;
  const frame = make("div", { class: "frame" }), heat = make("canvas", { class: "heat", "aria-hidden": "true" }), mark = make("span", { class: "mark", "aria-hidden": "true" });
  const caption = make("p", { class: "rank" }), said = make("p", { class: "said", "aria-live": "polite" });
  const overlay = make("input", { type: "checkbox", onchange: () => {
    mine.overlay = overlay.checked;
    heat.hidden = !overlay.checked;
    frame.classList.toggle("pale", overlay.checked);
  } });
  overlay.checked = mine.overlay !== false;
  const strip = make("div", { class: "strip", role: "group", "aria-label": "Images by rank" }, card.images.map(([image], place) =>
    make("button", { type: "button", "aria-label": `Image of rank ${place + 1}`, onclick: () => step(place) }, makePicture(subject, image, ""))));
  const step = (place) => {
    rank = Math.max(0, Math.min(total - 1, place));
    const [image, prediction, measured, peak, packed, words] = card.images[rank];
    frame.replaceChildren(makePicture(subject, image, `Image ${image}: ${words.map(([word]) => part.words[word]).join(", ") || "nothing"}`), heat, mark);
    drawShares(heat, packed, index.grid);
    frame.classList.toggle("pale", overlay.checked);
    heat.hidden = !overlay.checked;
    mark.hidden = true;
    caption.replaceChildren(make("b", {}, `${rank + 1} of ${total}`), ` · image ${image} · predicted ${mine.number(prediction, 2, true)}, measured ${mine.number(measured, 2, true)} sd · strongest patch ${peak === null ? "–" : Math.round(peak * 100)}%`);
    const show = (patch) => () => {
      const [rows, columns] = index.grid;
      mark.hidden = false;
      mark.style.cssText = `left:${(patch % columns) / columns * 100}%;top:${Math.floor(patch / columns) / rows * 100}%;width:${100 / columns}%;height:${100 / rows}%`;
    };
    const hide = () => { mark.hidden = true; };
    said.replaceChildren(...(words.length ? words.map(([word, weight, patch]) =>
      make("button", { type: "button", class: "word", title: `${mine.number(weight, 3)} above its base rate`, onmouseenter: show(patch), onfocus: show(patch), onmouseleave: hide, onblur: hide, onclick: show(patch) }, part.words[word])) : [make("span", { class: "quiet" }, "No word is read clearly here.")]));
    [...strip.children].forEach((button, own) => button.toggleAttribute("aria-current", own === rank));
    const chosen = strip.children[rank];
    if (chosen && strip.scrollWidth > strip.clientWidth) strip.scrollLeft = chosen.offsetLeft - strip.clientWidth / 2 + chosen.offsetWidth / 2;
  };
  const section = make("section", { class: "images", tabindex: "0", "aria-label": "Images of largest prediction; left and right arrows step through them",
    onkeydown: (event) => {
      const next = { ArrowLeft: rank - 1, ArrowRight: rank + 1, Home: 0, End: total - 1 }[event.key];
      if (next === undefined) return;
      step(next);
      event.preventDefault();
      event.stopPropagation();
    } },
    make("h3", {}, "Images that it answers to most"), frame,
    make("div", { class: "step" }, make("button", { type: "button", class: "previous", "aria-label": "Previous image", onclick: () => step(rank - 1) }, "‹"), caption, make("button", { type: "button", class: "next", "aria-label": "Next image", onclick: () => step(rank + 1) }, "›")),
    strip, said,
    make("label", { class: "toggle" }, overlay, "Attribution over the image"),
    make("p", { class: "quiet" }, `Of ${index.images} test images, those of largest prediction. Words are read from the patches that drive it most there; point at a word to see its patch.`));
  step(0);
  return section;
}

function makeTests(entry, tests) {
  const make = mine.make, base = `data/${encodeURIComponent(entry.subject)}/${encodeURIComponent(entry.region)}`;
  const written = mine.data.get("site").images;
  const response = (evaluator, encoder) => make("span", { class: "response" }, make("b", {}, mine.number(evaluator, 2, true)), make("small", {}, mine.number(encoder, 2, true)));
  const cell = (picture, name, under, title) => make("figure", { class: "made", title }, picture, make("figcaption", {}, make("span", { class: "name" }, name), under));
  const sources = tests.generated.map((own) => make("div", { class: "row" },
    cell(makePicture(entry.subject, own.image, `Original, image ${own.image}`), "original", response(...own.original), `measured ${mine.number(own.measured, 2, true)} sd`),
    own.made.map((made) => {
      const [picture, evaluator, encoder] = made.samples[0];
      return cell(make("img", { src: `${base}/generated/${picture}.jpg`, alt: made.prompt || "no words", loading: "lazy" }), CONDITIONS[made.condition] || made.condition, [response(evaluator, encoder), make("q", {}, made.prompt || "no words")], made.prompt);
    })));
  const edited = ["insertion", "removal"].map((direction) => {
    const own = tests.edits.filter((start) => start.direction === direction);
    const means = tests.shifts.filter((row) => row.direction === direction && row.mean !== null);
    return make("section", {}, make("h4", {}, direction === "insertion" ? "Feature inserted" : "Feature removed"),
      own.length ? own.map((start) => make("div", { class: "row" },
        cell(makePicture(entry.subject, start.image, `Before, image ${start.image}`), "before"),
        start.made.map((made) => cell(written ? make("img", { src: `${base}/edits/${made.edit}.jpg`, alt: made.said, loading: "lazy" }) : make("span", { class: "missing", role: "img", "aria-label": made.said }),
          CONDITIONS[made.condition] || made.condition, [response(...made.shift), make("q", {}, made.said)], `outside the mask it stays alike by ${mine.number(made.outside)}; the feature is read with ${mine.number(made.presence[0])} before, ${mine.number(made.presence[1])} after`)))) : make("p", { class: "quiet" }, "No test image could be taken for this."),
      means.length ? makeMeans("Mean shift in the expected direction, sd", means.map((row) => [CONDITIONS[row.condition] || row.condition, row.mean, row.q]), "q that the top tokens’ words shift more") : null);
  });
  return make("section", { class: "tests" }, make("h3", {}, "Is it causal?"),
    make("p", { class: "quiet" }, "Bold: by the evaluator, a second encoder of another model and another half of the data. Small: by the explained encoder. In standard deviations of the response."),
    make("details", { open: true }, make("summary", {}, "Pictures generated from words alone"), sources.length ? sources : make("p", { class: "quiet" }, "None."),
      tests.errors.length ? makeMeans("By how much controls are further from the original, sd", tests.errors.map((row) => [CONDITIONS[row.control] || row.control, row.mean, row.q]), "q that the description is nearer") : null),
    make("details", {}, make("summary", {}, "Images edited"), edited));
}

function makeMeans(title, rows, meaning) {
  const make = mine.make;
  return make("table", { class: "means" }, make("caption", {}, title), make("thead", {}, make("tr", {}, make("th", { scope: "col" }, ""), make("th", { scope: "col" }, "mean"), make("th", { scope: "col", title: meaning }, "q"))),
    make("tbody", {}, rows.map(([name, mean, q]) => make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, mine.number(mean, 2, true)), make("td", {}, mine.chance(q))))));
}
