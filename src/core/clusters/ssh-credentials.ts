import { readFileSync } from "node:fs";
import { SkyError } from "../../shared/errors.ts";
import type { OperationContext } from "../operation.ts";
import type { Cloud, Instance } from "../ports/cloud.ts";
import { clusterRef, cloudContext, type Cluster } from "./cluster.ts";

/** How a client logs in to a cluster, as the wire has it. The key is a secret: it may be sent, never stored in the clear. */
export interface SshCredentials {
  readonly ssh_user: string;
  /** On the server's machine. */
  readonly ssh_private_key: string;
  readonly ssh_private_key_content: string;
  readonly ssh_control_name: string;
  readonly ssh_proxy_command: string | null;
  /** Ours: how each node is reached, by index, where that is not by one user and at the addresses of the handle. */
  readonly ssh_nodes?: readonly SshNode[];
  /** Ours: only the way through the API server leads into the container that tasks run in. */
  readonly ssh_through_server?: boolean;
}

export interface SshNode {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly proxy_command: string | null;
}

/** Undefined where there is no SSH, or none yet. */
export async function sshCredentials(
  cluster: Cluster,
  cloud: Cloud | undefined,
  context: OperationContext,
): Promise<SshCredentials | undefined> {
  const { row, instances } = cluster;
  const ref = clusterRef(row);
  const user = instances[0]?.sshUser;
  if (user === undefined || ref.ssh === undefined || row.status === "STOPPED") return undefined;
  const { keyFile } = ref.ssh;
  try {
    const proxies = (await cloud?.sshProxyCommands?.(ref, cloudContext(context), instances)) ?? [];
    return {
      ssh_user: user,
      ssh_private_key: keyFile,
      ssh_private_key_content: readFileSync(keyFile, "utf8"),
      ssh_control_name: row.name,
      ssh_proxy_command: proxies[0] ?? null,
      ...differingNodes(instances, user, proxies),
      ...(cluster.offer.container === undefined ? {} : { ssh_through_server: true }),
    };
  } catch (error) {
    // A key that was lost must not hide the cluster.
    if (!(error instanceof SkyError) && (error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return undefined;
  }
}

/** Nothing when one user and one way lead to all nodes. */
function differingNodes(
  instances: readonly Instance[],
  user: string,
  proxies: readonly (string | null)[],
): Pick<SshCredentials, "ssh_nodes"> {
  const nodes = instances.map(({ externalIp, internalIp, sshPort, sshUser = user }, index): SshNode => ({
    host: externalIp ?? internalIp,
    port: sshPort,
    user: sshUser,
    proxy_command: proxies[index] ?? null,
  }));
  const [head] = nodes;
  const isUniform = nodes.every((node) => node.user === user && node.proxy_command === head?.proxy_command);
  return isUniform && instances.every(({ sshInside }) => sshInside === undefined) ? {} : { ssh_nodes: nodes };
}
