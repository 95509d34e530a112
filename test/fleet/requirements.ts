import { existsSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { describe } from "vitest";
import { isE2eRequired } from "../e2e/support/reference.ts";

const PROGRAMS = ["/usr/sbin/sshd", "/usr/bin/ssh-keygen", "/usr/bin/python3", "/usr/sbin/chpasswd"];

/** Why no fleet can be made here, in the words of the one who can change it; undefined when it can. */
export function whyNoFleet(): string | undefined {
  if (process.platform !== "linux") return "it needs Linux";
  if (process.getuid?.() !== 0) return "it needs root";
  const missing = PROGRAMS.filter((path) => !existsSync(path));
  if (missing.length > 0) return `it needs ${missing.join(", ")}`;
  const probe = spawnSync("unshare", ["-m", "-n", "-p", "-f", "ip", "link", "add", "probe", "type", "bridge"]);
  return probe.status === 0 ? undefined : `it needs namespaces and bridges: ${probe.stderr?.toString().trim()}`;
}

/** Groups tests that need a fleet: skipped with the reason where none can be made, unless `SKY_REQUIRE_E2E` is set. */
export function describeWithFleet(name: string, body: () => void): void {
  const reason = whyNoFleet();
  if (reason === undefined) {
    describe(name, () => {
      body();
    });
  } else if (isE2eRequired()) {
    describe(name, () => {
      throw new Error(`SKY_REQUIRE_E2E is set, but no fleet can be made: ${reason}.`);
    });
  } else {
    describe.skip(`${name} (a fleet: ${reason})`, () => {
      body();
    });
  }
}
