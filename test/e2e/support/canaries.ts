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
  const files = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  return new Map(files.filter((path) => !skips(path)).map((path) => [path, readFileSync(path, "latin1")]));
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
