// @vitest-environment happy-dom
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { beforeEach, expect, it, vi } from "vitest";
import { services, useTransport } from "../../src/api/clients";
import { returns } from "../../src/api/connection";
import { authorizing, isLoggedIn, logIn, refusal, wantsToken } from "../../src/api/session";
import { ModelService } from "../../src/gen/semsearch/v1/model_service_pb";

const RIGHT = "semsearch_0_right";
let sent: (string | null)[];
let accepts: string;
let posts: unknown[];

function check(header: Headers): void {
  sent.push(header.get("authorization"));
  if (header.get("authorization") !== `Bearer ${accepts}`) throw new ConnectError("revoked", Code.Unauthenticated);
}

beforeEach(() => {
  [sent, posts, accepts, wantsToken.value] = [[], [], RIGHT, false];
  vi.stubGlobal("fetch", async (address: string, { method, headers }: { method: string; headers: unknown }) => {
    posts.push([address, method, headers]);
    return JSON.stringify(headers).includes(RIGHT)
      ? new Response(null, { status: 204 })
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

const readAll = async () => {
  for await (const _ of services.models.pullModel({ recipe: "photos" }));
};

it("asks for a token, sends it, keeps it for the tab, and asks again when it is revoked", async () => {
  await expect(readAll()).rejects.toThrow();
  expect(wantsToken.value).toBe(true);
  expect(await logIn("wrong")).toBe("Not this one.");
  expect(isLoggedIn.value).toBe(false);

  const before = returns.value;
  expect(await logIn(RIGHT)).toBe("");
  expect([wantsToken.value, isLoggedIn.value, returns.value]).toEqual([false, true, before + 1]);
  expect(posts.at(-1)).toEqual(["/session", "POST", { authorization: `Bearer ${RIGHT}` }]);
  expect(sessionStorage.getItem("semsearch-token")).toBe(RIGHT);
  await services.models.listModels({});
  await readAll();
  expect(sent).toEqual([null, `Bearer ${RIGHT}`, `Bearer ${RIGHT}`]);
  expect(wantsToken.value).toBe(false);

  accepts = "another";
  await expect(services.models.listModels({})).rejects.toThrow();
  expect([wantsToken.value, refusal.value]).toEqual([true, "revoked"]);
});
