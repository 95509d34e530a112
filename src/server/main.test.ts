import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const STATEMENT = /^(?:import|export) (?!type )(?:[^;"]*? from )?"([^"]+)";/gm;

/** Packages that are loaded before the program can do anything: what it imports statically, and what that imports. */
function packagesOf(entry: string): Set<string> {
  const packages = new Set<string>();
  const seen = new Set<string>();
  const visit = (path: string): void => {
    if (seen.has(path)) return;
    seen.add(path);
    for (const [, target = ""] of readFileSync(path, "utf8").matchAll(STATEMENT)) {
      if (target.startsWith(".")) visit(resolve(dirname(path), target));
      else if (!target.startsWith("node:")) packages.add(target);
    }
  };
  visit(entry);
  expect(seen.size).toBeGreaterThan(15);
  return packages;
}

test("until the first health check is answered only the database's package is loaded", () => {
  expect([...packagesOf(fileURLToPath(new URL("main.ts", import.meta.url)))]).toEqual(["kysely"]);
});
