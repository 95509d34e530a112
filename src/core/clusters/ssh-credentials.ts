import { readFileSync } from "node:fs";
import { SkyError } from "../../shared/errors.ts";
import type { OperationContext } from "../operation.ts";
import type { Cloud } from "../ports/cloud.ts";
import { clusterRef, cloudContext, type Cluster } from "./cluster.ts";

/** How a client logs in to a cluster, as the wire has it. The key is a secret: it may be sent, never stored in the clear. */
export interface SshCredentials {
  readonly ssh_user: string;
  /** On the server's machine. */
  readonly ssh_private_key: string;
  readonly ssh_private_key_content: string;
  readonly ssh_control_name: string;
  readonly ssh_proxy_command: string | null;
  /** Ours: only the way through the API server leads into the container that tasks run in. */
  readonly ssh_through_server?: boolean;
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
    return {
      ssh_user: user,
      ssh_private_key: keyFile,
      ssh_private_key_content: readFileSync(keyFile, "utf8"),
      ssh_control_name: row.name,
      ssh_proxy_command: (await cloud?.sshProxyCommand?.(ref, cloudContext(context))) ?? null,
      ...(cluster.offer.container === undefined ? {} : { ssh_through_server: true }),
    };
  } catch (error) {
    // A key that was lost must not hide the cluster.
    if (!(error instanceof SkyError) && (error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return undefined;
  }
}
