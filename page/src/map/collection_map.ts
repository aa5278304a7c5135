// The map of a collection: where its images lie, and how far its computation is. The server computes it; a first draft
// is there at once and is replaced when the final places are known.

import { signal } from "@preact/signals";
import { services } from "../api/clients";
import { messageOf, reasonOf, wasCancelled } from "../api/errors";
import type { CollectionMap as Header, MapProgress } from "../gen/semsearch/v1/map_service_pb";

/** Images and their places: x and y of each, from −1 to 1, y upwards. */
export interface Points {
  ids: readonly string[];
  places: Float32Array;
}

export const NO_POINTS: Points = { ids: [], places: new Float32Array() };

export class CollectionMap {
  readonly header = signal<Header | null>(null);
  readonly points = signal<Points | null>(null);
  /** null if nothing is being computed. */
  readonly progress = signal<MapProgress | null>(null);
  /** Why there is no newer map, for a person. */
  readonly problem = signal("");
  private readonly controller = new AbortController();

  constructor(readonly collection: string) {}

  /** Load the map; have it computed if there is none, or too much has changed. */
  async open(): Promise<void> {
    await this.told(async () => {
      const { map, progress } = await services.maps.getMap(this.asked(), this.options());
      if (map) await this.take(map);
      if (!map?.upToDate || progress) await this.follow(false);
    });
  }

  /** Have the map computed again. */
  async compute(): Promise<void> {
    await this.told(() => this.follow(true));
  }

  /** Stop the computation for everyone. */
  async cancel(): Promise<void> {
    await this.told(async () => {
      await services.maps.cancelMap(this.asked(), this.options());
    });
  }

  /** Stop following; the server goes on. */
  close(): void {
    this.controller.abort();
  }

  private async follow(again: boolean): Promise<void> {
    this.problem.value = "";
    try {
      for await (const step of services.maps.computeMap({ ...this.asked(), again }, this.options())) {
        this.progress.value = step.progress ?? null;
        if (step.map) await this.take(step.map);
      }
    } finally {
      this.progress.value = null;
    }
  }

  private async take(header: Header): Promise<void> {
    if (header.revision !== this.header.peek()?.revision) this.points.value = await this.fetchPoints();
    this.header.value = header;
  }

  private async fetchPoints(): Promise<Points> {
    let points = NO_POINTS;
    let filled = 0;
    const ids: string[] = [];
    for await (const part of services.maps.streamMap(this.asked(), this.options())) {
      if (part.map) points = { ids, places: new Float32Array(Number(part.imageCount) * 2) };
      ids.push(...part.ids);
      // A copy, because the bytes of a message need not lie at a multiple of four.
      points.places.set(new Float32Array(part.places.slice().buffer), filled);
      filled += part.ids.length * 2;
    }
    return points;
  }

  private async told(act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      if (!wasCancelled(error) && reasonOf(error) !== "MAP_CANCELLED") this.problem.value = messageOf(error);
    }
  }

  private readonly asked = () => ({ collection: this.collection });
  private readonly options = () => ({ signal: this.controller.signal });
}
