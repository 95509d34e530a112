import { choice, flag } from "./parser/spec.ts";

const SHELLS = ["bash", "zsh", "fish", "auto"] as const;

/** Options of `sky` itself. */
export const rootOptions = {
  installShellCompletion: choice("--install-shell-completion", SHELLS, "Set up completion for that shell.", {
    caseSensitive: true,
  }),
  uninstallShellCompletion: choice("--uninstall-shell-completion", SHELLS, "Remove completion from that shell.", {
    caseSensitive: true,
  }),
  version: flag("--version -v", "Show the version and exit."),
  commit: flag("--commit -c", "Show the commit and exit."),
};
