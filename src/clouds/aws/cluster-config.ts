import type { CloudContext } from "../../core/ports/cloud.ts";
import { valueForCluster } from "../../shared/config/by-cluster.ts";
import { isObject, type JsonObject } from "./auth/json.ts";
import { awsConfig } from "./command-args.ts";

/** Which of the settings that differ between clusters are meant. */
export interface ClusterOf {
  readonly clusterName: string;
  /** Undefined: it is not on AWS, or nobody knows yet where. */
  readonly region?: string;
  /** The `config:` block of the task. */
  readonly overrides?: JsonObject;
}

/** The `aws` section for one cluster: over it the workspace's, the region's (`region_configs`), the task's. */
export function clusterConfig(context: Pick<CloudContext, "config" | "workspace">, of: ClusterOf): JsonObject {
  const section = awsConfig(context);
  const task = sectionOf(of.overrides, "aws");
  const regional = (aws: JsonObject): JsonObject =>
    of.region === undefined ? {} : sectionOf(sectionOf(aws, "region_configs"), of.region);
  return { ...section, ...regional(section), ...task, ...regional(task) };
}

export function sectionOf(value: JsonObject | undefined, key: string): JsonObject {
  const part = value?.[key];
  return isObject(part) ? part : {};
}

const WORDS = ["LOCAL_CREDENTIALS", "SERVICE_ACCOUNT", "NO_UPLOAD"];

/** `aws.remote_identity` as it is for one cluster: one of the three words in capitals, or the name of an instance profile. */
export function remoteIdentity(setting: unknown, clusterName: string): string | undefined {
  return identityOf(valueForCluster(setting, clusterName));
}

export function identityOf(value: string | undefined): string | undefined {
  const capitals = value?.toUpperCase();
  return capitals !== undefined && WORDS.includes(capitals) ? capitals : value;
}
