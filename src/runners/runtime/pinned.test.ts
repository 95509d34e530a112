import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { pinnedRuntimes } from "./pinned.ts";

const lock = JSON.parse(readFileSync(new URL("../../../package-lock.json", import.meta.url), "utf8")) as {
  readonly packages: Readonly<Record<string, { readonly version: string; readonly integrity: string }>>;
};

test.each(Object.values(pinnedRuntimes))("$packageName is the package of the lock file", (runtime) => {
  const locked = lock.packages[`node_modules/${runtime.packageName}`];
  expect(`v${locked?.version}`).toBe(runtime.version);
  expect(locked?.integrity).toBe(`sha512-${Buffer.from(runtime.tarballSha512, "hex").toString("base64")}`);
});
