import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { clusterRecord, listsClusters } from "../../../test/fakes/records.ts";
import { sky, withHome } from "../../../test/fakes/run-cli.ts";
import { control, fails, gives, WireServer } from "../../../test/fakes/wire-server.ts";

let server: WireServer;

const handle = { cluster_name: "c", stable_internal_external_ips: [] };

beforeEach(async () => {
  server = await WireServer.start({
    routes: {
      "POST /validate": (_call, response) => void response.end("null"),
      "POST /status": listsClusters([]),
      "POST /optimize": gives(null, "Considered resources (1 node):\n"),
      "POST /launch": gives({ job_id: null, handle }, `${control("<rich_init>x</rich_init>")}⚙︎ Launching on Local.\n`),
      "POST /exec": gives({ job_id: null, handle }),
    },
  });
});

afterEach(async () => {
  await server.stop();
});

/** The job's log, and the exit code as the result of the request that the log came with. */
function followJob(text: string, exitCode: number): void {
  server.routes["POST /logs"] = () => ({ value: exitCode, body: text });
}

describe("sky launch", () => {
  test("a command on a new cluster: table, question, log, what to type next", async () => {
    const { code, out, err } = await sky(["launch", "-c", "c", "echo hi"], { server, answers: ["y"] });
    expect(code).toBe(0);
    expect(err).toBe("Launching a new cluster 'c'. Proceed? [Y/n]: ");
    expect(out.replace(server.url, "<url>")).toMatchInlineSnapshot(`
      "Command to run: echo hi
      Considered resources (1 node):
      ⚙︎ Launching on Local.

      📋 Useful Commands
      Cluster name: c
      ├── View on dashboard:		<url>/dashboard/clusters/c
      ├── To log into the head VM:	ssh c
      ├── To submit a job:		sky exec c yaml_file
      ├── To stop the cluster:	sky stop c
      └── To teardown the cluster:	sky down c
      "
    `);
    expect(server.bodies("/launch")).toMatchObject([
      { cluster_name: "c", quiet_optimizer: true, dryrun: false, optimize_target: 0, backend: "cloudvmray" },
    ]);
    expect(server.bodies("/launch")[0]?.["task"]).toMatchInlineSnapshot(`
      "name: sky-cmd
      ---

      name: sky-cmd

      resources: {}

      num_nodes: 1

      run: echo hi

      file_mounts: {}

      volumes: {}

      _user_specified_yaml: |
        name: sky-cmd

        run: echo hi
      "
    `);
  });

  test("a task file with options on top", async () => {
    await withHome(async (home) => {
      writeFileSync(join(home, "t.yaml"), "name: t\nresources:\n  cpus: 4\nenvs:\n  A: '1'\nrun: echo $A\n");
      writeFileSync(join(home, "vars"), "A=2\nB='x y'\n");
      const argv = [
        "launch",
        "-y",
        "-c",
        "c",
        "t.yaml",
        "--cpus",
        "2+",
        "--env-file",
        "vars",
        "--env",
        "HOME",
        "-n",
        "u",
      ];
      const { code, out } = await sky(argv, { server, home });
      expect(code).toBe(0);
      expect(out).toContain("YAML to run: t.yaml\nRunning on cluster: c\n");
      const task = String(server.bodies("/launch")[0]?.["task"]).replaceAll(home, "<home>");
      expect(task).toMatchInlineSnapshot(`
        "name: u
        ---

        name: u

        resources:
          cpus: 2+

        num_nodes: 1

        run: echo $A

        envs:
          A: '2'
          B: x y
          HOME: <home>

        file_mounts: {}

        volumes: {}

        _user_specified_yaml: |
          name: t

          resources:
            cpus: 4

          envs:
            A: '1'

          run: echo $A
        "
      `);
      expect(server.bodies("/optimize")).toEqual([]);
    });
  });

  test("the exit code is the job's", async () => {
    server.routes["POST /launch"] = gives({ job_id: 1, handle });
    followJob("(t, pid=1) oops\n", 100);
    const { code, out } = await sky(["launch", "-y", "-c", "c", "false"], { server });
    expect(code).toBe(100);
    expect(out).toContain("(t, pid=1) oops\n");
    expect(out).toContain("├── To cancel the job:\t\tsky cancel c 1\n");
  });

  test("-d does not look at the log, --async not even at the request", async () => {
    server.routes["POST /launch"] = gives({ job_id: 1, handle });
    const detached = await sky(["launch", "-y", "-d", "-c", "c", "true"], { server });
    expect(detached.code).toBe(0);
    expect(detached.out).toContain("Job ID: 1\n");
    const submitted = await sky(["launch", "-y", "--async", "-c", "c", "true"], { server });
    expect(submitted.out).toContain("Submitted sky.launch request: ");
  });

  test("words after a command are the command's own", async () => {
    await sky(["launch", "-y", "-c", "c", "python", "x.py", "--cpus", "4", "-d"], { server });
    expect(String(server.bodies("/launch")[0]?.["task"])).toContain("run: python x.py --cpus 4 -d");
    await sky(["launch", "-y", "python x.py", "-c", "c"], { server });
    expect(server.bodies("/launch")[1]).toMatchObject({ cluster_name: "c" });
  });

  test("questions of clusters that exist", async () => {
    const ask = async (fields: Parameters<typeof clusterRecord>[0], ...more: string[]): Promise<string> => {
      server.routes["POST /status"] = gives([clusterRecord(fields)]);
      return (await sky(["launch", "-c", "c", ...more, "true"], { server, answers: ["n"] })).err;
    };
    expect(await ask({ name: "c", status: "STOPPED" })).toContain(
      "Restarting the stopped cluster 'c'. Proceed? [Y/n]: ",
    );
    expect(await ask({ name: "c", user_name: "bob", user_hash: "b0b" })).toContain(
      "Cluster 'c' was created by another user 'bob' (hash b0b). Reusing the cluster. Proceed? [Y/n]: ",
    );
    expect(await ask({ name: "c", nodes: 2 }, "--resize", "--num-nodes", "4")).toContain(
      "Resizing cluster 'c' from 2 to 4 node(s) (+2 worker(s), scale up). Proceed? [Y/n]: ",
    );
    expect(await ask({ name: "c" })).toBe("");
  });

  test.each([
    [["launch", "-y", "nope.yaml"]],
    [["launch", "-y", "-c", "sky-jobs-controller-x", "true"]],
    [["launch", "-y", "-c", "1bad", "true"]],
    [["launch", "-y", "--env", "1a=2", "true"]],
    [["launch", "-y", "--cloud", "aws", "--infra", "aws", "true"]],
    [["launch", "-y", "--docker", "true"]],
  ])("sky %s is refused before the server is asked", async (argv) => {
    const { code, err } = await sky(argv, { server });
    expect(code).toBe(1);
    expect(err).toMatchSnapshot();
    expect(server.bodies("/launch")).toEqual([]);
  });

  test("--env of a variable that is not set is a usage error", async () => {
    const { code, err } = await sky(["launch", "-y", "--env", "NOT_SET", "true"], { server });
    expect(code).toBe(2);
    expect(err).toContain("Error: NOT_SET is not set in local environment.\n");
  });

  test("secrets stay out of the stored command line", async () => {
    await sky(["launch", "-y", "-c", "c", "--secret", "K=hidden", "--secret=L=hidden", "true"], { server });
    expect(server.bodies("/launch")[0]?.["entrypoint_command"]).toBe(
      "sky launch -y -c c --secret K=<redacted> --secret=L=<redacted> true",
    );
  });

  test("the verdict of the server", async () => {
    server.routes["POST /validate"] = (_call, response) => {
      response.writeHead(400).end(JSON.stringify({ detail: { type: "ValueError", message: "Bad task.", args: [] } }));
      return undefined;
    };
    expect((await sky(["launch", "-y", "true"], { server })).err).toContain("error: Bad task.\n");
  });

  test("local files go to a remote server once, as one archive", async () => {
    await withHome(async (home) => {
      mkdirSync(join(home, "wd/sub"), { recursive: true });
      writeFileSync(join(home, "wd/a.txt"), "a");
      writeFileSync(join(home, "wd/skip.log"), "no");
      writeFileSync(join(home, "wd/.skyignore"), "*.log\n");
      const chunks: Buffer[] = [];
      server.routes["GET /upload_v2/blob"] = (_call, response) => void response.end('{"exists": false}');
      server.routes["POST /upload_v2"] = (call, response) => {
        chunks.push(call.body["bytes"] as Buffer);
        response.end('{"status": "completed", "missing_chunks": null}');
        return undefined;
      };
      const { code, out } = await sky(["launch", "-y", "-c", "c", "--workdir", "wd", "ls"], {
        server,
        home,
        cwd: home,
      });
      expect({ code, uploaded: out.includes("✓ Files uploaded") }).toEqual({ code: 0, uploaded: true });
      expect(Buffer.concat(chunks).subarray(0, 2).toString()).toBe("PK");
      expect(Buffer.concat(chunks).includes("skip.log")).toBe(false);
      const [body] = server.bodies("/launch");
      expect(body?.["file_mounts_blob_id"]).toMatch(/^[0-9a-f]{64}$/);
      expect(String(body?.["task"])).toContain(`file_mounts_mapping:\n  ${home}/wd: ${home}/wd\n`);
      server.routes["GET /upload_v2/blob"] = (_call, response) => void response.end('{"exists": true}');
      const again = await sky(["launch", "-y", "-c", "c", "--workdir", "wd", "ls"], { server, home, cwd: home });
      expect(chunks).toHaveLength(1);
      expect(again.err).not.toContain("symlink");
      symlinkSync("wd", join(home, "link"));
      const { err } = await sky(["launch", "-y", "-c", "c", "--workdir", "link", "ls"], { server, home, cwd: home });
      expect(err).toContain(`Source path ${home}/link is a symlink. Its target's content is uploaded.\n`);
    });
  });
});

describe("sky exec", () => {
  test("passes the words of the command through", async () => {
    const { code, out } = await sky(["exec", "c", "python", "x.py", "--foo"], { server });
    expect(code).toBe(0);
    expect(out).toContain("Command to run: python x.py --foo\nSubmitting job to cluster: c\n");
    expect(String(server.bodies("/exec")[0]?.["task"])).toContain("run: python x.py --foo");
  });

  test("-c makes every word part of the command", async () => {
    await sky(["exec", "-c", "c", "ls", "-la"], { server });
    expect(String(server.bodies("/exec")[0]?.["task"])).toContain("run: ls -la");
  });

  test("-d tells the job id and what to type next", async () => {
    server.routes["POST /exec"] = gives({ job_id: 7, handle });
    const { out } = await sky(["exec", "-d", "c", "true"], { server });
    expect(out).toContain("Job ID: 7\n├── To cancel the job:\t\tsky cancel c 7\n");
  });

  test("a cluster that does not exist", async () => {
    server.routes["POST /exec"] = fails("ClusterDoesNotExist", "Cluster 'nosuch' does not exist.", "sky status");
    expect(await sky(["exec", "nosuch", "ls"], { server })).toMatchInlineSnapshot(`
      {
        "code": 1,
        "err": "error: Cluster 'nosuch' does not exist.
      hint: sky status
      ",
        "out": "Command to run: ls
      Submitting job to cluster: nosuch
      ",
      }
    `);
  });
});
