import { spawnSync } from "node:child_process";
import { dirname } from "node:path";
import type { Sandbox } from "../../e2e/support/sandbox.ts";

const INSTALLED = "/usr/bin/rclone";

/** The rclone that nodes get, from SKY_RCLONE; undefined = it was not built, and mounts are tested with the machine's own. */
export function findRclone(): string | undefined {
  const path = process.env["SKY_RCLONE"];
  return path === undefined || path === "" ? undefined : path;
}

/** The rclone that nodes get where it was built, else the machine's own. */
export function rcloneToServe(): { readonly path: string; readonly version: string } {
  const path = findRclone() ?? INSTALLED;
  const { stdout } = spawnSync(path, ["version"], { encoding: "utf8" });
  const version = /rclone (v\d+\.\d+\.\d+)/u.exec(stdout)?.[1];
  if (version === undefined) throw new Error(`${path} is no rclone.`);
  return { path, version };
}

/**
 * Variables of a server whose nodes are on this machine: the rclone that nodes get comes first where it was built, else they keep to the machine's own,
 * because the pinned one is fetched from nowhere.
 */
export function rcloneEnv(sandbox: Sandbox): Record<string, string> {
  const nowhere = { arch: process.arch, version: "v1.75.1", url: "http://127.0.0.1:9/rclone.zip" };
  const pins = JSON.stringify([{ ...nowhere, sha256: "0".repeat(64), program: "rclone" }]);
  const path = findRclone();
  return {
    PATH: [...(path === undefined ? [] : [dirname(path)]), sandbox.env()["PATH"]].join(":"),
    SKYPILOT_RCLONE_PINS: sandbox.write("rclone-pins.json", pins),
  };
}
