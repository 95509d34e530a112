import type { InstanceType } from "../../../catalog/instance-type.ts";

/** Asks one region for what it knows of types. */
export type DescribeTypes = (names: readonly string[]) => Promise<readonly InstanceType[]>;

/**
 * What types are made of is the same in every region, so each is asked for once in a refresh, in the first region that sells it. Of two
 * regions that want the same type at the same time one waits for the other.
 */
export class TypeBook {
  readonly #entries = new Map<string, Promise<InstanceType | undefined>>();

  add(types: readonly InstanceType[]): void {
    for (const type of types) this.#entries.set(type.name, Promise.resolve(type));
  }

  /** The types of these names. Rejects when the region itself cannot be asked for what no other has told. */
  async describe(names: readonly string[], ask: DescribeTypes): Promise<readonly InstanceType[]> {
    for (;;) {
      await this.#ask(names, ask);
      const settled = await Promise.allSettled(
        names.map((name) => this.#entries.get(name) ?? Promise.resolve(undefined)),
      );
      // Another region may have failed where this one does not: what it has not told is open again.
      if (settled.some(({ status }) => status === "rejected")) continue;
      return settled.flatMap((one) => (one.status === "fulfilled" ? (one.value ?? []) : []));
    }
  }

  async #ask(names: readonly string[], ask: DescribeTypes): Promise<void> {
    const open = names.filter((name) => !this.#entries.has(name));
    if (open.length === 0) return;
    const asked = ask(open).then((types) => new Map(types.map((type) => [type.name, type])));
    for (const name of open) {
      const entry = asked.then((types) => types.get(name));
      this.#entries.set(name, entry);
      entry.catch(() => this.#entries.delete(name));
    }
    await asked;
  }
}
