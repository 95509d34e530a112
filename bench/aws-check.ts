/** Measures `sky check aws` on a warm server against moto, ours and the original's; run by itself it prints JSON. */
import { dirname } from "node:path";
import { findReference, type Reference } from "../test/e2e/support/reference.ts";
import { findMoto, Moto } from "../test/support/aws/moto.ts";
import { writeProfile } from "../test/support/aws/profile.ts";
import { measureCommand, type ProcessFigures, type World } from "./cli-measure.ts";
import { OurServer, startOriginalWorld } from "./cli-worlds.ts";

/** In a network namespace of its own every port is free. */
const MOTO_PORT = 5566;

export interface AwsCheck {
  readonly ours: ProcessFigures | undefined;
  readonly original: ProcessFigures | undefined;
}

interface Effort {
  readonly python: string;
  readonly runs: number;
}

async function measure(world: World, effort: Effort): Promise<ProcessFigures> {
  // Also warms the server up; a check that finds nothing would be fast for nothing.
  const first = await world.run([...world.sky, "check", "aws"], { timeoutMs: 300_000 });
  if (!/AWS.*: .*enabled/u.test(first.stdout)) throw new Error(`${world.name}: ${first.stdout}${first.stderr}`);
  return measureCommand(world, ["check", "aws"], effort);
}

async function measureOurs(effort: Effort): Promise<ProcessFigures> {
  const moto = await Moto.start();
  const server = await OurServer.create();
  try {
    writeProfile(server.sandbox.home, moto.url);
    return await measure(server.world(await server.start()), effort);
  } finally {
    await server.sandbox.dispose();
    moto.stop();
  }
}

async function measureOriginal(reference: Reference, program: string, effort: Effort): Promise<ProcessFigures> {
  const { world, server } = await startOriginalWorld(reference);
  try {
    writeProfile(server.home, `http://127.0.0.1:${MOTO_PORT}`);
    // Ends with the namespace.
    const moto = server.run([program, "-H", "127.0.0.1", "-p", String(MOTO_PORT)], { timeoutMs: 900_000 });
    moto.catch(() => undefined);
    const wait = `until (echo > /dev/tcp/127.0.0.1/${MOTO_PORT}) 2>/dev/null; do sleep 0.1; done`;
    await world.run(["bash", "-c", wait], { timeoutMs: 60_000 });
    return await measure(world, effort);
  } finally {
    await server.stop();
  }
}

/** Without moto there is nothing to check against; then both are undefined. */
export async function measureAwsCheck(
  reference: Reference | undefined,
  effort: { readonly python: string; readonly commandRuns: number },
): Promise<AwsCheck> {
  const program = findMoto();
  if (program === undefined) return { ours: undefined, original: undefined };
  const { python, commandRuns } = effort;
  const ours = await measureOurs({ python, runs: commandRuns });
  const few = { python, runs: Math.min(commandRuns, 5) };
  const original = reference === undefined ? undefined : await measureOriginal(reference, program, few);
  return { ours, original };
}

if (import.meta.main) {
  const reference = findReference();
  if (reference !== undefined) process.env["PATH"] = `${dirname(reference.python)}:${process.env["PATH"] ?? ""}`;
  const python = reference?.python ?? "python3";
  const figures = await measureAwsCheck(reference, { python, commandRuns: 11 });
  const { ours, original } = figures;
  const timesFaster = ours === undefined || original === undefined ? null : original.medianMs / ours.medianMs;
  console.log(JSON.stringify({ ...figures, timesFaster }));
}
