import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { NodeConfig } from "../../shared/agent/protocol.ts";
import { systemClock } from "../../shared/clock.ts";
import { agentPaths } from "../node/paths.ts";
import type { ContainerLink } from "./links.ts";
import { NodeContainer } from "./node-container.ts";

let root = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "node-container-"));
});
afterEach(() => rmSync(root, { recursive: true }));

test("links that are made at the same time are all kept for the next container", async () => {
  // `true` stands in for an engine that does what it is told.
  const stored = { name: "sky-c-0", engine: ["true"], image: "i", runOptions: [], home: "/root", links: [] };
  const file = join(root, "container.json");
  writeFileSync(file, JSON.stringify(stored));
  const config: NodeConfig = {
    clusterName: "c",
    clusterNameOnCloud: "c-1",
    clusterToken: "00",
    index: 0,
    numNodes: 1,
    ip: "127.0.0.1",
    resources: { cpus: 1, memoryGib: 1, accelerators: {} },
    home: root,
    power: "leave",
    clusterInfo: "{}",
  };
  const container = new NodeContainer({ config, paths: agentPaths(root, root), env: process.env, clock: systemClock });
  const links = ["a", "b", "c"].map((name): ContainerLink => ({ place: `/${name}`, folder: name, isStrict: true }));
  await Promise.all(links.map((link) => container.link(link)));
  const after = JSON.parse(readFileSync(file, "utf8")) as { readonly links: readonly ContainerLink[] };
  expect(after.links.map(({ place }) => place).sort()).toEqual(["/a", "/b", "/c"]);
});
