import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync, chmodSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findSshd, writeSshdFiles } from "./sshd-files.ts";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "sshd-files-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

test("the server lets in the cluster's keys alone", () => {
  const env = { PATH: "/own bin:/usr/bin", MARK: "a.ssh", ODD: 'a"b' };
  const config = writeSshdFiles({ directory, keys: ["ssh-ed25519 AAAA c1"], hostKey: "host key\n", env });
  const text = readFileSync(config, "utf8");
  expect(text).toContain("PasswordAuthentication no\nKbdInteractiveAuthentication no\n");
  expect(text).toContain(`AuthorizedKeysFile ${directory}/authorized_keys\n`);
  expect(text).not.toContain("ForceCommand");
  expect(readFileSync(join(directory, "authorized_keys"), "utf8")).toBe("ssh-ed25519 AAAA c1\n");
  for (const name of ["host_key", "authorized_keys", "config"])
    expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600);
  expect(text).toContain('SetEnv "PATH=/own bin:/usr/bin" "MARK=a.ssh"\n');
  writeSshdFiles({ directory, keys: ["ssh-ed25519 BBBB c1"], hostKey: "host key\n", env: {} });
  expect(readFileSync(join(directory, "host_key"), "utf8")).toBe("host key\n");
  expect(readFileSync(join(directory, "authorized_keys"), "utf8")).toBe("ssh-ed25519 BBBB c1\n");
});

test("who logs in to a node with a container gets a shell, a command or files of the container", () => {
  const engine = join(directory, "engine it's");
  writeFileSync(engine, '#!/bin/sh\nprintf "[%s]" "$SETTING" "$@"\n');
  chmodSync(engine, 0o700);
  const container = { before: [engine, "exec"], after: ["box"], env: { SETTING: "a b" } };
  expect(readFileSync(writeSshdFiles({ directory, keys: [], hostKey: "", env: {}, container }), "utf8")).toContain(
    `ForceCommand ${directory}/enter\n`,
  );
  const enter = (env: Record<string, string>): string =>
    execFileSync(join(directory, "enter"), { env: { PATH: "/usr/bin:/bin", ...env }, encoding: "utf8" });
  expect(enter({ SSH_TTY: "/dev/pts/1" })).toBe("[a b][exec][--tty][box][bash][-l]");
  expect(enter({ SSH_ORIGINAL_COMMAND: "echo 'x y' | cat" })).toBe("[a b][exec][box][bash][-lc][echo 'x y' | cat]");
  expect(enter({ SSH_ORIGINAL_COMMAND: "sftp-server" })).toMatch(
    /^\[a b\]\[exec\]\[box\]\[bash\]\[-c\]\[PATH=.* exec sftp-server\]$/,
  );
});

test("a machine without an SSH server has none to offer", () => {
  expect(findSshd([join(directory, "none")])).toBeUndefined();
});
