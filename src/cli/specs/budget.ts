import { argument, choice, commandSpec, flag, float, requiredVariadic, text } from "../parser/spec.ts";
import { configOption, outputOption, yesOption } from "./shared-options.ts";

export const budgetSetSpec = commandSpec({
  help:
    "Make a budget, or change one.\n\n" +
    "It counts instances, disks and public addresses of the clusters of a user (you, unless you name another), a workspace or a label. " +
    "When it is reached the server warns, stops the clusters or tears them down within a minute, and refuses to launch more.",
  args: { name: argument("NAME") },
  options: {
    config: configOption,
    limit: float("--limit", "USD that may be spent."),
    per: choice(
      "--per",
      ["day", "week", "month", "total"],
      "What the limit is for; a month unless given. Periods are in UTC.",
    ),
    user: text("--user", "Name or id of the user whose clusters count."),
    workspace: text("--workspace -w", "Workspace whose clusters count."),
    label: text("--label", "Label (key=value) whose clusters count."),
    everything: flag("--everything", "All clusters count."),
    action: choice("--action", ["warn", "stop", "down"], "What happens when it is reached; warn unless given."),
  },
});

export const budgetLsSpec = commandSpec({
  help: "Show budgets and what is spent of them.",
  args: {},
  options: { config: configOption, outputFormat: outputOption },
});

export const budgetDeleteSpec = commandSpec({
  help: "Delete budgets.",
  args: { names: requiredVariadic("NAMES") },
  options: { config: configOption, yes: yesOption },
});
