import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { MounterPin } from "../../shared/agent/mounts.ts";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type { AgentPeer } from "../../shared/agent/peer.ts";
import { systemClock } from "../../shared/clock.ts";
import { bringMounter } from "./bring-mounter.ts";
import { Mounters } from "./mounters.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sky-mounters-"));
});

afterEach(() => rmSync(folder, { recursive: true }));

function pin(arch: string, text: string): MounterPin {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${arch}.zip`), text);
  const sha256 = createHash("sha256").update(text).digest("hex");
  return { arch, version: "v1", url: `http://127.0.0.1:1/${arch}.zip`, sha256, program: "rclone" };
}

interface Put {
  readonly dest: string;
  readonly nodes: readonly number[];
  readonly isForNode: boolean;
}

/** The head of a cluster with nodes of two platforms; it has every file already. */
function head(arches: readonly (string | undefined)[], puts: Put[]): AgentPeer {
  const nodes = arches.map((arch, index) => ({ index, isAlive: true, ...(arch === undefined ? {} : { arch }) }));
  const nothing = { need: [], parts: [] };
  return {
    call: () => Promise.resolve({ nodes }),
    open: (_method: string, params: Put) => {
      puts.push({ dest: params.dest, nodes: params.nodes, isForNode: params.isForNode });
      return {
        start: Promise.resolve(nothing),
        end: Promise.resolve({}),
        send: () => undefined,
        endSend: () => undefined,
      };
    },
  } as unknown as AgentPeer;
}

test("each node gets the archive of its own platform, and only nodes that lack it", async () => {
  const pins = [pin("x64", "for x64"), pin("arm64", "for arm64")];
  const pinsFile = join(folder, "pins.json");
  writeFileSync(pinsFile, JSON.stringify(pins));
  const mounters = new Mounters({ cacheDir: folder, pinsFile });
  const { signal } = new AbortController();
  const lines: string[] = [];
  const log = { line: (text: string) => lines.push(text) };
  const context = { mounters, signal, clock: systemClock, requestId: "r", log } as unknown as Parameters<
    typeof bringMounter
  >[2];
  const puts: Put[] = [];
  const missing = new AgentPeerError("MOUNTER_MISSING", "The node has no rclone.", { nodes: [0, 2, 3] });
  await bringMounter(missing, head(["x64", "x64", "arm64", undefined], puts), context);
  const [x64 = "", arm64 = ""] = pins.map(({ sha256 }) => `~/.sky/agent/rclone-${sha256.slice(0, 16)}.zip`);
  expect(puts).toEqual([
    { dest: x64, nodes: [0, 3], isForNode: true },
    { dest: arm64, nodes: [2], isForNode: true },
  ]);
  expect(lines).toHaveLength(2);
});

test("a file of pins that is none is refused with what it should be", async () => {
  const pinsFile = join(folder, "pins.json");
  for (const text of ["{", '[{"arch": "x64"}]', "{}"]) {
    writeFileSync(pinsFile, text);
    await expect(new Mounters({ cacheDir: folder, pinsFile }).pins()).rejects.toThrow(
      `${pinsFile} (SKYPILOT_RCLONE_PINS) does not say which rclone nodes get.`,
    );
  }
});

test("who leaves does not take the fetch from those who wait with him", async () => {
  const content = "rclone, zipped";
  let answer: (() => void) | undefined;
  const server = createServer((_request, response) => (answer = () => response.end(content))).listen(0, "127.0.0.1");
  const { port } = await new Promise<AddressInfo>((resolve) => {
    server.once("listening", () => resolve(server.address() as AddressInfo));
  });
  const sha256 = createHash("sha256").update(content).digest("hex");
  const wanted = {
    arch: "x64",
    version: "v1",
    url: `http://127.0.0.1:${port}/r.zip`,
    sha256,
    program: "rclone",
  } as const;
  const mounters = new Mounters({ cacheDir: folder, pinsFile: undefined });
  const leaving = new AbortController();
  const left = mounters.archive(wanted, leaving.signal);
  const stayed = mounters.archive(wanted, new AbortController().signal);
  await expect.poll(() => answer).toBeDefined();
  leaving.abort(new Error("Cancelled."));
  await expect(left).rejects.toThrow("Cancelled.");
  answer?.();
  expect(readFileSync(await stayed, "utf8")).toBe(content);
  server.close();
});
