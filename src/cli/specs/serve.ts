import {
  argument,
  commandSpec,
  flag,
  integer,
  requiredVariadic,
  text,
  variadic,
  variadicIntegers,
} from "../parser/spec.ts";
import {
  allOfYoursOption,
  asyncOption,
  configOption,
  controllerOption,
  followOption,
  gitOptions,
  modeOption,
  purgeOption,
  resourceOptions,
  syncDownOption,
  verboseOption,
  yesOption,
} from "./shared-options.ts";

export const serveUpSpec = commandSpec({
  help: "Launch a service.",
  args: { serviceYaml: requiredVariadic("SERVICE_YAML", "file_name") },
  options: {
    config: configOption,
    serviceName: text("--service-name -n", "Name of the service."),
    ...gitOptions,
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
    mode: modeOption,
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
    all: allOfYoursOption,
    purge: purgeOption,
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
    follow: followOption,
    controller: controllerOption,
    loadBalancer: flag("--load-balancer", "The load balancer's log."),
    syncDown: syncDownOption,
    tail: integer("--tail", "Print only the last N lines; 0 for all."),
  },
});
