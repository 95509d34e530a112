import type { SkyClient } from "../../client/sky-client.ts";
import type { ClusterRecord } from "../../client/wire-types.ts";
import { NotSupportedError, UsageError } from "../../shared/errors.ts";
import type { Context } from "../context.ts";
import { fetchClusters, missingNames, notFound } from "./cluster-names.ts";

interface Selection {
  readonly names: readonly string[];
  readonly all: boolean;
  readonly allUsers: boolean;
}

interface SelectOptions {
  /** Word of the command, for messages. */
  readonly command: string;
  /** Clusters that `--all` leaves out. */
  readonly skip?: (record: ClusterRecord) => boolean;
}

const CONTROLLER = /^sky-(jobs|serve)-controller-/;

/** Finds the clusters that stop, down and autostop act on. A name that does not exist is an error before anything is done. */
export async function selectClusters(
  ctx: Context,
  client: SkyClient,
  selection: Selection,
  options: SelectOptions,
): Promise<readonly string[]> {
  const { names, all, allUsers } = selection;
  if (names.length === 0 && !all && !allUsers) {
    throw new UsageError(
      `\`sky ${options.command}\` requires either a cluster name or glob (see \`sky status\`), or the -a/--all flag for all your clusters, or the -u/--all-users flag for all clusters in your team.`,
    );
  }
  if (all || allUsers) {
    if (names.length > 0) {
      const flag = allUsers ? "--all-users" : "--all";
      ctx.err.write(
        `Both ${flag} and cluster(s) specified for \`sky ${options.command}\`. Letting ${flag} take effect.\n`,
      );
    }
    const records = await fetchClusters(ctx, client, [], { allUsers });
    return records
      .filter((record) => !CONTROLLER.test(record.name) && options.skip?.(record) !== true)
      .map((record) => record.name);
  }
  const records = await fetchClusters(ctx, client, names, { allUsers: true });
  const missing = missingNames(names, records);
  if (missing.length > 0) throw notFound(missing);
  const found = records.map((record) => record.name);
  refuseControllers(found, options.command);
  return found;
}

function refuseControllers(names: readonly string[], command: string): void {
  const controllers = names.filter((name) => CONTROLLER.test(name));
  if (controllers.length === 0) return;
  const quoted = controllers.map((name) => `'${name}'`).join(", ");
  if (command !== "down") {
    const doing = command === "stop" ? "Stopping" : "Scheduling autostop on";
    throw new NotSupportedError(`${doing} controller(s) ${quoted} is currently not supported.`);
  }
  const others = names.filter((name) => !CONTROLLER.test(name));
  if (others.length === 0) return;
  throw new UsageError(
    `Terminating controller(s) ${quoted} with other cluster(s) ${others.map((name) => `'${name}'`).join(", ")} is currently not supported.\nPlease omit the controller(s) [${quoted}].`,
  );
}
