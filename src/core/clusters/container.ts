import type { AgentPeer } from "../../shared/agent/peer.ts";
import type { ContainerSpec } from "../../shared/agent/protocol.ts";
import type { OperationContext } from "../operation.ts";
import type { Task } from "../task/task.ts";
import type { Cluster } from "./cluster.ts";
import * as messages from "./messages.ts";

/**
 * Makes the container that the cluster's tasks run in on every node, or starts it again; a cluster without an image is left alone.
 * The registry's login goes to the agents and nowhere else. Throws AgentError with the node's name and its reason.
 */
export async function prepareContainer(
  target: { readonly cluster: Cluster; readonly agent: AgentPeer; readonly task: Task | undefined },
  context: OperationContext,
): Promise<void> {
  const { cluster, agent, task } = target;
  const { container } = cluster.offer;
  if (container === undefined) return;
  context.log.spin(messages.launchSpinner("Launching - Initializing docker container", cluster.row.name));
  await agent.call("prepare_container", containerSpec(container, task, context), { signal: context.signal });
}

function containerSpec(image: string, task: Task | undefined, context: OperationContext): ContainerSpec {
  const login = task?.resources.candidates.find((one) => one.dockerLogin !== undefined)?.dockerLogin;
  const config = { ...context.config, ...task?.resources.candidates[0]?.clusterConfigOverrides };
  const docker = config["docker"] as { readonly run_options?: string | readonly string[] } | undefined;
  const options = docker?.run_options ?? [];
  return {
    image,
    ...(login === undefined ? {} : { login }),
    runOptions: (typeof options === "string" ? [options] : options).flatMap(splitOptions),
  };
}

/** `-v "/a b:/c" --privileged` as a shell would split it; each entry of a list may hold an option with its value. */
export function splitOptions(text: string): string[] {
  const words = text.match(/(?:[^\s"']+|"[^"]*"|'[^']*')+/g) ?? [];
  return words.map((word) =>
    word.replace(/"([^"]*)"|'([^']*)'/g, (_, double?: string, single?: string) => double ?? single ?? ""),
  );
}
