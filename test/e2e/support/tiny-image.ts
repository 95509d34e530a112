import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdirSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const PROGRAMS = [
  "bash",
  "cat",
  "chown",
  "cp",
  "env",
  "id",
  "ln",
  "ls",
  "mkdir",
  "rmdir",
  "setsid",
  "sleep",
  "stat",
  "touch",
];

/** Writes the root of a small Linux, made of this machine's own programs, as a tar file that `podman import` takes. */
export function makeRootTar(directory: string, options: { readonly withBash: boolean }): string {
  const root = join(directory, options.withBash ? "root" : "root-without-bash");
  for (const folder of ["bin", "usr/bin", "etc", "tmp", "proc", "sys", "dev", "root", "home/app", "run"]) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  for (const program of options.withBash ? PROGRAMS : ["dash"]) copyProgram(program, root);
  symlinkSync(options.withBash ? "bash" : "dash", join(root, "bin/sh"));
  const users = "root:x:0:0:root:/root:/bin/bash\napp:x:1234:1234:app:/home/app:/bin/bash\n";
  writeFileSync(join(root, "etc/passwd"), users);
  writeFileSync(join(root, "etc/group"), "root:x:0:\napp:x:1234:\n");
  writeFileSync(join(root, "etc/os-release"), 'NAME="A little Linux"\n');
  mkdirSync(join(root, "opt/empty"), { recursive: true });
  mkdirSync(join(root, "root/in-image"));
  writeFileSync(join(root, "root/in-image/old"), "of the image");
  const tar = `${root}.tar`;
  execFileSync("tar", ["-C", root, "--owner=0", "--group=0", "-cf", tar, "."]);
  return tar;
}

function copyProgram(program: string, root: string): void {
  const path = execFileSync("/bin/sh", ["-c", `command -v ${program}`], { encoding: "utf8" }).trim();
  copyFileSync(realpathSync(path), join(root, "bin", program));
  chmodSync(join(root, "bin", program), 0o755);
  const libraries = execFileSync("ldd", [realpathSync(path)], { encoding: "utf8" }).match(/\/[^ ]+/g) ?? [];
  for (const library of libraries) {
    if (existsSync(join(root, library))) continue;
    mkdirSync(join(root, dirname(library)), { recursive: true });
    copyFileSync(realpathSync(library), join(root, library));
    chmodSync(join(root, library), 0o755);
  }
}
