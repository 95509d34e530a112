import type { Context } from "./context.ts";
import type { LaunchOutcome } from "../client/cluster-verbs.ts";
import { makeColors } from "./render/colors.ts";

export interface UsefulCommandsOptions {
  readonly cluster: string;
  readonly jobId: number | null;
  /** False for a cluster on this very machine, which no ssh leads to. */
  readonly hasSsh: boolean;
  readonly canStop: boolean;
  /** The cluster's page, for a server that others use too. */
  readonly dashboardUrl: string | undefined;
}

/** The block that ends a launch: what to type next. */
export function renderUsefulCommands(ctx: Context, options: UsefulCommandsOptions): string {
  const colors = makeColors(ctx.env, ctx.out.isTTY);
  const { cluster, jobId } = options;
  const lines = ["", "📋 Useful Commands"];
  if (jobId !== null) {
    lines.push(`${colors.cyan("Job ID:")} ${jobId}`);
    lines.push(
      ...tree(colors.dim, [
        `To cancel the job:\t\t${colors.bold(`sky cancel ${cluster} ${jobId}`)}`,
        `To stream job logs:\t\t${colors.bold(`sky logs ${cluster} ${jobId}`)}`,
        `To view job queue:\t\t${colors.bold(`sky queue ${cluster}`)}`,
      ]),
    );
  }
  lines.push(`${colors.cyan("Cluster name:")} ${cluster}`);
  const dashboard = options.dashboardUrl === undefined ? [] : [`View on dashboard:\t\t${options.dashboardUrl}`];
  lines.push(
    ...tree(colors.dim, [
      ...dashboard,
      ...(options.hasSsh ? [`To log into the head VM:\t${colors.bold(`ssh ${cluster}`)}`] : []),
      `To submit a job:\t\t${colors.bold(`sky exec ${cluster} yaml_file`)}`,
      ...(options.canStop ? [`To stop the cluster:\t${colors.bold(`sky stop ${cluster}`)}`] : []),
      `To teardown the cluster:\t${colors.bold(`sky down ${cluster}`)}`,
    ]),
  );
  return `${lines.join("\n")}\n`;
}

/** Whether `ssh <cluster>` can work: clusters on this machine are directories, not hosts. */
export function hasSsh(outcome: LaunchOutcome): boolean {
  return outcome.cluster?.launched_resources?.["infra"] !== "ssh/local";
}

function tree(dim: (text: string) => string, items: readonly string[]): string[] {
  return items.map((item, index) => `${dim(index === items.length - 1 ? "└──" : "├──")} ${item}`);
}
