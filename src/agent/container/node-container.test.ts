import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { NodeConfig } from "../../shared/agent/protocol.ts";
import { systemClock } from "../../shared/clock.ts";
import { agentPaths } from "../node/paths.ts";
import { outerFirst, type ContainerLink } from "./links.ts";
import { NodeContainer } from "./node-container.ts";

let root = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "node-container-"));
});
afterEach(() => rmSync(root, { recursive: true }));

/** A container whose engine is a program that does what it is told. */
function containerOf(engine: readonly string[], links: readonly ContainerLink[] = []): NodeContainer {
  const stored = { name: "sky-c-0", engine, image: "i", runOptions: [], home: "/root", links };
  writeFileSync(join(root, "container.json"), JSON.stringify(stored));
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
  return new NodeContainer({ config, paths: agentPaths(root, root), env: process.env, clock: systemClock });
}

test("links that are made at the same time are all kept for the next container", async () => {
  const container = containerOf(["true"]);
  const links = ["a", "b", "c"].map((name): ContainerLink => ({ place: `/${name}`, folder: name, isStrict: true }));
  await Promise.all(links.map((link) => container.link(link)));
  const after = JSON.parse(readFileSync(join(root, "container.json"), "utf8")) as {
    readonly links: readonly ContainerLink[];
  };
  expect(after.links.map(({ place }) => place).sort()).toEqual(["/a", "/b", "/c"]);
});

test("a link knows which others lie in it, and none is made in a bucket", async () => {
  const log = join(root, "log");
  const bucket = { place: "~/a/bucket", folder: ".home/a/bucket", isStrict: false, isMount: true };
  const container = containerOf(
    ["sh", "-c", `shift 8; printf '%s\\n' "$@" >>${log}`, "engine"],
    [
      { place: "~/a/other", folder: ".home/a/other", isStrict: false },
      bucket,
      { place: "~/ab", folder: ".home/ab", isStrict: false },
    ],
  );
  await container.link({ place: "~/a", folder: ".home/a", isStrict: false });
  await container.link({ ...bucket, place: "~/a/bucket/x", folder: ".home/a/bucket/x" });
  const mounts = "/root/.sky/file_mounts/.home";
  expect(readFileSync(log, "utf8").trim().split("\n")).toEqual([
    "merge",
    "/root/a",
    `${mounts}/a`,
    "1",
    `${mounts}/a/bucket`,
    `${mounts}/a/other`,
  ]);
  expect(outerFirst([bucket, { place: "~/a", folder: ".home/a", isStrict: false }])[0]?.place).toBe("~/a");
});
