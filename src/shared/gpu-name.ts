/** Turns a line of `nvidia-smi --query-gpu=name` into the catalog's name, e.g. `NVIDIA A100-SXM4-80GB` → `A100-80GB`. */
export function canonicalGpuName(product: string): string {
  const name = product
    .trim()
    .replace(/^NVIDIA\s+/i, "")
    .replace(/^(Tesla|GeForce|Quadro|Graphics Device)\s+/i, "");
  const rtx = /^(RTX|GTX)\s*(A?\d+)\s*(Ti|SUPER)?(?:\s+(Ada).*)?$/i.exec(name);
  if (rtx !== null) return `${rtx[1]?.toUpperCase()}${rtx[2]}${rtx[3] ? `-${rtx[3]}` : ""}${rtx[4] ? "-Ada" : ""}`;
  const size = /[-\s](\d+GB)\b/i.exec(name)?.[1];
  const base = (name.split(/[-\s]/)[0] ?? name).toUpperCase();
  // The plain A100 and V100 are the small ones; the larger have names of their own.
  if ((base === "A100" && size === "80GB") || (base === "V100" && size === "32GB")) return `${base}-${size}`;
  return base;
}
