import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { operationRoutes, unsupportedRoutes } from "../../server/routes/operation-table.ts";
import { parseControl } from "./control-lines.ts";
import { RequestPayload } from "./request-payload.ts";

interface Exchange {
  readonly request: { readonly method: string; readonly path: string; readonly body: unknown };
  readonly response: { readonly status: number; readonly body: unknown };
}

const directory = join(import.meta.dirname, "../../../test/fixtures/wire");
const recordings = readdirSync(directory)
  .filter((name) => name.endsWith(".json"))
  .map((name) => ({
    name,
    cases: JSON.parse(readFileSync(join(directory, name), "utf8")) as { readonly exchange: readonly Exchange[] }[],
  }));

function exchanges(): { readonly name: string; readonly exchange: Exchange }[] {
  return recordings.flatMap(({ name, cases }) =>
    cases.flatMap((one) => one.exchange.map((exchange) => ({ name, exchange }))),
  );
}

test("every recorded operation body passes its schema with nothing lost that an operation reads", () => {
  let checked = 0;
  for (const { name, exchange } of exchanges()) {
    const path = exchange.request.path.split("?")[0] ?? "";
    const route = operationRoutes.find((one) => one.path === path && one.method === exchange.request.method);
    if (route === undefined || exchange.request.method !== "POST") continue;
    const result = route.body.safeParse(exchange.request.body);
    expect(result.error?.issues, name).toBeUndefined();
    for (const [key, value] of Object.entries(exchange.request.body as Record<string, unknown>)) {
      if (value === null || key === "client_api_version" || key === "workspace_access") continue;
      expect((result.data as Record<string, unknown>)[key], `${name}: ${key}`).toEqual(value);
    }
    checked += 1;
  }
  expect(checked).toBeGreaterThan(15);
});

test("every recorded endpoint is served", () => {
  const known = new Set([...operationRoutes.map((route) => route.path), ...unsupportedRoutes.map(([, path]) => path)]);
  const others = [
    "/api/get",
    "/api/health",
    "/api/status",
    "/api/stream",
    "/download",
    "/logs",
    "/provision_logs",
    "/upload_v2",
    "/upload_v2/blob",
    "/users/me/workspace",
    "/validate",
  ];
  for (const path of others) known.add(path);
  const unknown = exchanges().flatMap(({ exchange }) => {
    const path = exchange.request.path.split("?")[0] ?? "";
    return known.has(path) ? [] : [path];
  });
  expect(unknown).toEqual([]);
});

test("every recorded request record fits ours", () => {
  for (const { name, exchange } of exchanges()) {
    if (!exchange.request.path.startsWith("/api/get")) continue;
    const body = exchange.response.body as Record<string, unknown>;
    const record = exchange.response.status === 500 ? body["detail"] : body;
    expect(RequestPayload.safeParse(record).error?.issues, name).toBeUndefined();
  }
});

test("every recorded control line is understood", () => {
  const kinds = new Set<string>();
  for (const { exchange } of exchanges()) {
    const chunks = (exchange.response.body as { chunks?: readonly (readonly [number, string])[] } | null)?.chunks ?? [];
    for (const line of chunks
      .map(([, text]) => text)
      .join("")
      .split(/(?<=\n)/)) {
      if (!line.startsWith("<sky-payload>")) continue;
      const control = parseControl(line);
      expect(control, line).toBeDefined();
      if (control !== undefined) kinds.add(control.kind);
    }
  }
  expect([...kinds].toSorted()).toEqual(["exit", "init", "start", "stop", "update"]);
});
