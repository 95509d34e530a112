import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { plainText } from "./support/plain-text.ts";
import { runProgram, type RunResult } from "./support/run-program.ts";
import { repoRoot, Sandbox } from "./support/sandbox.ts";

const README = readFileSync(join(repoRoot, "README.md"), "utf8");

/** Lines of the README's code blocks that begin with `prefix`, without their trailing remarks. */
function commandLines(prefix: string): string[] {
  const blocks = [...README.matchAll(/^```\w*\n([\s\S]*?)^```$/gmu)].map((match) => match[1] ?? "");
  return blocks
    .flatMap((block) => block.split("\n"))
    .map((line) => line.replace(/\s+#.*$/u, "").trim())
    .filter((line) => line.startsWith(prefix));
}

describe("the commands of the README", () => {
  let sandbox: Sandbox;

  beforeAll(async () => {
    sandbox = await Sandbox.create();
  });

  afterAll(async () => {
    await sandbox?.dispose();
  });

  function shell(command: string): Promise<RunResult> {
    // In a clone `npx sky` runs bin/sky.cjs of this package; npx itself costs half a second each time.
    const script = command.replaceAll("npx sky", `"${process.execPath}" "${join(repoRoot, "bin/sky.cjs")}"`);
    return runProgram(["bash", "-c", script], { cwd: repoRoot, env: sandbox.env() });
  }

  it("begin with the two that a newcomer types", () => {
    const [launch, test] = commandLines("npm ci && ");
    expect([launch, test]).toEqual(["npm ci && npx sky launch -y examples/hello.yaml", "npm ci && npm test"]);
  });

  it("launch runs the example and gives its output and exit code", async () => {
    const command = commandLines("npm ci && npx sky launch")[0]?.replace("npm ci && ", "") ?? "";
    const result = await shell(command);
    expect(plainText(result.stdout + result.stderr)).toContain("Job finished (status: SUCCEEDED).");
    expect(result.exitCode).toBe(0);
  });

  it("name only files that exist and commands that sky knows", async () => {
    const files = [...README.matchAll(/(?:examples|docs|bench)\/[\w./-]+\.\w+/gu)].map((match) => match[0]);
    expect(files.filter((file) => !existsSync(join(repoRoot, file)))).toEqual([]);
    const links = [...README.matchAll(/\]\(([^)#:]+)\)/gu)].map((match) => match[1] ?? "");
    expect(links.filter((link) => !existsSync(join(repoRoot, link)))).toEqual([]);
    const names = commandLines("npx sky").flatMap((line) => /^npx sky ([a-z]+)/u.exec(line)?.[1] ?? []);
    expect(names).toContain("status");
    const helps = await Promise.all(names.map((name) => shell(`npx sky ${name} --help`)));
    expect(helps.map(({ exitCode }) => exitCode)).toEqual(names.map(() => 0));
  });

  it("the task in it is a valid task", async () => {
    const yaml = /```yaml\n([\s\S]*?)^```$/mu.exec(README)?.[1] ?? "";
    sandbox.write("task.yaml", yaml);
    const result = await sandbox.sky(["launch", "-y", "--dryrun", "task.yaml"]);
    expect(plainText(result.stdout + result.stderr)).toContain("Dryrun finished.");
    expect(result.exitCode).toBe(0);
  });
});
