import { copyFileSync, existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { waitFor } from "../e2e/support/wait-for.ts";
import type { Fleet } from "./fleet.ts";
import { OUTSIDE, scriptPath } from "./world.ts";

const PORT = 4873;
const lockFile = fileURLToPath(new URL("../../package-lock.json", import.meta.url));

export interface RegistryPackage {
  readonly name: string;
  readonly version: string;
  /** As package-lock.json has it: `sha512-…`. */
  readonly integrity: string;
  /** The tarball, in npm's cache. */
  readonly file: string;
}

/** A package registry that hosts with `egress: "open"` reach. */
export interface Registry {
  readonly url: string;
  /** `METHOD path` of each request so far. */
  requests(): readonly string[];
  stop(): void;
}

/** The tarball of a locked package as npm keeps it in its cache; undefined when it is not there. */
export function findCachedPackage(name: string): RegistryPackage | undefined {
  const lock = JSON.parse(readFileSync(lockFile, "utf8")) as {
    readonly packages: Readonly<Record<string, { readonly version: string; readonly integrity: string }>>;
  };
  const locked = lock.packages[`node_modules/${name}`];
  if (locked === undefined) throw new Error(`package-lock.json has no ${name}.`);
  const hex = Buffer.from(locked.integrity.replace(/^sha512-/u, ""), "base64").toString("hex");
  const cache = process.env["npm_config_cache"] ?? join(homedir(), ".npm");
  const file = join(cache, "_cacache/content-v2/sha512", hex.slice(0, 2), hex.slice(2, 4), hex.slice(4));
  return existsSync(file) ? { name, version: locked.version, integrity: locked.integrity, file } : undefined;
}

/** Starts a registry outside the fleet that serves the packages. */
export async function startRegistry(fleet: Fleet, packages: readonly RegistryPackage[]): Promise<Registry> {
  let output = "";
  // npm's cache may be below the home directory, which is another one inside.
  const served = packages.map((one) => {
    const file = join(fleet.root, `${one.name}.tgz`);
    copyFileSync(one.file, file);
    return { ...one, file };
  });
  const program = fleet.start(
    [process.execPath, scriptPath("registry.ts"), OUTSIDE, String(PORT), JSON.stringify(served)],
    {
      timeoutMs: 3_600_000,
      onOutput: (text) => {
        output += text;
      },
    },
  );
  const lines = (): string[] => output.split("\n").filter((line) => line !== "");
  await waitFor("the registry", () => lines().includes("ready"));
  return {
    url: `http://${OUTSIDE}:${PORT}`,
    requests: () => lines().filter((line) => line !== "ready"),
    stop: () => program.kill("SIGKILL"),
  };
}
