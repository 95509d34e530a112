import { playScenario, type OpenStage } from "./run.ts";
import { scenarios as onFakeCloud, type Scenario } from "./scenarios.ts";

/** Pairs of points: where the first server dies, and where the one after it does. */
export async function samplePairs(
  count: number,
  random: () => number,
  {
    scenarios = onFakeCloud,
    openStage,
  }: { scenarios?: Readonly<Record<string, Scenario>>; openStage?: OpenStage } = {},
): Promise<readonly { readonly name: string; readonly deaths: readonly number[] }[]> {
  const sizes = new Map<string, number>();
  for (const [name, scenario] of Object.entries(scenarios)) {
    sizes.set(name, (await playScenario(scenario, {}, openStage)).points.length);
  }
  const names = [...sizes.keys()];
  return Array.from({ length: count }, () => {
    const name = names[Math.floor(random() * names.length)] ?? "";
    const size = sizes.get(name) ?? 1;
    return { name, deaths: [Math.floor(random() * size), Math.floor(random() * size)] };
  });
}
