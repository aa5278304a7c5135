// Who calls: the token of the person at the page, and what it allows. It is sent with each call, and kept as long as the
// tab is open. The server gives the browser a cookie for images too, because an <img> sends no header.

import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { computed, signal } from "@preact/signals";
import { returns } from "./connection";
import { messageOf, reasonOf } from "./errors";

const STORED = "semsearch-token";
const STORED_ROLE = "semsearch-role";
const ADDRESS = "/session";
const FIRST_CALL = "TOKEN_MISSING";
// The token is still good: its rights were changed, and the next call has the new ones.
const CHANGED = "TOKEN_CHANGED";

const token = signal(sessionStorage.getItem(STORED) ?? "");
const role = signal(sessionStorage.getItem(STORED_ROLE) ?? "");

/** Whether the server answers nothing without another token. */
export const isLockedOut = signal(false);
/** Whether the page asks for a token. */
export const wantsToken = signal(false);
/** Why the token that the page had is not accepted any more, or "". */
export const refusal = signal("");
export const isLoggedIn = computed(() => token.value !== "");
/** Whether the person may change images and add collections; without a log-in, everyone may. */
export const mayChange = computed(() => role.value !== "read");
/** Whether the person may delete collections and change models. */
export const mayManage = computed(() => role.value !== "read" && role.value !== "write");

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
  const reason = reasonOf(error);
  if (reason === CHANGED) return;
  refusal.value = reason === FIRST_CALL ? "" : messageOf(error);
  isLockedOut.value = wantsToken.value = true;
}

/** Log in; return "" or why the server refuses the token. What the page shows is fetched again. */
export async function logIn(given: string): Promise<string> {
  const response = await fetch(ADDRESS, { method: "POST", headers: { authorization: `Bearer ${given}` } });
  const answer: { message?: string; role?: string } = await response.json().catch(() => ({}));
  if (!response.ok) return answer.message ?? `${response.status}`;
  keep(given, answer.role ?? "");
  isLockedOut.value = wantsToken.value = false;
  returns.value += 1;
  return "";
}

/** Log out: the page and the browser forget the token. */
export async function logOut(): Promise<void> {
  keep("", "");
  try {
    await fetch(ADDRESS, { method: "DELETE" });
  } catch {
    // The gateway is away. The cookie, which opens images only, stays until the browser is closed.
  } finally {
    location.assign("/");
  }
}

function keep(given: string, itsRole: string): void {
  token.value = given;
  role.value = itsRole;
  sessionStorage.setItem(STORED, given);
  sessionStorage.setItem(STORED_ROLE, itsRole);
}
