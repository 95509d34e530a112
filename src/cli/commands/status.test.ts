import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { clusterRecord } from "../../../test/fakes/records.ts";
import { sky, withHome } from "../../../test/fakes/run-cli.ts";
import { fails, gives, WireServer } from "../../../test/fakes/wire-server.ts";

const NOW = 1_000_028;
let server: WireServer;

beforeEach(async () => {
  server = await WireServer.start({
    routes: {
      "POST /status": gives([]),
      "GET /enabled_clouds": gives(["aws"]),
      "POST /jobs/queue/v2": fails("ClusterNotUpError", "No in-progress managed jobs."),
      "POST /jobs/pool_status": gives([]),
      "POST /serve/status": gives([]),
    },
  });
});

afterEach(async () => {
  await server.stop();
});

describe("sky status", () => {
  test("without clusters", async () => {
    expect(await sky(["status"], { server })).toMatchInlineSnapshot(`
      {
        "code": 0,
        "err": "",
        "out": "Enabled Infra: aws

      Clusters
      No existing clusters.

      Managed jobs
      No in-progress managed jobs. (See: sky jobs -h)

      Services
      No live services.
      ",
      }
    `);
  });

  test("ends with the time that is left of logins in use", async () => {
    const session = { cloud: "AWS", kind: "sso", profile: "dev", expires_at: NOW + 3600 + 12 * 60 + 30 };
    server.routes["POST /cloud_sessions"] = gives([session, { ...session, profile: null, expires_at: NOW - 1 }]);
    const { out } = await sky(["status"], { server, now: NOW });
    expect(out).toContain("\n\n* AWS session of profile 'dev' ends in 1h12m\n* AWS session has ended\n");
  });

  test("does not ask for logins where only this machine is used", async () => {
    server.routes["GET /enabled_clouds"] = gives(["ssh/local"]);
    expect((await sky(["status"], { server, now: NOW })).code).toBe(0);
    expect(server.calls.map(({ path }) => path)).not.toContain("/cloud_sessions");
  });

  test("lists clusters with every kind of status and autostop", async () => {
    server.routes["POST /status"] = gives([
      clusterRecord({ name: "mycluster", status: "INIT", init_kind: "launching", handle: null }),
      clusterRecord({ name: "b", autostop: 10 }),
      clusterRecord({ name: "c", autostop: 120, to_down: true, status: "STOPPED" }),
      clusterRecord({ name: "d", to_down: true }),
      clusterRecord({ name: "e", status: "INIT", init_kind: "unhealthy" }),
      clusterRecord({ name: "f", cloud: "Kubernetes", region: "a-context-with-a-long-name", handle: null }),
    ]);
    const { code, out, err } = await sky(["status"], { server, now: NOW });
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatchInlineSnapshot(`
      "Enabled Infra: aws

      Clusters
      NAME       INFRA                      RESOURCES                          STATUS     AUTOSTOP   LAUNCHED     
      mycluster  AWS (us-east-1)            1x(cpus=2, mem=8, m6i.large, ...)  INIT       -          28 secs ago  
      b          AWS (us-east-1a)           1x(cpus=2, mem=8, m6i.large, ...)  UP         10m        28 secs ago  
      c          AWS (us-east-1a)           1x(cpus=2, mem=8, m6i.large, ...)  STOPPED    2h (down)  28 secs ago  
      d          AWS (us-east-1a)           1x(cpus=2, mem=8, m6i.large, ...)  UP         (down)     28 secs ago  
      e          AWS (us-east-1a)           1x(cpus=2, mem=8, m6i.large, ...)  UNHEALTHY  -          28 secs ago  
      f          Kubernetes (a-context-...  1x(cpus=2, mem=8, m6i.large, ...)  UP         -          28 secs ago  

      Managed jobs
      No in-progress managed jobs. (See: sky jobs -h)

      Services
      No live services.

      * 2 clusters have auto{stop,down} scheduled. Refresh statuses with: sky status --refresh
      "
    `);
  });

  test("-v shows everything", async () => {
    server.routes["POST /status"] = gives([
      clusterRecord({ name: "mycluster", last_event: "Instances launched on aws in us-east-1" }),
    ]);
    const { out } = await sky(["status", "-v", "--no-show-services", "--no-show-managed-jobs"], { server, now: NOW });
    const older = await sky(["status", "-a", "--no-show-services", "--no-show-managed-jobs"], { server, now: NOW });
    expect(older.out).toBe(out);
    expect(out).toMatchInlineSnapshot(`
      "Enabled Infra: aws

      Clusters
      NAME       WORKSPACE  INFRA             RESOURCES                               STATUS  AUTOSTOP  LAUNCHED     HEAD_IP      COMMAND                     LAST_EVENT                              
      mycluster  default    AWS (us-east-1a)  1x(cpus=2, mem=8, m6i.large, disk=256)  UP      -         28 secs ago  203.0.113.5  sky launch -y -c c ok.yaml  Instances launched on aws in us-east-1  
      "
    `);
  });

  test("-u shows whose they are", async () => {
    server.routes["POST /status"] = gives([clusterRecord({ name: "c", user_name: "bob", user_hash: "b0b" })]);
    const { out } = await sky(["status", "-u", "c"], { server, now: NOW });
    expect(out).toContain("NAME  USER  INFRA ");
    expect(out).toContain("c     bob   AWS (us-east-1a)");
    expect(server.bodies("/status")[0]).toMatchObject({ all_users: true, cluster_names: ["c"] });
  });

  test("a name that does not exist ends with 1", async () => {
    expect(await sky(["status", "nosuch"], { server })).toMatchInlineSnapshot(`
      {
        "code": 1,
        "err": "",
        "out": "Enabled Infra: aws

      Clusters
      Cluster 'nosuch' not found.
      ",
      }
    `);
    server.routes["POST /status"] = gives([clusterRecord({ name: "c" })]);
    const both = await sky(["status", "c", "x", "y*"], { server, now: NOW });
    expect(both.code).toBe(1);
    expect(both.err).toBe("Cluster 'x' not found.\n");
  });

  test("-o json prints records and nothing else, without what opens doors", async () => {
    const credentials = { ssh_user: "ubuntu", ssh_private_key_content: "KEY" };
    server.routes["POST /status"] = gives([clusterRecord({ name: "c", credentials })]);
    const { code, out, err } = await sky(["status", "-o", "json"], { server });
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const [record] = JSON.parse(out) as Record<string, unknown>[];
    expect(record).toMatchObject({ name: "c", status: "UP", autostop: -1 });
    expect(record).not.toHaveProperty("credentials");
    expect(record).not.toHaveProperty("handle");
    expect(server.calls.map((call) => call.path)).toEqual(["/status", "/api/get"]);
  });

  test("an error is JSON too when the output is", async () => {
    server.routes["POST /status"] = fails("RuntimeError", "The disk is full.", "free some space");
    const { code, out, err } = await sky(["status", "-o", "json"], { server });
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(JSON.parse(err)).toEqual({
      error: { type: "RuntimeError", code: "REMOTE", message: "The disk is full.", hint: "free some space" },
    });
  });

  test("--ip and --endpoints", async () => {
    server.routes["POST /status"] = gives([clusterRecord({ name: "c" })]);
    server.routes["POST /endpoints"] = gives({ "8080": "http://203.0.113.5:8080", "9090": "http://203.0.113.5:9090" });
    expect((await sky(["status", "--ip", "c"], { server })).out).toBe("203.0.113.5\n");
    expect((await sky(["status", "--endpoints", "c"], { server })).out).toBe(
      "8080: http://203.0.113.5:8080\n9090: http://203.0.113.5:9090\n",
    );
    expect((await sky(["status", "c", "--endpoint", "8080"], { server })).out).toBe("http://203.0.113.5:8080\n");
    expect(await sky(["status", "--ip"], { server })).toMatchInlineSnapshot(`
      {
        "code": 1,
        "err": "error: No cluster specified. Please specify an existing cluster to show its IP address.
      Usage: \`sky status --ip <cluster>\`
      ",
        "out": "",
      }
    `);
    server.routes["POST /status"] = gives([clusterRecord({ name: "c", status: "STOPPED" })]);
    const stopped = await sky(["status", "--ip", "c"], { server });
    expect(stopped).toEqual({ code: 1, out: "", err: "error: Cluster 'c' is not in UP status.\n" });
    server.routes["POST /status"] = gives([]);
    expect((await sky(["status", "--ip", "x"], { server })).err).toMatchInlineSnapshot(`
      "error: 'x' cluster not found. Please specify a single cluster to show its IP address.
      Usage: \`sky status --ip <cluster>\`
      "
    `);
    expect((await sky(["status", "--ip", "--endpoints", "c"], { server })).code).toBe(2);
  });

  test("managed jobs, pools and services have their tables and hints", async () => {
    server.routes["POST /status"] = gives([clusterRecord({ name: "c", autostop: 5 })]);
    server.routes["POST /jobs/queue/v2"] = gives({
      jobs: [
        {
          job_id: 3,
          job_name: "train",
          status: "RUNNING",
          resources: "1x[A100:8][Spot]",
          submitted_at: NOW - 3600,
          job_duration: 3000,
          recovery_count: 1,
        },
      ],
      total: 7,
    });
    server.routes["POST /serve/status"] = gives([
      { name: "svc", status: "READY", uptime: NOW - 500, replica_info: [{ status: "READY" }, { status: "STARTING" }] },
    ]);
    server.routes["POST /jobs/pool_status"] = gives([{ name: "p", status: "READY", replica_info: [] }]);
    expect((await sky(["status"], { server, now: NOW })).out).toMatchInlineSnapshot(`
      "Enabled Infra: aws

      Clusters
      NAME  INFRA             RESOURCES                          STATUS  AUTOSTOP  LAUNCHED     
      c     AWS (us-east-1a)  1x(cpus=2, mem=8, m6i.large, ...)  UP      5m        28 secs ago  

      Managed jobs
      In progress tasks: 1 RUNNING
      ID  TASK  NAME   REQUESTED         SUBMITTED  TOT. DURATION  JOB DURATION  #RECOVERIES  STATUS   
      3   -     train  1x[A100:8][Spot]  1 hr ago   1h             50m           1            RUNNING  

      Pools
      NAME  VERSION  UPTIME  STATUS  WORKERS  
      p     -        -       READY   0/0      

      Services
      NAME  VERSION  UPTIME  STATUS  REPLICAS  ENDPOINT  
      svc   -        8m 20s  READY   1/2       -         

      * 7 managed jobs are in progress (5 latest ones shown). To see all managed jobs: sky jobs queue
      * To see detailed pool status: sky jobs pool status -v
      * To see detailed service status: sky serve status -v
      * 1 cluster has auto{stop,down} scheduled. Refresh statuses with: sky status --refresh
      "
    `);
  });

  test("a section that a server cannot answer shows its problem", async () => {
    server.routes["POST /serve/status"] = fails("RuntimeError", "\u001B[33mFailed to refresh services.\u001B[0m");
    const { code, out } = await sky(["status"], { server });
    expect(code).toBe(0);
    expect(out).toContain("Services\nFailed to refresh services.\n");
  });
});

describe("ssh access", () => {
  const credentials = { ssh_user: "ubuntu", ssh_private_key_content: "-----KEY-----\n" };

  test("is written for listed clusters and removed for others", async () => {
    await withHome(async (home) => {
      server.routes["POST /status"] = gives([clusterRecord({ name: "c", credentials })]);
      await sky(["status"], { server, home });
      const stanza = join(home, ".sky/generated/ssh/c");
      // This server stands for one on another machine, through which SSH then goes.
      const text = readFileSync(stanza, "utf8").replace(
        /ProxyCommand \S+ \S+ (.*:)\d+ /u,
        "ProxyCommand NODE SKY $1PORT ",
      );
      expect(text).toMatchInlineSnapshot(`
        "# Added by sky (use \`sky stop/down c\` to remove)
        Host c
          HostName 203.0.113.5
          User ubuntu
          IdentityFile ~/.sky/generated/ssh-keys/c.key
          IdentitiesOnly yes
          StrictHostKeyChecking no
          UserKnownHostsFile=/dev/null
          GlobalKnownHostsFile=/dev/null
          Port 22
          SetEnv SKY_CLUSTER_NAME=c-abcd1234
          ProxyCommand NODE SKY ssh-proxy --endpoint http://127.0.0.1:PORT c 0
        "
      `);
      expect(statSync(join(home, ".sky/generated/ssh-keys/c.key")).mode & 0o777).toBe(0o600);
      expect(readFileSync(join(home, ".ssh/config"), "utf8")).toBe(
        "# Added by SkyPilot for ssh config of all clusters\nInclude ~/.sky/generated/ssh/*\n",
      );
      server.routes["POST /status"] = gives([]);
      await sky(["status", "other"], { server, home });
      expect(existsSync(stanza)).toBe(true);
      await sky(["status"], { server, home });
      expect(existsSync(stanza)).toBe(false);
      expect(existsSync(join(home, ".sky/generated/ssh-keys/c.key"))).toBe(false);
    });
  });
});

describe("config", () => {
  test("goes along merged, without the server's address", async () => {
    await withHome(async (home) => {
      const { mkdirSync, writeFileSync } = await import("node:fs");
      mkdirSync(join(home, ".sky"));
      writeFileSync(join(home, ".sky/config.yaml"), `api_server:\n  endpoint: ${server.url}\naws:\n  use_ssm: true\n`);
      writeFileSync(join(home, ".sky.yaml"), "aws:\n  vpc_name: mine\n");
      const { code } = await sky(["status", "--config", "jobs.bucket=s3://b"], { home });
      expect(code).toBe(0);
      const [body] = server.bodies("/status");
      expect(body?.["override_skypilot_config"]).toEqual({
        aws: { use_ssm: true, vpc_name: "mine" },
        jobs: { bucket: "s3://b" },
      });
      expect(JSON.parse(String(body?.["override_skypilot_config_path"]))).toEqual([
        join(home, ".sky/config.yaml"),
        join(home, ".sky.yaml"),
      ]);
    });
  });

  test("a broken file is told with its place, and help works all the same", async () => {
    await withHome(async (home) => {
      const { mkdirSync, writeFileSync } = await import("node:fs");
      mkdirSync(join(home, ".sky"));
      writeFileSync(join(home, ".sky/config.yaml"), "aws: [\n");
      expect((await sky(["status"], { home })).err).toContain(join(home, ".sky/config.yaml"));
      expect((await sky(["status", "--help"], { home })).code).toBe(0);
      expect((await sky(["--version"], { home })).code).toBe(0);
    });
  });
});
