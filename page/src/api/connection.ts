// Whether the gateway answers. A call without an answer is not retried by itself. When the gateway is back, `returns`
// counts one more, and what the page shows is fetched again.

import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { signal } from "@preact/signals";

export const connected = signal(true);
export const returns = signal(0);

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 5_000;

/** Notices calls, and streams of answers, that break because the gateway is away. */
export const watching: Interceptor = (next) => async (request) => {
  try {
    const response = await next(request);
    return response.stream ? { ...response, message: watched(response.message) } : response;
  } catch (error) {
    if (isAway(error)) lose();
    throw error;
  }
};

async function* watched<T>(messages: AsyncIterable<T>): AsyncIterable<T> {
  try {
    yield* messages;
  } catch (error) {
    if (isAway(error)) lose();
    throw error;
  }
}

/** Whether an error means that the gateway, or a service behind it, could not be reached. */
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
