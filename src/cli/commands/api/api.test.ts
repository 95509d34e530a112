import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { sky, withHome } from "../../../../test/fakes/run-cli.ts";
import { gives, WireServer } from "../../../../test/fakes/wire-server.ts";

let server: WireServer;

beforeEach(async () => {
  server = await WireServer.start();
});

afterEach(async () => {
  await server.stop();
});

const row = {
  request_id: "9438b8a8-312e-48d4-aa9c-a82cf9b99095",
  name: "sky.status",
  status: "SUCCEEDED",
  user_id: "abcd1234",
  user_name: "alice",
  cluster_name: "c",
  created_at: 1_000_000,
};

function answers(value: unknown) {
  return (_call: unknown, response: { end: (text: string) => unknown }): undefined => {
    response.end(JSON.stringify(value));
    return undefined;
  };
}

describe("sky api info", () => {
  test("says which server and which user", async () => {
    const { code, out } = await sky(["api", "info"], { server });
    expect(code).toBe(0);
    expect(out.replace(server.url, "<url>")).toMatchInlineSnapshot(`
      "SkyPilot client version: 0.14.1, commit: 7e595970a806dcc9eefadf459f399edf1733e962
      Using SkyPilot API server and dashboard: <url>
      ├── Status: ApiServerStatus.HEALTHY, commit: 7e595970a806dcc9eefadf459f399edf1733e962, version: 0.14.1
      ├── User: alice (abcd1234)
      └── Endpoint set via the environment variable SKYPILOT_API_SERVER_ENDPOINT
      "
    `);
  });

  test("JSON", async () => {
    const { out } = await sky(["api", "info", "-o", "json"], { server });
    expect(JSON.parse(out)).toMatchObject({ server: { status: "healthy", api_version: "62" }, user: "alice" });
  });

  test("no server is an answer, exit code 0", async () => {
    const { url } = server;
    await server.stop();
    expect(await sky(["api", "info"], { env: { SKYPILOT_API_SERVER_LOCAL_PORT: new URL(url).port } }))
      .toMatchInlineSnapshot(`
      {
        "code": 0,
        "err": "",
        "out": "SkyPilot client version: 0.14.1, commit: 7e595970a806dcc9eefadf459f399edf1733e962
      No SkyPilot API server is connected
      ├── To connect to an existing API server: sky api login
      └── To start a local API server: sky api start
      ",
      }
    `);
    const remote = await sky(["api", "info"], { env: { SKYPILOT_API_SERVER_ENDPOINT: url } });
    expect(remote.out.replaceAll(url, "<url>")).toMatchInlineSnapshot(`
      "SkyPilot client version: 0.14.1, commit: 7e595970a806dcc9eefadf459f399edf1733e962
      Could not connect to SkyPilot API server at <url>
      ├── To re-login to the API server: sky api login --relogin -e <url>
      └── To logout the server: sky api logout
      "
    `);
    server = await WireServer.start();
  });
});

describe("sky api status", () => {
  test("lists requests without the server's own daemons", async () => {
    server.routes["GET /api/status"] = answers([
      row,
      { ...row, request_id: "skypilot-status-refresh-daemon", user_id: "skypilot-system", status: "RUNNING" },
    ]);
    expect((await sky(["api", "status", "-l", "1"], { server, now: 1_000_016 })).out).toMatchInlineSnapshot(`
      "ID                                    User   Name        Created      Status     
      9438b8a8-312e-48d4-aa9c-a82cf9b99095  alice  sky.status  16 secs ago  SUCCEEDED  

      Showing 1 requests. Use "-l none" or "-l all" to show all requests.
      "
    `);
    expect((await sky(["api", "status", "-v", "-a"], { server, now: 1_000_016 })).out).toContain("Cluster");
    expect(server.calls.map((call) => call.query.toString())).toEqual([
      "all_status=False&limit=1",
      "all_status=True&limit=50",
    ]);
  });

  test("nothing is a row of dashes", async () => {
    server.routes["GET /api/status"] = answers([]);
    expect((await sky(["api", "status", "-l", "all"], { server })).out).toBe(
      "ID  User  Name  Created  Status  \n-   -     -     -        -       \n",
    );
  });
});

describe("sky api cancel", () => {
  test("by id, and all after the password", async () => {
    server.routes["POST /api/cancel"] = gives([row.request_id]);
    expect((await sky(["api", "cancel", "9438"], { server })).out).toBe(`Cancelled 1 request: ${row.request_id}\n`);
    const all = await sky(["api", "cancel", "-a"], { server, answers: ["cancel all requests"] });
    expect(all.err).toMatchInlineSnapshot(`
      "This will cancel all YOUR requests.
      To proceed, please type 'cancel all requests': "
    `);
    expect((await sky(["api", "cancel", "-a"], { server, answers: ["no"] })).code).toBe(1);
    expect(server.bodies("/api/cancel").map((body) => [body["request_ids"], body["user_id"]])).toEqual([
      [["9438"], null],
      [null, "abcd1234"],
    ]);
    server.routes["POST /api/cancel"] = gives([]);
    expect((await sky(["api", "cancel", "-u", "-y"], { server })).out).toBe("No requests need to be cancelled.\n");
    expect((await sky(["api", "cancel"], { server })).code).toBe(2);
  });
});

describe("sky api logs", () => {
  test("streams a request's log", async () => {
    server.routes["GET /api/stream"] = (_call, response) => {
      response.end("line\n");
      return undefined;
    };
    expect((await sky(["api", "logs", "9438", "--no-follow"], { server })).out).toBe("line\n");
    expect(server.calls[0]?.query.get("follow")).toBe("False");
    expect((await sky(["api", "logs"], { server })).err).toContain(
      "Error: Invalid value: Please provide the request ID or log path.",
    );
    expect((await sky(["api", "logs", "x", "-l", "y"], { server })).code).toBe(2);
  });

  test("prints the local server's own log from its file", async () => {
    await withHome(async (home) => {
      mkdirSync(join(home, ".sky/ts"), { recursive: true });
      writeFileSync(join(home, ".sky/ts/server.log"), "one\ntwo\nthree\n");
      const { out } = await sky(["api", "logs", "--server-logs", "--no-follow", "--tail", "2"], { home });
      expect(out).toBe("two\nthree\n");
      expect((await sky(["api", "logs", "--server-logs"], {})).code).toBe(1);
    });
  });
});

describe("sky api login and logout", () => {
  test("saves the endpoint, keeps the rest of the file, and forgets it again", async () => {
    await withHome(async (home) => {
      mkdirSync(join(home, ".sky"));
      writeFileSync(join(home, ".sky/config.yaml"), "aws:\n  use_ssm: true\n");
      const { code, out } = await sky(["api", "login", "-e", `${server.url}/`], { home });
      expect({ code, out: out.replaceAll(server.url, "<url>") }).toMatchInlineSnapshot(`
        {
          "code": 0,
          "out": "Logged into SkyPilot API server at: <url>
        └── Dashboard: <url>/dashboard
        ",
        }
      `);
      expect(readFileSync(join(home, ".sky/config.yaml"), "utf8")).toContain(`endpoint: ${server.url}\n`);
      expect((await sky(["api", "info"], { home })).out).toContain(`Endpoint set via ${home}/.sky/config.yaml`);
      expect((await sky(["api", "logout"], { home })).out).toBe("Logged out of SkyPilot API server.\n");
      expect(readFileSync(join(home, ".sky/config.yaml"), "utf8")).toBe("aws:\n  use_ssm: true\n");
    });
  });

  test("a token is kept in a private file and sent", async () => {
    await withHome(async (home) => {
      await sky(["api", "login", "-e", server.url, "--token", "sky_x"], { home });
      expect(statSync(join(home, ".sky/config.yaml")).mode & 0o777).toBe(0o600);
      await sky(["api", "info"], { home });
      expect(server.calls.at(-1)?.headers.authorization).toBe("Bearer sky_x");
      expect((await sky(["api", "login", "-e", server.url, "--token", "nope"], { home })).err).toContain(
        'error: Invalid service account token format. Token must start with "sky_"',
      );
    });
  });

  test("in the browser: the token is asked for until somebody has logged in", async () => {
    await withHome(async (home) => {
      let asked = 0;
      server.routes["GET /api/health"] = (call, response) => {
        const ok = call.headers.cookie === "session=abc";
        return answers(ok ? { status: "healthy", user: { id: "u1", name: "alice" } } : { status: "needs_auth" })(
          call,
          response,
        );
      };
      server.routes["GET /api/v1/auth/token"] = (call, response) => {
        asked += 1;
        const token = Buffer.from(JSON.stringify({ v: 1, user: "u1", cookies: { session: "abc" } })).toString("base64");
        return answers({ token })(call, response);
      };
      const { code, out } = await sky(["api", "login", "-e", server.url, "--no-browser"], { home });
      expect({ code, asked }).toEqual({ code: 0, asked: 1 });
      expect(out).toContain("├── User: alice (u1)\n");
      expect(readFileSync(join(home, ".sky/user_hash"), "utf8")).toBe("u1");
      expect(statSync(join(home, ".sky/cookies.txt")).mode & 0o777).toBe(0o600);
    });
  });

  test("a local server has no logout", async () => {
    const { port } = server;
    const { code, err } = await sky(["api", "logout"], { env: { SKYPILOT_API_SERVER_LOCAL_PORT: String(port) } });
    expect(code).toBe(1);
    expect(err).toBe("error: Local api server cannot be logged out. Use `sky api stop` instead.\n");
  });
});

describe("sky api start and stop", () => {
  test("a server that runs is not started twice, one that does not run is not stopped", async () => {
    const env = { SKYPILOT_API_SERVER_LOCAL_PORT: String(server.port) };
    const started = await sky(["api", "start"], { env });
    expect(started.out.replace(server.url, "<url>")).toMatchInlineSnapshot(`
      "API server is already running:
      ├── SkyPilot API server and dashboard: <url>
      └── View API server logs at: ~/.sky/ts/server.log
      "
    `);
    expect((await sky(["api", "stop"], { env })).out).toBe("SkyPilot API server is not running.\n");
    const remote = await sky(["api", "start"], { server });
    expect(remote.err).toContain("error: Unable to start local API server: server endpoint is set to");
  });

  test("a stale pid file stops nobody", async () => {
    await withHome(async (home) => {
      mkdirSync(join(home, ".sky/ts"), { recursive: true });
      const file = join(home, ".sky/ts/server.pid");
      writeFileSync(file, JSON.stringify({ pid: process.pid, start_time: 1, port: 1 }));
      expect((await sky(["api", "stop"], { home })).out).toBe("SkyPilot API server is not running.\n");
      expect(existsSync(file)).toBe(true);
    });
  });
});
