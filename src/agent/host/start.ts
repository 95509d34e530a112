import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../../platform/atomic-file.ts";
import type { StartParams } from "../../shared/agent/host.ts";
import { shellQuote } from "../../shared/shell-quote.ts";
import { assertInside, type HostPaths } from "./host-paths.ts";

const OUTPUT = "agent.out";

/** Leaves in the agent's directory what it reads when it starts, and the command with which it is reached. */
export function prepareStart({ root, config }: StartParams, paths: HostPaths): void {
  assertInside(paths.nodes, root);
  const options = { mode: 0o600, directoryMode: 0o700 };
  writeFileAtomic(join(root, "node.json"), config, options);
  const words = [process.execPath, process.argv[1] ?? "", "connect", "--root", root].map(shellQuote).join(" ");
  writeFileAtomic(join(root, "connect"), `exec ${words} "$@"\n`, options);
  closeSync(openSync(join(root, OUTPUT), "a", 0o600));
  process.title = agentTitle(root);
}

/** What the process list shows for a program that has become an agent, in place of the words with which it was started. */
export function agentTitle(root: string): string {
  return `agent.cjs daemon --root ${root}`;
}

/** Puts what the agent prints where its directory is. Nothing else may open files meanwhile. */
export function redirectOutput(root: string): void {
  for (const descriptor of [1, 2]) {
    closeSync(descriptor);
    // The kernel gives the lowest that is free.
    if (openSync(join(root, OUTPUT), "a", 0o600) !== descriptor) throw new Error("The output cannot be redirected.");
  }
}
