import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The texts by which a secret can be found, however it was written down: as it is, escaped, in base64, hex or a URL. */
export function spellings(secret: string): readonly string[] {
  const bytes = Buffer.from(secret, "utf8");
  const base64 = [0, 1, 2].map((offset) => {
    // What surrounds a secret shifts its base64; the characters at the edges belong to the neighbours too.
    const text = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString("base64")
      .replace(/=+$/u, "");
    return text.slice(offset === 0 ? 0 : offset + 1, bytes.length % 3 === 0 && offset === 0 ? undefined : -1);
  });
  const urlSafe = base64.map((text) => text.replaceAll("+", "-").replaceAll("/", "_"));
  const plain = [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1), bytes.toString("hex")];
  return [...new Set([...plain, ...base64, ...urlSafe])];
}

/** `place: secret` for each canary that a text holds. */
export function findCanaries(places: ReadonlyMap<string, string>, secrets: readonly string[]): readonly string[] {
  const wanted = secrets.map((secret) => ({ secret, texts: spellings(secret) }));
  return [...places].flatMap(([place, text]) =>
    wanted.filter(({ texts }) => texts.some((one) => text.includes(one))).map(({ secret }) => `${place}: ${secret}`),
  );
}

/** Every file below a directory, as bytes in Latin-1, without those that `skips` names. */
export function filesBelow(root: string, skips: (path: string) => boolean): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const entry of unlessGone(() => readdirSync(root, { withFileTypes: true })) ?? []) {
    const path = join(root, entry.name);
    if (entry.isDirectory()) for (const [below, text] of filesBelow(path, skips)) found.set(below, text);
    if (!entry.isFile() || skips(path)) continue;
    const text = unlessGone(() => readFileSync(path, "latin1"));
    if (text !== undefined) found.set(path, text);
  }
  return found;
}

/** Undefined for what was removed since it was listed. */
function unlessGone<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Collects arguments and variables of processes while they live, under the name of each program. */
export class ProcessWatch {
  readonly seen = new Map<string, string>();
  readonly #timer: NodeJS.Timeout;

  constructor(list: () => readonly { readonly pid: number; readonly argv: readonly string[] }[]) {
    this.#timer = setInterval(() => {
      for (const { pid, argv } of list()) this.seen.set(`process ${pid}`, argv.join("\0"));
    }, 5);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
