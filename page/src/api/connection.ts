// Whether the gateway answers. A call that it did not answer is not retried by itself: what the page shows is asked for
// again when the gateway is back (`returns` counts how often that was).

import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { signal } from "@preact/signals";

export const connected = signal(true);
export const returns = signal(0);

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 5_000;

/** Notices calls that the gateway did not answer. */
export const watching: Interceptor = (next) => async (request) => {
  try {
    return await next(request);
  } catch (error) {
    if (isAway(error)) lose();
    throw error;
  }
};

/** Whether an error means that the gateway could not be reached, or not what it needs. */
export function isAway(error: unknown): boolean {
  if (error instanceof ConnectError && error.code === Code.Unavailable) return true;
  // What fetch itself throws when nothing answers; the client wraps it.
  return (error instanceof ConnectError ? error.cause : error) instanceof TypeError;
}

function lose(): void {
  if (!connected.value) return;
  connected.value = false;
  void ask(FIRST_PAUSE);
}

async function ask(pause: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, pause));
  if (await isReady()) {
    connected.value = true;
    returns.value += 1;
    return;
  }
  void ask(Math.min(pause * 1.5, LONGEST_PAUSE));
}

async function isReady(): Promise<boolean> {
  try {
    return (await fetch("/readyz", { cache: "no-store" })).ok;
  } catch {
    return false;
  }
}
