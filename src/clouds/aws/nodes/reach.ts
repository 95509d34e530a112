import type { CloudContext, ClusterRef, Instance } from "../../../core/ports/cloud.ts";
import type { Runner } from "../../../core/ports/runner.ts";
import { createSshRunner } from "../../../runners/ssh/runner.ts";
import type { SshConnections } from "../../../runners/ssh/connections.ts";
import type { SshTarget } from "../../../runners/ssh/target.ts";
import type { RuntimeSource } from "../../../runners/runtime/source.ts";
import type { Clock } from "../../../shared/clock.ts";
import { OperationFailedError } from "../../../shared/errors.ts";
import type { SsmWay } from "../ssm/way.ts";
import { isReachedBySsm, settingsOf, type NodeSettings } from "./settings.ts";

/** From the start of an instance until it surely answers to SSH. */
const BOOT_MS = 240_000;

export interface ReachTools {
  readonly connections: SshConnections;
  readonly runtimes: RuntimeSource;
  readonly clock: Clock;
  readonly ssm: SsmWay;
}

export interface Reached {
  readonly instance: Instance;
  readonly cluster: ClusterRef;
  readonly context: CloudContext;
}

/** Acts on a node by SSH. Throws what `readNodeSettings` throws. */
export function reachNode({ instance, cluster, context }: Reached, tools: ReachTools): Runner {
  const settings = settingsOf(cluster, context);
  const { clock, connections, runtimes, ssm } = tools;
  const bootedAtMs = (instance.startedAtMs ?? 0) + BOOT_MS;
  const bootWaitMs = Math.max(0, bootedAtMs - clock.now());
  const target = targetOf(instance, cluster, settings);
  if (!isReachedBySsm(instance, settings)) return createSshRunner({ target, connections, runtimes, bootWaitMs });
  const node = { instance, cluster, context, bootedAtMs };
  const through = { ...target, host: instance.id, proxyCommand: ssm.proxyCommand(node, settings) };
  return ssm.guard(createSshRunner({ target: through, connections, runtimes, bootWaitMs }), node);
}

function targetOf(instance: Instance, cluster: ClusterRef, settings: NodeSettings): SshTarget {
  const { ssh } = cluster;
  if (ssh === undefined) throw new OperationFailedError(`The SSH key of cluster ${cluster.clusterName} is not known.`);
  const { proxyCommand, isInternal } = settings;
  return {
    host: (isInternal ? undefined : instance.externalIp) ?? instance.internalIp,
    port: instance.sshPort,
    user: instance.sshUser ?? settings.sshUser,
    identityFiles: [ssh.keyFile],
    hasOnlyTheseIdentities: true,
    // Addresses change when nodes are started again, and come back with other machines behind them.
    hostKeyAlias: instance.id,
    knownHosts: [ssh.knownHostsFile],
    configFiles: [],
    ...(proxyCommand === undefined ? {} : { proxyCommand }),
    ...(instance.startedAtMs === undefined ? {} : { run: instance.startedAtMs }),
  };
}
