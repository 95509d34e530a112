import { expect, test } from "vitest";
import type { ClusterNode, NodeMountStates } from "../node/cluster-node.ts";
import type { Clock } from "../../shared/clock.ts";
import { watchMounts } from "./watch-mounts.ts";

type State = NodeMountStates[number];

const state = (more: Partial<State>): State => ({ dest: "~/data", state: "mounted", hasKeys: true, ...more });

/** What is said when the mounts of one node look like this, one look after the other. */
async function said(looks: readonly (readonly State[])[]): Promise<string[]> {
  const lines: string[] = [];
  const over = new AbortController();
  let look = 0;
  const node = {
    index: 0,
    mountStates: () => {
      const states = looks[look] ?? [];
      look += 1;
      if (look >= looks.length) over.abort();
      return Promise.resolve(states);
    },
  } as unknown as ClusterNode;
  const clock: Clock = { now: () => 1000, sleep: () => Promise.resolve() };
  const say = async (_step: string, text: string): Promise<void> => void lines.push(text);
  await watchMounts({ nodes: [node], clock, signal: over.signal, say });
  return lines;
}

test("keys that ended are said once, and when there are new ones", async () => {
  const ended = state({ expiresAtMs: 500, keysProblem: "no right to" });
  const lines = await said([[state({ expiresAtMs: 2000 })], [ended], [ended], [state({ expiresAtMs: 3000 })]]);
  expect(lines).toEqual([
    "skypilot: ~/data has keys that ended and were not renewed, so reading and writing wait or fail until they are: no right to\n",
    "skypilot: ~/data has keys again\n",
  ]);
});

test("refusals are said when they are new", async () => {
  const old = state({ refusal: { line: "1", text: "old" } });
  const fresh = state({ refusal: { line: "2", text: "AccessDenied" } });
  expect(await said([[old], [old], [fresh], [fresh]])).toEqual([
    "skypilot: ~/data met a refusal of S3: AccessDenied\n",
  ]);
});

test("a cluster without mounts is looked at once", async () => {
  expect(await said([[], [state({ expiresAtMs: 1 })]])).toEqual([]);
});
