/**
 * Bundles the three programs into dist/: the CLI (CommonJS with lazy chunks, because an ES module's `import "node:http"`
 * costs 17 ms, nodejs/node#59686), the API server (ESM) and the node agent (one file, no npm package).
 */
import { existsSync, renameSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { rolldown, type InputOptions, type OutputOptions } from "rolldown";

const root = fileURLToPath(new URL("..", import.meta.url));

interface Bundle {
  readonly input: InputOptions;
  readonly output: OutputOptions;
}

const common = { platform: "node", cwd: root, logLevel: "warn" } as const satisfies InputOptions;

export const bundles: Record<"cli" | "server" | "agent" | "sdk", Bundle> = {
  cli: {
    input: { ...common, input: { main: "src/cli/main.ts" } },
    output: {
      dir: "dist/cli",
      format: "cjs",
      entryFileNames: "[name].cjs",
      chunkFileNames: "chunks/[name]-[hash].cjs",
      minify: true,
    },
  },
  server: {
    input: { ...common, input: { main: "src/server/main.ts" }, external: ["@electric-sql/pglite", "pg-native"] },
    output: {
      dir: "dist/server",
      format: "esm",
      entryFileNames: "[name].mjs",
      chunkFileNames: "chunks/[name]-[hash].mjs",
      minify: true,
    },
  },
  agent: {
    input: { ...common, input: { agent: "src/agent/main.ts" } },
    output: { dir: "dist/agent", format: "cjs", entryFileNames: "agent.cjs", codeSplitting: false, minify: true },
  },
  sdk: {
    input: { ...common, input: { index: "src/client/sdk.ts" } },
    output: {
      dir: "dist/sdk",
      format: "esm",
      entryFileNames: "[name].mjs",
      chunkFileNames: "chunks/[name]-[hash].mjs",
    },
  },
};

const wanted = process.argv.slice(2);
const names = wanted.length > 0 ? wanted : Object.keys(bundles);
for (const name of names) {
  const bundle = bundles[name as keyof typeof bundles];
  if (bundle === undefined)
    throw new Error(`No bundle is named ${name}; there are ${Object.keys(bundles).join(", ")}.`);
  const target = `${root}/${bundle.output.dir}`;
  // Written aside and swapped in, so that a program started meanwhile never meets half a bundle.
  const fresh = `${target}.new-${process.pid}`;
  const old = `${target}.old-${process.pid}`;
  const build = await rolldown(bundle.input);
  await build.write({ ...bundle.output, dir: fresh });
  await build.close();
  if (existsSync(target)) renameSync(target, old);
  renameSync(fresh, target);
  rmSync(old, { recursive: true, force: true });
}
