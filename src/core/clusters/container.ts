import type { AgentPeer } from "../../shared/agent/peer.ts";
import type { ContainerSpec, RegistryLogin } from "../../shared/agent/protocol.ts";
import { SkyError } from "../../shared/errors.ts";
import type { OperationContext } from "../operation.ts";
import type { Task } from "../task/task.ts";
import { cloudContext, type Cluster } from "./cluster.ts";
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
  const login = await loginFor(container, task, context);
  await agent.call("prepare_container", containerSpec(container, { task, login }, context), { signal: context.signal });
}

/** The task's own login goes first; one without a password asks for the cloud's. */
async function loginFor(
  image: string,
  task: Task | undefined,
  context: OperationContext,
): Promise<RegistryLogin | undefined> {
  const own = task?.resources.candidates.find((one) => one.dockerLogin !== undefined)?.dockerLogin;
  if (own === undefined) return findLogin(image, context);
  if (own.password !== "") return own;
  const server = own.server.replace(/^https?:\/\//u, "").replace(/\/+$/u, "");
  return (await findLogin(`${server}/${image}`, context)) ?? own;
}

/** The login that a cloud gives to its own registry, whichever cloud the nodes are on; the one refused leaves the nodes' own logins. */
async function findLogin(image: string, context: OperationContext): Promise<RegistryLogin | undefined> {
  const [host = ""] = image.split("/");
  // No cloud has to be loaded for an image of Docker Hub.
  if (!host.includes(".")) return undefined;
  for (const name of context.clouds.names()) {
    const cloud = await context.clouds.load(name);
    try {
      const login = await cloud.registryLogin?.(image, cloudContext(context));
      if (login !== undefined) return login;
    } catch (error) {
      context.signal.throwIfAborted();
      if (!(error instanceof SkyError)) throw error;
      const hint = error.hint === undefined ? "" : `\n  hint: ${error.hint}`;
      const text = `No login to ${host}, only what the nodes themselves have: ${error.message}${hint}`;
      context.log.line(messages.yellow(text));
      return undefined;
    }
  }
  return undefined;
}

interface Wish {
  readonly task: Task | undefined;
  readonly login: RegistryLogin | undefined;
}

function containerSpec(image: string, { task, login }: Wish, context: OperationContext): ContainerSpec {
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
