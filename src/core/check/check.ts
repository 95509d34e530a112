import { CLOUD_ALIASES } from "../../shared/cloud-names.ts";
import { InvalidValueError } from "../../shared/errors.ts";
import type { CheckBody, EnabledCloudsBody } from "../clusters/bodies.ts";
import { cloudContext } from "../clusters/cluster.ts";
import type { Operation, OperationContext } from "../operation.ts";
import {
  checkClouds,
  enabledClouds,
  excludedClouds,
  ORIGINAL_CLOUDS,
  workspaceNames,
  type CheckedCloud,
} from "./clouds.ts";
import { renderBlocks, renderEnabled, renderFooter } from "./render.ts";

/** Workspace → cloud → capabilities. */
export type CheckReturn = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;

export const checkOperation: Operation<CheckBody, CheckReturn> = {
  name: "check.check",
  wireName: "check",
  schedule: "short",
  isResumable: false,
  run: runCheck,
};

async function runCheck(body: CheckBody, context: OperationContext): Promise<CheckReturn> {
  const wanted = body.clouds?.map((name) => normalizeCloud(name, context));
  const workspaces = typeof body.workspace === "string" ? [body.workspace] : workspaceNames(context);
  const isMany = workspaces.length > 1;
  const { log } = context;
  const where = isMany ? ` (Workspaces: ${workspaces.join(", ")})` : "";
  log.line(`Checking credentials to enable clouds for SkyPilot${where}.`);
  log.spin("[bold cyan]Checking infra choices...[/]");
  const checks = await Promise.all(
    workspaces.map(async (workspace) => ({
      workspace,
      wanted,
      excluded: excludedClouds(context, workspace),
      checked: await checkClouds(context, {
        workspace,
        isVerbose: body.verbose ?? false,
        ...(wanted === undefined ? {} : { names: wanted }),
      }),
    })),
  );
  log.spinEnd();
  // Of several workspaces only the summaries are shown, unless more is asked for.
  const isDetailed = !isMany || wanted !== undefined || body.verbose === true;
  for (const one of checks) {
    if (isMany) log.line(`\nChecking enabled infra for workspace: '${one.workspace}'`);
    const blocks = isDetailed
      ? renderBlocks(one, { known: context.clouds.names(), isVerbose: body.verbose ?? false })
      : [];
    for (const line of [...blocks, ...renderEnabled(one, isMany)]) log.line(line);
  }
  for (const line of renderFooter()) log.line(line);
  return Object.fromEntries(checks.map((one) => [one.workspace, capabilitiesOf(one.checked)]));
}

function capabilitiesOf(checked: readonly CheckedCloud[]): Readonly<Record<string, readonly string[]>> {
  const enabled = checked.filter(({ result }) => result.enabled.length > 0);
  return Object.fromEntries(enabled.map(({ cloud, result }) => [cloud.displayName, [...result.enabled].sort()]));
}

/** `k8s` → `kubernetes`; throws InvalidValueError for a name that no cloud has. */
export function normalizeCloud(name: string, context: OperationContext): string {
  const aliases: Readonly<Record<string, string>> = { ...CLOUD_ALIASES, digitalocean: "do" };
  const key = aliases[name.toLowerCase()] ?? name.toLowerCase();
  const valid = [...new Set([...context.clouds.names(), ...ORIGINAL_CLOUDS])].sort();
  if (valid.includes(key)) return key;
  throw new InvalidValueError(
    `Cloud '${name}' is not a valid cloud among [${valid.map((one) => `'${one}'`).join(", ")}].`,
  );
}

export const enabledCloudsOperation: Operation<EnabledCloudsBody, readonly string[]> = {
  name: "check.enabled_clouds",
  wireName: "enabled_clouds",
  schedule: "short",
  isResumable: false,
  run: async (body, context) => {
    const workspace = body.workspace === undefined || body.workspace === null ? {} : { workspace: body.workspace };
    // Clients take each for a place where tasks can run.
    const enabled = (await enabledClouds(context, workspace)).filter(
      ({ cloud, enabled: capabilities }) => capabilities.length > 0 && cloud.isStoreOnly !== true,
    );
    if (body.expand !== true) return enabled.map(({ cloud }) => cloud.name);
    // In the long form each entry is what `--infra` takes.
    const asCaller = { ...cloudContext(context), ...workspace };
    return enabled.flatMap(({ cloud }) => cloud.infras?.(asCaller) ?? [cloud.wireInfra("", null)]);
  },
};
