import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { insideBin, writeInsideFiles, type InsideNode } from "./files.ts";
import { insideIdentity } from "./identity.ts";

const config = { clusterToken: "ab".repeat(32), clusterNameOnCloud: "c1-0000" };
const identity = insideIdentity(config);

let root = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "inside it's 100%-"));
});
afterEach(() => rmSync(root, { recursive: true }));

function write(nodes: readonly InsideNode[], path = process.env["PATH"] ?? ""): string {
  writeInsideFiles(nodes, { root, clusterName: "c1", identity, program: ["/opt/node", "/opt/agent.cjs"], path });
  return readFileSync(join(root, "inside/config"), "utf8");
}

/** What `ssh` makes of the configuration for a host. */
function resolve(host: string): Readonly<Record<string, string>> {
  const lines = execFileSync(join(insideBin(root), "ssh"), ["-G", host], { encoding: "utf8" }).split("\n");
  return Object.fromEntries(lines.map((line) => [line.split(" ", 1)[0] ?? "", line.slice(line.indexOf(" ") + 1)]));
}

describe("the keys of a cluster", () => {
  test("follow from its token: every node has the same, and another cluster has others", () => {
    expect(insideIdentity(config)).toEqual(identity);
    const other = insideIdentity({ ...config, clusterToken: "cd".repeat(32) });
    const all = [identity.login, identity.host, other.login, other.host].map(
      ({ publicKey }) => publicKey.split(" ")[1],
    );
    expect(new Set(all).size).toBe(4);
  });

  test("are what OpenSSH reads", () => {
    write([{ index: 0, ip: "10.0.0.1" }]);
    const key = join(root, "inside/key");
    expect(statSync(key).mode & 0o777).toBe(0o600);
    const shown = execFileSync("ssh-keygen", ["-y", "-f", key], { encoding: "utf8" }).trim();
    expect(shown).toBe(identity.login.publicKey);
  });
});

describe("the ssh of a cluster's tasks", () => {
  const nodes: readonly InsideNode[] = [
    { index: 0, ip: "10.0.0.1", user: "dev", hostname: "one" },
    { index: 1, ip: "10.0.0.2", user: "eve", hostname: "two" },
    { index: 2, ip: "10.0.0.3", user: "mia", hostname: "two" },
  ];

  test.each(["10.0.0.2", "c1-worker1"])("goes to %s by the agent, with the node's user and pinned keys", (host) => {
    write(nodes);
    expect(resolve(host)).toMatchObject({
      user: "eve",
      hostkeyalias: "skypilot-cluster",
      identitiesonly: "yes",
      stricthostkeychecking: "true",
      forwardagent: "no",
      forwardx11: "no",
    });
    expect(resolve(host)["proxycommand"]).toContain("'--node' '1'");
  });

  test("knows hosts by their own names, as long as these are told apart", () => {
    write(nodes);
    expect(resolve("one")["user"]).toBe("dev");
    expect(resolve("two")["proxycommand"]).toBeUndefined();
    expect(resolve("c1")["user"]).toBe("dev");
  });

  test("leaves every other host to the account's configuration", () => {
    expect(write(nodes)).toMatch(/\n\nHost \*\nInclude ~\/.ssh\/config\nInclude \/etc\/ssh\/ssh_config\n$/u);
    expect(resolve("example.org")).not.toMatchObject({ hostkeyalias: "skypilot-cluster" });
  });

  test("is not there where the machine has none", () => {
    write(nodes, "/nowhere");
    expect(() => statSync(join(insideBin(root), "ssh"))).toThrow("ENOENT");
  });
});
