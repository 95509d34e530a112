import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FakeClock } from "../../../test/fakes/fake-clock.ts";
import { systemClock } from "../../shared/clock.ts";
import { hasInEnvironment, listProcesses } from "../node/proc.ts";
import { findEngine, runCommand, type ContainerEngine, type EngineAnswer } from "./engine.ts";
import { containerDestination } from "./links.ts";
import { ensureImage, fullImageName } from "./pull.ts";
import { runArguments, type ContainerPlan, type MachineFacts } from "./run-arguments.ts";
import { KILL_TREE } from "./scripts.ts";

const docker: ContainerEngine = { kind: "docker", command: ["docker"], isRootless: false, runtimes: ["runc"] };

let scratch = "";
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), "container-"));
});
afterEach(() => rmSync(scratch, { recursive: true }));

describe("the engine", () => {
  const answers = (table: Readonly<Record<string, Partial<EngineAnswer>>>) => {
    const calls: string[] = [];
    const run = (argv: readonly string[]): Promise<EngineAnswer> => {
      const call = argv.join(" ").replace(" --format {{json .}}", "");
      calls.push(call);
      return Promise.resolve({ code: 0, stdout: "", stderr: "", ...(table[call] ?? { code: 127 }) });
    };
    return { run, calls };
  };
  const info = {
    stdout: '{"ServerVersion":"28.2.2","Runtimes":{"runc":{},"nvidia":{}},"SecurityOptions":["name=seccomp"]}',
  };
  const denied = { code: 1, stderr: "permission denied while trying to connect to the Docker daemon socket" };
  const noDaemon = { code: 1, stderr: "Cannot connect to the Docker daemon at unix:///var/run/docker.sock." };
  const find = (table: Readonly<Record<string, Partial<EngineAnswer>>>, uid = 1000) =>
    findEngine({ env: {}, clock: systemClock, run: answers(table).run, uid });

  test("is docker when that answers, with sudo where only root may ask, else podman", async () => {
    expect(await find({ "docker info": info, "podman --version": {} })).toEqual({
      kind: "docker",
      command: ["docker"],
      isRootless: false,
      runtimes: ["runc", "nvidia"],
    });
    expect((await find({ "docker info": denied, "sudo -n docker info": info })).command).toEqual([
      "sudo",
      "-n",
      "docker",
    ]);
    expect(await find({ "docker info": noDaemon, "podman --version": {} })).toMatchObject({
      command: ["podman"],
      isRootless: true,
    });
    expect((await find({ "podman --version": {} }, 0)).isRootless).toBe(false);
  });

  test("that is missing or does not answer is said", async () => {
    await expect(find({})).rejects.toMatchObject({
      agentCode: "CONTAINER_FAILED",
      message: "The node cannot run containers: it has neither docker nor podman.",
    });
    await expect(
      find({ "docker info": denied, "sudo -n docker info": { code: 1, stderr: "a password" } }),
    ).rejects.toThrow(
      "docker does not answer (permission denied while trying to connect to the Docker daemon socket), and there is no podman.",
    );
  });

  test("a docker that starts with the machine is waited for", async () => {
    const clock = new FakeClock();
    let asked = 0;
    const run = (argv: readonly string[]): Promise<EngineAnswer> => {
      if (argv[0] === "podman") return Promise.resolve({ code: 127, stdout: "", stderr: "" });
      asked += 1;
      return Promise.resolve({ code: 0, stdout: "", stderr: "", ...(asked > 3 ? info : noDaemon) });
    };
    const found = findEngine({ env: {}, clock, run, uid: 0 });
    for (let step = 0; step < 10; step += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      clock.advance(1000);
    }
    expect((await found).command).toEqual(["docker"]);
    expect(asked).toBe(4);
  });
});

describe("images", () => {
  const login = { server: "ghcr.io", username: "me", password: "pw" };

  test("get the login's registry in front, once, and none for Docker Hub", () => {
    const name = (image: string, server?: string): string =>
      fullImageName({ image, runOptions: [], ...(server === undefined ? {} : { login: { ...login, server } }) });
    expect(name("org/app:1")).toBe("org/app:1");
    expect(name("org/app:1", "ghcr.io")).toBe("ghcr.io/org/app:1");
    expect(name("ghcr.io/org/app:1", "https://ghcr.io/")).toBe("ghcr.io/org/app:1");
    expect(name("org/app", "docker.io")).toBe("org/app");
  });

  /** An engine that notes how it is called and asks the credential helper as the real ones do. */
  const fakeEngine = (hasImage: boolean): ContainerEngine => {
    const path = join(scratch, "engine");
    writeFileSync(
      path,
      `#!/bin/sh
echo "$*" >> ${scratch}/calls
case "$1" in
image) ${hasImage ? "exit 0" : "exit 1"} ;;
pull) cat "$DOCKER_CONFIG/config.json" > ${scratch}/config; echo ghcr.io | docker-credential-skypilot-login get > ${scratch}/answer; ls -l "$DOCKER_CONFIG" > ${scratch}/modes;;
esac`,
      { mode: 0o755 },
    );
    return { ...docker, command: [path] };
  };
  const read = async (name: string): Promise<string> =>
    (await runCommand(["cat", join(scratch, name)], { env: { PATH: "/usr/bin:/bin" } })).stdout;

  test("are pulled with a login that is in no file and no argument", async () => {
    const tools = { engine: fakeEngine(false), env: { PATH: "/usr/bin:/bin" }, scratch };
    const password = `it's "secret"`;
    expect(await ensureImage({ image: "org/app:1", login: { ...login, password }, runOptions: [] }, tools)).toBe(
      "ghcr.io/org/app:1",
    );
    expect(JSON.parse(await read("answer"))).toEqual({ ServerURL: "ghcr.io", Username: "me", Secret: password });
    expect(JSON.parse(await read("config"))).toEqual({ credHelpers: { "ghcr.io": "skypilot-login" } });
    expect(await read("calls")).toBe("image inspect ghcr.io/org/app:1\npull ghcr.io/org/app:1\n");
    expect(await read("modes")).toMatch(/-rw------- .*config\.json/);
  });

  test("that are there are not pulled again, but for latest", async () => {
    const tools = { engine: fakeEngine(true), env: { PATH: "/usr/bin:/bin" }, scratch };
    for (const image of ["app:1", "app", "app:latest", "localhost/app", "app@sha256:00"]) {
      await ensureImage({ image, runOptions: [] }, tools);
    }
    const pulls = (await read("calls")).split("\n").filter((line) => line.startsWith("pull"));
    expect(pulls).toEqual(["pull app", "pull app:latest"]);
  });
});

describe("the arguments of run", () => {
  const plan: ContainerPlan = {
    name: "sky-c-0",
    image: "app:1",
    home: "/home/app",
    nodeHome: "/home/me",
    tasks: "/home/me/.sky/agent/tasks",
    resources: { cpus: 1, memoryGib: 1, accelerators: {} },
    runOptions: ["--privileged"],
  };
  const facts: MachineFacts = { shmBytes: 1000, passesOn: () => false, hasCdi: false, amdDevices: [] };
  const gpus = (name: string) => ({ ...plan, resources: { ...plan.resources, accelerators: { [name]: 2 } } });

  test("mount the node's folders where the image's user has his", () => {
    const args = runArguments(plan, docker, facts).join(" ");
    expect(args).toContain("--volume /home/me/sky_workdir:/home/app/sky_workdir ");
    expect(args).toContain(
      "--volume /home/me/.sky/agent/tasks:/run/skypilot/tasks:ro --privileged --entrypoint bash app:1",
    );
    expect(args).toContain("--net=host");
    expect(runArguments(plan, docker, { ...facts, passesOn: () => true }).join(" ")).toContain("sky_logs:rslave");
  });

  test("pass GPUs on, or say what is missing for that", () => {
    expect(runArguments(gpus("H100"), { ...docker, runtimes: ["nvidia"] }, facts).join(" ")).toContain("--gpus all");
    const podman: ContainerEngine = { ...docker, kind: "podman" };
    expect(runArguments(gpus("H100"), podman, { ...facts, hasCdi: true }).join(" ")).toContain("nvidia.com/gpu=all");
    expect(runArguments(gpus("MI300X"), podman, { ...facts, amdDevices: ["/dev/kfd"] })).toContain("/dev/kfd");
    expect(() => runArguments(gpus("H100"), docker, facts)).toThrow(
      "docker on the node cannot pass on its GPUs (H100).",
    );
  });
});

test("destinations outside of the mounted folders get a link inside", () => {
  const map = containerDestination;
  expect(map("~/sky_workdir")).toEqual({ dest: "~/sky_workdir" });
  expect(map("data")).toEqual({ dest: "data" });
  expect(map("~/data/x")).toEqual({
    dest: "~/.sky/file_mounts/.home/data/x",
    link: { place: "~/data/x", folder: ".home/data/x", isStrict: false },
  });
  expect(map("~")).toMatchObject({ dest: "~/.sky/file_mounts/.home", link: { place: "~/." } });
  expect(map("/data/")).toEqual({
    dest: "~/.sky/file_mounts/data",
    link: { place: "/data", folder: "data", isStrict: true },
  });
  expect(map("/tmp/x")).toMatchObject({ link: { place: "/tmp/x", isStrict: false } });
  // Refused later, as on a machine.
  expect(map("~/../x")).toEqual({ dest: "~/../x" });
  expect(map("/")).toEqual({ dest: "/" });
});

describe("what ends a task inside", () => {
  const marker = `SKYPILOT_AGENT_TASK=test.${process.pid}`;
  const members = (): number =>
    listProcesses().filter(({ pid, state }) => state !== "Z" && hasInEnvironment(pid, marker)).length;
  const start = async (script: string, count: number): Promise<void> => {
    const [name = "", value = ""] = marker.split("=");
    spawn("bash", ["-c", script], {
      env: { PATH: "/usr/bin:/bin", [name]: value },
      detached: true,
      stdio: "ignore",
    }).unref();
    while (members() < count) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  const kill = (seconds: string): Promise<EngineAnswer> =>
    runCommand(["/bin/bash", "-c", KILL_TREE, "sky-kill", marker, seconds], { env: { PATH: "" } });

  test("finds what left its session and its parent, with bash alone", async () => {
    await start("(setsid sleep 1000 &); sleep 1000 & wait", 3);
    expect(await kill("5")).toMatchObject({ code: 0, stdout: "" });
    expect(members()).toBe(0);
  });

  test("kills what does not listen when the grace is over", async () => {
    await start("trap '' TERM; while :; do sleep 0.05; done", 2);
    expect((await kill("0")).code).toBe(0);
    expect(members()).toBe(0);
  });
});
