import { playScenario } from "./run.ts";
import { scenarios } from "./scenarios.ts";

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Pairs of points: where the first server dies, and where the one after it does. */
export async function samplePairs(
  count: number,
  random: () => number,
): Promise<readonly { readonly name: string; readonly deaths: readonly number[] }[]> {
  const sizes = new Map<string, number>();
  for (const [name, scenario] of Object.entries(scenarios)) {
    sizes.set(name, (await playScenario(scenario)).points.length);
  }
  const names = [...sizes.keys()];
  return Array.from({ length: count }, () => {
    const name = names[Math.floor(random() * names.length)] ?? "";
    const size = sizes.get(name) ?? 1;
    return { name, deaths: [Math.floor(random() * size), Math.floor(random() * size)] };
  });
}
