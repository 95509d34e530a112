import { shellQuote } from "../../../shared/shell-quote.ts";

export interface UserDataWish {
  readonly sshUser: string;
  /** Home of that user. */
  readonly home: string;
  readonly nameOnCloud: string;
  /** In the form of `authorized_keys`. */
  readonly publicKeys: readonly string[];
  /** `aws.post_provision_runcmd`: shell lines, or programs with their arguments. */
  readonly runCommands: readonly (string | readonly string[])[];
  /** Shell script that fetches the runtime of the agent while the machine starts; absent = it is brought over SSH. */
  readonly prefetch?: string;
}

const APT_OFF = [
  [
    "20auto-upgrades",
    ["Update-Package-Lists", "Download-Upgradeable-Packages", "AutocleanInterval", "Unattended-Upgrade"]
      .map((name) => `APT::Periodic::${name} "0";`)
      .join("\n"),
  ],
  ["10cloudinit-disable", 'APT::Periodic::Enable "0";'],
  ["52unattended-upgrades-local", 'Unattended-Upgrade::DevRelease "false";\nUnattended-Upgrade::Allowed-Origins {};'],
] as const;

const APT_TIMERS = ["apt-daily.timer", "apt-daily-upgrade.timer", "unattended-upgrades.service"] as const;
const APT_SERVICES = ["apt-daily.service", "apt-daily-upgrade.service", "unattended-upgrades.service"] as const;

/** One connection carries everything, but users may open many. */
const SSHD = "MaxSessions 200\nMaxStartups 150:30:200\n";
const LIMITS = ["*", "root"]
  .flatMap((who) => ["soft", "hard"].map((kind) => `${who} ${kind} nofile 1048576`))
  .join("\n");

const PREFETCH_PATH = "/run/skypilot-prefetch.sh";

/**
 * The first words to a new machine, in cloud-init's form: the user, who may log in, no package manager that gets in the way, and the
 * runtime of the agent. The same wish gives the same text, because EC2 compares it when a launch is repeated.
 */
export function renderUserData(wish: UserDataWish): string {
  const document = {
    users: [
      {
        name: wish.sshUser,
        shell: "/bin/bash",
        sudo: "ALL=(ALL) NOPASSWD:ALL",
        ssh_authorized_keys: wish.publicKeys,
      },
    ],
    write_files: [
      ...APT_OFF.map(([name, content]) => ({ path: `/etc/apt/apt.conf.d/${name}`, content: `${content}\n` })),
      { path: "/etc/ssh/sshd_config.d/10-skypilot.conf", content: SSHD },
      { path: "/etc/security/limits.d/10-skypilot.conf", content: `${LIMITS}\n` },
      ...(wish.prefetch === undefined ? [] : [{ path: PREFETCH_PATH, permissions: "0755", content: wish.prefetch }]),
    ],
    bootcmd: [
      ["cloud-init-per", "instance", "skypilot-forget", "/bin/sh", "-c", forgetScript(wish)],
      ["systemctl", "stop", ...APT_TIMERS],
      ["systemctl", "disable", ...APT_TIMERS],
      ["systemctl", "mask", ...APT_SERVICES],
      ["systemctl", "daemon-reload"],
      ...(wish.prefetch === undefined ? [] : [startPrefetch(wish.sshUser)]),
    ],
    ...(wish.runCommands.length === 0 ? {} : { runcmd: wish.runCommands }),
  };
  return `#cloud-config\n${JSON.stringify(document, null, 1)}\n`;
}

/**
 * Takes from a disk that was another cluster's (`--clone-disk-from`, or an image that the user made of a node) what let that cluster in:
 * its lines of `authorized_keys`, which end in its name, and the agent's files with its token. A new disk has neither, and what is of
 * the cluster itself stays, should cloud-init take the machine for new once more.
 */
export function forgetScript({ home, nameOnCloud }: Pick<UserDataWish, "home" | "nameOnCloud">): string {
  const [clusters, keys] = [shellQuote(`${home}/.sky/clusters`), shellQuote(`${home}/.ssh/authorized_keys`)];
  return [
    `cd ${clusters} 2>/dev/null || exit 0`,
    "for C in *; do",
    `  case $C in ${shellQuote(nameOnCloud)}|*[!A-Za-z0-9-]*) continue;; esac`,
    `  [ ! -f ${keys} ] || sed -i "/ $C"'$/d' ${keys}`,
    '  rm -rf "./$C"',
    "done",
  ].join("\n");
}

/** Runs beside everything else of the start. The script and the user come a moment after this, the network perhaps later. */
function startPrefetch(user: string): readonly string[] {
  const wait = `until [ -x ${PREFETCH_PATH} ] && id ${user} >/dev/null 2>&1; do sleep 0.2; done`;
  return [
    "cloud-init-per",
    "once",
    "skypilot-prefetch",
    "systemd-run",
    "--no-block",
    "--unit=skypilot-prefetch",
    "/bin/sh",
    "-c",
    `${wait}; exec setpriv --reuid=${user} --regid="$(id -g ${user})" --init-groups /bin/sh ${PREFETCH_PATH}`,
  ];
}
