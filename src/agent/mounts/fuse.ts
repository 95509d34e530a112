import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { AgentPeerError } from "../../shared/agent/peer-error.ts";
import { runCommand } from "../container/engine.ts";

export interface FuseNeeds {
  readonly env: Readonly<Record<string, string>>;
  /** Whether the machine is the cluster's own, so that programs may be installed. */
  readonly mayUseSudo: boolean;
}

const INSTALLS = [
  [
    "apt-get",
    "sudo -n env DEBIAN_FRONTEND=noninteractive apt-get install -y -o Dpkg::Options::=--force-confold --no-install-recommends fuse3",
  ],
  ["dnf", "sudo -n dnf install -y fuse3"],
  ["yum", "sudo -n yum install -y fuse3"],
  ["zypper", "sudo -n zypper --non-interactive install fuse3"],
] as const;

/** For containers with users of their own, and for mounts inside of mounts. */
const ALLOW_OTHERS = "echo user_allow_other >> /etc/fuse.conf";

/** Throws MOUNT_FAILED with what is missing, after installing it where that is allowed. */
export async function requireFuse({ env, mayUseSudo }: FuseNeeds): Promise<void> {
  if (!existsSync("/dev/fuse")) {
    throw new AgentPeerError("MOUNT_FAILED", "The node has no FUSE: there is no /dev/fuse.", {
      hint: "Load the module (sudo modprobe fuse), or give the container that the node is --device /dev/fuse. `mode: COPY` needs none.",
    });
  }
  try {
    accessSync("/dev/fuse", constants.R_OK | constants.W_OK);
  } catch (error) {
    throw new AgentPeerError("MOUNT_FAILED", "This user may not use FUSE on the node: /dev/fuse cannot be opened.", {
      cause: error,
      hint: "Let an administrator allow it (sudo chmod 666 /dev/fuse, or the group fuse). `mode: COPY` needs none.",
    });
  }
  if (hasFusermount(env)) return allowOthers(env, mayUseSudo);
  const install = INSTALLS.find(([program]) => findProgram(program, env) !== undefined)?.[1];
  if (mayUseSudo && install !== undefined) await runCommand(["sh", "-c", install], { env });
  if (hasFusermount(env)) return allowOthers(env, mayUseSudo);
  throw new AgentPeerError("MOUNT_FAILED", "The node has no fusermount3, which mounting needs.", {
    hint: `Install it on the node: ${(install ?? INSTALLS[0][1]).replace("sudo -n env DEBIAN_FRONTEND=noninteractive", "sudo")}`,
  });
}

/** The file is the package's, whose installation asks about one that is there before. */
async function allowOthers(env: FuseNeeds["env"], mayUseSudo: boolean): Promise<void> {
  if (mayUseSudo && !mayAllowOthers()) await runCommand(["sudo", "-n", "sh", "-c", ALLOW_OTHERS], { env });
}

function hasFusermount(env: Readonly<Record<string, string>>): boolean {
  return ["fusermount3", "fusermount"].some((name) => findProgram(name, env) !== undefined);
}

/** Path of a program, also where a login's PATH does not lead. */
export function findProgram(name: string, env: Readonly<Record<string, string>>): string | undefined {
  const folders = [...(env["PATH"] ?? "").split(":"), "/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"];
  return folders
    .filter((folder) => folder.startsWith("/"))
    .map((folder) => join(folder, name))
    .find((path) => isExecutable(path));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Whether this user may open its mounts to other users of the machine. */
export function mayAllowOthers(): boolean {
  if (process.getuid?.() === 0) return true;
  try {
    return /^\s*user_allow_other\s*$/mu.test(readFileSync("/etc/fuse.conf", "utf8"));
  } catch {
    // No such file: it is not allowed.
    return false;
  }
}
