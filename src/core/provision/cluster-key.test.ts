import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { clusterSsh, ensureClusterKey, removeClusterKey } from "./cluster-key.ts";

const directory = mkdtempSync(join(tmpdir(), "cluster-key-"));
const ssh = clusterSsh(join(directory, "clusters", "abc.json"));

afterEach(() => rmSync(directory, { recursive: true, force: true }));

it("makes a key that OpenSSH reads, once, for the server's user alone", () => {
  const line = ensureClusterKey(ssh, "mine-0a1b2c3d");
  expect(line).toMatch(/^ssh-ed25519 [A-Za-z0-9+/=]+ mine-0a1b2c3d$/);
  expect(execFileSync("ssh-keygen", ["-y", "-f", ssh.keyFile], { encoding: "utf8" }).trim()).toBe(line);
  expect(statSync(ssh.keyFile).mode & 0o777).toBe(0o600);
  expect(ensureClusterKey(ssh, "mine-0a1b2c3d")).toBe(line);
  removeClusterKey(ssh);
  expect(ensureClusterKey(ssh, "mine-0a1b2c3d")).not.toBe(line);
});
