import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Fleet } from "../fleet/fleet.ts";
import { describeWithFleet } from "../fleet/requirements.ts";
import { installSshUser } from "../fleet/ssh-user.ts";
import { scriptOfPage } from "../support/doc-script.ts";
import { plainText } from "./support/plain-text.ts";
import { repoRoot, Sandbox } from "./support/sandbox.ts";

describeWithFleet("docs/ssh.md", () => {
  let fleet: Fleet;
  let sandbox: Sandbox;

  beforeAll(async () => {
    fleet = await Fleet.create();
    sandbox = await Sandbox.create(fleet);
    await fleet.addHosts([{ name: "a" }, { name: "b" }, { name: "c", gpus: ["NVIDIA L4"] }]);
    await installSshUser(fleet, { home: sandbox.home, hosts: fleet.hosts });
    sandbox.write("bin/sky", `#!/bin/sh\nexec "${process.execPath}" "${join(repoRoot, "bin/sky.cjs")}" "$@"\n`);
  });

  afterAll(async () => {
    await sandbox?.dispose();
    await fleet?.dispose();
  });

  test("every command does what the page says", async () => {
    const script = scriptOfPage(readFileSync(join(repoRoot, "docs/ssh.md"), "utf8"));
    const env = sandbox.env();
    const run = `chmod +x bin/sky; export PATH="$PWD/bin:$PATH"\n${script}`;
    const result = await sandbox.start(["bash", "-c", run], { env, timeoutMs: 150_000 }).result;
    const text = plainText(result.stdout + result.stderr);
    expect(result.exitCode, text).toBe(0);
    expect(text).toContain("Pool lab: 3 of 3 hosts can be used");
    expect(text).toContain("2 of 3 on c");
    expect(text).toMatch(/^b$/mu);
    expect(text).toContain("Node Pool `lab` cleaned up successfully.");
  });
});
