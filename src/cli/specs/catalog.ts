import { choice, commandSpec, flag, text, texts } from "../parser/spec.ts";
import { configOption, outputOption } from "./shared-options.ts";

const cloudOption = texts("--cloud", "Only that cloud; may be repeated.");

export const catalogInfoSpec = commandSpec({
  help: "Show which price lists are in use, of which day, and where the figures come from.",
  args: {},
  options: { config: configOption, cloud: cloudOption, outputFormat: outputOption },
});

export const catalogUpdateSpec = commandSpec({
  help:
    "Make price lists new.\n\nFrom the cloud itself, with your credentials: instance types, zones, prices and spot prices of every region. " +
    "What an interrupted run has read is kept, and a file of your own is never overwritten.",
  args: {},
  options: {
    config: configOption,
    cloud: cloudOption,
    region: texts("--region", "Read only that region; may be repeated."),
    from: choice(
      "--from",
      ["cloud", "published"],
      "Where from: the cloud itself (default), or SkyPilot's published list.",
    ),
    url: text("--url", "A price list (vms.csv, also .gz) at this address; with one --cloud."),
    force: flag("--force -f", "Read again also what is fresh."),
    outputFormat: outputOption,
  },
});
