// @vitest-environment happy-dom
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { services, useTransport } from "../../src/api/clients";
import { connected, returns, watching } from "../../src/api/connection";
import { ModelService } from "../../src/gen/semsearch/v1/model_service_pb";

let failure: ConnectError;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout"] });
  vi.stubGlobal("fetch", async () => new Response());
  useTransport(
    createRouterTransport(
      ({ service }) => {
        service(ModelService, {
          listModels: () => {
            throw failure;
          },
          async *pullModel() {
            yield { bytesDone: 1n };
            throw failure;
          },
        });
      },
      { transport: { interceptors: [watching] } },
    ),
  );
});

afterEach(async () => {
  await vi.runAllTimersAsync();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const readAll = async () => {
  for await (const _ of services.models.pullModel({ recipe: "photos" }));
};

it.each([
  ["call", () => services.models.listModels({})],
  ["stream", readAll],
])("notices a %s that breaks because the gateway is away, and its return", async (_, call) => {
  failure = new ConnectError("gone", Code.Unavailable);
  const before = returns.value;
  await expect(call()).rejects.toThrow("gone");
  expect(connected.value).toBe(false);
  await vi.runAllTimersAsync();
  expect(connected.value).toBe(true);
  expect(returns.value).toBe(before + 1);
});

it("takes other errors for answers", async () => {
  failure = new ConnectError("no", Code.NotFound);
  await expect(readAll()).rejects.toThrow("no");
  expect(connected.value).toBe(true);
});
