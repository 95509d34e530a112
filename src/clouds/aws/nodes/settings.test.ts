import { describe, expect, it } from "vitest";
import { readNodeSettings, type NodeSettings } from "./settings.ts";

function settings(aws: object, overrides?: Readonly<Record<string, unknown>>, workspaces = {}): NodeSettings {
  const of = { clusterName: "train-1", region: "eu-west-1", ...(overrides === undefined ? {} : { overrides }) };
  return readNodeSettings({ config: { aws, workspaces }, workspace: "team" }, of);
}

describe("the settings of nodes", () => {
  it("takes the defaults of 0.14.1", () => {
    expect(settings({})).toEqual({
      vpcNames: [],
      subnetNames: [],
      isInternal: false,
      usesSsm: false,
      ssmMode: "native",
      proxyCommand: undefined,
      securityGroupName: undefined,
      sshAllowedCidrs: undefined,
      identity: { kind: "default-role", isRequired: false },
      hasBroadRole: false,
      labels: {},
      isDiskEncrypted: false,
      sshUser: "ubuntu",
      enforcesVolumeTags: false,
      usesReservations: false,
      reservationIds: [],
      runCommands: [],
    });
  });

  it("lets the region win over all regions, and the task over the config", () => {
    const aws = {
      vpc_names: ["a"],
      use_internal_ips: true,
      use_ssm: false,
      region_configs: { "eu-west-1": { vpc_names: "b", subnet_names: ["s"] }, "us-east-1": { vpc_names: "c" } },
    };
    expect(settings(aws)).toMatchObject({ vpcNames: ["b"], subnetNames: ["s"], isInternal: true });
    expect(settings(aws, { aws: { vpc_names: "d" } }).vpcNames).toEqual(["d"]);
    const regional = { aws: { vpc_names: "d", region_configs: { "eu-west-1": { vpc_names: ["e", "f"] } } } };
    expect(settings(aws, regional).vpcNames).toEqual(["e", "f"]);
  });

  it.each([
    ["LOCAL_CREDENTIALS", { kind: "default-role", isRequired: false }],
    ["no_upload", { kind: "default-role", isRequired: false }],
    ["SERVICE_ACCOUNT", { kind: "default-role", isRequired: true }],
    ["skypilot-v1", { kind: "default-role", isRequired: true }],
    ["my-profile", { kind: "profile", name: "my-profile" }],
    [[{ "dev-*": "dev-profile" }, { "train-?": "train-profile" }], { kind: "profile", name: "train-profile" }],
    [[{ "dev-*": "dev-profile" }], { kind: "default-role", isRequired: false }],
  ])("reads remote_identity %j", (remote_identity, identity) => {
    expect(settings({ remote_identity }).identity).toEqual(identity);
  });

  it("lets the workspace's identity win", () => {
    const workspaces = { team: { aws: { remote_identity: "team-profile" } } };
    expect(settings({ remote_identity: "all" }, undefined, workspaces).identity).toEqual({
      kind: "profile",
      name: "team-profile",
    });
  });

  it("turns Session Manager on where nothing else reaches private nodes", () => {
    expect(settings({ use_internal_ips: true }).usesSsm).toBe(true);
    expect(settings({ use_internal_ips: true, use_ssm: false }).usesSsm).toBe(false);
    expect(settings({ use_internal_ips: true, ssh_proxy_command: "ssh jump" })).toMatchObject({
      usesSsm: false,
      proxyCommand: "ssh jump",
    });
    expect(settings({ ssh_proxy_command: { "us-east-1": "ssh jump" } }).proxyCommand).toBeUndefined();
  });

  it("refuses Session Manager together with a proxy command", () => {
    expect(() => settings({ use_ssm: true, ssh_proxy_command: "ssh jump" })).toThrow(
      "use_ssm is set to true, but ssh_proxy_command is already set to 'ssh jump'. Please remove ssh_proxy_command or set use_ssm to false.",
    );
  });
});
