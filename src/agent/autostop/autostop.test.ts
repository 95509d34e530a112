import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { SetAutostopParams } from "../../shared/agent/protocol.ts";
import type { ProcessEntry } from "../node/proc.ts";
import { Autostop, type AutostopSetting } from "./autostop.ts";
import { chooseHooks, renewHookClaim, runHooks } from "./hooks.ts";
import { powerOff } from "./power.ts";
import { hasTerminal } from "./terminals.ts";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "autostop-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

const MINUTE = 60_000;
const setting = (fields: Partial<SetAutostopParams> = {}): SetAutostopParams => ({
  key: "k",
  idleMinutes: 5,
  down: false,
  waitFor: "jobs_and_ssh",
  ...fields,
});

function createWorld(bootId = "boot-1") {
  const world = { now: 1_000_000, hasJobs: false, isLoggedIn: false, stops: [] as AutostopSetting[] };
  const autostop = new Autostop({
    path: join(directory, "autostop.json"),
    bootId,
    clock: { now: () => world.now, sleep: () => Promise.reject(new Error("not in this test")) },
    hasJobs: () => world.hasJobs,
    hasTerminal: () => Promise.resolve(world.isLoggedIn),
    stop: (chosen) => {
      world.stops.push(chosen);
      return Promise.resolve();
    },
    onError: (error) => {
      throw error;
    },
  });
  const pass = async (minutes: number): Promise<number> => {
    world.now += minutes * MINUTE;
    await autostop.check();
    return world.stops.length;
  };
  return { world, autostop, pass };
}

describe("idle time", () => {
  test("stops after the idle minutes, once", async () => {
    const { autostop, pass, world } = createWorld();
    autostop.set(setting({ down: true }));
    expect(await pass(4.9)).toBe(0);
    expect(await pass(0.1)).toBe(1);
    expect(await pass(10)).toBe(1);
    expect(world.stops[0]).toMatchObject({ down: true, idleMinutes: 5 });
    expect(autostop.status()).toMatchObject({ isAutostopping: true, isIdle: true });
  });

  test("a cluster that somebody else ends does not stop itself meanwhile", async () => {
    const { autostop, pass } = createWorld();
    autostop.set(setting({ waitFor: "none" }));
    autostop.hold();
    expect(await pass(60)).toBe(0);
    expect(autostop.isStopping).toBe(false);
    autostop.release();
    expect(await pass(0)).toBe(1);
  });

  test("jobs, logins and setting it again start the time anew", async () => {
    const { autostop, pass, world } = createWorld();
    autostop.set(setting());
    world.hasJobs = true;
    expect(await pass(60)).toBe(0);
    world.hasJobs = false;
    world.isLoggedIn = true;
    expect(await pass(4)).toBe(0);
    world.isLoggedIn = false;
    expect(await pass(4)).toBe(0);
    autostop.set(setting());
    expect(await pass(4)).toBe(0);
    expect(await pass(1)).toBe(1);
  });

  test("wait for jobs only: logins do not count; wait for none: nothing counts", async () => {
    const { autostop, pass, world } = createWorld();
    world.isLoggedIn = true;
    autostop.set(setting({ waitFor: "jobs" }));
    expect(await pass(5)).toBe(1);
    const other = createWorld();
    other.world.hasJobs = true;
    other.autostop.set(setting({ waitFor: "none" }));
    other.autostop.touch();
    expect(await other.pass(4)).toBe(0);
    other.autostop.touch();
    expect(await other.pass(1)).toBe(1);
  });

  test("negative minutes cancel; the setting outlives the agent, not the boot; hooks stay", async () => {
    const first = createWorld();
    const hooks = [{ run: "echo", events: ["stop"], timeoutSeconds: 5 }] as const;
    first.autostop.set(setting({ hooks }));
    const second = createWorld();
    expect(second.autostop.status().autostop).toEqual({ idleMinutes: 5, down: false, waitFor: "jobs_and_ssh" });
    expect(await second.pass(5)).toBe(1);
    expect(createWorld("boot-2").autostop.status().autostop).toBeNull();
    const third = createWorld();
    third.autostop.set(setting({ idleMinutes: -1 }));
    expect(await third.pass(500)).toBe(0);
    expect(third.autostop.hooks).toEqual(hooks);
  });

  test("a setting that is cut off is none", () => {
    writeFileSync(join(directory, "autostop.json"), '{"idleMin');
    expect(createWorld().autostop.status().autostop).toBeNull();
  });
});

test("logins are terminals below an ssh server", () => {
  const PTS = 136 << 8;
  const entry = (pid: number, parent: number, command: string, tty = 0): ProcessEntry => ({
    pid,
    parent,
    command,
    tty,
    group: pid,
    session: pid,
    state: "S",
  });
  const sshd = entry(10, 1, "sshd");
  expect(hasTerminal([sshd, entry(11, 10, "sshd"), entry(12, 11, "bash", PTS)])).toBe(true);
  expect(hasTerminal([sshd, entry(12, 10, "rsync")])).toBe(false);
  expect(hasTerminal([sshd, entry(12, 1, "bash", PTS)])).toBe(false);
  expect(hasTerminal([sshd, entry(12, 10, "bash", 4 << 8)])).toBe(false);
  expect(hasTerminal([entry(5, 6, "a", PTS), entry(6, 5, "b")])).toBe(false);
});

describe("hooks", () => {
  const hook = (run: string, events: readonly ("stop" | "down")[] = []) => ({ run, events, timeoutSeconds: 5 });
  const run = async (event: "stop" | "down", hooks: ReturnType<typeof hook>[]): Promise<string[]> => {
    const failures: string[] = [];
    await runHooks(event, chooseHooks(hooks, event), {
      directory,
      bootId: "boot-1",
      node: {
        exec: async ({ script, env, onOutput }) => {
          await onOutput(Buffer.from(`${script} ${env["SKYPILOT_HOOK_EVENT"]}\n`));
          return script === "bad" ? 124 : 0;
        },
      },
      onFailure: (script, code) => failures.push(`${script} ${code}`),
    });
    return failures;
  };

  test("those of the event run in order, once; failures are noted and change nothing", async () => {
    expect(await run("stop", [hook("one"), hook("no", ["down"]), hook("bad"), hook("two", ["stop"])])).toEqual([
      "bad 124",
    ]);
    const log = join(directory, "stop.log");
    expect(readFileSync(log, "utf8")).toBe("one stop\nbad stop\nHook failed with return code 124.\ntwo stop\n");
    await run("down", [hook("again")]);
    expect(() => readFileSync(join(directory, "down.log"))).toThrow("ENOENT");
  });

  test("a start after a stop, or after a reboot, makes them possible again", async () => {
    await run("stop", [hook("one")]);
    renewHookClaim(directory, { bootId: "boot-1", wasStopped: false });
    await run("down", [hook("two")]);
    expect(() => readFileSync(join(directory, "down.log"))).toThrow("ENOENT");
    renewHookClaim(directory, { bootId: "boot-1", wasStopped: true });
    await run("down", [hook("two")]);
    renewHookClaim(directory, { bootId: "boot-2", wasStopped: false });
    await run("stop", [hook("three")]);
    expect(readFileSync(join(directory, "stop.log"), "utf8")).toBe("three stop\n");
  });
});

test("powering off tries the next way when one fails", () => {
  const tried: string[] = [];
  powerOff((command) => {
    tried.push(command);
    if (command !== "systemctl") throw new Error(`no ${command}`);
  });
  expect(tried).toEqual(["sudo", "shutdown", "systemctl"]);
  expect(() =>
    powerOff(() => {
      throw new Error("refused");
    }),
  ).toThrow("refused");
});
