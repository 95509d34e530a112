import { describe, expect, test } from "vitest";
import { commandTable } from "./command-table.ts";
import { sky } from "../../test/fakes/run-cli.ts";

describe("sky without a command", () => {
  test("prints the root help", async () => {
    const bare = await sky([]);
    expect(bare.code).toBe(0);
    expect(bare).toEqual(await sky(["--help"]));
    expect(bare.out).toMatchInlineSnapshot(`
      "Usage: sky [OPTIONS] COMMAND [ARGS]...

      Options:
        --install-shell-completion [bash|zsh|fish|auto]
                                        Set up completion for that shell.
        --uninstall-shell-completion [bash|zsh|fish|auto]
                                        Remove completion from that shell.
        -v, --version                   Show the version and exit.
        -c, --commit                    Show the commit and exit.
        -h, --help                      Show this message and exit.

      Commands:
        launch       Launch a cluster or run a task on one.
        exec         Run a task or a command on an existing cluster.
        status       Show clusters.
        cost-report  Show estimated costs of clusters.
        budget       Budgets: what may be spent, and what happens then.
        orphans      Show clusters on the clouds that the server does not know.
        queue        Show the job queue of clusters.
        logs         Show the log of a job.
        cancel       Cancel jobs.
        stop         Stop clusters.
        autostop     Plan an autostop or autodown of clusters.
        start        Restart clusters.
        down         Tear down clusters.
        check        Check which infra can be used.
        aws          AWS: logins, profiles and permissions.
        gpus         Accelerators: what is on offer and at what price.
        catalog      Price lists: which are in use, and making them new.
        storage      Buckets that tasks use.
        volumes      Volumes that tasks mount.
        jobs         Managed jobs: jobs that recover by themselves.
        dashboard    Open the dashboard.
        serve        Services with replicas and a load balancer.
        api          The API server.
        workspace    Your workspace.
        ssh          SSH node pools.
        debug-dump   Collect what is needed to look into a problem.
      "
    `);
  });

  test("prints version and commit", async () => {
    expect(await sky(["--version"])).toEqual({ code: 0, out: "skypilot, version 0.14.1\n", err: "" });
    expect((await sky(["-v"])).out).toBe("skypilot, version 0.14.1\n");
    expect((await sky(["-c"])).out).toBe("skypilot, commit 7e595970a806dcc9eefadf459f399edf1733e962\n");
  });

  test("a group prints its help", async () => {
    const { code, out } = await sky(["api"]);
    expect(code).toBe(0);
    expect(out).toMatchInlineSnapshot(`
      "Usage: sky api [OPTIONS] COMMAND [ARGS]...

        The API server.

      Options:
        -h, --help  Show this message and exit.

      Commands:
        start   Start the API server on this machine.
        stop    Stop the API server on this machine.
        logs    Show the log of a request.
        cancel  Cancel requests.
        status  List requests.
        login   Log in to an API server.
        logout  Log out of the API server.
        info    Show the API server in use.
      "
    `);
  });

  test("a misspelt command is answered with the closest one", async () => {
    expect(await sky(["launchh"])).toMatchInlineSnapshot(`
      {
        "code": 2,
        "err": "Usage: sky [OPTIONS] COMMAND [ARGS]...
      Try 'sky -h' for help.

      Error: No such command 'launchh'.
      hint: did you mean \`launch\`?
      ",
        "out": "",
      }
    `);
    expect((await sky(["api", "statu"])).err).toContain("hint: did you mean `status`?");
    expect((await sky(["zzz"])).err).toContain("Error: No such command 'zzz'.\n");
  });

  test("an unknown option of sky itself", async () => {
    const { code, err } = await sky(["--bogus"]);
    expect(code).toBe(2);
    expect(err).toContain("Error: No such option: --bogus");
  });
});

describe("every command", () => {
  const leaves = commandTable.filter((entry) => entry.spec !== undefined);

  test.each(leaves.map((entry) => entry.path))("sky %s --help prints its page and nothing else", async (path) => {
    const { code, out, err } = await sky([...path.split(" "), "--help"]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out.startsWith(`Usage: sky ${path} [OPTIONS]`)).toBe(true);
    expect(Math.max(...out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(110);
    expect(out).toMatchSnapshot();
  });

  const planned = leaves.filter((entry) => entry.run === undefined);

  test.each(planned.map((entry) => entry.path))("sky %s says that it is not available yet", async (path) => {
    const spec = await planned.find((entry) => entry.path === path)?.spec?.();
    const words = Object.values(spec?.args ?? {}).flatMap((arg) => (arg.required ? ["x.yaml"] : []));
    const { code, out, err } = await sky([...path.split(" "), ...words]);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toContain(`error: \`sky ${path}\` is not available yet in this version.\n`);
  });
});

describe("usage errors", () => {
  test.each([
    [["launch", "--bogus"]],
    [["launch", "--infr", "x"]],
    [["launch", "-yq"]],
    [["launch", "--num-nodes", "x"]],
    [["launch", "-i", "x"]],
    [["launch", "--disk-tier", "foo"]],
    [["launch", "--workdir", "/does/not/exist"]],
    [["launch", "--workdir", "/etc/passwd"]],
    [["launch", "--infra"]],
    [["launch", "--yes=1"]],
    [["launch", "--env-file", "nope"]],
    [["launch", "--resize"]],
    [["cancel"]],
    [["exec"]],
    [["exec", "c"]],
    [["api", "status", "-l", "x"]],
    [["local", "up", "--num-nodes", "0"]],
    [["jobs", "queue", "extra", "words"]],
    [["cancel", "c", "x"]],
  ])("sky %s", async (argv) => {
    const { code, out, err } = await sky(argv);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toMatchSnapshot();
  });
});
