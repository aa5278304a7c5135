// What a person likes to see, remembered by the browser. It is not part of a link.

import { effect, signal } from "@preact/signals";
import { recall, remember } from "./storage";

const NAME = "semsearch.showsRelevance";

export const showsRelevance = signal(recall(NAME) === "yes");

effect(() => remember(NAME, showsRelevance.value ? "yes" : "no"));
