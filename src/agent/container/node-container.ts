import { createHash } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../../platform/atomic-file.ts";
import type { EnteredContainer } from "../ssh/sshd-files.ts";
import { engineEnvironment, removeContainer, type ContainerRecord } from "../../platform/container-record.ts";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import type { ContainerSpec, NodeConfig } from "../../shared/agent/protocol.ts";
import type { Clock } from "../../shared/clock.ts";
import type { AgentPaths } from "../node/paths.ts";
import { findEngine, lastLine, runCommand, type ContainerEngine, type EngineAnswer } from "./engine.ts";
import { outerFirst, type ContainerLink } from "./links.ts";
import { ensureImage, fullImageName } from "./pull.ts";
import { INSIDE, runArguments } from "./run-arguments.ts";
import { KILL_TREE, LINK, RUN_SCRIPT, SEE, WHO } from "./scripts.ts";
import { makeSharedFolders, SHARED_FOLDERS } from "./shared-folders.ts";

export interface NodeContainerOptions {
  readonly config: NodeConfig;
  readonly paths: AgentPaths;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
}

/** `<agent root>/container.json`: what has to be known of the container after the agent's end. Nothing in it is secret. */
interface Stored extends ContainerRecord {
  readonly image: string;
  readonly runOptions: readonly string[];
  readonly user?: string;
  /** HOME inside. */
  readonly home: string;
  readonly links: readonly ContainerLink[];
}

/** A command that runs in the container, for a process outside. */
export interface InsideCommand {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/**
 * The container that this node's tasks run in, when the cluster has an image. The agent stays outside: it makes the container, runs
 * scripts in it by `exec`, and ends what they started from inside, because processes in there may belong to other users.
 */
export class NodeContainer {
  readonly #options: NodeContainerOptions;
  readonly #env: Readonly<Record<string, string>>;
  readonly #path: string;
  #stored: Stored | undefined;
  #preparing: Promise<void> = Promise.resolve();

  constructor(options: NodeContainerOptions) {
    this.#options = options;
    this.#env = engineEnvironment(options.env);
    this.#path = join(options.paths.root, "container.json");
    this.#stored = readStored(this.#path);
  }

  /** Whether tasks run in a container. */
  get isUsed(): boolean {
    return this.#stored !== undefined;
  }

  /** HOME inside. */
  get home(): string {
    return this.#require().home;
  }

  /** Makes the container, or starts the one that is there. One call at a time. Throws CONTAINER_FAILED. */
  prepare(spec: ContainerSpec): Promise<void> {
    this.#preparing = this.#preparing.catch(() => undefined).then(() => this.#prepare(spec));
    return this.#preparing;
  }

  /** Starts the container again where it stopped: with the machine, or by itself. Throws CONTAINER_FAILED. */
  async ensureRunning(): Promise<void> {
    await this.#preparing.catch(() => undefined);
    const { name, engine, image } = this.#require();
    const state = await this.#state(name, engine);
    if (state === "running") return;
    if (state === undefined) {
      throw failed(`The container ${name} of the node is gone.`, "Launch again to have it made anew.");
    }
    makeSharedFolders(this.#options.config.home);
    const started = await this.#call(engine, ["start", name]);
    if (started.code !== 0) throw failed(`The container of ${image} does not start: ${lastLine(started.stderr)}`);
  }

  /** How a script file of a task is run inside. The variables can be seen by everybody on the machine. */
  scriptCommand(id: string, variables: Readonly<Record<string, string>>): InsideCommand {
    return this.#exec(variables, ["bash", "-c", RUN_SCRIPT, "sky-task", `${INSIDE}/tasks/${id}/script.sh`]);
  }

  /** A bash inside that takes its script from stdin. The variables can be seen by everybody on the machine. */
  shellCommand(variables: Readonly<Record<string, string>>): InsideCommand {
    return this.#exec(variables, ["bash", "-s"], ["--interactive"]);
  }

  /** How whoever logs in to the node gets inside. */
  enterCommand(): EnteredContainer {
    const { name, engine, user, home } = this.#require();
    const as = user === undefined ? [] : ["--user", user];
    const before = [...engine, "exec", "--interactive", ...as, "--workdir", home];
    return { before, after: [name], env: this.#env };
  }

  /** Ends everything inside that carries a marker. Resolves when none of it is left, or the container itself is gone. */
  async kill(marker: string, graceMs: number): Promise<void> {
    const { name, engine } = this.#require();
    if ((await this.#state(name, engine)) !== "running") return;
    const seconds = String(Math.ceil(graceMs / 1000));
    // As root: a task may have started processes of other users.
    await this.#call(engine, ["exec", "--user", "0", name, "bash", "-c", KILL_TREE, "sky-kill", marker, seconds]);
  }

  /** Makes synced files appear at their places inside, also in containers that are made later. */
  async link(link: ContainerLink): Promise<void> {
    await this.#makeLink(this.#require(), link);
    // Looked at now: other links may have been made meanwhile.
    const stored = this.#require();
    const others = stored.links.filter((one) => one.place !== link.place);
    this.#save({ ...stored, links: [...others, link] });
  }

  /**
   * Whether tasks see what is mounted at a place of the node, `~/…` in one of the shared folders. Throws MOUNT_FAILED with what to do when
   * they do not, or may not look into it.
   */
  async requireSight(place: string): Promise<void> {
    const { name, engine, user, home } = this.#require();
    const as = user === undefined ? [] : ["--user", user];
    const path = place.replace(/^~/u, home);
    const answer = await this.#call(engine, ["exec", ...as, name, "bash", "-c", SEE, "sky-see", path]);
    if (answer.code === 0) return;
    throw answer.code === 4
      ? new AgentPeerError("MOUNT_FAILED", "The container's user may not look into what the node has mounted.", {
          hint: "Add the line user_allow_other to /etc/fuse.conf of the node.",
        })
      : new AgentPeerError("MOUNT_FAILED", "What is mounted on the node does not appear in its container.", {
          hint: "Make the node pass mounts on (sudo mount --make-rshared /), take the cluster down and launch again. `mode: COPY` works without.",
        });
  }

  async stop(): Promise<void> {
    const stored = this.#stored;
    if (stored === undefined) return;
    await this.#giveBack(stored);
    await this.#call(stored.engine, ["stop", "--time", "1", stored.name]);
  }

  /** Throws CONTAINER_FAILED. */
  async remove(): Promise<void> {
    const stored = this.#stored;
    if (stored === undefined) return;
    await this.#giveBack(stored);
    const reason = await removeContainer(stored, this.#env);
    if (reason !== undefined) throw failed(`The container ${stored.name} cannot be removed: ${reason}`);
    rmSync(this.#path, { force: true });
    this.#stored = undefined;
  }

  async #prepare(spec: ContainerSpec): Promise<void> {
    const { clock, paths } = this.#options;
    const image = fullImageName(spec);
    const before = this.#stored;
    const isSame = before?.image === image && before.runOptions.join("\0") === spec.runOptions.join("\0");
    if (isSame && (await this.#state(before.name, before.engine)) !== undefined) {
      makeSharedFolders(paths.home);
      const started = await this.#call(before.engine, ["start", before.name]);
      if (started.code === 0) return;
    }
    const engine = await findEngine({ env: this.#env, clock });
    await ensureImage(spec, { engine, env: this.#env, scratch: paths.root });
    await this.#create({ engine, image, runOptions: spec.runOptions, links: before?.links ?? [] });
  }

  async #create(wanted: {
    readonly engine: ContainerEngine;
    readonly image: string;
    readonly runOptions: readonly string[];
    readonly links: readonly ContainerLink[];
  }): Promise<void> {
    const { config, paths } = this.#options;
    const { engine, image, runOptions, links } = wanted;
    const { user, home } = await this.#whoRuns(image, engine);
    makeSharedFolders(config.home);
    const name = containerName(config, paths.root);
    const plan = {
      name,
      image,
      user,
      home,
      nodeHome: config.home,
      tasks: paths.tasks,
      resources: config.resources,
      runOptions,
    };
    const args = runArguments(plan, engine);
    const stored: Stored = {
      name,
      engine: engine.command,
      image,
      runOptions,
      ...(user === undefined ? {} : { user }),
      home,
      links,
    };
    // Written first, so that whoever cleans up knows of it.
    this.#save(stored);
    // Left by an attempt that was cut off, or of another image.
    await this.#call(engine.command, ["rm", "--force", "--volumes", name]);
    const answer = await this.#call(engine.command, args);
    if (answer.code !== 0) throw failed(`The container of ${image} does not start: ${lastLine(answer.stderr)}`);
    for (const link of outerFirst(links)) await this.#makeLink(stored, link);
  }

  /**
   * Tasks run as the image's own user when the mounted folders are that user's to write, else as root of the container. Also finds out
   * whether there is a bash.
   */
  async #whoRuns(image: string, engine: ContainerEngine): Promise<{ readonly user?: string; readonly home: string }> {
    const { stdout } = await this.#call(engine.command, ["image", "inspect", "--format", "{{.Config.User}}", image]);
    const isRoot = /^(|0|root)(:.*)?$/.test(stdout.trim());
    const own = await this.#askImage(image, engine, []);
    const uid = engine.isRootless ? "0" : String(process.getuid?.() ?? 0);
    if (isRoot || own.uid === "0" || own.uid === uid) return { home: own.home };
    return { user: "0", home: (await this.#askImage(image, engine, ["--user", "0"])).home };
  }

  async #askImage(
    image: string,
    engine: ContainerEngine,
    more: readonly string[],
  ): Promise<{ readonly uid: string; readonly home: string }> {
    const args = ["run", "--rm", "--net=host", ...more, "--entrypoint", "bash", image, "-c", WHO];
    let answer = await this.#call(engine.command, args);
    // podman has been seen to lose the output of a program that ends at once.
    for (let tries = 1; tries < PROBES && answer.code === 0 && answer.stdout.trim() === ""; tries += 1) {
      answer = await this.#call(engine.command, args);
    }
    const [uid, home] = answer.stdout.trim().split("\n");
    if (answer.code === 0 && uid !== undefined && home !== undefined)
      return { uid, home: home === "/" ? "/root" : home };
    const reason = lastLine(answer.stderr);
    if (/exec format error/i.test(reason)) throw failed(`The image ${image} is made for another kind of CPU.`, reason);
    if (answer.code === 127 || /executable file .*not found/i.test(reason)) {
      throw failed(
        `The image ${image} has no bash.`,
        "Tasks are bash scripts: use an image with bash, or add it to this one.",
      );
    }
    throw failed(`The image ${image} does not run: ${reason || `exit code ${answer.code}`}`);
  }

  async #makeLink({ name, engine, home, links }: Stored, link: ContainerLink): Promise<void> {
    const { place, isStrict, isMount } = link;
    // The place of a bucket is never anything but a link: all that is below is found by that one.
    if (links.some((outer) => outer.isMount === true && place.startsWith(`${outer.place}/`))) return;
    const at = place.startsWith("~/") ? join(home, place.slice(2)) : place;
    const folderOf = (one: ContainerLink): string => `${home}/.sky/file_mounts/${one.folder}`;
    const inner = links.filter((one) => one.folder.startsWith(`${link.folder}/`));
    const buckets = inner.filter((one) => one.isMount === true).map(folderOf);
    const others = inner.filter((one) => one.isMount !== true).map(folderOf);
    const strictness = isStrict ? "strict" : "merge";
    const mode = isMount === true ? "mount" : strictness;
    // As root, because a place outside of HOME is seldom the user's.
    const parameters = [mode, at, folderOf(link), String(buckets.length), ...buckets, ...others];
    const inside = ["bash", "-c", LINK, "sky-link", ...parameters];
    const answer = await this.#call(engine, ["exec", "--user", "0", name, ...inside]);
    if (answer.code === 0) return;
    if (answer.code === 3) {
      throw new AgentPeerError("PATH_EXISTS", `!!! Failed mounting because path exists (${at})`, {
        hint: "It is part of the image: mount to another path.",
      });
    }
    const hint = answer.code === 127 || answer.stderr.includes("not found") ? NEEDS_COREUTILS : undefined;
    throw failed(`Cannot make ${at} in the container: ${lastLine(answer.stderr)}`, hint);
  }

  /** What root of the container wrote into the node's folders becomes the node's user's, who could not remove it otherwise. */
  async #giveBack({ name, engine, home }: Stored): Promise<void> {
    const uid = process.getuid?.() ?? 0;
    if (uid === 0 || (await this.#state(name, engine)) !== "running") return;
    const owner = `${uid}:${process.getgid?.() ?? uid}`;
    const folders = SHARED_FOLDERS.map((folder) => `${home}/${folder}`);
    await this.#call(engine, ["exec", "--user", "0", name, "chown", "-hR", owner, ...folders]);
  }

  /** `running`, another state, or undefined when there is no such container. */
  async #state(name: string, engine: readonly string[]): Promise<string | undefined> {
    const answer = await this.#call(engine, ["container", "inspect", "--format", "{{.State.Status}}", name]);
    return answer.code === 0 ? answer.stdout.trim() : undefined;
  }

  #exec(
    variables: Readonly<Record<string, string>>,
    command: readonly string[],
    more: readonly string[] = [],
  ): InsideCommand {
    const { name, engine, user } = this.#require();
    const as = user === undefined ? [] : ["--user", user];
    const set = Object.entries(variables).flatMap(([variable, value]) => ["--env", `${variable}=${value}`]);
    return { argv: [...engine, "exec", ...more, ...as, ...set, name, ...command], env: this.#env };
  }

  #call(engine: readonly string[], args: readonly string[]): Promise<EngineAnswer> {
    return runCommand([...engine, ...args], { env: this.#env });
  }

  #require(): Stored {
    if (this.#stored === undefined) throw new AgentPeerError("INTERNAL", "The node has no container.");
    return this.#stored;
  }

  #save(stored: Stored): void {
    writeFileAtomic(this.#path, `${JSON.stringify(stored, null, 2)}\n`, { mode: 0o600 });
    this.#stored = stored;
  }
}

const PROBES = 4;
const NEEDS_COREUTILS = "file_mounts outside of ~/sky_workdir need mkdir, ln and cp in the image.";

function failed(message: string, hint?: string): AgentPeerError {
  return new AgentPeerError("CONTAINER_FAILED", message, hint === undefined ? {} : { hint });
}

/** Tells the nodes apart that share a machine. */
function containerName(config: NodeConfig, root: string): string {
  const tag = createHash("sha256").update(root).digest("hex").slice(0, 6);
  return `sky-${config.clusterNameOnCloud.replaceAll(/[^A-Za-z0-9_.-]/g, "-")}-${config.index}-${tag}`;
}

function readStored(path: string): Stored | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Stored;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
