// @vitest-environment happy-dom
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { services, useTransport } from "../../src/api/clients";
import { returns } from "../../src/api/connection";
import {
  authorizing,
  isLockedOut,
  isLoggedIn,
  logIn,
  logOut,
  mayChange,
  mayManage,
  refusal,
  wantsToken,
} from "../../src/api/session";
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb";
import { ModelService } from "../../src/gen/semsearch/v1/model_service_pb";

const RIGHT = "semsearch_0_right";
let sent: (string | null)[];
let accepts: string;
let posts: unknown[];
let reason: string;

function check(header: Headers): void {
  sent.push(header.get("authorization"));
  if (header.get("authorization") !== `Bearer ${accepts}`) {
    throw new ConnectError("revoked", Code.Unauthenticated, {}, [{ desc: ErrorInfoSchema, value: { reason } }]);
  }
}

beforeEach(() => {
  [sent, posts, accepts, reason] = [[], [], RIGHT, "TOKEN_UNKNOWN"];
  isLockedOut.value = wantsToken.value = false;
  vi.stubGlobal("fetch", async (address: string, { method, headers }: { method: string; headers: unknown }) => {
    posts.push([address, method, headers]);
    return JSON.stringify({ headers }).includes(RIGHT)
      ? Response.json({ caller: "rea", role: "read" })
      : Response.json({ message: "Not this one." }, { status: 401 });
  });
  useTransport(
    createRouterTransport(
      ({ service }) => {
        service(ModelService, {
          listModels: (_, { requestHeader }) => {
            check(requestHeader);
            return {};
          },
          async *pullModel(_, { requestHeader }) {
            check(requestHeader);
            yield {};
          },
        });
      },
      { transport: { interceptors: [authorizing] } },
    ),
  );
});

afterEach(logOut); // the test files share their modules

const readAll = async () => {
  for await (const _ of services.models.pullModel({ recipe: "photos" }));
};

it("asks for a token, sends it, keeps it for the tab, and asks again when it is revoked", async () => {
  expect([mayChange.value, mayManage.value]).toEqual([true, true]);
  await expect(readAll()).rejects.toThrow();
  expect([wantsToken.value, isLockedOut.value]).toEqual([true, true]);
  expect(await logIn("wrong")).toBe("Not this one.");
  expect(isLoggedIn.value).toBe(false);

  const before = returns.value;
  expect(await logIn(RIGHT)).toBe("");
  expect([wantsToken.value, isLockedOut.value, isLoggedIn.value]).toEqual([false, false, true]);
  expect(returns.value).toBe(before + 1);
  expect([mayChange.value, mayManage.value]).toEqual([false, false]);
  expect(posts.at(-1)).toEqual(["/session", "POST", { authorization: `Bearer ${RIGHT}` }]);
  expect(sessionStorage.getItem("semsearch-token")).toBe(RIGHT);
  await services.models.listModels({});
  await readAll();
  expect(sent).toEqual([null, `Bearer ${RIGHT}`, `Bearer ${RIGHT}`]);
  expect(wantsToken.value).toBe(false);

  accepts = "another";
  reason = "TOKEN_CHANGED";
  await expect(readAll()).rejects.toThrow();
  expect(wantsToken.value).toBe(false);
  reason = "TOKEN_UNKNOWN";
  await expect(services.models.listModels({})).rejects.toThrow();
  expect([wantsToken.value, refusal.value]).toEqual([true, "revoked"]);
});

it("forgets the token when the person logs out, even while the gateway is away", async () => {
  await logIn(RIGHT);
  const assign = vi.spyOn(location, "assign");
  const loggedIn: boolean[] = [];
  vi.stubGlobal("fetch", async () => {
    loggedIn.push(isLoggedIn.value);
    throw new TypeError("Failed to fetch");
  });
  await logOut();
  expect(loggedIn).toEqual([false]);
  expect(Object.values({ ...sessionStorage }).join()).not.toContain(RIGHT);
  expect(assign).toHaveBeenCalledExactlyOnceWith("/");
});
