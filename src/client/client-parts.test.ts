import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { loadCookieHeader, saveCookies } from "./cookies.ts";
import { assertClusterName, makeClusterName } from "./cluster-name.ts";
import { resolveEndpoint } from "./endpoint.ts";
import { errorOfAnswer, knownWireNames, toSkyError } from "./remote-errors.ts";
import { commonBody } from "./request-body.ts";
import { renderStanzas, updateSshConfig } from "./ssh-config.ts";
import { SkyClient } from "./sky-client.ts";
import { prepareTask } from "./task-document.ts";
import { hashUpload, listUpload } from "./upload-list.ts";
import { clusterRecord } from "../../test/fakes/records.ts";

let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "sky-client-"));
});

afterEach(() => {
  rmSync(home, { recursive: true, force: true });
});

describe("resolveEndpoint", () => {
  test.each([
    [{}, undefined, { url: "http://127.0.0.1:46580", source: "default", local: true }],
    [{ SKYPILOT_API_SERVER_LOCAL_PORT: "5000" }, undefined, { url: "http://127.0.0.1:5000", local: true }],
    [{ SKYPILOT_API_SERVER_LOCAL_PORT: "x" }, undefined, { url: "http://127.0.0.1:46580" }],
    [{}, "https://sky.example.com/", { url: "https://sky.example.com", source: "config", local: false }],
    [{ SKYPILOT_API_SERVER_ENDPOINT: "http://a" }, "http://b", { url: "http://a", source: "environment" }],
    [{ SKYPILOT_API_SERVER_ENDPOINT: "http://localhost:46580" }, undefined, { local: true }],
    [{ SKYPILOT_API_SERVER_ENDPOINT: "http://localhost:1" }, undefined, { local: false }],
    [{ SKYPILOT_API_SERVER_ENDPOINT: "https://u:p%40@h/x/" }, undefined, { url: "https://h/x", credentials: "u:p@" }],
  ])("%j with config %s", (env, configured, expected) => {
    expect(resolveEndpoint(env, configured)).toMatchObject(expected);
  });
});

describe("commonBody", () => {
  const base = { home: "/nowhere", entrypoint: "e", entrypointCommand: "sky x", config: {}, configPaths: [null, null] };
  const env = {
    SKYPILOT_USER_ID: "abcd1234",
    USER: "alice",
    SKYPILOT_DEBUG: "1",
    SKYPILOT_SERVICE_ACCOUNT_TOKEN: "sky_secret",
    AWS_PROFILE: "dev",
    KUBECONFIG: "/k",
    OTHER: "x",
  };

  test("forwards a list of variables, cloud credentials only to this machine's server", () => {
    const local = commonBody({ ...base, env, local: true });
    expect(local["env_vars"]).toMatchObject({ SKYPILOT_USER: "alice", AWS_PROFILE: "dev", KUBECONFIG: "/k" });
    const remote = commonBody({ ...base, env, local: false });
    expect(Object.keys(remote["env_vars"] as object).sort()).toEqual([
      "SKYPILOT_DEBUG",
      "SKYPILOT_USAGE_RUN_ID",
      "SKYPILOT_USER",
      "SKYPILOT_USER_ID",
    ]);
    expect(JSON.stringify([local, remote])).not.toContain("sky_secret");
  });

  test("keeps address and policy of the client out of the config", () => {
    const config = { api_server: { endpoint: "x" }, admin_policy: "p", aws: { use_ssm: true } };
    const body = commonBody({ ...base, env, local: true, config });
    expect(body["override_skypilot_config"]).toEqual({ aws: { use_ssm: true } });
  });
});

describe("errors of a server", () => {
  test.each(knownWireNames)("%s comes back as a class of the same name", (name) => {
    const error = toSkyError(`sky.exceptions.${name}`, "text", "do this");
    expect(error.wireName).toBe(name);
    expect(error.hint).toBe("do this");
  });

  test("answers of synchronous calls", () => {
    expect(errorOfAnswer(403, "/x", '{"detail":"Forbidden"}').wireName).toBe("PermissionDeniedError");
    expect(errorOfAnswer(401, "/x", '"Authentication required"').hint).toBe("sky api login");
    expect(errorOfAnswer(400, "/validate", '{"detail":{"type":"ValueError","message":"bad"}}').message).toBe("bad");
    expect(errorOfAnswer(422, "/x", '{"detail":[{"loc":["body","task"],"msg":"required"}]}').message).toContain(
      "body.task: required",
    );
    expect(toSkyError("Strange", "\u001B[31mred\u001B[0m")).toMatchObject({ wireName: "Strange", message: "red" });
  });
});

describe("cookies", () => {
  test("are kept privately and sent to their host only, until they expire", () => {
    const path = join(home, "cookies.txt");
    saveCookies(path, new URL("https://sky.example.com"), { a: "1", b: "2" }, 1_000_000);
    expect(loadCookieHeader(path, new URL("https://sky.example.com/x"), 1_000_000)).toBe("a=1; b=2");
    expect(loadCookieHeader(path, new URL("http://sky.example.com"), 1_000_000)).toBeUndefined();
    expect(loadCookieHeader(path, new URL("https://example.com"), 1_000_000)).toBeUndefined();
    expect(loadCookieHeader(path, new URL("https://sky.example.com"), 8 * 24 * 3_600_000 + 1_000_000)).toBeUndefined();
    expect(loadCookieHeader(join(home, "none"), new URL("https://x"), 0)).toBeUndefined();
  });
});

describe("cluster names", () => {
  test("made-up names are valid for any user", () => {
    fc.assert(fc.property(fc.string(), (user) => assertClusterName(makeClusterName(user))));
    expect(makeClusterName("Al.ice")).toMatch(/^sky-[0-9a-f]{4}-alice$/);
  });

  test.each(["", "1a", "a_", "a b", "-x", "ä"])("%j is refused", (name) => {
    expect(() => assertClusterName(name)).toThrow(`Cluster name "${name}" is invalid`);
  });
});

describe("ssh config", () => {
  const credentials = { ssh_user: "ubuntu", ssh_private_key_content: "KEY" };
  const throughServer = {
    isNeeded: false,
    command: (cluster: string, node: number): string => `proxy 50% ${cluster} ${node}`,
  };

  test("names head and workers, and goes through a proxy", () => {
    const handle = {
      cluster_name: "t1",
      cluster_name_on_cloud: "t1-fcd1e5cf",
      stable_internal_external_ips: [
        ["10.0.0.1", "1.2.3.4"],
        ["10.0.0.2", ""],
      ] as const,
      stable_ssh_ports: [22, 2222],
    };
    const text = renderStanzas(
      { name: "t1", handle, credentials: { ...credentials, ssh_proxy_command: "p %h" }, throughServer },
      "~/k",
    );
    expect(text).toMatchInlineSnapshot(`
      "# Added by sky (use \`sky stop/down t1\` to remove)
      Host t1
        HostName 1.2.3.4
        User ubuntu
        IdentityFile ~/k
        IdentitiesOnly yes
        StrictHostKeyChecking no
        UserKnownHostsFile=/dev/null
        GlobalKnownHostsFile=/dev/null
        Port 22
        SetEnv SKY_CLUSTER_NAME=t1-fcd1e5cf
        ProxyCommand p %h

      Host t1-worker1
        HostName 10.0.0.2
        User ubuntu
        IdentityFile ~/k
        IdentitiesOnly yes
        StrictHostKeyChecking no
        UserKnownHostsFile=/dev/null
        GlobalKnownHostsFile=/dev/null
        Port 2222
        SetEnv SKY_CLUSTER_NAME=t1-fcd1e5cf
        ProxyCommand p %h
      "
    `);
    const docker = renderStanzas(
      { name: "t1", handle, credentials: { ...credentials, docker_user: "root" }, throughServer },
      "~/k",
    );
    expect(docker).toContain("  HostName localhost\n  User root\n");
    expect(docker).toContain("-W %h:%p ubuntu@1.2.3.4");
    const through = { ...credentials, ssh_through_server: true };
    expect(
      renderStanzas({ name: "t1", handle, credentials: through, throughServer }, "~/k").match(/ProxyCommand .*/g),
    ).toEqual(["ProxyCommand proxy 50%% t1 0", "ProxyCommand proxy 50%% t1 1"]);
  });

  test("the include line is put before what the user has, once", () => {
    mkdirSync(join(home, ".ssh"));
    writeFileSync(join(home, ".ssh/real"), "Host mine\n  User me\n");
    symlinkSync("real", join(home, ".ssh/config"));
    const record = clusterRecord({ name: "c", credentials });
    updateSshConfig(home, [record], { complete: true, throughServer });
    updateSshConfig(home, [record], { complete: true, throughServer });
    expect(readFileSync(join(home, ".ssh/real"), "utf8")).toBe(
      "# Added by SkyPilot for ssh config of all clusters\nInclude ~/.sky/generated/ssh/*\n\nHost mine\n  User me\n",
    );
  });

  test("files of others stay", () => {
    mkdirSync(join(home, ".sky/generated/ssh"), { recursive: true });
    writeFileSync(join(home, ".sky/generated/ssh/own"), "Host own\n");
    updateSshConfig(home, [], { complete: true, throughServer });
    expect(readFileSync(join(home, ".sky/generated/ssh/own"), "utf8")).toBe("Host own\n");
  });
});

describe("uploads", () => {
  test("the id depends on names and contents only", async () => {
    const make = (name: string): string => {
      const dir = join(home, name, "wd");
      mkdirSync(join(dir, "empty"), { recursive: true });
      writeFileSync(join(dir, "b.txt"), "b");
      symlinkSync("b.txt", join(dir, "link"));
      return dir;
    };
    const sources = listUpload([make("x")]);
    const root = join(home, "x/wd").slice(1);
    expect(sources.map((source) => [source.kind, source.name])).toEqual([
      ["directory", `${root}/`],
      ["file", `${root}/b.txt`],
      ["directory", `${root}/empty/`],
      ["link", `${root}/link`],
    ]);
    const id = await hashUpload(sources);
    expect(await hashUpload(listUpload([join(home, "x/wd")]))).toBe(id);
    writeFileSync(join(home, "x/wd/b.txt"), "c");
    expect(await hashUpload(listUpload([join(home, "x/wd")]))).not.toBe(id);
    expect(() => listUpload([join(home, "none")])).toThrow("does not exist locally");
  });
});

describe("tasks of the SDK", () => {
  const client = (): SkyClient =>
    new SkyClient({ endpoint: "http://example.com", env: { SKYPILOT_USER_ID: "x", USER: "u" }, home, cwd: home });

  test("an object becomes documents that a YAML 1.1 reader takes, with absolute paths", async () => {
    const spec = { name: "t", workdir: "wd", run: "echo \u0085 é", file_mounts: { "/d": "~/f", "/b": "s3://b" } };
    const { task } = await prepareTask(client(), spec, { withoutFiles: true });
    const [header, body] = task.split("\n---\n").map((text) => JSON.parse(text) as Record<string, unknown>);
    expect(header).toEqual({ name: "t" });
    expect(body).toMatchObject({
      workdir: join(home, "wd"),
      file_mounts: { "/d": join(home, "f"), "/b": "s3://b" },
      file_mounts_mapping: { [join(home, "wd")]: join(home, "wd"), [join(home, "f")]: join(home, "f") },
    });
    expect(task).toContain("\\u0085");
  });

  test("a file, a text and a pipeline", async () => {
    writeFileSync(join(home, "t.yaml"), "name: p\n---\nrun: a\n---\nrun: b\n");
    const { task } = await prepareTask(client(), "t.yaml", {});
    expect(task.split("\n---\n").map((text) => JSON.parse(text) as unknown)).toEqual([
      { name: "p" },
      { run: "a" },
      { run: "b" },
    ]);
    expect((await prepareTask(client(), "run: hi\n", {})).task).toContain('"run":"hi"');
    await expect(prepareTask(client(), "nope.yaml", {})).rejects.toThrow("does not exist");
    await expect(prepareTask(client(), "just words\n", {})).rejects.toThrow("A task has to be a map");
  });
});
