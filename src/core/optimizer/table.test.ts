import { expect, test } from "vitest";
import { renderConsidered } from "./table.ts";

test("has the widths of SkyPilot 0.14.1 (recorded on Slurm)", () => {
  const lines = renderConsidered(
    [{ infra: "Slurm (mycluster)", instance: "-", cpus: 1, memoryGib: 1, gpus: undefined, measure: 0, isChosen: true }],
    { numNodes: 1, minimize: "cost" },
  );
  expect(lines).toEqual([
    "Considered resources (1 node):",
    "-----------------------------------------------------------------------------",
    " INFRA               INSTANCE   vCPUs   Mem(GB)   GPUS   COST ($)   CHOSEN   ",
    "-----------------------------------------------------------------------------",
    " Slurm (mycluster)   -          1       1         -      0.00       \u001b[32m   ✔\u001b[0m     ",
    "-----------------------------------------------------------------------------",
  ]);
});

test("shows several candidates with their GPUs, and the cost of all nodes", () => {
  const base = { cpus: 4, memoryGib: 16.25, measure: 0.32 };
  const lines = renderConsidered(
    [
      { ...base, infra: "AWS (us-east-1b)", instance: "g4dn.xlarge[Spot]", gpus: "T4:1", isChosen: true },
      {
        ...base,
        infra: "AWS (us-east-1b)",
        instance: "g5.xlarge[Spot]",
        gpus: "A10G:1",
        measure: null,
        isChosen: false,
      },
    ],
    { numNodes: 2, minimize: "cost" },
  );
  expect(lines.slice(0, 1).concat(lines.slice(4, 6))).toEqual([
    "Considered resources (2 nodes):",
    " AWS (us-east-1b)   g4dn.xlarge[Spot]   4       16.3      T4:1     0.32       \u001b[32m   ✔\u001b[0m     ",
    " AWS (us-east-1b)   g5.xlarge[Spot]     4       16.3      A10G:1   -                   ",
  ]);
});
