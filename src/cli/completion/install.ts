import { existsSync, readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { writeFileAtomic } from "../../platform/atomic-file.ts";
import { readVariable } from "../../platform/env.ts";
import type { Machine } from "../context.ts";
import { makeColors } from "../render/colors.ts";
import { completionScript, isShell, type Shell } from "./scripts.ts";

interface Target {
  /** The completion script. */
  readonly script: string;
  /** The start-up file that loads it; undefined when the shell finds it by itself. */
  readonly startup: string | undefined;
  readonly reload: string;
}

const COMMENT = "# For SkyPilot shell completion";

function targetOf(shell: Shell, home: string): Target {
  switch (shell) {
    case "bash":
      return {
        script: join(home, ".sky", ".sky-complete.bash"),
        startup: join(home, ".bashrc"),
        reload: "source ~/.bashrc",
      };
    case "zsh":
      return {
        script: join(home, ".sky", ".sky-complete.zsh"),
        startup: join(home, ".zshrc"),
        reload: "source ~/.zshrc",
      };
    case "fish":
      return {
        script: join(home, ".config", "fish", "completions", "sky.fish"),
        startup: undefined,
        reload: "source ~/.config/fish/config.fish",
      };
  }
}

/** Writes the completion script and has the shell load it. A second time changes nothing. */
export async function installCompletion(given: string, machine: Machine): Promise<number> {
  const shell = chooseShell(given, machine);
  if (shell === undefined) return 0;
  const target = targetOf(shell, machine.home);
  writeFileAtomic(target.script, completionScript(shell));
  if (target.startup !== undefined) addLines(target.startup, target.script, machine.home);
  const colors = makeColors(machine.env, machine.out.isTTY);
  machine.out.write(`${colors.green(`Shell completion installed for ${shell}`)}\n`);
  machine.out.write(`Completion will take effect once you restart the terminal: ${colors.bold(target.reload)}\n`);
  return 0;
}

/** Removes what {@link installCompletion} wrote. */
export async function uninstallCompletion(given: string, machine: Machine): Promise<number> {
  const shell = chooseShell(given, machine);
  if (shell === undefined) return 0;
  const target = targetOf(shell, machine.home);
  rmSync(target.script, { force: true });
  if (target.startup !== undefined) removeLines(target.startup, target.script, machine.home);
  const colors = makeColors(machine.env, machine.out.isTTY);
  machine.out.write(`${colors.green(`Shell completion uninstalled for ${shell}`)}\n`);
  machine.out.write(`Changes will take effect once you restart the terminal: ${colors.bold(target.reload)}\n`);
  return 0;
}

function chooseShell(given: string, machine: Machine): Shell | undefined {
  const colors = makeColors(machine.env, machine.err.isTTY);
  const path = given === "auto" ? readVariable(machine.env, "SHELL") : given;
  if (path === undefined) {
    machine.err.write(`${colors.red("Cannot auto-detect shell. Please specify shell explicitly.")}\n`);
    return undefined;
  }
  const name = basename(path);
  if (isShell(name)) return name;
  machine.err.write(`${colors.red(`Unsupported shell: ${name}`)}\n`);
  return undefined;
}

function loadLine(script: string, home: string): string {
  return `. ${script.replace(home, "~")}`;
}

function addLines(startup: string, script: string, home: string): void {
  const text = existsSync(startup) ? readFileSync(startup, "utf8") : "";
  if (text.includes("SkyPilot")) return;
  const separator = text === "" || text.endsWith("\n") ? "" : "\n";
  writeFileAtomic(startup, `${text}${separator}\n${COMMENT}\n${loadLine(script, home)}\n`);
}

function removeLines(startup: string, script: string, home: string): void {
  if (!existsSync(startup)) return;
  const text = readFileSync(startup, "utf8");
  const block = `${COMMENT}\n${loadLine(script, home)}\n`;
  if (text.includes(block)) writeFileAtomic(startup, text.replace(`\n${block}`, "").replace(block, ""));
}
