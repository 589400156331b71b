"use strict";
// The brain in space, which can be turned: drawn by NiiVue on WebGL 2, from the numbers and in the
// colours of the slices. Its script is loaded where somebody asks for it.

mine.Space = class {
  /** brain: the mine.Brain whose slices it stands beside. */
  constructor(brain) {
    this.brain = brain;
    const make = mine.make;
    this.canvas = make("canvas", { id: "space", tabindex: "0", role: "img", "aria-label": "The brain in space. Arrow keys turn it; the slices say what lies where." });
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.figure = make("figure", { class: "space" }, make("div", {}, this.canvas),
      make("figcaption", { class: "quiet" }, "Drag to turn, double-click to put the cross on the surface, scroll to come nearer."));
  }

  /** Whether this browser can draw it. */
  static possible() {
    return Boolean(document.createElement("canvas").getContext("webgl2"));
  }

  /** Load NiiVue once; a promise of it. */
  static load() {
    mine.Space.loaded ??= new Promise((resolve, reject) => {
      const script = mine.make("script", { src: "niivue.js" });
      script.onload = () => resolve(window.niivue);
      script.onerror = () => reject(new Error("niivue.js: expected a part of this page, found nothing"));
      document.head.append(script);
    });
    return mine.Space.loaded;
  }

  async start() {
    const { NVImage, Niivue, SLICE_TYPE } = await mine.Space.load();
    this.view = new Niivue({ logLevel: "silent", crosshairWidth: 0.5, crosshairColor: [0.5, 0.5, 0.5, 1], dragAndDropEnabled: false, show3Dcrosshair: true });
    await this.view.attachToCanvas(this.canvas, false);
    const { affine, shape } = this.brain.brain;
    this.behind = await NVImage.new(mine.volume(shape, affine, 2, this.drawBehind()), "behind.nii", "gray", 1, null, 0, 255);
    this.over = await NVImage.new(mine.volume(shape, affine, 2304, this.drawOver()), "over.nii");
    this.view.addVolume(this.behind);
    this.view.addVolume(this.over);
    this.view.setSliceType(SLICE_TYPE.RENDER);
    // Between two voxels there is no third colour.
    this.view.setInterpolation(true);
    this.view.onLocationChange = ({ vox }) => this.brain.place(vox.slice(0, 3).map(Math.round));
    this.draw();
  }

  /** Place of a part of the volume as NIfTI counts: the first axis runs fastest. */
  own(x, y, z) {
    const [width, depth] = this.brain.brain.shape;
    return x + width * (y + depth * z);
  }

  size() {
    return this.brain.brain.shape.reduce((a, b) => a * b);
  }

  /** What stands behind the colours: the background, or where voxels lie, a byte each. */
  drawBehind() {
    const { background, brain, index } = this.brain, [width, depth, height] = brain.shape;
    const bytes = new Uint8Array(this.size());
    for (let x = 0; x < width; x++) for (let y = 0; y < depth; y++) for (let z = 0; z < height; z++) {
      const flat = this.brain.flat(x, y, z);
      bytes[this.own(x, y, z)] = background ? background[flat] : index.has(flat) ? 90 : 0;
    }
    return bytes;
  }

  /** The colours of the overlay: red, green, blue and whether there is one. */
  drawOver() {
    const { brain, values } = this.brain, [x, y, z] = brain.place;
    const bytes = new Uint8Array(4 * this.size());
    for (let voxel = 0; voxel < values.length; voxel++) {
      if (values[voxel] === null) continue;
      bytes.set([...this.brain.colourOf(values[voxel]), 255], 4 * this.own(x[voxel], y[voxel], z[voxel]));
    }
    return bytes;
  }

  /** Draw again what the slices show now. */
  draw() {
    if (!this.over) return;
    this.view.opts.backColor = mine.dark() ? [0.043, 0.051, 0.063, 1] : [0.957, 0.957, 0.949, 1];
    this.view.scene.crosshairPos = this.view.vox2frac(this.brain.at);
    const { members, overlay } = this.brain;
    // A cross that moves leaves the colours as they are.
    if (members === this.members && overlay === this.overlay) return this.view.drawScene();
    [this.members, this.overlay] = [members, overlay];
    this.over.img.set(this.drawOver());
    this.view.updateGLVolume();
  }

  key(event) {
    const turns = { ArrowLeft: [-10, 0], ArrowRight: [10, 0], ArrowUp: [0, 10], ArrowDown: [0, -10] };
    if (!turns[event.key] || !this.view) return;
    const { renderAzimuth, renderElevation } = this.view.scene, [across, up] = turns[event.key];
    this.view.setRenderAzimuthElevation(renderAzimuth + across, renderElevation + up);
    event.preventDefault();
  }
};

/** A NIfTI file of a volume. kind: the datatype's code, 2 for bytes and 2304 for four of them. */
mine.volume = function (shape, affine, kind, bytes) {
  const file = new Uint8Array(352 + bytes.length), head = new DataView(file.buffer);
  head.setInt32(0, 348, true);
  [3, ...shape, 1, 1, 1, 1].forEach((side, place) => head.setInt16(40 + 2 * place, side, true));
  head.setInt16(70, kind, true);
  head.setInt16(72, kind === 2 ? 8 : 32, true);
  [0, 1, 2].forEach((axis) => head.setFloat32(80 + 4 * axis, Math.hypot(...[0, 1, 2].map((row) => affine[row][axis])), true));
  head.setFloat32(76, 1, true);
  head.setFloat32(108, 352, true);
  head.setFloat32(112, 1, true);
  head.setInt16(254, 1, true);
  affine.slice(0, 3).flat().forEach((value, place) => head.setFloat32(280 + 4 * place, value, true));
  [110, 43, 49, 0].forEach((sign, place) => head.setUint8(344 + place, sign));
  file.set(bytes, 352);
  return file.buffer;
};
