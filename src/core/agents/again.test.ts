import { expect, test } from "vitest";
import { FakeClock } from "../../../test/fakes/fake-clock.ts";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type { AgentPeer } from "../../shared/agent/peer.ts";
import { AgentError, AgentNotRunningError } from "../../shared/errors.ts";
import { connectSoon, workAgain } from "./again.ts";

const lost = new AgentPeerError("CLOSED", "The connection to the agent is gone.");
const unreachable = new AgentError("There is no route to it.");

/** Answers to each attempt to connect: a peer of that number, or an error. */
function world(answers: readonly (number | Error)[]) {
  const clock = new FakeClock(0);
  const left = [...answers];
  let connects = 0;
  const agents = {
    connect: () => {
      connects += 1;
      const answer = left.shift() ?? unreachable;
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer as unknown as AgentPeer);
    },
    drop: () => undefined,
    close: () => Promise.resolve(),
  };
  const { signal } = new AbortController();
  return { context: { agents, clock, signal }, clock, connects: () => connects };
}

/** Lets time pass until the promise is settled. */
async function settle<T>(promise: Promise<T>, clock: FakeClock): Promise<T> {
  const state = { isOver: false };
  const over = (): void => {
    state.isOver = true;
  };
  promise.then(over, over);
  while (!state.isOver) {
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(1000);
  }
  return promise;
}

const first = 1 as unknown as AgentPeer;

test("goes on over the next connection, through times without any", async () => {
  const { context, clock } = world([unreachable, unreachable, 2]);
  const seen: unknown[] = [];
  const work = (agent: AgentPeer): Promise<string> => {
    seen.push(agent);
    return agent === first ? Promise.reject(lost) : Promise.resolve("done");
  };
  expect(await settle(workAgain({ clusterName: "c", agent: first, work }, context), clock)).toBe("done");
  expect(seen).toEqual([1, 2]);
});

test("a cluster that was never reached is not waited for", async () => {
  const { context, clock, connects } = world([unreachable, 1]);
  const again = workAgain({ clusterName: "c", work: () => Promise.resolve(1) }, context);
  await expect(settle(again, clock)).rejects.toBe(unreachable);
  expect(connects()).toBe(1);
});

test("patience ends, and the error says why the cluster cannot be reached", async () => {
  const { context, clock } = world([]);
  const work = (): Promise<never> => Promise.reject(lost);
  const again = workAgain({ clusterName: "c", agent: first, patienceMs: 60_000, work }, context);
  await expect(settle(again, clock)).rejects.toBe(unreachable);
  expect(clock.now()).toBeGreaterThan(60_000);
});

test("what the agent answers, and a cluster that is gone, end it at once", async () => {
  const answer = new AgentPeerError("BAD_PARAMS", "No such node.");
  const { context, clock } = world([1]);
  const again = workAgain({ clusterName: "c", work: () => Promise.reject(answer) }, context);
  await expect(settle(again, clock)).rejects.toBe(answer);
  const gone = new Error("The cluster is gone.");
  const check = (): Promise<never> => Promise.reject(gone);
  const other = workAgain({ clusterName: "c", agent: first, check, work: () => Promise.reject(lost) }, context);
  await expect(settle(other, clock)).rejects.toBe(gone);
});

test("an agent that is being started again is waited for, and nothing else", async () => {
  const down = new AgentNotRunningError("No agent listens.");
  const patient = world([down, down, 1]);
  expect(await settle(connectSoon("c", patient.context), patient.clock)).toBe(1);
  const gone = world([unreachable, 1]);
  await expect(settle(connectSoon("c", gone.context), gone.clock)).rejects.toBe(unreachable);
  const dead = world(Array.from({ length: 200 }, () => down));
  await expect(settle(connectSoon("c", dead.context), dead.clock)).rejects.toBe(down);
});
