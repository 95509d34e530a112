import { orAborted } from "../../shared/or-aborted.ts";
import type { CloudContext, ClusterRef, Instance } from "../ports/cloud.ts";

interface Question {
  readonly cluster: ClusterRef;
  readonly context: CloudContext;
  readonly resolve: (instances: readonly Instance[]) => void;
  readonly reject: (error: unknown) => void;
}

/** Asks for many clusters; the answers come in their order. */
type AskMany = (clusters: readonly ClusterRef[], context: CloudContext) => Promise<readonly (readonly Instance[])[]>;

/** Questions that come at the same time, or while one is being answered, go out together, so that many clusters cost few calls. */
export class QueryBatch {
  readonly #askMany: AskMany;
  readonly #waiting = new Map<string, Question[]>();
  readonly #busy = new Set<string>();

  constructor(askMany: AskMany) {
    this.#askMany = askMany;
  }

  async ask(cluster: ClusterRef, context: CloudContext): Promise<readonly Instance[]> {
    context.signal.throwIfAborted();
    // Only callers with the same rights share a call.
    const key = JSON.stringify([context.workspace, context.env, context.isLocalClient, cluster.region, context.config]);
    const { promise, resolve, reject } = Promise.withResolvers<readonly Instance[]>();
    this.#waiting.set(key, [...(this.#waiting.get(key) ?? []), { cluster, context, resolve, reject }]);
    void this.#drain(key);
    return orAborted(promise, context.signal);
  }

  async #drain(key: string): Promise<void> {
    if (this.#busy.has(key)) return;
    this.#busy.add(key);
    await new Promise((resolve) => setImmediate(resolve));
    for (let questions = this.#take(key); questions.length > 0; questions = this.#take(key))
      await this.#answer(questions);
    this.#busy.delete(key);
  }

  #take(key: string): readonly Question[] {
    const all = this.#waiting.get(key) ?? [];
    this.#waiting.delete(key);
    return all.filter(({ context }) => !context.signal.aborted);
  }

  async #answer(questions: readonly Question[]): Promise<void> {
    const [first] = questions;
    if (first === undefined) return;
    const everybodyLeft = new AbortController();
    const onLeave = (): void => {
      if (questions.every(({ context }) => context.signal.aborted)) everybodyLeft.abort(first.context.signal.reason);
    };
    for (const { context } of questions) context.signal.addEventListener("abort", onLeave, { once: true });
    try {
      const clusters = questions.map(({ cluster }) => cluster);
      const answers = await this.#askMany(clusters, { ...first.context, signal: everybodyLeft.signal });
      questions.forEach(({ resolve }, index) => resolve(answers[index] ?? []));
    } catch (error) {
      for (const { reject } of questions) reject(error);
    } finally {
      for (const { context } of questions) context.signal.removeEventListener("abort", onLeave);
    }
  }
}
