import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../../platform/atomic-file.ts";
import { InvalidValueError } from "../../shared/errors.ts";
import { dumpYaml, parseYaml } from "../../shared/yaml.ts";
import { FactsStore } from "./facts-store.ts";
import { findPool, parsePools, poolsFile, readPools } from "./pools.ts";

type RawPools = Readonly<Record<string, unknown>>;

function readRaw(home: string): RawPools {
  const file = poolsFile(home);
  try {
    return (parseYaml(readFileSync(file, "utf8"), { file })?.value ?? {}) as RawPools;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw error;
  }
}

/** The pools as the file has them, without passwords. */
export function showPools(home: string): RawPools {
  return withoutPasswords(readRaw(home)) as RawPools;
}

function withoutPasswords(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutPasswords);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([key]) => key !== "password");
  return Object.fromEntries(entries.map(([key, inner]) => [key, withoutPasswords(inner)]));
}

/** Adds pools, or puts them in place of those of the same name. Throws InvalidConfigError; then nothing is changed. */
export function updatePools(home: string, pools: RawPools): void {
  write(home, { ...readRaw(home), ...(withoutEmpty(pools) as RawPools) });
}

/** Whether there was one. */
export function deletePool(home: string, name: string): boolean {
  const { [name]: gone, ...rest } = readRaw(home);
  if (gone === undefined) return false;
  write(home, rest);
  return true;
}

/** Official clients send empty texts for what a host does not have. */
function withoutEmpty(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutEmpty);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, inner]) => inner !== "" && inner !== null);
  return Object.fromEntries(entries.map(([key, inner]) => [key, withoutEmpty(inner)]));
}

function write(home: string, pools: RawPools): void {
  const file = poolsFile(home);
  const text = Object.keys(pools).length === 0 ? "{}\n" : dumpYaml(pools);
  parsePools(text, { file, home });
  writeFileAtomic(file, text, { mode: 0o600 });
}

function keysDirectory(home: string): string {
  return join(home, ".sky", "ssh_keys");
}

/** Keeps a private key for pools; answers with its path on this machine. */
export function saveKey(home: string, name: string, content: string): string {
  if (!/^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(name)) {
    throw new InvalidValueError(`'${name}' cannot be the name of a key: use letters, digits, '.', '_' and '-'.`);
  }
  const path = join(keysDirectory(home), name);
  mkdirSync(keysDirectory(home), { recursive: true, mode: 0o700 });
  writeFileAtomic(path, content.endsWith("\n") ? content : `${content}\n`, { mode: 0o600 });
  return path;
}

export function listKeys(home: string): readonly string[] {
  try {
    return readdirSync(keysDirectory(home)).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** Whether clusters can be launched on a pool, as far as is known without asking its hosts. */
export function poolReadiness(home: string, name: string): { readonly isReady: boolean; readonly reason: string } {
  const pool = findPool(readPools(home), name, home);
  const known = new FactsStore(join(home, ".sky", "ts", "ssh")).read(pool);
  const reason = `${known.length} of ${pool.hosts.length} hosts are set up.`;
  return { isReady: known.length > 0, reason };
}
