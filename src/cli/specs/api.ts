import { choiceOr, commandSpec, flag, integer, limit, optionalArgument, text, variadic } from "../parser/spec.ts";
import { configOption, followOption, outputOption, verboseOption, yesOption } from "./shared-options.ts";

export const apiStartSpec = commandSpec({
  help: "Start the API server on this machine.\n\nCommands start it by themselves when none answers.",
  args: {},
  options: {
    deploy: flag("--deploy", "Serve other machines too: listen on all addresses and use the whole machine."),
    host: choiceOr("--host", ["0.0.0.0", "localhost", "127.0.0.1", "::", "::1"], "Address to listen on.", "127.0.0.1"),
    foreground: flag("--foreground", "Run in this terminal."),
    enableBasicAuth: flag("--enable-basic-auth", "Ask clients for user name and password."),
    port: integer("--port", "Port to listen on."),
  },
});

export const apiStopSpec = commandSpec({
  help: "Stop the API server on this machine.",
  args: {},
  options: {},
});

export const apiLogsSpec = commandSpec({
  help: "Show the log of a request.\n\nREQUEST_ID may be shortened to any unique beginning.",
  args: { requestId: optionalArgument("REQUEST_ID", "api_request") },
  options: {
    config: configOption,
    serverLogs: flag("--server-logs", "The log of the local API server itself."),
    logPath: text("--log-path -l", "Print that log file of the server."),
    tail: integer("--tail", "Print only the last N lines; 0 for all."),
    follow: followOption,
  },
});

export const apiCancelSpec = commandSpec({
  help: "Cancel requests.\n\nREQUEST_IDS may be shortened to any unique beginning.",
  args: { requestIds: variadic("REQUEST_IDS", "api_request") },
  options: {
    config: configOption,
    all: flag("--all -a", "All requests of yours."),
    allUsers: flag("--all-users -u", "All requests of everybody."),
    yes: yesOption,
  },
});

export const apiStatusSpec = commandSpec({
  help: "List requests.\n\nRequests in progress, unless --all-status is given.",
  args: { requestIdPrefixes: variadic("REQUEST_ID_PREFIXES", "api_request") },
  options: {
    config: configOption,
    allStatus: flag("--all-status -a", "Include requests that have ended."),
    limit: limit("--limit -l", "Show at most that many rows.", 50),
    cluster: text("--cluster -c", "Only requests about that cluster."),
    verbose: verboseOption,
    outputFormat: outputOption,
  },
});

export const apiLoginSpec = commandSpec({
  help: "Log in to an API server.",
  args: {},
  options: {
    config: configOption,
    endpoint: text("--endpoint -e", "URL of the API server."),
    relogin: flag("--relogin", "Log in again even when logged in."),
    serviceAccountToken: text("--service-account-token --token -t", "Log in with that token (sky_...)."),
    noBrowser: flag("--no-browser", "Print the URL instead of opening a browser."),
  },
});

export const apiLogoutSpec = commandSpec({
  help: "Log out of the API server.",
  args: {},
  options: {},
});

export const apiInfoSpec = commandSpec({
  help: "Show the API server in use.",
  args: {},
  options: {
    outputFormat: outputOption,
    config: configOption,
  },
});

export const dashboardSpec = commandSpec({
  help: "Open the dashboard.",
  args: {},
  options: {
    config: configOption,
  },
});
