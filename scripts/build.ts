/**
 * Bundles the three programs into dist/: the CLI (CommonJS with lazy chunks, because an ES module's `import "node:http"`
 * costs 17 ms, nodejs/node#59686), the API server (ESM) and the node agent (one file, no npm package).
 */
import { cpSync, existsSync, renameSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { rolldown, type InputOptions, type OutputOptions, type Plugin } from "rolldown";

const root = fileURLToPath(new URL("..", import.meta.url));

interface Bundle {
  readonly input: InputOptions;
  readonly output: OutputOptions;
}

const common = { platform: "node", cwd: root, logLevel: "warn" } as const satisfies InputOptions;

/** Commander loads node:child_process for subcommands that are programs of their own; we have none, and it costs 18 modules. */
const commanderAlone: Plugin = {
  name: "commander-alone",
  resolveId: (id, importer) =>
    id === "node:child_process" && importer?.includes("/commander/") === true ? "\0no-child-process" : undefined,
  load: (id) => (id === "\0no-child-process" ? "export default {};" : undefined),
};

/**
 * What a short command loads, in three files instead of thirty: reading and compiling a file costs more than its size. What only some
 * commands need (uploads, login, starting a server) stays apart.
 */
const cliGroups = [
  {
    name: "base",
    test: /src\/(cli\/(parser\/(help|spec|usage-errors|close-matches)|report-error|run-group|root-options|render\/colors)|client\/version|shared\/errors)\.ts$/,
  },
  { name: "parser", test: /no-child-process|\/commander\/|src\/cli\/(parser|run-command|prompt|command-line)/ },
  {
    name: "client",
    test: /src\/client\/(?!https-agent|local-server|login|upload|download|ssh-config|ssh-tunnel)|src\/cli\/(render|open-client|client-config|follow|job-log)|src\/platform\/(atomic-file|user-hash|random|process-identity|server-pid-file)/,
  },
];

export const bundles: Record<"cli" | "server" | "agent" | "sdk", Bundle> = {
  cli: {
    input: { ...common, input: { main: "src/cli/main.ts" }, plugins: [commanderAlone], preserveEntrySignatures: false },
    output: {
      dir: "dist/cli",
      format: "cjs",
      entryFileNames: "[name].cjs",
      chunkFileNames: "chunks/[name]-[hash].cjs",
      minify: true,
      codeSplitting: { includeDependenciesRecursively: false, groups: cliGroups },
    },
  },
  server: {
    input: {
      ...common,
      // The thread is a program of its own, started by the URL of its file.
      input: { main: "src/server/main.ts", "tree-thread": "src/core/files/tree-thread.ts" },
      external: ["@electric-sql/pglite", "pg-native"],
      // Of a CommonJS package each `await import` copies the thousands of names that a client of AWS has: 0.6 ms for S3, 5 ms for EC2.
      resolve: { mainFields: ["module", "main"] },
    },
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

async function buildBundles(wanted: readonly string[]): Promise<void> {
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
    if (name === "server") cpSync(`${root}/src/catalog/snapshots`, `${root}/dist/catalog`, { recursive: true });
  }
}

// A test imports the table above without building.
if (import.meta.main) await buildBundles(process.argv.slice(2));
