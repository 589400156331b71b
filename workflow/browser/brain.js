"use strict";
// Slices of a subject's brain on canvas. Axes go right, front and up, so left is shown left.

mine.Brain = class {
  /** host: the section. choose(voxel): called where a voxel is clicked. */
  constructor(host, choose) {
    this.host = host;
    this.choose = choose;
    this.overlay = "r2";
    this.subject = null;
  }

  /** Show a subject. brain: of its subject.js. */
  show(subject, brain) {
    if (this.subject === subject) return;
    this.subject = subject;
    this.brain = brain;
    const make = mine.make;
    this.host.replaceChildren(make("h2", { id: "brain-title" }, "Brain of ", subject));
    this.planes = null;
    this.space = null;
    if (brain.geometry !== "volume") {
      const where = brain.geometry === "surface" ? "on the cortical surfaces" : "in a list";
      const text = `The voxels of this subject lie ${where}, in no volume, so no slices are drawn. `;
      const instead = brain.geometry === "surface" ? "A viewer of surfaces shows the maps beside the stores, which are GIFTI files." : "The maps beside the stores are tables.";
      this.host.append(make("p", { class: "note" }, text, instead));
      return;
    }
    this.index = new Map();
    const [x, y, z] = brain.place;
    for (let voxel = 0; voxel < x.length; voxel++) this.index.set(this.flat(x[voxel], y[voxel], z[voxel]), voxel);
    this.background = brain.background ? mine.bytes(brain.background) : null;
    this.box = this.findBox();
    this.shadows = [0, 1, 2].map((axis) => this.castShadow(axis));
    this.at = this.busiest();
    this.buildControls();
    this.draw();
  }

  flat(x, y, z) {
    return (x * this.brain.shape[1] + y) * this.brain.shape[2] + z;
  }

  /** First and last place along each axis that is drawn: all of a background, else the voxels. */
  findBox() {
    return this.brain.shape.map((side, axis) => {
      if (this.background) return [0, side - 1];
      const own = this.brain.place[axis];
      const least = own.reduce((a, b) => Math.min(a, b), side), most = own.reduce((a, b) => Math.max(a, b), 0);
      return [Math.max(0, least - 1), Math.min(side - 1, most + 1)];
    });
  }

  /** Where along an axis any voxel lies: what stands for the brain where there is no background. */
  castShadow(axis) {
    const shadow = new Set(), own = this.brain.place, at = [0, 0, 0];
    for (let voxel = 0; voxel < own[0].length; voxel++) {
      for (const other of [0, 1, 2]) at[other] = other === axis ? 0 : own[other][voxel];
      shadow.add(this.flat(...at));
    }
    return shadow;
  }

  /** The place in whose three slices most voxels lie, along each axis apart. */
  busiest() {
    return this.brain.place.map((own, axis) => {
      const counts = new Array(this.brain.shape[axis]).fill(0);
      for (const place of own) counts[place]++;
      return counts.indexOf(counts.reduce((a, b) => Math.max(a, b), 0));
    });
  }

  buildControls() {
    const make = mine.make;
    const overlays = { r2: "R²", noise_ceiling: "Noise ceiling", fraction: "R² over ceiling", profile: "Category by words", measured: "Category by responses", localiser: "Category by localiser", cluster: "Cluster in its region", region: "Region" };
    const select = make("select", { id: "overlay", onchange: () => { this.overlay = select.value; this.draw(); } },
      Object.entries(overlays).map(([value, text]) => make("option", { value }, text)));
    select.value = this.overlay;
    this.legend = make("div", { class: "legend", id: "legend" });
    this.where = make("p", { class: "where", id: "where" });
    const views = [
      ["Sagittal", 0, 1, 2, "back", "front"],
      ["Coronal", 1, 0, 2, "left", "right"],
      ["Axial", 2, 0, 1, "left", "right"],
    ];
    this.planes = views.map(([title, axis, across, up, first, last]) => {
      const canvas = make("canvas", { tabindex: "0", role: "img", id: `slice-${title.toLowerCase()}`, "aria-describedby": "slice-help" });
      const slider = make("input", { type: "range", min: this.box[axis][0], max: this.box[axis][1], "aria-label": `${title} slice` });
      const label = make("span", { class: "height" });
      const plane = { title, axis, across, up, canvas, slider, label };
      slider.addEventListener("input", () => { this.at[axis] = Number(slider.value); this.draw(); });
      canvas.addEventListener("click", (event) => this.click(plane, event));
      canvas.addEventListener("keydown", (event) => this.key(plane, event));
      plane.figure = make("figure", { class: "plane" },
        make("figcaption", {}, title, label),
        make("div", { class: "frame" }, canvas, make("i", { class: "end first" }, first), make("i", { class: "end last" }, last)),
        slider);
      return plane;
    });
    this.host.replaceChildren(
      make("div", { class: "head" }, make("h2", { id: "brain-title" }, "Brain of ", this.subject), make("label", {}, "Show ", select),
        mine.Space.possible() ? make("button", { type: "button", id: "turn", "aria-pressed": "false", onclick: (event) => this.turn(event.currentTarget) }, "In space") : null),
      make("div", { class: "planes" }, this.planes.map((plane) => plane.figure)),
      make("div", { class: "under" }, this.legend, this.where),
      make("p", { class: "quiet" }, this.background ? "Grey: the mean functional volume. Click a voxel for its card." : "Grey: where voxels lie in other slices; this folder has no picture of the brain. Click a voxel for its card."),
      make("p", { class: "hidden", id: "slice-help" }, "Arrow keys move within the slice, page up and page down to the next slice, enter opens the voxel."));
  }

  /** Show the brain in space beside the slices, or put it away. */
  async turn(button) {
    if (this.space) {
      this.space.figure.remove();
      this.space = null;
    } else {
      this.space = new mine.Space(this);
      this.host.querySelector(".planes").after(this.space.figure);
      await this.space.start();
    }
    button.setAttribute("aria-pressed", String(Boolean(this.space)));
    mine.say(this.space ? "The brain is shown in space." : "The slices alone are shown.");
  }

  /** Put the cross on a place of the volume, unless nothing is there. */
  place(at) {
    const flat = this.flat(...at);
    if (!this.index.has(flat) && !(this.background && this.background[flat])) return;
    if (at.every((value, axis) => value === this.at[axis])) return;
    this.at = at;
    this.draw();
    mine.say(this.where.textContent);
  }

  /** Take the indices of the regions that are loaded, by voxel: {region, place, index}. */
  setVoxels(members) {
    this.members = members;
    if (this.planes) this.draw();
  }

  /** Put the cross on a voxel. */
  point(voxel) {
    if (!this.planes) return;
    this.selected = voxel;
    this.at = this.brain.place.map((own) => own[voxel]);
    this.draw();
  }

  /** Value of a voxel under the overlay; null for none. */
  value(voxel) {
    const brain = this.brain, member = this.members && this.members.get(voxel);
    if (this.overlay === "r2") return brain.r2[voxel];
    if (this.overlay === "noise_ceiling") return brain.noise_ceiling[voxel];
    if (!member) return null;
    const columns = member.index.columns, place = member.place;
    if (this.overlay === "fraction") return columns.r2_normalised[place];
    if (this.overlay === "region") return member.order;
    if (this.overlay === "cluster") return columns.cluster[place] ? columns.cluster[place] - 1 : null;
    const found = columns.preferred[this.overlay][place];
    return found < 0 ? null : found;
  }

  measured() {
    return ["r2", "noise_ceiling", "fraction"].includes(this.overlay);
  }

  draw() {
    const voxels = this.brain.r2.length;
    const values = new Array(voxels);
    for (let voxel = 0; voxel < voxels; voxel++) values[voxel] = this.value(voxel);
    this.values = values;
    if (this.measured()) {
      const known = values.filter((value) => value !== null).sort((a, b) => a - b);
      this.most = Math.max(known.length ? known[Math.floor(known.length * 0.99)] : 1, 0.05);
    }
    for (const plane of this.planes) this.drawPlane(plane);
    if (this.space) this.space.draw();
    this.drawLegend();
    this.tell();
  }

  colourOf(value) {
    if (!this.measured()) return mine.rgb(mine.colour(value));
    return mine.ramp(Math.max(0, Math.min(1, value / this.most)));
  }

  drawPlane(plane) {
    const { axis, across, up, canvas } = plane, spacing = this.brain.spacing;
    const [left, right] = this.box[across], [low, high] = this.box[up];
    const columns = right - left + 1, rows = high - low + 1;
    const cell = Math.max(1, Math.min(32, Math.floor(640 / Math.max(columns, rows))));
    canvas.width = Math.round(columns * cell);
    canvas.height = Math.round(rows * cell * spacing[up] / spacing[across]);
    const context = canvas.getContext("2d"), tall = canvas.height / rows;
    const dark = mine.dark();
    context.fillStyle = dark ? "#0b0d10" : "#f4f4f2";
    context.fillRect(0, 0, canvas.width, canvas.height);
    const place = [...this.at], at = [0, 0, 0];
    for (let column = 0; column < columns; column++) {
      for (let row = 0; row < rows; row++) {
        place[across] = left + column;
        place[up] = high - row;
        const flat = this.flat(...place), voxel = this.index.get(flat);
        let colour = null;
        if (!this.background) {
          at[across] = place[across];
          at[up] = place[up];
          if (this.shadows[axis].has(this.flat(...at))) colour = dark ? [34, 39, 46] : [226, 227, 228];
        } else {
          const grey = this.background[flat];
          if (grey) colour = [grey, grey, grey];
        }
        if (voxel !== undefined) {
          const value = this.values[voxel];
          if (value !== null) colour = this.colourOf(value);
          else if (!this.background) colour = dark ? [62, 69, 79] : [196, 199, 203];
        }
        if (!colour) continue;
        context.fillStyle = `rgb(${colour[0]},${colour[1]},${colour[2]})`;
        context.fillRect(column * cell, Math.floor(row * tall), cell, Math.ceil(tall));
      }
    }
    const middle = [(this.at[across] - left + 0.5) * cell, (high - this.at[up] + 0.5) * tall];
    context.strokeStyle = dark ? "rgba(255,255,255,.55)" : "rgba(0,0,0,.45)";
    context.lineWidth = Math.max(1, canvas.width / 400);
    const gap = Math.max(cell, tall);
    context.beginPath();
    context.moveTo(middle[0], 0); context.lineTo(middle[0], middle[1] - gap);
    context.moveTo(middle[0], middle[1] + gap); context.lineTo(middle[0], canvas.height);
    context.moveTo(0, middle[1]); context.lineTo(middle[0] - gap, middle[1]);
    context.moveTo(middle[0] + gap, middle[1]); context.lineTo(canvas.width, middle[1]);
    context.stroke();
    const row = this.brain.affine[axis];
    const mm = row[0] * this.at[0] + row[1] * this.at[1] + row[2] * this.at[2] + row[3];
    plane.label.textContent = `${"xyz"[axis]} = ${mine.number(mm, 1)} mm`;
    plane.slider.value = this.at[axis];
    plane.slider.setAttribute("aria-valuetext", plane.label.textContent);
  }

  /** Say what lies under the cross. */
  tell() {
    const voxel = this.index.get(this.flat(...this.at));
    let text = "No voxel under the cross.";
    if (voxel !== undefined) {
      const member = this.members && this.members.get(voxel);
      const r2 = `R² ${mine.number(this.brain.r2[voxel])}`;
      text = member ? `${member.region}, voxel ${voxel}: ${r2}` : `Voxel ${voxel}, of no region that is shown: ${r2}`;
    }
    this.where.textContent = text;
    for (const plane of this.planes) plane.canvas.setAttribute("aria-label", `${plane.title} slice, ${plane.label.textContent}. ${text}`);
  }

  drawLegend() {
    const make = mine.make;
    if (this.measured()) {
      this.legend.replaceChildren(make("span", {}, "0"), make("span", { class: "ramp" }), make("span", {}, `${mine.number(this.most)} and above`));
      return;
    }
    const counts = new Map();
    for (const value of this.values) if (value !== null) counts.set(value, (counts.get(value) || 0) + 1);
    const any = this.members && this.members.size ? this.members.values().next().value : null;
    const name = (value) => {
      if (this.overlay === "cluster") return `cluster ${value + 1}`;
      if (this.overlay === "region") return this.regions[value];
      return any.index.categories[value];
    };
    const items = [...counts.keys()].sort((a, b) => a - b).map((value) =>
      make("span", { class: "key" }, make("i", { style: { background: mine.colour(value) } }), name(value), make("b", {}, String(counts.get(value)))));
    this.legend.replaceChildren(...(items.length ? items : [make("span", {}, "No voxel has one.")]));
  }

  click(plane, event) {
    const box = plane.canvas.getBoundingClientRect();
    const [left, right] = this.box[plane.across], [low, high] = this.box[plane.up];
    const column = Math.floor(((event.clientX - box.left) / box.width) * (right - left + 1));
    const row = Math.floor(((event.clientY - box.top) / box.height) * (high - low + 1));
    this.at[plane.across] = Math.min(right, left + column);
    this.at[plane.up] = Math.max(low, high - row);
    this.draw();
    this.open();
  }

  key(plane, event) {
    const moves = { ArrowLeft: [plane.across, -1], ArrowRight: [plane.across, 1], ArrowUp: [plane.up, 1], ArrowDown: [plane.up, -1], PageUp: [plane.axis, 1], PageDown: [plane.axis, -1] };
    if (event.key === "Enter") this.open();
    else if (moves[event.key]) {
      const [axis, step] = moves[event.key];
      this.at[axis] = Math.max(this.box[axis][0], Math.min(this.box[axis][1], this.at[axis] + step));
      this.draw();
      mine.say(this.where.textContent);
    } else return;
    event.preventDefault();
  }

  open() {
    const voxel = this.index.get(this.flat(...this.at));
    if (voxel !== undefined && this.members && this.members.has(voxel)) this.choose(voxel);
    else mine.say(this.where.textContent);
  }
};

mine.rgb = (colour) => [1, 3, 5].map((place) => parseInt(colour.slice(place, place + 2), 16));

// Viridis at nine places: told apart with any colour vision, and in grey.
const RAMP = ["#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725"].map(mine.rgb);

mine.ramp = function (share) {
  const place = share * (RAMP.length - 1), first = Math.min(Math.floor(place), RAMP.length - 2);
  return RAMP[first].map((low, channel) => Math.round(low + (place - first) * (RAMP[first + 1][channel] - low)));
};
