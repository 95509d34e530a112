import type { CloudContext, ClusterRef, Instance } from "../../../core/ports/cloud.ts";
import { InvalidConfigError } from "../../../shared/errors.ts";
import { valueForCluster } from "../../../shared/config/by-cluster.ts";
import { ROLE_NAME } from "../actions.ts";
import { isObject, type JsonObject } from "../auth/json.ts";
import { clusterConfig, remoteIdentity, sectionOf, type ClusterOf } from "../cluster-config.ts";
import { awsConfig, namesField } from "../command-args.ts";
import { usesSsm } from "../policy/task-needs.ts";

/** Which rights a node gets from AWS. */
export type NodeIdentity =
  /** The documented role, when the account has it or lets us create it. */
  | { readonly kind: "default-role"; readonly isRequired: boolean }
  /** An instance profile of the user's, by name. */
  | { readonly kind: "profile"; readonly name: string };

/** What the `aws` section says about the nodes of one cluster in one region. */
export interface NodeSettings {
  /** By `Name` tag, each tried in turn; none = the default VPC. */
  readonly vpcNames: readonly string[];
  readonly subnetNames: readonly string[];
  readonly isInternal: boolean;
  readonly usesSsm: boolean;
  /** `plugin`: AWS's own programs carry it. */
  readonly ssmMode: "native" | "plugin";
  readonly proxyCommand: string | undefined;
  /** A security group of the user's: used, created when absent, never changed otherwise or deleted. */
  readonly securityGroupName: string | undefined;
  /** Addresses from which port 22 may be reached; undefined = that of this machine. */
  readonly sshAllowedCidrs: readonly string[] | undefined;
  readonly identity: NodeIdentity;
  /** Whether a role that we create gets the documented broad policies instead of the narrow one. */
  readonly hasBroadRole: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly isDiskEncrypted: boolean;
  readonly sshUser: string;
  readonly enforcesVolumeTags: boolean;
  readonly usesReservations: boolean;
  /** Ids of targeted capacity reservations and capacity blocks. */
  readonly reservationIds: readonly string[];
  readonly runCommands: readonly (string | readonly string[])[];
}

export interface SettingsOf extends ClusterOf {
  readonly region: string;
}

/**
 * Reads the settings: the section, over it the workspace's, the region's (`region_configs`), the task's. Throws InvalidConfigError
 * for settings that contradict each other.
 */
export function readNodeSettings(context: Pick<CloudContext, "config" | "workspace">, of: SettingsOf): NodeSettings {
  const aws = clusterConfig(context, of);
  const proxyCommand = proxyCommandOf(aws["ssh_proxy_command"], of.region);
  if (aws["use_ssm"] === true && proxyCommand !== undefined) {
    throw new InvalidConfigError(
      `use_ssm is set to true, but ssh_proxy_command is already set to '${proxyCommand}'. Please remove ssh_proxy_command or set use_ssm to false.`,
    );
  }
  return {
    vpcNames: namesField(aws, "vpc_names", "vpc_name"),
    subnetNames: namesField(aws, "subnet_names"),
    isInternal: aws["use_internal_ips"] === true,
    usesSsm: usesSsm({ ...aws, ssh_proxy_command: proxyCommand }),
    ssmMode: textOfWord(aws["ssm_mode"]) === "plugin" ? "plugin" : "native",
    proxyCommand,
    securityGroupName: valueForCluster(aws["security_group_name"], of.clusterName),
    sshAllowedCidrs: aws["ssh_allowed_cidrs"] === undefined ? undefined : namesField(aws, "ssh_allowed_cidrs"),
    identity: readIdentity(remoteIdentity(aws["remote_identity"], of.clusterName)),
    hasBroadRole: textOfWord(aws["role_policy"]) === "broad",
    labels: textMap(aws["labels"]),
    isDiskEncrypted: aws["disk_encrypted"] === true,
    sshUser: typeof aws["ssh_user"] === "string" && aws["ssh_user"] !== "" ? aws["ssh_user"] : "ubuntu",
    enforcesVolumeTags: namesField(aws, "enforce_tags").some((each) => each.toLowerCase() === "volume"),
    usesReservations: asksForReservations(aws),
    reservationIds: namesField(aws, "specific_reservations"),
    runCommands: runCommandsOf(aws["post_provision_runcmd"]),
  };
}

/** The settings of a cluster that is there. */
export function settingsOf(cluster: ClusterRef, context: Pick<CloudContext, "config" | "workspace">): NodeSettings {
  const { clusterName, region, config } = cluster;
  return readNodeSettings(context, { clusterName, region, ...(config === undefined ? {} : { overrides: config }) });
}

/** Whether capacity that is paid for is to be looked for anywhere. */
export function usesReservations(context: Pick<CloudContext, "config" | "workspace">): boolean {
  const aws = awsConfig(context);
  const regions = Object.values(sectionOf(aws, "region_configs")).filter(isObject);
  return [aws, ...regions].some(asksForReservations);
}

function asksForReservations(aws: JsonObject): boolean {
  return aws["prioritize_reservations"] === true || namesField(aws, "specific_reservations").length > 0;
}

/** What was decided when the node was made holds for its life; the settings are about nodes to come. */
export function isReachedBySsm(
  instance: Pick<Instance, "via"> | undefined,
  settings: Pick<NodeSettings, "usesSsm">,
): boolean {
  return instance?.via === undefined ? settings.usesSsm : instance.via === "ssm";
}

function proxyCommandOf(value: unknown, region: string): string | undefined {
  const chosen = isObject(value) ? value[region] : value;
  return typeof chosen === "string" && chosen !== "" ? chosen : undefined;
}

function readIdentity(value: string | undefined): NodeIdentity {
  switch (value) {
    case undefined:
    case "LOCAL_CREDENTIALS":
    case "NO_UPLOAD":
      return { kind: "default-role", isRequired: false };
    case "SERVICE_ACCOUNT":
      return { kind: "default-role", isRequired: true };
    default:
      return value === ROLE_NAME
        ? { kind: "default-role", isRequired: true }
        : { kind: "profile", name: value ?? ROLE_NAME };
  }
}

function textOfWord(value: unknown): string {
  return typeof value === "string" ? value.toLowerCase() : "";
}

function textMap(value: unknown): Readonly<Record<string, string>> {
  if (!isObject(value)) return {};
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, each]) => (typeof each === "string" ? [[key, each]] : [])),
  );
}

function runCommandsOf(value: unknown): readonly (string | readonly string[])[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((each: unknown): (string | readonly string[])[] => {
    if (typeof each === "string") return [each];
    return Array.isArray(each) ? [each.filter((part) => typeof part === "string")] : [];
  });
}
