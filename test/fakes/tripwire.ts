import type { KyselyPlugin, RootOperationNode } from "kysely";
import type { PassFailpoint } from "../../src/core/effect.ts";
import { CrashError } from "./fake-world.ts";

const WRITES: readonly string[] = ["InsertQueryNode", "UpdateQueryNode", "DeleteQueryNode"];

/**
 * Stands for the process: at the point that is set it dies. From then on nothing that belongs to it reaches the database, the cloud
 * or a node any more, until `revive` starts the next process.
 */
export class Tripwire {
  /** The points that the processes of this run have passed, in order. */
  readonly passed: string[] = [];
  readonly #deaths: number[];
  #sinceBirth = 0;
  #isDead = false;
  #isArmed = false;

  /** `deaths[i]`: the point (from 0) at which process i dies. */
  constructor(deaths: readonly number[]) {
    this.#deaths = [...deaths];
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  /** From here on points count. */
  arm(): void {
    this.#isArmed = true;
  }

  disarm(): void {
    this.#isArmed = false;
  }

  revive(): void {
    this.#isDead = false;
    this.#sinceBirth = 0;
    this.#deaths.shift();
  }

  readonly pass = (name: string): void => {
    if (this.#isDead) throw new CrashError(`dead at ${name}`);
    if (!this.#isArmed) return;
    this.passed.push(name);
    if (this.#sinceBirth++ !== this.#deaths[0]) return;
    this.#isDead = true;
    throw new CrashError(`died at ${name}`);
  };

  readonly passFailpoint: PassFailpoint = (effect, point) => this.pass(`${effect}:${point}`);

  /** Every write to the database is two points: before it, and after it. A transaction that a death cuts short is undone. */
  readonly plugin: KyselyPlugin = {
    transformQuery: ({ node }) => {
      if (isWrite(node)) this.pass(`write ${tableOf(node)}:before`);
      return node;
    },
    transformResult: ({ result }) => {
      if (result.numAffectedRows !== undefined) this.pass("write:after");
      return Promise.resolve(result);
    },
  };
}

function isWrite(node: RootOperationNode): boolean {
  return WRITES.includes(node.kind);
}

function tableOf(node: RootOperationNode): string {
  const text = JSON.stringify(node);
  return /"identifier":\{"kind":"IdentifierNode","name":"(\w+)"/.exec(text)?.[1] ?? "?";
}
