import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../../../platform/atomic-file.ts";
import type { RegionReadings } from "./region.ts";

const VERSION = 1;

/** What earlier runs have read of each region: an interrupted refresh goes on from here, and what is fresh is not read again. */
export class RegionStore {
  readonly #directory: string;

  /** `directory` is `~/.sky/catalogs/v8`; accounts see prices of the same list but different zones. */
  constructor(directory: string, account: string) {
    this.#directory = join(directory, ".meta", "aws", `readings-${account}`);
  }

  read(region: string): RegionReadings {
    const path = this.#path(region);
    if (statSync(path, { throwIfNoEntry: false }) === undefined) return {};
    try {
      const held = JSON.parse(readFileSync(path, "utf8")) as {
        readonly version: number;
        readonly readings: RegionReadings;
      };
      return held.version === VERSION ? held.readings : {};
    } catch (error) {
      // A damaged note costs one more reading.
      if (error instanceof SyntaxError) return {};
      throw error;
    }
  }

  write(region: string, readings: RegionReadings): void {
    writeFileAtomic(this.#path(region), JSON.stringify({ version: VERSION, readings }));
  }

  #path(region: string): string {
    return join(this.#directory, `${region}.json`);
  }
}
