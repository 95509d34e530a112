import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Instance } from "../../core/ports/cloud.ts";
import type { Runner } from "../../core/ports/runner.ts";
import { readBootId } from "../../runners/local/boot.ts";
import { nodeEnvironment } from "../../runners/local/environment.ts";
import { assertInside } from "../../runners/local/inside.ts";
import { forgetPowerState, readPowerState } from "../../runners/local/power-state.ts";
import { endNodeProcesses } from "../../runners/local/processes.ts";
import { createLocalRunner } from "../../runners/local/runner.ts";
import type { FakeNode } from "./state.ts";

/** The machines behind the nodes. */
export interface NodeHosts {
  /** Where things are on the node. */
  placesOf(node: FakeNode): Pick<Instance, "agentRoot" | "installDir" | "home">;
  /** Makes the machine ready for use; a second time does nothing. */
  start(node: FakeNode): void;
  /** Ends all that runs on it; its disk stays. */
  stop(node: FakeNode, signal: AbortSignal): Promise<void>;
  /** Ends it for good. */
  remove(node: FakeNode, signal: AbortSignal): Promise<void>;
  /** What the node did to itself: it (or its head) switched itself off, or it went down with the machine that it is on. */
  powerOf(node: FakeNode, head: FakeNode): "stopped" | "terminated" | undefined;
  runner(node: FakeNode): Runner;
}

export interface LocalHostsOptions {
  /** HOME of the server's user. */
  readonly home: string;
  /** The server's environment, of which nodes see a few variables. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Time between SIGTERM and SIGKILL for what is left on a node. */
  readonly graceMs?: number;
}

/** Each node is a directory of this machine with its own HOME and agent, as nodes of the local cloud are. */
export function createLocalHosts(options: LocalHostsOptions): NodeHosts {
  const root = join(options.home, ".sky", "fake", "nodes");
  const directoryOf = (node: FakeNode): string => assertInside(root, join(root, node.id));
  const agentRootOf = (node: FakeNode): string => join(directoryOf(node), "agent");
  const homeOf = (node: FakeNode): string => join(directoryOf(node), "home");
  const bootFile = (node: FakeNode): string => join(directoryOf(node), "boot-id");
  const end = (node: FakeNode, signal: AbortSignal): Promise<void> =>
    endNodeProcesses(directoryOf(node), {
      signal,
      ...(options.graceMs === undefined ? {} : { graceMs: options.graceMs }),
    });
  return {
    placesOf: (node) => ({
      agentRoot: agentRootOf(node),
      installDir: join(options.home, ".sky", "agent"),
      home: homeOf(node),
    }),
    start: (node) => {
      for (const directory of [agentRootOf(node), homeOf(node)]) mkdirSync(directory, { recursive: true, mode: 0o700 });
      forgetPowerState(agentRootOf(node));
      writeFileSync(bootFile(node), readBootId(), { mode: 0o600 });
    },
    stop: end,
    remove: async (node, signal) => {
      await end(node, signal);
      rmSync(directoryOf(node), { recursive: true, force: true });
    },
    powerOf: (node, head) => {
      // The head decides about the cluster; its agent ends the workers before itself.
      const own = readPowerState(agentRootOf(head)) ?? readPowerState(agentRootOf(node));
      return own ?? (isOfThisBoot(bootFile(node)) ? undefined : "stopped");
    },
    runner: (node) => {
      const directory = directoryOf(node);
      return createLocalRunner({
        env: nodeEnvironment(options.env, { directory, home: homeOf(node) }),
        cwd: homeOf(node),
      });
    },
  };
}

function isOfThisBoot(file: string): boolean {
  try {
    return readFileSync(file, "utf8") === readBootId();
  } catch (error) {
    // Somebody removed the node's directory.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}
