import type { CloudContext, ClusterRef, Instance } from "../../../core/ports/cloud.ts";
import type { AwsAuth } from "../auth/auth-session.ts";
import { isReachedBySsm, settingsOf } from "../nodes/settings.ts";
import { pluginCommandByAddress, proxyCommandLine } from "./proxy-command.ts";

export interface LoginTo {
  readonly cluster: ClusterRef;
  readonly context: CloudContext;
  readonly instances: readonly Instance[];
}

/** ssh's ProxyCommand by which users reach each node; null = directly. One that finds the node by its address serves all of them. */
export function userProxyCommands(
  { cluster, context, instances }: LoginTo,
  tools: { readonly auth: Pick<AwsAuth, "open">; readonly skyProgram: readonly string[] },
): readonly (string | null)[] {
  const settings = settingsOf(cluster, context);
  return instances.map((instance) => {
    if (!isReachedBySsm(instance, settings)) return settings.proxyCommand ?? null;
    if (settings.ssmMode === "native" && context.isLocalClient === true) return ownCommand(cluster, context, tools);
    // Another machine than the server's has AWS's programs for it, as 0.14.1 wants.
    const { profile } = tools.auth.open(context);
    return pluginCommandByAddress(cluster.region, { isInternal: instance.externalIp === null, profile });
  });
}

function ownCommand(
  { nameOnCloud, region }: ClusterRef,
  { workspace }: CloudContext,
  { skyProgram }: { readonly skyProgram: readonly string[] },
): string {
  const chosen = workspace === "default" ? [] : ["--config", `active_workspace=${workspace}`];
  const words = [...skyProgram, "aws", "ssm-proxy", "--cluster", nameOnCloud, "--region", region, ...chosen];
  return `${proxyCommandLine(words)} %h`;
}
