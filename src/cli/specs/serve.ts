import {
  commandSpec,
  argument,
  choiceOr,
  flag,
  flagOn,
  integer,
  requiredVariadic,
  text,
  variadic,
  variadicIntegers,
} from "../parser/spec.ts";
import { asyncOption, configOption, resourceOptions, verboseOption, yesOption } from "./shared-options.ts";

export const serveUpSpec = commandSpec({
  help: "Launch a service.",
  args: { serviceYaml: requiredVariadic("SERVICE_YAML", "file_name") },
  options: {
    config: configOption,
    serviceName: text("--service-name -n", "Name of the service."),
    gitUrl: text("--git-url", "Git repository that becomes the working directory."),
    gitRef: text("--git-ref", "Branch, tag or commit of --git-url."),
    ...resourceOptions,
    asyncCall: asyncOption,
    yes: yesOption,
  },
});

export const serveUpdateSpec = commandSpec({
  help: "Change a running service.",
  args: { serviceName: argument("SERVICE_NAME"), serviceYaml: requiredVariadic("SERVICE_YAML", "file_name") },
  options: {
    config: configOption,
    ...resourceOptions,
    asyncCall: asyncOption,
    mode: choiceOr("--mode", ["rolling", "blue_green"], "How to replace what runs now.", "rolling"),
    yes: yesOption,
  },
});

export const serveStatusSpec = commandSpec({
  help: "Show services.",
  args: { serviceNames: variadic("SERVICE_NAMES") },
  options: {
    config: configOption,
    verbose: verboseOption,
    endpoint: flag("--endpoint", "Print only the endpoint."),
  },
});

export const serveDownSpec = commandSpec({
  help: "Tear down services.",
  args: { serviceNames: variadic("SERVICE_NAMES") },
  options: {
    config: configOption,
    all: flag("--all -a", "All of yours."),
    purge: flag("--purge -p", "Forget it here even when the infra reports an error."),
    yes: yesOption,
    replicaId: integer("--replica-id", "Only that replica."),
    asyncCall: asyncOption,
  },
});

export const serveLogsSpec = commandSpec({
  help: "Show the log of a service.",
  args: { serviceName: argument("SERVICE_NAME"), replicaIds: variadicIntegers("REPLICA_IDS") },
  options: {
    config: configOption,
    follow: flagOn("--follow / --no-follow", "Keep printing while the job runs."),
    controller: flag("--controller", "The controller's log instead of the job's."),
    loadBalancer: flag("--load-balancer", "The load balancer's log."),
    syncDown: flag("--sync-down -s", "Download the logs instead of printing them."),
    tail: integer("--tail", "Print only the last N lines; 0 for all."),
  },
});
