import { execFile } from "node:child_process";
import { canonicalGpuName } from "../shared/gpu-name.ts";

const NVIDIA_SMI_TIMEOUT_MS = 10_000;

/** Canonical names of this machine's GPUs by device index, as `nvidia-smi` tells. */
export function listGpus(): Promise<readonly string[]> {
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
