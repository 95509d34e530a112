import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { plainText } from "./support/plain-text.ts";
import { describeWithReference } from "./support/reference.ts";
import { ReferenceServer } from "./support/reference-server.ts";
import { repoRoot } from "./support/sandbox.ts";

describeWithReference("our CLI on the official server", (reference) => {
  let server: ReferenceServer;

  beforeAll(async () => {
    server = await ReferenceServer.start(reference);
  });

  afterAll(async () => {
    await server?.stop();
  });

  async function sky(...args: string[]): Promise<{ exitCode: number | null; text: string; stdout: string }> {
    const env = { SKYPILOT_API_SERVER_ENDPOINT: server.url, SKYPILOT_API_SERVER_LOCAL_PORT: "1" };
    const result = await server.run([process.execPath, join(repoRoot, "bin/sky.cjs"), ...args], { env });
    return { exitCode: result.exitCode, stdout: result.stdout, text: plainText(result.stdout + result.stderr) };
  }

  it("api info", async () => {
    const { exitCode, text } = await sky("api", "info");
    expect(text).toContain("SkyPilot client version: 0.14.1");
    expect(text).toContain(`Using SkyPilot API server and dashboard: ${server.url}`);
    expect(text).toContain("commit: 7e595970a806dcc9eefadf459f399edf1733e962, version: 0.14.1");
    expect(exitCode).toBe(0);
    const json = await sky("api", "info", "-o", "json");
    expect(JSON.parse(json.stdout)).toMatchObject({
      server: { status: "healthy", version: "0.14.1", api_version: "62" },
    });
  });

  it("status", async () => {
    const { exitCode, text } = await sky("status");
    expect(text).toContain("No existing clusters.");
    expect(text).toContain("No in-progress managed jobs. (See: sky jobs -h)");
    expect(text).toContain("No live services.");
    expect(exitCode).toBe(0);
  });

  it("check streams the server's own report", async () => {
    const { exitCode, text } = await sky("check", "ssh", "slurm");
    expect(text).toContain("Checking credentials to enable infra for SkyPilot.");
    expect(text).toContain("Slurm configuration file ~/.slurm/config does not exist.");
    expect(exitCode).toBe(0);
  });

  it("launch --dryrun is validated and refused by the server, with its own error", async () => {
    writeFileSync(join(server.root, "task.yaml"), "name: plan\nresources:\n  cpus: 1+\nrun: echo hi\n");
    const { exitCode, text } = await sky("launch", "-y", "--dryrun", "-c", "plan", "task.yaml");
    expect(text).toContain("Cloud access is not set up. Run: sky check");
    expect(exitCode).toBe(1);
  });

  it("an error of the server arrives with its text", async () => {
    const { exitCode, text } = await sky("exec", "nosuch", "echo hi");
    expect(text).toContain("Cluster 'nosuch' does not exist.");
    expect(exitCode).toBe(1);
  });
});
