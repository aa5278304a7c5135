// Which part of the map is on the screen. Places on the map go from −1 to 1, y upwards; the screen is in CSS pixels, y
// downwards.

export interface Spot {
  x: number;
  y: number;
}

const MARGIN = 0.92;
const CLOSEST = 400;

export class Camera {
  middle: Spot = { x: 0, y: 0 };
  /** How much closer than the view of everything, at least 1. */
  zoom = 1;
  width = 1;
  height = 1;

  /** Pixels of one unit of the map. */
  get scale(): number {
    return (Math.min(this.width, this.height) / 2) * MARGIN * this.zoom;
  }

  toScreen(x: number, y: number): Spot {
    return {
      x: this.width / 2 + (x - this.middle.x) * this.scale,
      y: this.height / 2 - (y - this.middle.y) * this.scale,
    };
  }

  toMap({ x, y }: Spot): Spot {
    return {
      x: this.middle.x + (x - this.width / 2) / this.scale,
      y: this.middle.y - (y - this.height / 2) / this.scale,
    };
  }

  /** Move the map by a number of pixels. */
  moveBy(x: number, y: number): void {
    this.lookAt(this.middle.x - x / this.scale, this.middle.y + y / this.scale);
  }

  /** Zoom by a factor; what is at a spot of the screen stays there. */
  zoomBy(factor: number, at: Spot = { x: this.width / 2, y: this.height / 2 }): void {
    const before = this.toMap(at);
    this.zoom = Math.min(CLOSEST, Math.max(1, this.zoom * factor));
    const after = this.toMap(at);
    this.lookAt(this.middle.x + before.x - after.x, this.middle.y + before.y - after.y);
  }

  showEverything(): void {
    this.middle = { x: 0, y: 0 };
    this.zoom = 1;
  }

  private lookAt(x: number, y: number): void {
    const inside = (value: number) => Math.min(1, Math.max(-1, value));
    this.middle = { x: inside(x), y: inside(y) };
  }
}
