"use strict";
// Data are classic scripts, each of which hands its content to mineData under a key: a page that was
// opened from disk may load these, while browsers refuse it modules and fetch.

const mine = { data: new Map(), waiting: new Map() };

function mineData(key, content) {
  mine.data.set(key, content);
}

/** Load `data/<key>.js` once; a promise of its content. */
mine.load = function (key) {
  if (mine.data.has(key)) return Promise.resolve(mine.data.get(key));
  if (mine.waiting.has(key)) return mine.waiting.get(key);
  const promise = new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = "data/" + key.split("/").map(encodeURIComponent).join("/") + ".js";
    script.onload = () => {
      script.remove();
      if (mine.data.has(key)) resolve(mine.data.get(key));
      else script.onerror();
    };
    script.onerror = () => {
      mine.waiting.delete(key);
      reject(new Error(`${script.getAttribute("src")}: expected a part of this page, found nothing`));
    };
    document.head.append(script);
  });
  mine.waiting.set(key, promise);
  return promise;
};

/** Make an element. Text and attributes are set as such, never parsed: words and names come from
 *  files, and none of them becomes markup. Children may be nested lists, texts or null. */
mine.make = function (name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "style") for (const [property, own] of Object.entries(value)) element.style.setProperty(property, own);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined));
  return element;
};

/** The bytes of a text in base64. */
mine.bytes = function (text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let place = 0; place < raw.length; place++) bytes[place] = raw.charCodeAt(place);
  return bytes;
};

/** Write a number with so many decimals, a true minus, and a dash for what is not known. */
mine.number = function (value, digits = 2, signed = false) {
  if (value === null || value === undefined) return "–";
  const text = Math.abs(value).toFixed(digits);
  if (Number(text) === 0) return text;
  return (value < 0 ? "−" : signed ? "+" : "") + text;
};

/** Write a p or q as a person would. */
mine.chance = function (value) {
  if (value === null || value === undefined) return "–";
  if (value < 0.001) return "< 0.001";
  return value < 0.1 ? value.toFixed(3) : value.toFixed(2);
};

// Okabe & Ito's colours, as in the figures; the same categories have the same ones there.
mine.colours = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#4B0092", "#B0007A"];
mine.colour = (place) => mine.colours[place % mine.colours.length];
mine.reasons = {
  described: "#0072B2",
  "no significant word": "#56B4E9",
  "no reliable profile": "#E69F00",
  retinotopic: "#009E73",
  "not predicted": "#999999",
};
