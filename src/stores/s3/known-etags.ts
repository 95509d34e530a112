import { statSync } from "node:fs";

/** Some 3 MB. */
const MOST = 20_000;
/** File systems keep times in steps; a file that was changed this shortly before it is read could change once more without a trace. */
const SETTLED_NS = 1_000_000_000n;

interface Known {
  readonly identity: string;
  readonly etag: string;
}

/**
 * What stores call the content of files that were read lately, while nothing happens to these. A data set that was made just before it was
 * sent is as old as its objects, so its times do not tell that nothing has changed: without this it would be hashed at every launch.
 */
export class KnownEtags {
  /** Oldest first. */
  readonly #byPath = new Map<string, Known>();
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Undefined: the file is not known, or has changed. */
  get(path: string): string | undefined {
    const known = this.#byPath.get(path);
    return known !== undefined && known.identity === lookAt(path)?.identity ? known.etag : undefined;
  }

  /** Does what reads all of a file and finds out what its content is called. */
  async learn(path: string, read: () => Promise<string | undefined>): Promise<string | undefined> {
    const startNs = BigInt(this.#now()) * 1_000_000n;
    const before = lookAt(path);
    const etag = await read();
    const isSettled = before !== undefined && before.changedNs + SETTLED_NS < startNs;
    const isNamed = etag !== undefined && etag !== "";
    if (isNamed && isSettled && lookAt(path)?.identity === before.identity) this.#keep(path, before, etag);
    return etag;
  }

  #keep(path: string, { identity }: Look, etag: string): void {
    this.#byPath.delete(path);
    this.#byPath.set(path, { identity, etag });
    const [oldest] = this.#byPath.keys();
    if (this.#byPath.size > MOST && oldest !== undefined) this.#byPath.delete(oldest);
  }
}

interface Look {
  readonly identity: string;
  readonly changedNs: bigint;
}

function lookAt(path: string): Look | undefined {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  const { dev, ino, size, mtimeNs, ctimeNs } = stats;
  return { identity: [dev, ino, size, mtimeNs, ctimeNs].join(" "), changedNs: ctimeNs };
}
