// Errors of the API: the server's own sentence, and its reason.

import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb";

/** Return why a call failed, as in ErrorReason without its prefix, or "". */
export function reasonOf(error: unknown): string {
  return error instanceof ConnectError ? (error.findDetails(ErrorInfoSchema)[0]?.reason ?? "") : "";
}

/** Return the facts that an error carries. */
export function metadataOf(error: unknown): Record<string, string> {
  return error instanceof ConnectError ? (error.findDetails(ErrorInfoSchema)[0]?.metadata ?? {}) : {};
}

/** Return the sentence for a person. */
export function messageOf(error: unknown): string {
  if (error instanceof ConnectError) return error.rawMessage;
  return error instanceof Error ? error.message : String(error);
}

/** Whether the call ended because the page gave it up. */
export function wasCancelled(error: unknown): boolean {
  return (
    (error instanceof ConnectError && error.code === Code.Canceled) ||
    (error instanceof DOMException && error.name === "AbortError")
  );
}
