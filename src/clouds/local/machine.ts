import { execFile } from "node:child_process";
import { availableParallelism, totalmem } from "node:os";
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

const NVIDIA_SMI_TIMEOUT_MS = 10_000;

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

/** Turns a line of `nvidia-smi --query-gpu=name` into the catalog's name, e.g. `NVIDIA A100-SXM4-80GB` → `A100-80GB`. */
export function canonicalGpuName(product: string): string {
  const name = product
    .trim()
    .replace(/^NVIDIA\s+/i, "")
    .replace(/^(Tesla|GeForce|Quadro|Graphics Device)\s+/i, "");
  const rtx = /^(RTX|GTX)\s*(A?\d+)\s*(Ti|SUPER)?(?:\s+(Ada).*)?$/i.exec(name);
  if (rtx !== null) return `${rtx[1]?.toUpperCase()}${rtx[2]}${rtx[3] ? `-${rtx[3]}` : ""}${rtx[4] ? "-Ada" : ""}`;
  const size = /[-\s](\d+GB)\b/i.exec(name)?.[1];
  const base = (name.split(/[-\s]/)[0] ?? name).toUpperCase();
  // The plain A100 and V100 are the small ones; the larger have names of their own.
  if ((base === "A100" && size === "80GB") || (base === "V100" && size === "32GB")) return `${base}-${size}`;
  return base;
}

function listGpus(): Promise<readonly string[]> {
  return new Promise((resolve) => {
    execFile(
      "nvidia-smi",
      ["--query-gpu=name", "--format=csv,noheader"],
      { timeout: NVIDIA_SMI_TIMEOUT_MS },
      (error, stdout) => {
        // No such program, or a driver that does not run: no GPU that a task could use.
        if (error !== null) resolve([]);
        else
          resolve(
            stdout
              .split("\n")
              .filter((line) => line.trim() !== "")
              .map(canonicalGpuName),
          );
      },
    );
  });
}
