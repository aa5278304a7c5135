// Who calls: the token of the person at the page. It is sent with each call, and kept as long as the tab is open. The
// server gives the browser a cookie for images too, because an <img> sends no header.

import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { computed, signal } from "@preact/signals";
import { returns } from "./connection";
import { messageOf, reasonOf } from "./errors";

const STORED = "semsearch-token";
const ADDRESS = "/session";
const FIRST_CALL = "TOKEN_MISSING";

const token = signal(sessionStorage.getItem(STORED) ?? "");

/** Whether the server wants a token that the page does not have. */
export const wantsToken = signal(false);
/** Why the token that the page had is not accepted any more, or "". */
export const refusal = signal("");
export const isLoggedIn = computed(() => token.value !== "");

/** Sends the token, and notices when the server wants another one. */
export const authorizing: Interceptor = (next) => async (request) => {
  const sent = token.value;
  if (sent) request.header.set("authorization", `Bearer ${sent}`);
  try {
    const response = await next(request);
    return response.stream ? { ...response, message: watched(response.message, sent) } : response;
  } catch (error) {
    notice(error, sent);
    throw error;
  }
};

async function* watched<T>(messages: AsyncIterable<T>, sent: string): AsyncIterable<T> {
  try {
    yield* messages;
  } catch (error) {
    notice(error, sent);
    throw error;
  }
}

function notice(error: unknown, sent: string): void {
  if (!(error instanceof ConnectError) || error.code !== Code.Unauthenticated || sent !== token.value) return;
  refusal.value = reasonOf(error) === FIRST_CALL ? "" : messageOf(error);
  wantsToken.value = true;
}

/** Log in; return "" or why the server refuses the token. What the page shows is fetched again. */
export async function logIn(given: string): Promise<string> {
  const answer = await fetch(ADDRESS, { method: "POST", headers: { authorization: `Bearer ${given}` } });
  if (!answer.ok) {
    const { message }: { message?: string } = await answer.json().catch(() => ({}));
    return message ?? `${answer.status}`;
  }
  keep(given);
  wantsToken.value = false;
  returns.value += 1;
  return "";
}

/** Log out: the page and the browser forget the token. */
export async function logOut(): Promise<void> {
  await fetch(ADDRESS, { method: "DELETE" });
  keep("");
  location.assign("/");
}

function keep(given: string): void {
  token.value = given;
  if (given) sessionStorage.setItem(STORED, given);
  else sessionStorage.removeItem(STORED);
}
