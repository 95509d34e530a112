/** Resources as plain data, in the printed key order. */

import { formatInfra } from "./infra.ts";
import type { Autostop, DockerLogin, JobRecovery, ResourceChoice, Resources } from "./resources.ts";

export interface DumpResourcesOptions {
  /** The registry password is shown as `<redacted>`. */
  readonly redactSecrets?: boolean;
}

/** One candidate is a map, several are `{any_of: [...]}` or `{ordered: [...]}`. */
export function choiceToValue(choice: ResourceChoice, options: DumpResourcesOptions = {}): Record<string, unknown> {
  const values = choice.candidates.map((candidate) => resourcesToValue(candidate, options));
  const [only] = values;
  if (only === undefined) return {};
  return choice.kind === "single" ? only : { [choice.kind]: values };
}

/** Fields that are absent are left out. */
export function resourcesToValue(resources: Resources, options: DumpResourcesOptions = {}): Record<string, unknown> {
  const { accelerators } = resources;
  const value: Record<string, unknown> = {
    infra: formatInfra(resources.infra),
    instance_type: resources.instanceType,
    cpus: resources.cpus,
    memory: resources.memory,
    accelerators: accelerators === undefined ? undefined : { [accelerators.name]: accelerators.count },
    accelerator_args: resources.acceleratorArgs,
    use_spot: resources.useSpot,
    job_recovery: recoveryValue(resources.jobRecovery),
    disk_size: resources.diskSizeGib,
    image_id: resources.imageId,
    disk_tier: resources.diskTier,
    network_tier: resources.networkTier,
    local_disk: resources.localDisk,
    max_hourly_cost: resources.maxHourlyCostUsd,
    ports: resources.ports,
    labels: resources.labels,
    volumes: resources.volumes,
    autostop: autostopValue(resources.autostop),
    _no_missing_accel_warnings: resources.noMissingAcceleratorWarnings,
    priority: resources.priority,
    priority_class: resources.priorityClass,
    _docker_login_config: loginValue(resources.dockerLogin, options.redactSecrets === true),
    _cluster_config_overrides: resources.clusterConfigOverrides,
    ...resources.internal,
  };
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined));
}

function recoveryValue(recovery: JobRecovery | undefined): Record<string, unknown> | undefined {
  if (recovery === undefined) return undefined;
  return {
    strategy: recovery.strategy ?? null,
    ...(recovery.maxRestartsOnErrors !== undefined && { max_restarts_on_errors: recovery.maxRestartsOnErrors }),
    ...(recovery.recoverOnExitCodes !== undefined && { recover_on_exit_codes: recovery.recoverOnExitCodes }),
    ...recovery.extra,
  };
}

function autostopValue(autostop: Autostop | false | undefined): Record<string, unknown> | number | false | undefined {
  if (autostop === undefined || autostop === false) return autostop;
  // Only the short form may be negative.
  if (autostop.idleMinutes < 0) return autostop.idleMinutes;
  return {
    idle_minutes: autostop.idleMinutes,
    down: autostop.down,
    ...(autostop.waitFor !== undefined && { wait_for: autostop.waitFor }),
  };
}

function loginValue(login: DockerLogin | undefined, redact: boolean): Record<string, unknown> | undefined {
  if (login === undefined) return undefined;
  return { username: login.username, password: redact ? "<redacted>" : login.password, server: login.server };
}
