// The map of a collection: the places of its images, and the progress of its computation. The server computes it. A
// first draft comes at once; the final places replace it later.

import { signal } from "@preact/signals";
import { services } from "../api/clients";
import { messageOf, reasonOf, wasCancelled } from "../api/errors";
import { mayChange } from "../api/session";
import type { CollectionMap as Header, MapProgress } from "../gen/semsearch/v1/map_service_pb";
import { text } from "./text";

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
  /** Why there is no newer map, as a sentence for people. */
  readonly problem = signal("");
  private readonly controller = new AbortController();

  constructor(readonly collection: string) {}

  /** Load the map; whoever may change the collection also has it computed, if there is none or too much has changed. */
  async open(): Promise<void> {
    await this.reporting(async () => {
      const { map, progress } = await services.maps.getMap(this.scope(), this.options());
      if (map) await this.take(map);
      if (mayChange.value) {
        if (!map?.upToDate || progress) await this.follow(false);
      } else if (!map) this.problem.value = text.noMap;
    });
  }

  /** Compute the map again. */
  async compute(): Promise<void> {
    await this.reporting(() => this.follow(true));
  }

  /** Stop the computation for everyone. */
  async cancel(): Promise<void> {
    await this.reporting(async () => {
      await services.maps.cancelMap(this.scope(), this.options());
    });
  }

  /** Stop watching; the server continues. */
  close(): void {
    this.controller.abort();
  }

  private async follow(again: boolean): Promise<void> {
    this.problem.value = "";
    try {
      for await (const step of services.maps.computeMap({ ...this.scope(), again }, this.options())) {
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
    for await (const part of services.maps.streamMap(this.scope(), this.options())) {
      if (part.map) points = { ids, places: new Float32Array(Number(part.imageCount) * 2) };
      ids.push(...part.ids);
      // A copy, because the bytes of a message need not lie at a multiple of four.
      points.places.set(new Float32Array(part.places.slice().buffer), filled);
      filled += part.ids.length * 2;
    }
    return points;
  }

  /** Do something that calls the server; keep its error as the problem. */
  private async reporting(act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      if (!wasCancelled(error) && reasonOf(error) !== "MAP_CANCELLED") this.problem.value = messageOf(error);
    }
  }

  private readonly scope = () => ({ collection: this.collection });
  private readonly options = () => ({ signal: this.controller.signal });
}
