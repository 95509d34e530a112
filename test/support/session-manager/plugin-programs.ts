import { spawnSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";

export interface PluginPrograms {
  /** AWS's Session Manager plugin. */
  readonly plugin: string;
  /** AWS CLI v2. */
  readonly aws: string;
}

/**
 * AWS's own programs: the plugin from SKY_SSM_PLUGIN or PATH, the CLI from PATH or Debian's package. Undefined when one of them is
 * missing; throws when SKY_REQUIRE_E2E wants them.
 */
export function findPluginPrograms(): PluginPrograms | undefined {
  const plugin = process.env["SKY_SSM_PLUGIN"] ?? "session-manager-plugin";
  const hasPlugin = spawnSync(plugin, ["--version"], { stdio: "ignore" }).status === 0;
  const aws = ["aws", "/usr/bin/aws"].find((program) => {
    const { stdout, status } = spawnSync(program, ["--version"], { encoding: "utf8" });
    return status === 0 && stdout.startsWith("aws-cli/2.");
  });
  if (hasPlugin && aws !== undefined) return { plugin, aws };
  if ((process.env["SKY_REQUIRE_E2E"] ?? "") === "") return undefined;
  throw new Error(`There is no ${hasPlugin ? "AWS CLI v2" : plugin}.`);
}

/** A folder for PATH in which both are; the CLI's calls go to `url`, because older ones take no endpoint from files. */
export function installPrograms({ plugin, aws }: PluginPrograms, folder: string, url: string): string {
  mkdirSync(folder, { recursive: true });
  symlinkSync(plugin, join(folder, "session-manager-plugin"));
  const wrapper = join(folder, "aws");
  writeFileSync(wrapper, `#!/bin/sh\nexec ${aws} --endpoint-url ${url} "$@"\n`, { mode: 0o755 });
  return `${folder}${delimiter}${process.env["PATH"] ?? ""}`;
}
