import type { CloudCommand, CloudContext } from "../../../core/ports/cloud.ts";
import { textField, type JsonObject } from "../auth/json.ts";
import { openClients } from "../clients.ts";
import { awsConfig, namesField, taskField, type OpenSession } from "../command-args.ts";
import { needsOf, usesSsm, type TaskNeeds } from "../policy/task-needs.ts";
import { withServiceErrors } from "../service-errors.ts";
import type { NetworkWish } from "./network.ts";
import type { PermissionReport } from "./report.ts";

/** The answer of `permissions`: the report, and the same as text. */
export interface PermissionsAnswer {
  readonly report: PermissionReport;
  readonly text: string;
}

/**
 * `sky check aws --permissions`: what the credentials in use may do. Arguments: `region`, `task` (limits the report to what the task
 * needs).
 */
export function permissionsCommand(open: OpenSession): CloudCommand {
  return {
    run: async (args, context): Promise<PermissionsAnswer> => {
      const report = await withServiceErrors(() => checkPermissions(open, args, context));
      const { renderReport } = await import("./render.ts");
      return { report, text: renderReport(report) };
    },
  };
}

/** Runs the preflight for a request. Throws AwsAuthError when the credentials cannot be used. */
export async function checkPermissions(
  open: OpenSession,
  args: JsonObject,
  context: CloudContext,
): Promise<PermissionReport> {
  const opened = open(context);
  const principal = await opened.identity();
  const task = taskField(args);
  const aws = awsConfig(context);
  const needs: TaskNeeds | undefined = task === undefined ? undefined : needsOf(task, aws);
  const { runPreflight } = await import("./run.ts");
  const clients = openClients(opened.session);
  try {
    return await runPreflight(
      clients,
      {
        principal,
        region: textField(args, "region") ?? needs?.region ?? opened.session.region,
        capabilities: needs?.capabilities ?? [],
        buckets: needs?.buckets ?? [],
        network: networkWish(aws),
      },
      { signal: context.signal },
    );
  } finally {
    clients.close();
  }
}

function networkWish(aws: JsonObject): NetworkWish {
  return {
    vpcNames: namesField(aws, "vpc_names", "vpc_name"),
    subnetNames: namesField(aws, "subnet_names"),
    isInternal: aws["use_internal_ips"] === true,
    usesSsm: usesSsm(aws),
  };
}
