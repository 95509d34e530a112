import type { Effect } from "../../../src/core/operation.ts";
import { CrashError, createFakeWorld, type FakeWorld } from "../../fakes/fake-world.ts";
import { Tripwire } from "../../fakes/tripwire.ts";
import { findViolations, type Bill } from "./invariants.ts";
import type { Scenario, Step } from "./scenarios.ts";

export interface Run {
  /** Points that were passed in all. */
  readonly points: readonly string[];
  /** Where each process died. */
  readonly deaths: readonly string[];
  readonly violations: readonly string[];
}

export interface RunOptions {
  /** The point at which the first, the second … process dies. */
  readonly deaths?: readonly number[];
  /** An effect whose writes to the journal are left out. */
  readonly unjournaled?: string;
}

/** Time that may pass in the world until everything is settled, in milliseconds. */
const SETTLED_MS = 30 * 60_000;
/** How long a server is away: long enough for some new nodes to be seen, and too short for others. */
const RESTART_MS = 2000;

/** A cloud to play on, new for each run. */
export interface Stage {
  readonly world: FakeWorld;
  readonly readBill: () => Promise<Bill>;
  /** Whether nothing takes real time, while which the world's clock would run on. */
  readonly isTimed: boolean;
}

export type OpenStage = (scenario: Scenario, tripwire: Tripwire) => Promise<Stage>;

async function openFakeStage(scenario: Scenario, tripwire: Tripwire): Promise<Stage> {
  const world = await createFakeWorld({ settings: scenario.settings }, { tripwire });
  const { store } = world.cloud;
  return {
    world,
    isTimed: true,
    readBill: async () => ({ nodes: store.read().nodes, ledger: [...store.ledger], others: [] }),
  };
}

/** Plays a scenario with servers that die where they are told to, each time followed by a new one, and looks at what is left. */
export async function playScenario(
  scenario: Scenario,
  options: RunOptions = {},
  openStage: OpenStage = openFakeStage,
): Promise<Run> {
  const tripwire = new Tripwire(options.deaths ?? []);
  const { world, readBill, isTimed } = await openStage(scenario, tripwire);
  try {
    const play = { world, tripwire, options, deaths: [] as string[], failures: [] as string[] };
    for (const step of scenario.before) await runStep(step, play);
    if (scenario.later !== undefined) world.cloud.knobs.settings = scenario.later;
    const startedAt = world.clock.now();
    tripwire.arm();
    for (const step of scenario.steps) await runStep(step, play);
    tripwire.disarm();
    const tookMs = world.clock.now() - startedAt;
    const late = isTimed && tookMs > SETTLED_MS ? [`it took ${Math.round(tookMs / 60_000)} minutes`] : [];
    const violations = [...play.failures, ...late, ...(await findViolations(world, scenario, readBill))];
    return { points: tripwire.passed, deaths: play.deaths, violations };
  } finally {
    tripwire.disarm();
    await world.close();
  }
}

interface Play {
  readonly world: FakeWorld;
  readonly tripwire: Tripwire;
  readonly options: RunOptions;
  readonly deaths: string[];
  readonly failures: string[];
}

async function runStep(step: Step, play: Play): Promise<void> {
  const { world, tripwire, options } = play;
  for (;;) {
    const failure = await step
      .run(world, {
        passFailpoint: tripwire.passFailpoint,
        ...(options.unjournaled === undefined ? {} : { wrapEffect: withoutJournal(options.unjournaled) }),
      })
      .then(
        () => undefined,
        (error: unknown) => (error instanceof Error ? error : new Error("something else was thrown")),
      );
    if (!tripwire.isDead) {
      const name = failure?.name;
      const isExpected = name === step.fails || (name !== undefined && name === step.mayFail);
      if (!isExpected) play.failures.push(`${step.requestId} ended with ${String(failure ?? "no error")}`);
      return;
    }
    play.deaths.push(tripwire.passed.at(-1) ?? "");
    if (!(failure instanceof CrashError))
      play.failures.push(`${step.requestId} outlived its process: ${String(failure)}`);
    // Connections of the dead process end with it, whatever they were doing.
    await world.restart();
    await world.clock.sleep(RESTART_MS);
    tripwire.revive();
    if (!step.isResumed) return;
  }
}

function withoutJournal(name: string): (effect: Effect) => Effect {
  return (effect) => async (effectName, act) => {
    if (effectName !== name) return effect(effectName, act);
    return act(Buffer.from(effectName.padEnd(16, "0")).toString("hex").slice(0, 32));
  };
}
