/** Measures the catalog: loading, memory, one request, `sky gpus list --all`; run by itself it prints JSON. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Catalogs } from "../src/catalog/catalogs.ts";
import type { Catalog } from "../src/catalog/catalog.ts";
import { awsOffers } from "../src/clouds/aws/offers.ts";
import type { OfferRequest } from "../src/core/ports/cloud.ts";
import { median } from "./cli-figures.ts";
import { measureCommand, type ProcessFigures } from "./cli-measure.ts";
import { OurServer } from "./cli-worlds.ts";

export interface CatalogFigures {
  readonly rows: number;
  /** CPU time: nothing else is waited for. */
  readonly loadMs: number;
  readonly memoryMib: number;
  /** CPU time of the dearest of the requests below. */
  readonly requestMs: number;
  readonly gpusList: ProcessFigures;
}

const BASE: OfferRequest = { numNodes: 1, accelerators: {}, useSpot: false, ports: [], diskGib: 256 };

/** What users ask for, from the common to the wide. */
const REQUESTS: readonly OfferRequest[] = [
  BASE,
  { ...BASE, cpus: { count: 4, orMore: true }, memory: { amount: 32, orMore: true, perCpu: false } },
  { ...BASE, accelerators: { A100: 8 } },
  { ...BASE, accelerators: { L4: 1 }, useSpot: true },
  { ...BASE, accelerators: { T4: 3 } },
  { ...BASE, useSpot: true, region: "us-east-1" },
];

function openCatalog(): Catalog {
  const snapshots = fileURLToPath(new URL("../src/catalog/snapshots", import.meta.url));
  const catalog = new Catalogs({ directory: "/nonexistent", snapshots }).find("aws");
  if (catalog === undefined) throw new Error("There is no bundled catalog of AWS.");
  return catalog;
}

function heldBytes(): number {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Of a process of its own: the first load there is, and the memory that it keeps. */
function measureHere(): Omit<CatalogFigures, "gpusList"> {
  const before = heldBytes();
  const startCpu = process.cpuUsage();
  const catalog = openCatalog();
  const { user, system } = process.cpuUsage(startCpu);
  const loadMs = (user + system) / 1000;
  const memoryMib = (heldBytes() - before) / 1024 / 1024;
  const requestMs = Math.max(...REQUESTS.map((request) => cpuMsOf(() => awsOffers(request, catalog))));
  return { rows: catalog.countRows().rows, loadMs, memoryMib, requestMs };
}

const WARM_UP = 30;
const RUNS = 50;

function cpuMsOf(act: () => unknown): number {
  for (let run = 0; run < WARM_UP; run += 1) act();
  const before = process.cpuUsage();
  for (let run = 0; run < RUNS; run += 1) act();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / RUNS;
}

const LOADS = 7;

/** Medians of several processes. */
export async function measureCatalog(effort: {
  readonly python: string;
  readonly commandRuns: number;
}): Promise<CatalogFigures> {
  const runs = Array.from({ length: LOADS }, () => {
    const child = spawnSync(process.execPath, ["--expose-gc", fileURLToPath(import.meta.url), "--child"], {
      encoding: "utf8",
    });
    if (child.status !== 0) throw new Error(child.stderr);
    return JSON.parse(child.stdout) as Omit<CatalogFigures, "gpusList">;
  });
  const medianOf = (value: (run: Omit<CatalogFigures, "gpusList">) => number): number => median(runs.map(value));
  const server = await OurServer.create();
  try {
    const world = server.world(await server.start());
    const gpusList = await measureCommand(world, ["gpus", "list", "--all"], {
      python: effort.python,
      runs: effort.commandRuns,
    });
    return {
      rows: runs[0]?.rows ?? 0,
      loadMs: medianOf((run) => run.loadMs),
      memoryMib: medianOf((run) => run.memoryMib),
      requestMs: medianOf((run) => run.requestMs),
      gpusList,
    };
  } finally {
    await server.sandbox.dispose();
  }
}

if (import.meta.main) {
  const figures = process.argv.includes("--child")
    ? measureHere()
    : await measureCatalog({ python: "python3", commandRuns: 11 });
  console.log(JSON.stringify(figures));
}
