import { availableParallelism, totalmem } from "node:os";
import { listGpus } from "../../platform/gpus.ts";
import { readBootId } from "../../runners/local/boot.ts";

/** What this machine has. */
export interface Machine {
  readonly cpus: number;
  readonly memoryGib: number;
  /** Canonical names of the GPUs, by device index. */
  readonly gpus: readonly string[];
  /** Changes when the machine boots; empty where it cannot be told. */
  readonly bootId: string;
  /** Whether every address of 127.0.0.0/8 can be bound, as on Linux. */
  readonly hasLoopbackNet: boolean;
}

/** Looks at the machine; the GPUs through `nvidia-smi`, when it is there. */
export async function probeMachine(): Promise<Machine> {
  return {
    cpus: availableParallelism(),
    memoryGib: Math.floor((totalmem() / 2 ** 30) * 10) / 10,
    gpus: await listGpus(),
    bootId: readBootId(),
    hasLoopbackNet: process.platform === "linux",
  };
}
