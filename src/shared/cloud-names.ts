/** Other names that users write for a cloud. */
export const CLOUD_ALIASES: Readonly<Record<string, string>> = { k8s: "kubernetes" };

/** How messages spell the clouds that run nodes, by registry key. */
export const CLOUD_NAMES: Readonly<Record<string, string>> = {
  aws: "AWS",
  azure: "Azure",
  gcp: "GCP",
  ibm: "IBM",
  lambda: "Lambda",
  scp: "SCP",
  oci: "OCI",
  kubernetes: "Kubernetes",
  runpod: "RunPod",
  vast: "Vast",
  vsphere: "vSphere",
  cudo: "Cudo",
  fluidstack: "Fluidstack",
  paperspace: "Paperspace",
  primeintellect: "PrimeIntellect",
  do: "DO",
  nebius: "Nebius",
  ssh: "SSH",
  slurm: "Slurm",
  hyperbolic: "Hyperbolic",
  seeweb: "Seeweb",
  shadeform: "Shadeform",
  yotta: "Yotta",
  mithril: "Mithril",
  verda: "Verda",
  local: "Local",
  fake: "Fake",
};

/** How messages spell those that hold data and run nothing. */
export const STORE_NAMES: Readonly<Record<string, string>> = {
  cloudflare: "Cloudflare",
  coreweave: "CoreWeave",
  vastdata: "VastData",
  huggingface: "HuggingFace",
};

/** The cloud as messages spell it; a name that is not known stays as it is. */
export function displayCloud(cloud: string): string {
  return CLOUD_NAMES[cloud] ?? STORE_NAMES[cloud] ?? cloud;
}
