import { Worker } from "node:worker_threads";
import { MissingFileError, OperationFailedError } from "../../shared/errors.ts";
import type { WantedFile } from "./pack-files.ts";
import type { TreeAnswer, TreeFailure, TreeJob, TreeRequest } from "./tree-messages.ts";
import { ENTRIES_PER_ROUND, type TreeOptions, type TreeSource } from "./tree.ts";

/** Starts a thread that reads the tree. It ends with `close`. */
export function openThread(root: string, options: TreeOptions): TreeSource {
  const { ignoreFilesFrom, onSkipped } = options;
  const job: TreeJob = { root, ignoreFilesFrom, roundEntries: ENTRIES_PER_ROUND };
  const thread = new Answers(new Worker(threadUrl(), { workerData: job }));
  return {
    async *rounds() {
      for (;;) {
        thread.ask({ kind: "round" });
        const answer = await thread.next();
        if (answer.kind !== "round") return;
        for (const path of answer.skipped) onSkipped?.(path);
        yield answer.entries;
      }
    },
    async *blocks(wanted: readonly WantedFile[]) {
      thread.ask({ kind: "pack", wanted });
      for (;;) {
        const answer = await thread.next();
        if (answer.kind !== "block") return;
        yield answer.block;
        thread.ask({ kind: "taken" });
      }
    },
    close: () => thread.close(),
  };
}

/** Beside the server's bundle there is one of the thread; in development it is this file's neighbour. */
function threadUrl(): URL {
  const here = import.meta.url;
  if (here.endsWith(".ts")) return new URL("./tree-thread.ts", here);
  return new URL(here.includes("/chunks/") ? "../tree-thread.mjs" : "./tree-thread.mjs", here);
}

/** The thread's answers, in order. */
class Answers {
  readonly #worker: Worker;
  readonly #waiting: TreeAnswer[] = [];
  #wake: (() => void) | undefined;

  constructor(worker: Worker) {
    this.#worker = worker;
    const add = (answer: TreeAnswer): void => {
      this.#waiting.push(answer);
      this.#wake?.();
    };
    worker.on("message", add);
    worker.on("error", (error: Error) => add(failed(error.message)));
    worker.on("exit", () => add(failed("The thread that reads the files ended.")));
  }

  ask(request: TreeRequest): void {
    this.#worker.postMessage(request);
  }

  async next(): Promise<TreeAnswer> {
    for (;;) {
      const answer = this.#waiting.shift();
      if (answer?.kind === "failed") throw toError(answer.failure);
      if (answer !== undefined) return answer;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}

function failed(message: string): TreeAnswer {
  return { kind: "failed", failure: { code: undefined, message, hint: undefined } };
}

function toError({ code, message, hint }: TreeFailure): Error {
  const options = hint === undefined ? {} : { hint };
  if (code === "MISSING_FILE") return new MissingFileError(message, options);
  return code === undefined ? new Error(message) : new OperationFailedError(message, options);
}
