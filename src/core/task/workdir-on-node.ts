/** Where the workdir appears on nodes, and what relative destinations are relative to. */
export const WORKDIR_ON_NODE = "~/sky_workdir";
