import { readFileSync } from "node:fs";
import { writeFileAtomic } from "../../platform/atomic-file.ts";
import { skyPaths } from "../../platform/paths.ts";
import type { Machine } from "../context.ts";
import type { Completion } from "../parser/spec.ts";

const TIMEOUT_MS = 2000;
/** How long answers are shown again without asking. */
const FRESH_MS = 10_000;

type Cache = Readonly<Record<string, { readonly at: number; readonly names: readonly string[] }>>;

/** Names of clusters, requests and so on. Never fails and never starts a server: a shell waits for the answer. */
export async function fetchNames(
  kind: Exclude<Completion, "file_name">,
  incomplete: string,
  machine: Machine,
): Promise<readonly string[]> {
  const path = skyPaths(machine.home).completionCache;
  const cache = readCache(path);
  const known = cache[kind];
  const now = machine.clock.now();
  if (known !== undefined && now - known.at < FRESH_MS) return known.names;
  const names = await ask(kind, incomplete, machine).catch(() => undefined);
  if (names === undefined) return known?.names ?? [];
  if (incomplete === "")
    writeFileAtomic(path, JSON.stringify({ ...cache, [kind]: { at: now, names } }), { mode: 0o600 });
  return names;
}

async function ask(kind: string, incomplete: string, machine: Machine): Promise<readonly string[]> {
  const { openClient } = await import("../open-client.ts");
  const client = await openClient({ ...machine, command: "completion", commandLine: "sky" }, {});
  try {
    const { readText } = await import("../../client/transport.ts");
    const answer = await client.session.transport.send("GET", `/api/completion/${kind}`, {
      query: { incomplete },
      timeoutMs: TIMEOUT_MS,
      signal: machine.signal,
    });
    const value: unknown = JSON.parse(await readText(answer));
    return Array.isArray(value) ? value.filter((name): name is string => typeof name === "string") : [];
  } finally {
    await client.close();
  }
}

function readCache(path: string): Cache {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Cache;
  } catch {
    return {};
  }
}
