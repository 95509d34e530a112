/** Rows as a server sends them, with the fields that a test does not care about filled in. */
import type { ClusterRecord, JobRecord } from "../../src/client/wire-types.ts";
import type { Handler } from "./wire-server.ts";

export function clusterRecord(fields: Partial<ClusterRecord> & { readonly name: string }): ClusterRecord {
  return {
    status: "UP",
    launched_at: 1_000_000,
    autostop: -1,
    to_down: false,
    nodes: 1,
    user_hash: "abcd1234",
    user_name: "alice",
    workspace: "default",
    cluster_hash: "hash",
    cluster_ever_up: true,
    handle: {
      cluster_name: fields.name,
      cluster_name_on_cloud: `${fields.name}-abcd1234`,
      launched_nodes: 1,
      launched_resources: { infra: "aws/us-east-1/us-east-1a", instance_type: "m6i.large" },
      stable_internal_external_ips: [["10.0.0.5", "203.0.113.5"]],
      stable_ssh_ports: [22],
      ssh_user: "ubuntu",
    },
    cloud: "AWS",
    region: "us-east-1",
    resources_str: "1x(cpus=2, mem=8, m6i.large, ...)",
    resources_str_full: "1x(cpus=2, mem=8, m6i.large, disk=256)",
    last_creation_command: "sky launch -y -c c ok.yaml",
    ...fields,
  };
}

export function jobRecord(fields: Partial<JobRecord> & { readonly job_id: number }): JobRecord {
  return {
    job_name: "train",
    username: "alice",
    user_hash: "abcd1234",
    submitted_at: 1_000_000,
    start_at: 1_000_010,
    end_at: null,
    resources: "1x[CPU:0.5]",
    status: "RUNNING",
    log_path: `~/sky_logs/${fields.job_id}-train`,
    metadata: {},
    ...fields,
  };
}

/** `/status` over these clusters: by name, with `*` as the only glob. */
export function listsClusters(records: readonly ClusterRecord[]): Handler {
  return (call) => {
    const names = call.body["cluster_names"] as readonly string[] | null;
    const matches = (name: string): boolean =>
      names === null || names.some((given) => new RegExp(`^${given.replaceAll("*", ".*")}$`).test(name));
    return { value: records.filter((record) => matches(record.name)) };
  };
}
