// Models that are being fetched, and the switch to another model. Both continue while other views are open. The server
// completes a switch even if the page is gone, so the page joins it again after a lost connection and after a reload.

import { signal } from "@preact/signals";
import { services } from "../api/clients";
import { forgetModels } from "../api/collections";
import { isAway, returns } from "../api/connection";
import { messageOf } from "../api/errors";
import { showMessage } from "../frame/messages";
import type { Model } from "../gen/semsearch/v1/model_service_pb";
import { refresh } from "../state/search";
import { recall, remember } from "../state/storage";
import { text } from "./text";

/** The progress of a download or a switch; `problem` says why it ended early. */
export interface Run {
  done: number;
  total: number;
  problem: string;
}

export interface Switch {
  /** The model that is switched to. */
  id: string;
  words: Run;
  images: Run;
  failed: number;
  problem: string;
}

/** The models that are being fetched, by recipe. */
export const pulls = signal<Readonly<Record<string, Run>>>({});
export const switching = signal<Switch | null>(null);
/** Counts the downloads and switches that have ended: each makes the list of models out of date. */
export const finished = signal(0);

const REMEMBERED = "semsearch.switching";

/** Fetch a model by its recipe; an interrupted download is resumed. */
export async function pull(recipe: string): Promise<void> {
  const setRun = (run: Run | null) => {
    const { [recipe]: _, ...others } = pulls.value;
    pulls.value = run ? { ...others, [recipe]: run } : others;
  };
  let run: Run = { done: 0, total: 0, problem: "" };
  setRun(run);
  try {
    for await (const { bytesDone, bytesTotal, model } of services.models.pullModel({ recipe })) {
      run = { done: Number(bytesDone), total: Number(bytesTotal), problem: "" };
      setRun(run);
      if (model) showMessage(text.pulled(model.displayName));
    }
    setRun(null);
    finished.value += 1;
  } catch (error) {
    setRun({ ...run, problem: messageOf(error) });
  }
}

/** Switch to a model, or join the switch to it. */
export async function activate(id: string): Promise<void> {
  remember(REMEMBERED, id);
  const none: Run = { done: 0, total: 0, problem: "" };
  switching.value = { id, words: none, images: none, failed: 0, problem: "" };
  for (;;) {
    try {
      const model = await follow(id);
      ended();
      if (model) showMessage(text.activated(model.displayName));
      return;
    } catch (error) {
      if (!isAway(error)) {
        ended({ ...(switching.value as Switch), problem: messageOf(error) });
        return;
      }
      await nextReturn();
    }
  }
}

/** Join the switch that this browser began, if it is not known to have ended. */
export function joinAgain(): void {
  const id = recall(REMEMBERED);
  if (id && !switching.value) void activate(id);
}

async function follow(id: string): Promise<Model | undefined> {
  let active: Model | undefined;
  for await (const step of services.models.activateModel({ id })) {
    switching.value = {
      id,
      words: { done: Number(step.wordsDone), total: Number(step.wordsTotal), problem: "" },
      images: { done: Number(step.imagesDone), total: Number(step.imagesTotal), problem: "" },
      failed: Number(step.imagesFailed),
      problem: "",
    };
    active = step.model ?? active;
  }
  return active;
}

function ended(state: Switch | null = null): void {
  remember(REMEMBERED, null);
  switching.value = state;
  forgetModels();
  refresh();
  finished.value += 1;
}

const nextReturn = (): Promise<void> =>
  new Promise((resolve) => {
    const before = returns.value;
    const stop = returns.subscribe((now) => {
      if (now === before) return;
      queueMicrotask(() => stop());
      resolve();
    });
  });
