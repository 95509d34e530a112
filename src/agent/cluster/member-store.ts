import { readFileSync } from "node:fs";
import { writeFileAtomic } from "../../platform/atomic-file.ts";
import type { MemberFacts } from "./members.ts";

/** What workers said of themselves, kept so that a head that restarts knows their addresses before they join again. */
export class MemberStore {
  readonly #path: string;
  readonly #facts = new Map<number, MemberFacts>();

  constructor(path: string) {
    this.#path = path;
    try {
      for (const facts of JSON.parse(readFileSync(path, "utf8")) as MemberFacts[]) this.#facts.set(facts.index, facts);
    } catch {
      // Not there yet, or unreadable: workers tell it again when they join.
      this.#facts.clear();
    }
  }

  find(index: number): MemberFacts | undefined {
    return this.#facts.get(index);
  }

  save(facts: MemberFacts): void {
    if (JSON.stringify(this.#facts.get(facts.index)) === JSON.stringify(facts)) return;
    this.#facts.set(facts.index, facts);
    writeFileAtomic(this.#path, JSON.stringify([...this.#facts.values()]));
  }
}
