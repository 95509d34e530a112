import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { clusterRecord, listsClusters } from "../../../test/fakes/records.ts";
import { sky } from "../../../test/fakes/run-cli.ts";
import { control, fails, gives, WireServer } from "../../../test/fakes/wire-server.ts";

let server: WireServer;

beforeEach(async () => {
  server = await WireServer.start({
    routes: {
      "POST /status": listsClusters([clusterRecord({ name: "a" }), clusterRecord({ name: "b", status: "STOPPED" })]),
      "POST /stop": gives(null),
      "POST /down": gives(null),
      "POST /autostop": gives(null),
      "POST /start": gives(null),
    },
  });
});

afterEach(async () => {
  await server.stop();
});

describe("sky stop and down", () => {
  test("ask, act and say how to go back", async () => {
    expect(await sky(["stop", "a"], { server, answers: ["y"] })).toMatchInlineSnapshot(`
      {
        "code": 0,
        "err": "Stopping 1 cluster: a. Proceed? [Y/n]: ",
        "out": "Stopping cluster a...done.
        To restart the cluster, run: sky start a
      ",
      }
    `);
    expect(server.bodies("/stop")).toMatchObject([{ cluster_name: "a", purge: false, graceful: false }]);
    expect(server.calls.find((call) => call.path === "/stop")?.headers["x-skypilot-idempotency-key"]).toMatch(
      /^[0-9a-f-]{36}$/,
    );
  });

  test("show what the server says meanwhile", async () => {
    server.routes["POST /stop"] = gives(null, "The session ends soon.\n");
    const { out } = await sky(["stop", "-y", "a"], { server });
    expect(out).toMatch(/^The session ends soon\.\nStopping cluster a\.\.\.done\.\n/u);
  });

  test.each([
    [[], { graceful: false, graceful_timeout: null }],
    [["--graceful"], { graceful: true, graceful_timeout: null }],
    [["--graceful", "--graceful-timeout", "0"], { graceful: true, graceful_timeout: 0 }],
    [["--graceful-timeout", "90"], { graceful: false, graceful_timeout: 90 }],
  ])("%o says how long uploads are waited for", async (flags, fields) => {
    for (const command of ["stop", "down"]) {
      await sky([command, "-y", "a", ...flags], { server });
      expect(server.bodies(`/${command}`)).toMatchObject([fields]);
    }
  });

  test.each([
    ["-1", "-1 is not in the range x>=0."],
    ["soon", "'soon' is not a valid integer."],
    ["1.5", "'1.5' is not a valid integer."],
  ])("a time of %s is none", async (value, reason) => {
    const { code, err } = await sky(["down", "-y", "a", "--graceful", "--graceful-timeout", value], { server });
    expect(code).toBe(2);
    expect(err).toContain(`Error: Invalid value for '--graceful-timeout': ${reason}`);
    expect(server.calls).toEqual([]);
  });

  test("--graceful shows what is waited for, on a terminal", async () => {
    const [init, start] = ["init", "start"].map((tag) => control(`<rich_${tag}>[bold cyan]Waiting[/]</rich_${tag}>`));
    server.routes["POST /stop"] = gives(null, `${init}${start}${control("<rich_exit></rich_exit>")}`);
    const shown = await sky(["stop", "-y", "--graceful", "a"], { server, tty: true });
    expect(shown.err).toMatch(/Stopping 1 cluster.*Waiting.*Stopping 1 cluster/su);
    expect((await sky(["stop", "-y", "--graceful", "a"], { server })).err).toBe("");
    expect((await sky(["stop", "-y", "a"], { server, tty: true })).err).not.toContain("Waiting");
  });

  test("a no, and the end of input, abort", async () => {
    expect(await sky(["down", "a"], { server, answers: ["n"] })).toMatchInlineSnapshot(`
      {
        "code": 1,
        "err": "Terminating 1 cluster: a. Proceed? [Y/n]: Aborted!
      ",
        "out": "",
      }
    `);
    expect((await sky(["down", "a"], { server })).code).toBe(1);
    expect(server.bodies("/down")).toEqual([]);
  });

  test("several clusters end with a summary; a failure ends with 1", async () => {
    server.routes["POST /down"] = (call) =>
      call.body["cluster_name"] === "b" ? { error: { type: "RuntimeError", message: "No route to host." } } : {};
    const { code, out, err } = await sky(["down", "-y", "a", "b"], { server });
    expect(code).toBe(1);
    expect(out.split("\n").sort()).toMatchInlineSnapshot(`
      [
        "",
        "",
        "  ✓ Succeeded: a",
        "  ✗ Failed: b (No route to host.)",
        "Reason: No route to host.",
        "Summary:",
        "Terminating cluster a...done.",
        "Terminating cluster b...failed. ",
      ]
    `);
    expect(err).toMatchInlineSnapshot(`
      "Cluster(s) failed. See details above. If you want to ignore the errors and remove the cluster(s) from the status table, use \`sky down --purge\`.
      "
    `);
  });

  test("-a leaves out what is stopped, and controllers", async () => {
    server.routes["POST /status"] = gives([
      clusterRecord({ name: "a" }),
      clusterRecord({ name: "b", status: "STOPPED" }),
      clusterRecord({ name: "sky-jobs-controller-abcd1234" }),
    ]);
    const { code, err } = await sky(["stop", "-a", "x"], { server, answers: ["y"] });
    expect(code).toBe(0);
    expect(err).toBe(
      "Both --all and cluster(s) specified for `sky stop`. Letting --all take effect.\nStopping 1 cluster: a. Proceed? [Y/n]: ",
    );
    expect(server.bodies("/stop")).toHaveLength(1);
  });

  test("a name that does not exist is an error before anything is done", async () => {
    expect(await sky(["stop", "-y", "a", "nosuch"], { server })).toMatchInlineSnapshot(`
      {
        "code": 1,
        "err": "error: Cluster 'nosuch' does not exist.
      hint: see \`sky status\`
      ",
        "out": "",
      }
    `);
    expect(server.bodies("/stop")).toEqual([]);
  });

  test("needs a name or a flag", async () => {
    expect((await sky(["stop"], { server })).err).toMatchInlineSnapshot(`
      "Usage: sky stop [OPTIONS] [CLUSTERS]...
      Try 'sky stop -h' for help.

      Error: \`sky stop\` requires either a cluster name or glob (see \`sky status\`), or the -a/--all flag for all your clusters, or the -u/--all-users flag for all clusters in your team.
      "
    `);
  });

  test("--async says where to look", async () => {
    const { out } = await sky(["down", "-y", "a", "--async"], { server });
    expect(out).toMatch(/^Submitted sky\.down request: [0-9a-f-]{36}\n├── Check logs with: sky api logs [0-9a-f]{8}\n/);
  });

  test("controllers are not stopped", async () => {
    server.routes["POST /status"] = gives([clusterRecord({ name: "sky-serve-controller-x" })]);
    expect((await sky(["stop", "-y", "sky-serve-controller-x"], { server })).err).toContain(
      "error: Stopping controller(s) 'sky-serve-controller-x' is currently not supported.",
    );
  });
});

describe("sky autostop", () => {
  test("plans, with the default of five minutes", async () => {
    expect(await sky(["autostop", "-y", "a"], { server })).toMatchInlineSnapshot(`
      {
        "code": 0,
        "err": "",
        "out": "Scheduling autostop on cluster 'a'...done
        The cluster will be autostopped after 5 minutes of idleness.
        To cancel the autostop, run: sky autostop a --cancel
      ",
      }
    `);
    expect(server.bodies("/autostop")).toMatchObject([{ cluster_name: "a", idle_minutes: 5, down: false }]);
  });

  test("--down and --cancel", async () => {
    const down = await sky(["autostop", "a", "-i", "1", "--down"], { server, answers: [""] });
    expect(down.err).toBe("Scheduling autodown on 1 cluster: a. Proceed? [Y/n]: ");
    expect(down.out).toContain("The cluster will be autodowned after 1 minute of idleness.");
    const cancel = await sky(["autostop", "a", "--cancel", "-y"], { server });
    expect(cancel.out).toBe("Cancelling auto{stop,down} on cluster 'a'...done\n");
    expect(server.bodies("/autostop").map((body) => body["idle_minutes"])).toEqual([1, -1]);
    expect((await sky(["autostop", "a", "--cancel", "-i", "5"], { server })).code).toBe(2);
  });
});

describe("sky start", () => {
  test("starts what is stopped and says what is up", async () => {
    const { code, out, err } = await sky(["start", "a", "b"], { server, answers: ["y"] });
    expect(code).toBe(0);
    expect(out).toBe("Cluster a already has status UP.\nCluster b started.\n");
    expect(err).toBe("Restarting 1 cluster: b. Proceed? [Y/n]: ");
    expect(server.bodies("/start")).toMatchObject([{ cluster_name: "b", force: false, retry_until_up: false }]);
  });

  test("wants a name when there are several", async () => {
    expect((await sky(["start"], { server })).code).toBe(2);
    expect((await sky(["start", "--down", "a"], { server })).err).toContain(
      "Error: --idle-minutes-to-autostop must be set if --down is set.",
    );
    expect((await sky(["start", "x"], { server })).err).toContain("hint: see `sky status`; to bring up a new cluster");
  });

  test("the failure of a start is the failure of the command", async () => {
    server.routes["POST /start"] = fails("ResourcesUnavailableError", "No capacity.", "sky start -r b");
    expect(await sky(["start", "-y", "b"], { server })).toEqual({
      code: 1,
      out: "",
      err: "error: No capacity.\nhint: sky start -r b\n",
    });
  });
});
