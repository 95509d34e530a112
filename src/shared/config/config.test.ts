import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InvalidConfigError, UsageError } from "../errors.ts";
import { parseConfigOverrides, splitKey } from "./cli-overrides.ts";
import { closestWord, similarity } from "./closest.ts";
import { getConfigValue, parseConfig, setConfigValue, type Config } from "./config.ts";
import { mergeConfig, resolveConfig, type ConfigLayers } from "./merge.ts";
import { activeWorkspace, effectiveNamespace, effectiveQueueName, effectiveRegionConfig } from "./scope.ts";
import { overlayClientConfig, redactConfig, SERVER_ONLY_KEYS } from "./server-overlay.ts";
import { taskOverridablePaths } from "./task-config-schema.ts";

const SEE = "See: https://docs.skypilot.co/en/latest/reference/config.html. Error: ";

describe("parseConfig", () => {
  it("names file, line and column of every problem", () => {
    expect(() => parseConfig("aws:\n  use_ssm: 5\nkubernets: {}\n", { file: "c.yaml" })).toThrow(
      `Invalid config YAML from (c.yaml). ${SEE}Instead of 'kubernets', did you mean 'kubernetes'?\n  at c.yaml:3:1 (kubernets)\n` +
        "Also: 5 is not of type 'boolean'. Check problematic field(s): $.aws.use_ssm\n  at c.yaml:2:12 (aws.use_ssm)",
    );
  });

  it("fails on a syntax error instead of losing every setting", () => {
    expect(() => parseConfig("aws: [\n", { file: "c.yaml" })).toThrow(`Invalid config YAML from (c.yaml). ${SEE}`);
  });

  it("warns of duplicate keys and takes the last", () => {
    const told: string[] = [];
    const config = parseConfig("active_workspace: a\nactive_workspace: b\n", {
      file: "c",
      warn: (text) => told.push(text),
    });
    expect([config, told.length]).toEqual([{ active_workspace: "b" }, 1]);
  });

  it("lets plugins' keys through on the client only", () => {
    expect(parseConfig("kubernetes: {foo: 1}", { file: "c" })).toEqual({ kubernetes: { foo: 1 } });
    expect(() => parseConfig("kubernetes: {foo: 1}", { file: "c", side: "server" })).toThrow(
      "Found unsupported field 'foo'.",
    );
  });

  it("refuses other keys beside db on the server", () => {
    expect(() => parseConfig("db: x\naws: {}", { file: "c", side: "server" })).toThrow(
      "If db config is specified, no other config is allowed",
    );
  });

  it("is empty and frozen for an empty text", () => {
    expect(parseConfig("# nothing\n", { file: "c" })).toEqual({});
    expect(Object.isFrozen(parseConfig("aws: {labels: {a: b}}", { file: "c" })["aws"])).toBe(true);
  });
});

describe("resolveConfig", () => {
  const value = (source: string): Config => ({ docker: { run_options: source } });
  const ALL: ConfigLayers = {
    server: value("server"),
    user: value("user"),
    project: value("project"),
    flags: value("flags"),
    task: value("task"),
  };

  it.each<[string, ConfigLayers]>([
    ["task", ALL],
    ["flags", { ...ALL, task: undefined }],
    ["project", { ...ALL, task: undefined, flags: undefined }],
    ["user", { server: ALL.server, user: ALL.user }],
    ["server", { server: ALL.server }],
  ])("%s is the strongest", (winner, layers) => {
    expect(resolveConfig(layers)).toEqual(value(winner));
  });

  it.each<[string, Config, Config, Config]>([
    ["maps merge", { aws: { a: 1, b: 1 } }, { aws: { b: 2 } }, { aws: { a: 1, b: 2 } }],
    ["lists replace", { allowed_clouds: ["aws"] }, { allowed_clouds: ["gcp"] }, { allowed_clouds: ["gcp"] }],
    ["null replaces", { aws: { vpc_name: "x" } }, { aws: { vpc_name: null } }, { aws: { vpc_name: null } }],
    ["another type replaces", { a: { b: 1 } }, { a: "x" }, { a: "x" }],
    [
      "known lists of pods merge by item",
      { kubernetes: { pod_config: { spec: { containers: [{ name: "a", env: [{ name: "X", value: "1" }] }] } } } },
      {
        kubernetes: {
          pod_config: { spec: { containers: [{ env: [{ name: "X", value: "2" }, { name: "Y" }] }, { name: "b" }] } },
        },
      },
      {
        kubernetes: {
          pod_config: {
            spec: { containers: [{ name: "a", env: [{ name: "X", value: "2" }, { name: "Y" }] }, { name: "b" }] },
          },
        },
      },
    ],
    [
      "unknown lists of pods grow, args are replaced, for ssh as for kubernetes",
      { ssh: { pod_config: { spec: { tolerations: [{ key: "a" }], args: ["x"] } } } },
      { ssh: { pod_config: { spec: { tolerations: [{ key: "b" }], args: ["y"] } } } },
      { ssh: { pod_config: { spec: { tolerations: [{ key: "a" }, { key: "b" }], args: ["y"] } } } },
    ],
  ])("%s", (_, base, override, merged) => {
    expect(mergeConfig(base, override)).toEqual(merged);
  });

  it("refuses pod fragments of another shape", () => {
    const base = { kubernetes: { pod_config: { spec: { containers: [] } } } };
    expect(() => mergeConfig(base, { kubernetes: { pod_config: { spec: "x" } } })).toThrow(
      "Cannot override config field 'spec' of type dict with a value of type str: 'x'.",
    );
  });

  const config = fc.dictionary(
    fc.constantFrom("a", "b", "c"),
    fc.oneof(
      fc.integer(),
      fc.constant(null),
      fc.dictionary(fc.constantFrom("x", "y"), fc.oneof(fc.integer(), fc.array(fc.integer()))),
    ),
  );

  it("changes neither side and is associative", () => {
    fc.assert(
      fc.property(config, config, config, (a, b, c) => {
        const before = JSON.stringify([a, b, c]);
        expect(mergeConfig(mergeConfig(a, b), a)).toEqual(mergeConfig(a, mergeConfig(b, a)));
        expect(JSON.stringify([a, b, c])).toBe(before);
      }),
    );
  });
});

describe("parseConfigOverrides", () => {
  it("reads pairs, later ones winning, values as YAML", () => {
    expect(
      parseConfigOverrides(["aws.use_ssm=true", "aws.vpc_names=[a,b]", "aws.labels={x: 'y=z'}", "aws.use_ssm=false"]),
    ).toEqual({ aws: { use_ssm: false, vpc_names: ["a", "b"], labels: { x: "y=z" } } });
  });

  it("takes quoted segments for keys with dots", () => {
    expect(parseConfigOverrides(['aws.labels."team.name"=x'])).toEqual({ aws: { labels: { "team.name": "x" } } });
    expect(splitKey(`a.'b.c'."d=e".f`)).toEqual(["a", "b.c", "d=e", "f"]);
  });

  it("reads a file when the only value is one", () => {
    const readFile = (path: string): string | undefined => (path === "c.yaml" ? "active_workspace: w" : undefined);
    expect(parseConfigOverrides(["c.yaml"], { readFile })).toEqual({ active_workspace: "w" });
    expect(() => parseConfigOverrides(["c.yaml", "active_workspace=x"], { readFile })).toThrow(
      "Cannot use multiple --config flags with a config file.",
    );
  });

  it.each([
    [["foo"], "Details: Invalid config override: foo. Please use the format: key=value"],
    [["a="], "Details: Invalid config override: a=. Please use the format: key=value"],
    [["aws=null"], "None is not of type 'dict'. Check problematic field(s): $.aws"],
    [["foo", "bar"], "Invalid config override: ('foo', 'bar'). Check"],
    [["aws.use_ssm=[a"], "Invalid config override: ('aws.use_ssm=[a',). Check"],
  ])("refuses %j as a usage error", (values, text) => {
    const parse = (): Config => parseConfigOverrides(values);
    expect(parse).toThrow(UsageError);
    expect(parse).toThrow(text);
    expect(parse).toThrow("Invalid value for '--config': ");
  });
});

describe("overlayClientConfig", () => {
  it("ignores keys of the server and says so when they differ", () => {
    const server = { allowed_clouds: ["aws"], aws: { use_ssm: true } };
    const client = {
      allowed_clouds: ["gcp"],
      aws: { vpc_name: "x" },
      db: "postgres://u:p@h/d",
      jobs: { controller: { consolidation_mode: true } },
    };
    const { config, warning } = overlayClientConfig(server, client);
    expect(config).toEqual({ allowed_clouds: ["aws"], aws: { use_ssm: true, vpc_name: "x" } });
    expect(warning).toBe(
      'The following keys (["allowed_clouds","jobs.controller.consolidation_mode"]) have different values in the client SkyPilot config with the server ' +
        "and will be ignored. Remove these keys to disable this warning. If you want to specify it, please modify it on server side " +
        "or contact your administrator.",
    );
  });

  it.each(SERVER_ONLY_KEYS)("never lets a client set %s", (key) => {
    const path = key.split(".");
    const { config } = overlayClientConfig({}, setConfigValue({}, path, "client"));
    expect(getConfigValue(config, path)).toBeUndefined();
  });

  it("lets administrators keep more keys", () => {
    const { config } = overlayClientConfig({}, { aws: { use_ssm: true } }, { serverOnly: ["aws.use_ssm"] });
    expect(config).toEqual({});
  });

  it("shows both configs without secrets when the result is invalid", () => {
    const overlay = (): unknown =>
      overlayClientConfig({ api_server: { service_account_token: "sky_secret" } }, { aws: { use_ssm: "x" } });
    expect(overlay).toThrow(InvalidConfigError);
    expect(overlay).toThrow("service_account_token: <redacted>");
  });

  it("redacts registry passwords of controllers", () => {
    const login = { _docker_login_config: { username: "u", password: "p", server: "s" } };
    const config = { jobs: { controller: { resources: { ...login, any_of: [login] } } }, db: "x" };
    expect(JSON.stringify(redactConfig(config))).not.toContain('"p"');
    expect(JSON.stringify(config)).toContain('"p"');
  });
});

describe("scopes", () => {
  const config: Config = {
    active_workspace: "w",
    kubernetes: {
      namespace: "all",
      kueue: { local_queue_name: "k" },
      context_configs: { c: { namespace: "ctx", quota: { queue: "q" } } },
    },
    ssh: { context_configs: { pool: { provision_timeout: 1 } } },
    workspaces: {
      w: { kubernetes: { namespace: "ws", context_configs: { d: { kueue: { local_queue_name: "wd" } } } } },
    },
  };

  it("look at the region first, then at the cloud", () => {
    const find = (region: string | undefined, key: string): unknown =>
      effectiveRegionConfig(config, { cloud: "kubernetes", region, path: [key] });
    expect([find("c", "namespace"), find("x", "namespace"), find(undefined, "nothing")]).toEqual([
      "ctx",
      "all",
      undefined,
    ]);
    expect(effectiveRegionConfig(config, { cloud: "ssh", region: "ssh-pool", path: ["provision_timeout"] })).toBe(1);
    const taskOverrides = { kubernetes: { context_configs: { c: { namespace: "task" } } } };
    expect(
      effectiveRegionConfig(config, { cloud: "kubernetes", region: "c", path: ["namespace"], taskOverrides }),
    ).toBe("task");
  });

  it("let the workspace speak before them", () => {
    expect([activeWorkspace(config), effectiveNamespace(config, "c"), effectiveNamespace({}, "c")]).toEqual([
      "w",
      "ws",
      undefined,
    ]);
    expect([
      effectiveQueueName(config, "c"),
      effectiveQueueName(config, "d"),
      effectiveQueueName(config, undefined),
    ]).toEqual(["q", "wd", "k"]);
  });
});

describe("closestWord", () => {
  it.each([
    ["resourcess", ["resources", "run"], "resources"],
    ["instance", ["instance_type", "infra"], "instance_type"],
    ["disk", ["disk_size", "disk_tier", "local_disk"], "disk_tier"],
    ["gpu", ["cpus", "memory"], undefined],
    ["", ["a"], undefined],
  ])("%j", (word, known, closest) => {
    expect(closestWord(word, known)).toBe(closest);
  });

  it("measures as difflib does", () => {
    expect(similarity("abcd", "bcde")).toBeCloseTo(0.75);
    expect(similarity("spot_recovery", "job_recovery")).toBeCloseTo(20 / 25);
    fc.assert(
      fc.property(fc.string(), fc.string(), (a, b) => {
        expect(similarity(a, a)).toBe(1);
        expect(similarity(a, b)).toBeGreaterThanOrEqual(0);
        expect(similarity(a, b)).toBeLessThanOrEqual(1);
      }),
    );
  });
});

describe("taskOverridablePaths", () => {
  it("names the keys of every section that a task may set", () => {
    expect(taskOverridablePaths()).toEqual(
      expect.arrayContaining([
        "docker.run_options",
        "kubernetes.pod_config",
        "gcp.vpc_name",
        "aws.vpc_names",
        "active_workspace",
      ]),
    );
    expect(taskOverridablePaths()).not.toContain("hooks");
  });
});
