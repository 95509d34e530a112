import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openTestDatabase } from "../../test/fakes/databases.ts";
import { FakeClock } from "../../test/fakes/fake-clock.ts";
import { requestIdOf, startTestServer, testOperation } from "../../test/fakes/test-server.ts";
import { listRequests } from "../db/queries/requests.ts";
import { isLoopbackHost, parseServerArgs } from "./args.ts";
import { collectRequests } from "./daemons/daemons.ts";
import { ServerConfig } from "./server-config.ts";
import { loadToken } from "./token.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "server-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

describe("the command line", () => {
  test("has the defaults of the original, and accepts how the official client names the module", () => {
    expect(parseServerArgs([])).toEqual({ host: "127.0.0.1", port: 46580, isDeployed: false });
    expect(parseServerArgs(["--deploy"])).toEqual({ host: "0.0.0.0", port: 46580, isDeployed: true });
    expect(parseServerArgs(["-m", "sky.server.server", "--host=::1", "--port", "0"])).toMatchObject({
      host: "::1",
      port: 0,
    });
  });

  test.each([["--port=x"], ["--port=65536"], ["--nope"], ["extra"]])("%s is refused with exit code 2", (argument) => {
    expect(() => parseServerArgs([argument])).toThrow(expect.objectContaining({ exitCode: 2 }));
  });

  test.each([
    ["127.0.0.1", true],
    ["127.9.9.9", true],
    ["localhost", true],
    ["::1", true],
    ["0.0.0.0", false],
    ["::", false],
    ["10.0.0.1", false],
  ])("%s is loopback: %s", (host, expected) => {
    expect(isLoopbackHost(host)).toBe(expected);
  });
});

describe("the token of a listener beyond loopback", () => {
  test("is made once, private, and in the form that official clients send", () => {
    const path = join(directory, "deep", "token");
    const token = loadToken(path);
    expect(token).toMatch(/^sky_[\w-]{43}$/);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(loadToken(path)).toBe(token);
  });

  test("may be given, if it is long enough", () => {
    expect(loadToken(join(directory, "token"), "sky_0123456789abcdef")).toBe("sky_0123456789abcdef");
    expect(() => loadToken(join(directory, "token"), "sky_short")).toThrow("not usable");
    expect(existsSync(join(directory, "token"))).toBe(false);
  });
});

describe("the config", () => {
  test("is read again when the file changes, and empty without one", async () => {
    const path = join(directory, "config.yaml");
    const clock = new FakeClock();
    const config = new ServerConfig(path, clock);
    expect(await config.load()).toEqual({});
    clock.advance(200);
    writeFileSync(path, "api_server:\n  requests_retention_hours: 1\n");
    expect(await config.load()).toMatchObject({ api_server: { requests_retention_hours: 1 } });
    writeFileSync(path, "api_server:\n  requests_retention_hours: 2\n");
    utimesSync(path, 1, 1);
    clock.advance(200);
    expect(await config.load()).toMatchObject({ api_server: { requests_retention_hours: 2 } });
  });

  test("of a client counts, but not where the server alone decides", async () => {
    const config = new ServerConfig(join(directory, "none"), new FakeClock());
    const { config: merged, warning } = await config.overlay({
      aws: { vpc_name: "v" },
      rbac: { default_role: "admin" },
    });
    expect(merged).toEqual({ aws: { vpc_name: "v" } });
    expect(warning).toContain('["rbac"]');
    expect((await config.overlay({})).warning).toBeUndefined();
  });

  test("that is broken is told with its place; one that cannot be read, with what to do", async () => {
    const path = join(directory, "config.yaml");
    writeFileSync(path, "a: [\n");
    await expect(new ServerConfig(path, new FakeClock()).load()).rejects.toThrow(path);
    mkdirSync(join(directory, "dir.yaml"));
    await expect(new ServerConfig(join(directory, "dir.yaml"), new FakeClock()).load()).rejects.toMatchObject({
      hint: expect.any(String),
    });
  });
});

test("ended requests and their logs go after the retention time, and never when it is negative", async () => {
  const database = await openTestDatabase("sqlite");
  const server = await startTestServer({
    database,
    operations: {
      launch: testOperation("launch", (_body, context) => {
        context.log.line("hello");
        return Promise.resolve(1);
      }),
    },
  });
  const id = requestIdOf(await server.post("/launch", { task: "", cluster_name: "c" }));
  await (await server.get(`/api/get?request_id=${id}`)).text();
  const log = join(server.paths.requestLogs, `${id}.log`);
  expect(readFileSync(log, "utf8")).toBe("hello\n");
  const path = join(directory, "config.yaml");
  const clock = new FakeClock(Date.now() + 25 * 3_600_000);
  const options = { db: database.db, paths: server.paths, clock, config: new ServerConfig(path, clock) };
  writeFileSync(path, "api_server:\n  requests_retention_hours: -1\n");
  await collectRequests(options);
  expect(await listRequests(database.db, {})).toHaveLength(1);
  rmSync(path);
  clock.advance(200);
  await collectRequests(options);
  expect(await listRequests(database.db, {})).toEqual([]);
  expect(existsSync(log)).toBe(false);
  await server.dispose();
  await database.close();
});
