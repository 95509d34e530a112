import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { JobSecrets } from "./job-secrets.ts";

test("values are private files by key, and go when their job does", () => {
  const directory = mkdtempSync(join(tmpdir(), "secrets-"));
  try {
    const secrets = new JobSecrets(directory);
    secrets.save("a/../b", { TOKEN: "x" });
    secrets.save("c", { TOKEN: "y" });
    secrets.save("none", {});
    const names = readdirSync(directory);
    expect(names).toHaveLength(2);
    for (const name of names) expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600);
    expect(secrets.load("a/../b")).toEqual({ TOKEN: "x" });
    expect(secrets.load("none")).toEqual({});
    secrets.retain(["c"]);
    expect(secrets.load("a/../b")).toEqual({});
    secrets.remove("c");
    secrets.remove("c");
    expect(readdirSync(directory)).toEqual([]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
