// Draws the points with WebGL 2: one call for all of them, and moving them from old places to new ones costs nothing but
// a number. Why there is no library: docs/decisions/0031-the-map.md.

import type { Camera } from "./camera";

/** How a point looks. */
export const PLAIN = 0;
export const HIT = 1;
export const CHOSEN = 2;

export type Color = readonly [number, number, number];

const VERTEX = `#version 300 es
in vec2 before;
in vec2 after;
in float look;
uniform vec2 middle;
uniform vec2 scale;
uniform float moved;
uniform float size;
uniform bool dimmed;
uniform vec3 colors[3];
out vec4 color;
void main() {
  gl_Position = vec4((mix(before, after, moved) - middle) * scale, look * -0.1, 1.0);
  int kind = int(look + 0.5);
  gl_PointSize = size * (kind == 0 ? 1.0 : 1.6);
  color = vec4(colors[kind], kind == 0 ? (dimmed ? 0.28 : 0.75) : 1.0);
}`;

const FRAGMENT = `#version 300 es
precision mediump float;
in vec4 color;
out vec4 shown;
void main() {
  float away = length(gl_PointCoord - 0.5);
  if (away > 0.5) discard;
  shown = vec4(color.rgb * color.a, color.a);
}`;

const UNIFORMS = ["middle", "scale", "moved", "size", "dimmed", "colors"] as const;

export class PointLayer {
  private count = 0;
  private readonly buffers: Record<"before" | "after" | "look", WebGLBuffer>;
  private readonly uniforms: Record<(typeof UNIFORMS)[number], WebGLUniformLocation | null>;

  private constructor(
    private readonly gl: WebGL2RenderingContext,
    program: WebGLProgram,
  ) {
    this.buffers = { before: gl.createBuffer(), after: gl.createBuffer(), look: gl.createBuffer() };
    for (const name of ["before", "after", "look"] as const) {
      const place = gl.getAttribLocation(program, name);
      gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
      gl.enableVertexAttribArray(place);
      if (name === "look") gl.vertexAttribPointer(place, 1, gl.UNSIGNED_BYTE, false, 0, 0);
      else gl.vertexAttribPointer(place, 2, gl.FLOAT, false, 0, 0);
    }
    this.uniforms = Object.fromEntries(
      UNIFORMS.map((name) => [name, gl.getUniformLocation(program, name)]),
    ) as PointLayer["uniforms"];
    gl.useProgram(program);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    // What stands out lies above the rest.
    gl.enable(gl.DEPTH_TEST);
    gl.depthFunc(gl.LEQUAL);
  }

  /** Return a layer on a canvas, or null if the browser cannot draw it. */
  static on(canvas: HTMLCanvasElement): PointLayer | null {
    const gl = canvas.getContext("webgl2", { antialias: false, powerPreference: "high-performance" });
    const program = gl && linked(gl);
    return gl && program ? new PointLayer(gl, program) : null;
  }

  /** Set the places that the points move from and to, x and y of each. */
  place(before: Float32Array, after: Float32Array): void {
    this.count = after.length / 2;
    this.fill("before", before);
    this.fill("after", after);
    this.look(new Uint8Array(this.count));
  }

  /** Set how each point looks. */
  look(looks: Uint8Array): void {
    this.fill("look", looks);
  }

  /** Draw the points. `moved` is 0 at the old places and 1 at the new ones. */
  draw(camera: Camera, ratio: number, moved: number, dimmed: boolean, colors: readonly [Color, Color, Color]): void {
    const { gl, uniforms } = this;
    gl.viewport(0, 0, gl.drawingBufferWidth, gl.drawingBufferHeight);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.uniform2f(uniforms.middle, camera.middle.x, camera.middle.y);
    gl.uniform2f(uniforms.scale, (2 * camera.scale) / camera.width, (2 * camera.scale) / camera.height);
    gl.uniform1f(uniforms.moved, moved);
    gl.uniform1f(uniforms.size, pointSize(this.count, camera) * ratio);
    gl.uniform1i(uniforms.dimmed, dimmed ? 1 : 0);
    gl.uniform3fv(uniforms.colors, colors.flat());
    gl.drawArrays(gl.POINTS, 0, this.count);
  }

  private fill(name: "before" | "after" | "look", values: Float32Array | Uint8Array): void {
    this.gl.bindBuffer(this.gl.ARRAY_BUFFER, this.buffers[name]);
    this.gl.bufferData(this.gl.ARRAY_BUFFER, values, this.gl.DYNAMIC_DRAW);
  }
}

/** Return the width of a point in pixels: many are small, and grow as one comes closer. */
function pointSize(count: number, { width, height, zoom }: Camera): number {
  const apart = Math.min(width, height) / Math.sqrt(Math.max(count, 1));
  return Math.min(14, Math.max(2, apart * 0.5) * zoom ** 0.4);
}

function linked(gl: WebGL2RenderingContext): WebGLProgram | null {
  const program = gl.createProgram();
  for (const [type, source] of [
    [gl.VERTEX_SHADER, VERTEX],
    [gl.FRAGMENT_SHADER, FRAGMENT],
  ] as const) {
    const shader = gl.createShader(type);
    if (!shader) return null;
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  return gl.getProgramParameter(program, gl.LINK_STATUS) ? program : null;
}
