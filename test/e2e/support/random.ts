import { randomInt } from "node:crypto";

/** Numbers from [0, 1), the same ones for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** The seed in the environment variable, or a fresh one; printed, so that a failure can be repeated. */
export function announceSeed(variable: string): number {
  const given = process.env[variable] ?? "";
  const seed = given === "" ? randomInt(0xffff_ffff) : Number(given);
  process.stdout.write(`${variable}=${seed} repeats this run\n`);
  return seed;
}
