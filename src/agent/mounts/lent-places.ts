import type { LendKeysParams, LentPlace, MountParams } from "../../shared/agent/mounts.ts";

/** The keys that a node was lent, in memory, for when it comes back without them. */
export class LentPlaces {
  readonly #lent = new Map<string, LentPlace>();

  mounted(mounts: MountParams["mounts"]): void {
    for (const { spec, keys } of mounts) {
      const { dest, bucket, prefix } = spec;
      if (keys !== undefined) this.#keep({ dest, bucket, prefix, keys });
    }
  }

  renewed(keys: LendKeysParams["keys"]): void {
    for (const one of keys) this.#keep(one);
  }

  list(): readonly LentPlace[] {
    return [...this.#lent.values()];
  }

  #keep(one: LentPlace): void {
    this.#lent.set(JSON.stringify([one.dest, one.bucket, one.prefix]), one);
  }
}
