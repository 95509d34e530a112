import { setTimeout as delay } from "node:timers/promises";
import {
  measureCommand,
  measureHealth,
  measureLoad,
  type LoadFigures,
  type ProcessFigures,
  type World,
} from "./cli-measure.ts";

/** Everything that is measured in the same way in both worlds; a key that is missing was not measured. */
export interface Measured {
  readonly help: ProcessFigures;
  readonly version: ProcessFigures;
  readonly startMs: number;
  readonly idleMib: number;
  readonly loadedMib: number;
  readonly health: Readonly<Record<1 | 8 | 32, number>>;
  readonly statusEmpty: ProcessFigures;
  readonly statusLoadEmpty: LoadFigures;
}

export interface MeasuredFull {
  readonly statusFull: ProcessFigures;
  readonly statusLoadFull: LoadFigures;
}

export interface Effort {
  /** Interpreter for the measuring wrapper. */
  readonly python: string;
  readonly commandRuns: number;
  readonly loadSeconds: number;
  /** How long the server is left alone before its idle memory is read. */
  readonly settleSeconds: number;
  /** Size of the log that is streamed. */
  readonly logMegabytes: number;
}

const MIB = 1024 * 1024;

/** The server without any cluster. */
export async function measureEmpty(world: World, effort: Effort): Promise<Measured> {
  const { python, commandRuns: runs, loadSeconds: seconds } = effort;
  await delay(effort.settleSeconds * 1000);
  const idleMib = (await world.residentBytes()) / MIB;
  const help = await measureCommand(world, ["--help"], { python, runs });
  const version = await measureCommand(world, ["--version"], { python, runs });
  const health = {
    1: await measureHealth(world, { clients: 1, seconds }),
    8: await measureHealth(world, { clients: 8, seconds }),
    32: await measureHealth(world, { clients: 32, seconds }),
  };
  // The first run warms the server's own caches in both worlds.
  await measureCommand(world, ["status"], { python, runs: 1 });
  const statusEmpty = await measureCommand(world, ["status"], { python, runs });
  const statusLoadEmpty = await measureLoad(world, "status", { clients: 32, seconds });
  const loadedMib = (await world.residentBytes()) / MIB;
  return { help, version, startMs: world.startMs, idleMib, loadedMib, health, statusEmpty, statusLoadEmpty };
}

/** The server with 1,000 clusters. */
export async function measureFull(world: World, effort: Effort): Promise<MeasuredFull> {
  const { python, commandRuns: runs, loadSeconds: seconds } = effort;
  await measureCommand(world, ["status"], { python, runs: 1 });
  const statusFull = await measureCommand(world, ["status"], { python, runs });
  const statusLoadFull = await measureLoad(world, "status", { clients: 32, seconds });
  return { statusFull, statusLoadFull };
}
