import { z } from "zod";
import { commonFields, flag, optionalText } from "./body-fields.ts";

/** Query of `GET /enabled_clouds`, put into the shape of a body. */
export const EnabledCloudsBody = z.object({ ...commonFields, workspace: optionalText, expand: flag(false) });
export type EnabledCloudsBody = z.infer<typeof EnabledCloudsBody>;

export const EnabledCloudsResult = z.array(z.string());

/** Query of `GET /enabled_clouds/batch`. */
export const EnabledCloudsBatchBody = z.object({
  ...commonFields,
  workspaces: z.array(z.string()),
  expand: flag(false),
});
export type EnabledCloudsBatchBody = z.infer<typeof EnabledCloudsBatchBody>;

export const EnabledCloudsBatchResult = z.record(z.string(), z.array(z.string()));
