/** Entry of the thread that reads a large tree: it may block on the disk and use the processor as it likes. */
import { parentPort, workerData } from "node:worker_threads";
import type { SyncEntry } from "../../shared/agent/protocol.ts";
import { SkyError } from "../../shared/errors.ts";
import { BlockPacker } from "./blocks.ts";
import { blockingAccess } from "./file-access.ts";
import { packFiles, type WantedFile } from "./pack-files.ts";
import { BLOCKS_AHEAD, type TreeAnswer, type TreeFailure, type TreeJob, type TreeRequest } from "./tree-messages.ts";
import { walkTree } from "./walk.ts";

const access = blockingAccess;

class TreeReader {
  readonly #job: TreeJob;
  readonly #post: (answer: TreeAnswer, transfer?: readonly ArrayBuffer[]) => void;
  readonly #packer = new BlockPacker();
  readonly #walk: AsyncGenerator<SyncEntry, void, undefined>;
  #skipped: string[] = [];
  #hasRound = false;
  #ahead = 0;
  #wake: (() => void) | undefined;

  constructor(job: TreeJob, post: (answer: TreeAnswer, transfer?: readonly ArrayBuffer[]) => void) {
    this.#job = job;
    this.#post = post;
    const { ignoreFilesFrom } = job;
    this.#walk = walkTree(job.root, { ignoreFilesFrom, access, onSkipped: (path) => this.#skipped.push(path) });
  }

  answer(request: TreeRequest): void {
    if (request.kind === "taken") {
      this.#ahead -= 1;
      this.#wake?.();
      return;
    }
    const work = request.kind === "round" ? this.#sendRound() : this.#sendBlocks(request.wanted);
    work.catch((error: unknown) => this.#post({ kind: "failed", failure: toFailure(error) }));
  }

  async #sendRound(): Promise<void> {
    const entries: SyncEntry[] = [];
    while (entries.length < this.#job.roundEntries) {
      const next = await this.#walk.next();
      if (next.done === true) break;
      entries.push(next.value);
    }
    const isOver = entries.length === 0 && this.#hasRound;
    this.#hasRound = true;
    this.#post(isOver ? { kind: "done" } : { kind: "round", entries, skipped: this.#skipped });
    this.#skipped = [];
  }

  async #sendBlocks(wanted: readonly WantedFile[]): Promise<void> {
    for await (const block of packFiles(wanted, { root: this.#job.root, packer: this.#packer, access })) {
      this.#ahead += 1;
      this.#post({ kind: "block", block }, [block.buffer as ArrayBuffer]);
      while (this.#ahead >= BLOCKS_AHEAD) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
    this.#post({ kind: "done" });
  }
}

function toFailure(error: unknown): TreeFailure {
  const message = error instanceof Error ? error.message : String(error);
  return error instanceof SkyError
    ? { code: error.code, message, hint: error.hint }
    : { code: undefined, message, hint: undefined };
}

const port = parentPort;
if (port !== null) {
  const reader = new TreeReader(workerData as TreeJob, (answer, transfer) => port.postMessage(answer, transfer));
  port.on("message", (request: TreeRequest) => reader.answer(request));
}
