import { isShell, completionScript, type Shell } from "./scripts.ts";
import { suggest, type Suggestion } from "./suggest.ts";
import { splitWords } from "./split-words.ts";
import type { Machine } from "../context.ts";

/** Answers a shell: `<shell>_source` gives the script to load, `<shell>_complete` the words that may come next. */
export async function runCompletion(mode: string, machine: Machine): Promise<number> {
  const [shell = "", action] = mode.split("_");
  if (!isShell(shell)) return 1;
  if (action === "source") {
    machine.out.write(completionScript(shell));
    return 0;
  }
  if (action !== "complete") return 1;
  const { words, incomplete } = typedWords(shell, machine);
  const suggestions = await suggest(words, incomplete, machine);
  for (const suggestion of suggestions) machine.out.write(renderSuggestion(shell, suggestion));
  return 0;
}

function typedWords(shell: Shell, { env }: Machine): { words: readonly string[]; incomplete: string } {
  const all = splitWords(env["COMP_WORDS"] ?? "");
  if (shell === "fish") {
    const incomplete = env["COMP_CWORD"] ?? "";
    const words = all.slice(1);
    return { words: incomplete !== "" && words.at(-1) === incomplete ? words.slice(0, -1) : words, incomplete };
  }
  const index = Number(env["COMP_CWORD"] ?? 0);
  return { words: all.slice(1, index), incomplete: all[index] ?? "" };
}

function renderSuggestion(shell: Shell, suggestion: Suggestion): string {
  const { kind, value, help } = suggestion;
  if (shell === "zsh") return `${kind}\n${value}\n${help === undefined || help === "" ? "_" : help}\n`;
  if (shell === "fish" && help !== undefined && help !== "") return `${kind},${value}\t${help}\n`;
  return `${kind},${value}\n`;
}
